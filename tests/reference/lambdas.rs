//! Does the λ that is found leave what the budget keeps, and no smaller one?

use penalty::half::{bf16, f16};
use penalty::{Budget, Cpu, Dtype, Error, Groups, HostSet, Parameter, Penalty, Slice};

use crate::common::budgets::{Model, Weights, mixed, ordinary, special, tied};

/// How many weights the prox leaves.
fn left(penalty: &Penalty, step: f64, model: &Model) -> u64 {
    let parameters = (0..model.0.len()).map(|i| Parameter::new(format!("{i}"), penalty.clone())).collect();
    let mut shrunk = model.clone();
    let set = HostSet::new(Cpu::new(), parameters);
    let mut slices: Vec<_> = shrunk.0.iter_mut().map(Weights::slice_mut).collect();
    set.prox_and_evaluate_in_place(&mut slices, step).expect("the call is valid").total.nonzero
}

fn slices(model: &Model) -> Vec<Slice<'_>> {
    model.0.iter().map(Weights::slice).collect()
}

type Family = (&'static str, f64, fn(f64) -> penalty::Result<Penalty>);

/// Names with a step, some of which are on the far side of a branch.
const FAMILIES: [Family; 10] = [
    ("l1", 0.5, Penalty::l1),
    ("l0", 0.5, Penalty::l0),
    ("l_half", 0.7, Penalty::l_half),
    ("log_sum", 0.5, |lambda| Penalty::log_sum(lambda, 0.3)),
    ("log_sum with jumps", 2.0, |lambda| Penalty::log_sum(lambda, 0.01)),
    ("mcp", 0.5, |lambda| Penalty::mcp(lambda, 3.0)),
    ("hard mcp", 1.5, |lambda| Penalty::mcp(lambda, 0.7)),
    ("scad", 0.5, |lambda| Penalty::scad(lambda, 3.7)),
    ("steep scad", 0.7, |lambda| Penalty::scad(lambda, 1.5)),
    ("elastic_net", 0.5, |lambda| Penalty::elastic_net(lambda, 0.6)),
];

/// The number just below.
fn below(x: f64) -> f64 {
    f64::from_bits(x.to_bits() - 1)
}

#[test]
fn a_prox_with_this_lambda_leaves_as_many_weights_as_the_budget_keeps() {
    const LENS: [usize; 5] = [1000, 0, 5000, 3, 77];
    let cpu = Cpu::new();
    for (name, step, penalty) in FAMILIES {
        for dtype in [|_| Dtype::F32, |_| Dtype::BF16, mixed] as [fn(usize) -> Dtype; 3] {
            for (ties, model) in [(false, ordinary(&LENS, dtype)), (true, tied(&LENS, dtype))] {
                for fraction in [0.01, 0.5, 0.9] {
                    let budget = Budget::prune(fraction).expect("it is a fraction");
                    let kept = model.len() as u64 - budget.pruned(model.len() as u64);
                    let of = format!("{name}, ties: {ties}, {fraction}");
                    let any = penalty(1.0).expect("it is valid");
                    let lambda = cpu.lambda_for(&any, step, &budget, &slices(&model)).expect("there is one");
                    let found = left(&penalty(lambda).expect("it is valid"), step, &model);
                    assert!(found <= kept, "{of}: {found} are left, not {kept}");
                    if lambda > 0.0 {
                        let more = left(&penalty(below(lambda)).expect("it is valid"), step, &model);
                        assert!(more > found, "{of}: {lambda} is not the smallest");
                    }
                    // Ordinary weights of `f32` are all different.
                    if !ties && dtype(0) == Dtype::F32 && dtype(1) == Dtype::F32 {
                        assert_eq!(found, kept, "{of}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_group_norm_with_this_lambda_drops_enough_groups() {
    let model = ordinary(&[1200, 600, 240], mixed);
    for (name, penalty) in [
        ("group_lasso", Penalty::group_lasso(1.0, Groups::runs(12).expect("it is valid"))),
        ("l2_norm", Penalty::l2_norm(1.0).and_then(|penalty| penalty.over(Groups::columns(24)?))),
    ] {
        let penalty = penalty.expect("it is valid");
        for fraction in [0.1, 0.5, 0.95] {
            let budget = Budget::prune(fraction).expect("it is a fraction");
            let pruned = budget.pruned(model.len() as u64);
            let lambda = Cpu::new().lambda_for(&penalty, 0.5, &budget, &slices(&model)).expect("there is one");
            let at =
                |lambda: f64| model.len() as u64 - left(&penalty.scaled(lambda).expect("it is valid"), 0.5, &model);
            assert!(at(lambda) >= pruned, "{name}, {fraction}: {}", at(lambda));
            assert!(at(below(lambda)) < pruned, "{name}, {fraction}: {lambda} is not the smallest");
        }
    }
    // Equal groups fall together.
    let equal = [3.0f32, 4.0, 4.0, 3.0, 5.0, 0.0, 6.0, 8.0];
    let lasso = Penalty::group_lasso(1.0, Groups::runs(2).expect("it is valid")).expect("it is valid");
    let keep_two = Cpu::new().lambda_for(&lasso, 1.0, &Budget::keep(5), &[equal[..].into()]).expect("there is one");
    let alike = Model(vec![Weights::of(Dtype::F32, &equal)]);
    assert_eq!(left(&lasso.scaled(keep_two).expect("it is valid"), 1.0, &alike), 2);
}

#[test]
fn zeros_need_no_lambda_and_infinities_have_none() {
    let cpu = Cpu::new();
    let l1 = Penalty::l1(1.0).expect("it is valid");
    let zeros = [0.0f32, -0.0, 1.0, 2.0];
    assert_eq!(cpu.lambda_for(&l1, 1.0, &Budget::keep(2), &[zeros[..].into()]), Ok(0.0));
    // A threshold is rounded to `f32`, and what is left to the type, so a λ just below does.
    let is_near =
        |lambda: penalty::Result<f64>, to: f64| (0.0..1e-7).contains(&(1.0 - lambda.expect("there is one") / to));
    assert!(is_near(cpu.lambda_for(&l1, 1.0, &Budget::keep(1), &[zeros[..].into()]), 1.0));
    assert_eq!(cpu.lambda_for(&l1, 1.0, &Budget::keep(9), &[]), Ok(0.0));
    let infinite = [1.0f32, f32::INFINITY];
    assert!(is_near(cpu.lambda_for(&l1, 1.0, &Budget::keep(1), &[infinite[..].into()]), 1.0));
    let none = cpu.lambda_for(&l1, 1.0, &Budget::keep(0), &[infinite[..].into()]);
    assert!(matches!(none, Err(Error::Parameter { name: "lambda", .. })), "{none:?}");
    let none = cpu.lambda_for(&l1, 0.0, &Budget::keep(0), &[zeros[..].into()]);
    assert!(matches!(none, Err(Error::Parameter { name: "lambda", .. })), "{none:?}");
    let lasso = Penalty::group_lasso(1.0, Groups::whole()).expect("it is valid");
    let none = cpu.lambda_for(&lasso, 1.0, &Budget::keep(0), &[infinite[..].into()]);
    assert!(matches!(none, Err(Error::Parameter { name: "lambda", .. })), "{none:?}");
    let wrong = cpu.lambda_for(&Penalty::none(), 1.0, &Budget::keep(0), &[zeros[..].into()]).expect_err("it has no λ");
    let text = "the penalty of a λ to find must be one of l1, l0, l_half, log_sum, mcp, scad, elastic_net, group_lasso, l2_norm; found none";
    assert_eq!(wrong.to_string(), text);
    // Of every scale, in every type.
    let model = special(&[400, 400, 400], mixed);
    let budget = Budget::prune(0.5).expect("it is a fraction");
    let lambda = cpu.lambda_for(&l1, 1.0, &budget, &slices(&model)).expect("half are finite");
    assert!(left(&Penalty::l1(lambda).expect("it is valid"), 1.0, &model) <= 600);
    let (halves, brains) = ([f16::from_f32(0.5), f16::ONE], [bf16::from_f32(0.25), bf16::ONE]);
    assert!(is_near(cpu.lambda_for(&l1, 1.0, &Budget::keep(2), &[halves[..].into(), brains[..].into()]), 0.5));
}
