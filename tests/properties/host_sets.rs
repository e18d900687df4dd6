//! Does a set in host memory equal separate calls for its tensors?

use penalty::exact::TILE;
use penalty::half::{self, bf16, f16};
use penalty::{Adam, Backend, Dtype, Metric, Penalty};

use crate::common::compare::same_bits;
use crate::common::oracle::{Formula, Weight, statistics};
use crate::common::tensors::{Call, ROLES, Shaped, Tensors, lens, numbers, reports_equal, steps, thousand};
use crate::common::weighted::tensors;

#[test]
fn a_host_set_equals_calls_per_tensor() {
    let cpu = Backend::cpu();
    for before in [Tensors::new(&lens()), Tensors::new(&thousand())] {
        let mut after = before.clone();
        let reports = after.host(Call::EvaluateAndGradientAdd).expect("it is valid").expect("it reports");
        let again = before.clone().host(Call::Evaluate).expect("it is valid").expect("it reports");
        reports_equal(&again, &reports, &"evaluating alone");
        let mut shrunk = before.clone();
        let left = shrunk.host(Call::ProxAndEvaluate(0.5)).expect("it is valid").expect("it reports");
        let mut total = 0.0;
        for (i, p) in before.parameters.iter().enumerate() {
            let elements = |words: &[u32]| numbers(words, p);
            let theta = elements(&before.words[0][i]);
            let formula = Formula { l1: p.penalty.l1_factor(), l2_squared: p.penalty.l2_squared_factor() };
            statistics(&theta)
                .check(&formula, &reports.tensors[i])
                .unwrap_or_else(|error| panic!("tensor {i}: {error}"));
            total += reports.tensors[i].value;
            per_tensor(&cpu, p, [&before, &after, &shrunk].map(|t| &t.words), i);
            let left_alone = cpu.evaluate(&p.penalty, &elements(&shrunk.words[0][i])).expect("the CPU does not fail");
            assert_eq!(left_alone, left.tensors[i], "what the prox leaves of tensor {i}");
        }
        assert_eq!(total, reports.total.value, "the total is the sum in the set's order");
    }
}

#[test]
fn a_step_without_a_report_gives_the_same_bits() {
    for [alone, reporting] in steps() {
        for before in
            [Tensors::new(&lens()), Tensors::with(&[700, 6000], |_| Dtype::F32, &[Penalty::l2_norm(0.1).unwrap()])]
        {
            let in_its_metric = matches!(alone, Call::Adam(Adam { metric: Metric::Adam, .. }));
            if in_its_metric && before.parameters.iter().any(|p| p.penalty.groups().is_some()) {
                continue; // Groups have no prox in Adam's metric.
            }
            let (mut a, mut b) = (before.clone(), before.clone());
            assert_eq!(a.host(alone).expect("it is valid"), None, "{alone:?}");
            assert!(b.host(reporting).expect("it is valid").is_some());
            assert_eq!(a.words, b.words, "{alone:?}");
            assert_ne!(a.words[0], before.words[0], "{alone:?}");
        }
    }
}

/// The gradient and the prox of tensor `i` by separate calls.
fn per_tensor(cpu: &Backend, p: &Shaped, [before, after, shrunk]: [&[Vec<Vec<u32>>; ROLES]; 3], i: usize) {
    fn check<E: penalty::Element>(cpu: &Backend, p: &Shaped, [b, g, a, s]: [&[u32]; 4], i: usize) {
        let elements = |words| bytemuck::cast_slice::<u32, E>(words)[..p.len as usize].to_vec();
        let (theta, mut gradient) = (elements(b), elements(g));
        cpu.gradient_add(&p.penalty, &theta, &mut gradient).expect("the CPU does not fail");
        let bytes = |elements: &[E]| bytemuck::cast_slice::<E, u8>(elements).to_vec();
        assert_eq!(bytes(&gradient), bytes(&elements(a)), "the gradient of tensor {i}");
        let prox = cpu.prox(&p.penalty, &theta, 0.5).expect("the CPU does not fail");
        assert_eq!(bytes(&prox), bytes(&elements(s)), "the prox of tensor {i}");
    }
    let words = [&before[0][i][..], &before[1][i], &after[1][i], &shrunk[0][i]];
    match p.dtype {
        Dtype::F32 => check::<f32>(cpu, p, words, i),
        Dtype::F16 => check::<half::f16>(cpu, p, words, i),
        Dtype::BF16 => check::<half::bf16>(cpu, p, words, i),
    }
}

#[test]
fn a_weighted_host_set_equals_calls_per_tensor() {
    let dtypes = [Dtype::F32, Dtype::F16, Dtype::BF16];
    let before = tensors(&[4096, 300, 64, 5, 17, 0, 2 * TILE + 3, 1, 1000, 70 * TILE + 1], |i| dtypes[i % 3]);
    let (mut after, mut shrunk) = (before.clone(), before.clone());
    let reports = after.host(Call::EvaluateAndGradientAdd).expect("it is valid").expect("it reports");
    let left = shrunk.host(Call::ProxAndEvaluate(0.5)).expect("it is valid").expect("it reports");
    fn check<E: Weight>(
        p: &Shaped,
        [theta, element_weights, gradient, want, shrunk]: [&[u32]; 5],
        at: [&penalty::Report; 2],
    ) {
        let elements =
            |words| bytemuck::cast_slice::<u32, E>(words).iter().copied().take(p.len as usize).collect::<Vec<E>>();
        let (cpu, mut theta, element_weights, mut gradient) =
            (Backend::cpu(), elements(theta), elements(element_weights), elements(gradient));
        let ok = "the call is valid";
        let weighted = if p.penalty.is_weighted() {
            p.penalty.with_element_weights(&element_weights).expect(ok)
        } else {
            (&p.penalty).into()
        };
        assert_eq!(&cpu.evaluate(weighted, &theta).expect(ok), at[0], "{p:?}");
        cpu.gradient_add(weighted, &theta, &mut gradient).expect(ok);
        same_bits(&elements(want), &gradient).unwrap_or_else(|error| panic!("{p:?}: {error}"));
        assert_eq!(&cpu.prox_and_evaluate_in_place(weighted, &mut theta, 0.5).expect(ok), at[1], "{p:?}");
        same_bits(&elements(shrunk), &theta).unwrap_or_else(|error| panic!("{p:?}: {error}"));
    }
    for (i, p) in before.parameters.iter().enumerate() {
        let words =
            [&before.words[0][i], &before.words[4][i], &before.words[1][i], &after.words[1][i], &shrunk.words[0][i]];
        let (words, reports) = (words.map(|words| &words[..]), [&reports.tensors[i], &left.tensors[i]]);
        match p.dtype {
            Dtype::F32 => check::<f32>(p, words, reports),
            Dtype::F16 => check::<f16>(p, words, reports),
            Dtype::BF16 => check::<bf16>(p, words, reports),
        }
    }
}
