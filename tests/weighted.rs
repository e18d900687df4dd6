//! Penalties that weigh every element: the same bits from every CPU and every adapter, on slices, on buffers and in sets; their laws; what is
//! refused of weights.

mod common;

use common::adapters::{Device, DeviceTest};
use common::cases::{self, noise};
use common::compare::{close, same_bits, same_bytes};
use common::device::{PATIENCE, USAGES, buffer, contents, encoder, open, submit};
use common::everything::same;
use common::golden;
use common::oracle::{Formula, SMALLEST, SUM, Weight};
use common::tensors::{Call, Layout, Tensors, equal, host_set, slice};
use libtest_mimic::{Failed, Trial};
use penalty::gpu::{Operand, Operands, Options, ParameterSet};
use penalty::half::{bf16, f16};
use penalty::{
    Adam, Backend, Cpu, Dtype, Error, Gpu, HostSet, InstructionSet, Metric, Momentum, Parameter, Penalty, Result, Sgd,
    TILE, wgpu,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// One rounding to `f32`, relative.
const ROUNDING: f64 = 1.0 / 16_777_216.0;
const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Adam, iteration: 3 };

fn main() {
    let sets = InstructionSet::available().into_iter().map(|set| {
        let run = move || {
            let backend = Backend::Cpu(Cpu::with_instructions(set).expect("the processor has them"));
            same_bits_as_the_reference(&backend);
            Ok(())
        };
        Trial::test("every_instruction_set_gives_the_same_bits", run).with_kind(format!("CPU, {set:?}"))
    });
    let host: [(&str, fn()); 8] = [
        ("golden_proxes_and_values_come_out", || golden_cases_come_out(&Backend::cpu())),
        ("weights_of_one_are_the_penalty_without", weights_of_one_are_the_penalty_without),
        ("what_weighs_nothing_is_unpenalised", what_weighs_nothing_is_unpenalised),
        ("each_element_is_penalised_by_its_weight", each_element_is_penalised_by_its_weight),
        ("the_prox_in_adams_metric_is_the_minimum", the_prox_in_adams_metric_is_the_minimum),
        ("values_saturate_where_they_say", values_saturate_where_they_say),
        ("a_host_set_equals_calls_per_tensor", a_host_set_equals_calls_per_tensor),
        ("what_does_not_fit_is_refused", what_does_not_fit_is_refused),
    ];
    let host = host.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        })
    });
    let tests: &[DeviceTest] = &[
        ("every_adapter_gives_the_same_bits", |device| same_bits_as_the_reference(&device.backend())),
        ("golden_proxes_and_values_come_out", |device| golden_cases_come_out(&device.backend())),
        ("a_set_equals_the_host", a_set_equals_the_host),
        ("a_set_equals_the_host_in_tiny_windows", a_set_equals_the_host_in_tiny_windows),
        ("weights_go_with_their_chunk", weights_go_with_their_chunk),
        ("any_bits_are_weights_on_the_device", any_bits_are_weights_on_the_device),
        ("a_penalty_may_become_one_without_weights", a_penalty_may_become_one_without_weights),
        ("what_breaks_a_rule_is_refused", what_breaks_a_rule_is_refused),
    ];
    common::adapters::run(sets.chain(host).collect(), tests);
}

fn l1(lambda: f64) -> Penalty {
    Penalty::weighted_l1(lambda).expect("the λ is valid")
}

fn net(lambda: f64, alpha: f64) -> Penalty {
    Penalty::weighted_elastic_net(lambda, alpha).expect("λ and α are valid")
}

/// Penalties with a step, ordinary and extreme.
fn family() -> [(Penalty, f64); 7] {
    [
        (l1(0.1), 0.5),
        (l1(1e38), 1e3),
        (l1(0.0), 1.0),
        (net(0.3, 0.25), 0.5),
        (net(0.3, 0.0), 1.5),
        (net(1e-30, 0.5), 1e-6),
        (net(1e38, 0.5), 1e-3),
    ]
}

/// As many weights of elements: zeros, ordinary ones, every scale, infinities.
fn own(len: usize) -> Vec<f32> {
    let special = [0.0, f32::INFINITY, f32::MAX, SMALLEST as f32, SMALLEST as f32 / 2.0, -0.0, 1.0, f32::MIN_POSITIVE];
    let scale = |i: usize| if i.is_multiple_of(5) { cases::power((i / 5 % 200) as i32 - 100) } else { 1.0 };
    let ordinary = noise(len, 21).into_iter().map(|x| f64::from(2.0 * x.abs())).enumerate();
    ordinary.map(|(i, x)| if i % 9 == 4 { special[i / 9 % 8] } else { (x * scale(i)) as f32 }).collect()
}

fn to<E: Weight>(numbers: &[f32]) -> Vec<E> {
    numbers.iter().map(|&x| E::nearest(x)).collect()
}

fn same_bits_as_the_reference(backend: &Backend) {
    // A multiple of four, so that no tail takes a kernel of its own: drivers take a second for each.
    let (mut edges, mut others) = cases::elementwise();
    edges.truncate(edges.len() / 4 * 4);
    others.truncate(edges.len());
    // Ordinary tiles, one of large weights, one that is not full.
    let mut tiles = noise(2 * TILE + 76, 11);
    tiles.extend(cases::at_scale(127, TILE));
    let tiles_others = noise(tiles.len(), 12);
    fn of<E: Weight>(backend: &Backend, (penalty, step): &(Penalty, f64), name: &str, theta: &[f32], others: &[f32]) {
        let weights = to::<E>(&own(theta.len()));
        let weighted = penalty.with_weights(&weights).expect("the weights are valid");
        same(backend, (weighted, *step), &format!("{name} by {penalty:?}"), &to::<E>(theta), &to::<E>(others));
    }
    for (i, case) in family().iter().enumerate() {
        of::<f32>(backend, case, "edges", &edges, &others);
        of::<f32>(backend, case, "tiles", &tiles, &tiles_others);
        if i % 3 == 0 {
            of::<f16>(backend, case, "edges", &edges, &others);
            of::<bf16>(backend, case, "tiles", &tiles, &tiles_others);
        }
    }
}

fn golden_cases_come_out(backend: &Backend) {
    for case in golden::weighted_cases() {
        let weighted = case.penalty.with_weights(&case.penalty_weights).expect("the weights are valid");
        let prox = backend.prox(weighted, &case.v, case.step).expect("the case is valid");
        let largest = case.prox.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        for (want, got) in case.prox.iter().zip(&prox) {
            assert!((want - f64::from(*got)).abs() <= 1e-6 * largest, "{:?}: {got}, not {want}", case.penalty);
        }
        let value = backend.evaluate(weighted, &case.v).expect("the case is valid").value;
        close(case.value, value, 1e-6).unwrap_or_else(|error| panic!("{:?}: {error}", case.penalty));
    }
}

fn step() -> impl Strategy<Value = f64> {
    (-6.0..3.0f64).prop_map(f64::exp2)
}

fn weight() -> impl Strategy<Value = f32> {
    prop_oneof![1 => Just(0.0f32), 8 => -10.0f32..10.0, 4 => -0.1f32..0.1]
}

fn penalty_weight() -> impl Strategy<Value = f32> {
    prop_oneof![1 => Just(0.0f32), 8 => 0.0f32..4.0, 2 => (-20.0..20.0f64).prop_map(|x| x.exp2() as f32)]
}

fn alpha() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), 0.0..1.0]
}

/// Asserts something of many cases.
fn law<S: Strategy>(cases: &S, check: impl Fn(S::Value)) {
    let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(cases, |case| {
        check(case);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// A step of Adam over some weights, whose metric is |g| + ε.
fn metric_prox(set: &HostSet<'_>, step: f64, theta: &[f32], g: &[f32]) -> Vec<f32> {
    let adam = Adam { step, beta1: 0.0, beta2: 0.0, metric: Metric::Adam, ..Adam::default() };
    let (mut theta, mut m, mut v) = (theta.to_vec(), vec![0f32; theta.len()], vec![0f32; theta.len()]);
    let [theta_slice, m, v] = [&mut theta, &mut m, &mut v].map(|list| [(&mut list[..]).into()]);
    let (mut theta_slice, mut m, mut v) = (theta_slice, m, v);
    set.adam(&adam, &[g.into()], &mut theta_slice, &mut m, &mut v).expect("the step is valid");
    theta
}

fn weights_of_one_are_the_penalty_without() {
    let cpu = Backend::cpu();
    let cases = (step(), alpha(), step(), proptest::collection::vec((weight(), 0.01f32..10.0), 1..40));
    law(&cases, |(lambda, alpha, step, elements)| {
        let (theta, g): (Vec<f32>, Vec<f32>) = elements.into_iter().unzip();
        let (with, without) = (net(lambda, alpha), Penalty::elastic_net(lambda, alpha).expect("λ and α are valid"));
        let ones = vec![1f32; theta.len()];
        let weighted = with.with_weights(&ones).expect("the weights are valid");
        let bits = |want: Vec<f32>, got: Vec<f32>| same_bits(&want, &got).unwrap_or_else(|error| panic!("{error}"));
        let ok = "the call is valid";
        bits(cpu.gradient(&without, &theta).expect(ok), cpu.gradient(weighted, &theta).expect(ok));
        let proxes = (cpu.prox(&without, &theta, step).expect(ok), cpu.prox(weighted, &theta, step).expect(ok));
        if alpha == 1.0 {
            bits(proxes.0, proxes.1);
        } else {
            // 1/(1 + k) is rounded once on the host, and k, 1 + k and the quotient are in a kernel.
            for (want, got) in proxes.0.iter().zip(&proxes.1) {
                close((*want).into(), (*got).into(), 6.0 * ROUNDING).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        let value = |report: Result<penalty::Report>| report.expect(ok).value;
        let (want, got) = (value(cpu.evaluate(&without, &theta)), value(cpu.evaluate(weighted, &theta)));
        close(want, got, 2.0 * SUM).unwrap_or_else(|error| panic!("{error}"));

        let parameter = |penalty| vec![Parameter::new("theta", theta.len() as u64, Dtype::F32, penalty)];
        let own = [Some((&ones[..]).into())];
        let set = HostSet::new(Cpu::new(), parameter(with.clone())).with_penalty_weights(&own).expect(ok);
        bits(
            metric_prox(&HostSet::new(Cpu::new(), parameter(without)), step, &theta, &g),
            metric_prox(&set, step, &theta, &g),
        );
    });
}

fn what_weighs_nothing_is_unpenalised() {
    let cpu = Backend::cpu();
    let (edges, _) = cases::elementwise();
    let zeros = vec![0f32; edges.len()];
    let kept: Vec<f32> =
        edges.iter().map(|&x| if f64::from(x.abs()) < SMALLEST && !x.is_nan() { 0.0 } else { x }).collect();
    for (penalty, step) in family().iter().filter(|(penalty, _)| !penalty.is_none()) {
        let weighted = penalty.with_weights(&zeros).expect("the weights are valid");
        same_bits(&kept, &cpu.prox(weighted, &edges, *step).expect("the step is valid")).expect("the prox");
        let finite: Vec<f32> = edges.iter().copied().filter(|x| x.is_finite()).collect();
        let weighted = penalty.with_weights(&zeros[..finite.len()]).expect("the weights are valid");
        let gradient = cpu.gradient(weighted, &finite).expect("the call is valid");
        same_bits(&zeros[..finite.len()], &gradient).expect("the gradient");
        assert_eq!(cpu.evaluate(weighted, &finite).expect("the call is valid").value, 0.0);
    }
}

/// The gradient, the prox and the value of each element are those of the elastic net with λ times the element's weight.
fn each_element_is_penalised_by_its_weight() {
    let cpu = Backend::cpu();
    let cases = (step(), alpha(), step(), proptest::collection::vec((weight(), penalty_weight()), 1..70));
    law(&cases, |(lambda, alpha, step, elements)| {
        let (theta, weights): (Vec<f32>, Vec<f32>) = elements.into_iter().unzip();
        let penalty = net(lambda, alpha);
        let weighted = penalty.with_weights(&weights).expect("the weights are valid");
        let gradient = cpu.gradient(weighted, &theta).expect("the call is valid");
        let prox = cpu.prox(weighted, &theta, step).expect("the step is valid");
        let mut value = 0.0;
        for (i, (&x, &w)) in theta.iter().zip(&weights).enumerate() {
            let (x, w) = (f64::from(x), f64::from(w));
            let formula = Formula { l1: lambda * alpha * w, l2_squared: lambda * (1.0 - alpha) * w };
            value += formula.value(x);
            close(formula.slope(x), gradient[i].into(), 5.0 * ROUNDING).unwrap_or_else(|error| panic!("{error}"));
            let (want, got) = (formula.minimizer(step, x), f64::from(prox[i]));
            let threshold = (step * formula.l1).min(x.abs()) / (1.0 + 2.0 * step * formula.l2_squared);
            let allowed = ROUNDING * (6.0 * want.abs() + 3.0 * threshold);
            assert!((want - got).abs() <= allowed, "the prox of {x} weighed {w}: {got}, not {want}");
        }
        let found = cpu.evaluate(weighted, &theta).expect("the call is valid").value;
        close(value, found, SUM + 6.0 * ROUNDING).unwrap_or_else(|error| panic!("{error}"));
    });
}

fn the_prox_in_adams_metric_is_the_minimum() {
    let cases = (step(), alpha(), step(), weight(), penalty_weight(), 0.01f32..10.0);
    law(&cases, |(lambda, alpha, step, v, w, g)| {
        let parameters = vec![Parameter::new("theta", 1, Dtype::F32, net(lambda, alpha))];
        let own = [w];
        let set = HostSet::new(Cpu::new(), parameters).with_penalty_weights(&[Some((&own[..]).into())]);
        let found = f64::from(metric_prox(&set.expect("the weight is valid"), step, &[v], &[g])[0]);
        let (v, w, g) = (f64::from(v), f64::from(w), f64::from(g));
        let d = g + 1e-8;
        let u = v - step * g / d;
        // In the metric d the step is step/d.
        let formula = Formula { l1: lambda * alpha * w, l2_squared: lambda * (1.0 - alpha) * w };
        let want = formula.minimizer(step / d, u);
        let shrunk = 1.0 + 2.0 * step / d * formula.l2_squared;
        let threshold = (step / d * formula.l1).min(u.abs());
        let allowed = ROUNDING * (8.0 * want.abs() + (4.0 * threshold + 4.0 * (v.abs() + step)) / shrunk);
        assert!((want - found).abs() <= allowed, "{found}, not {want}");
    });
}

fn values_saturate_where_they_say() {
    let value = |penalty: &Penalty, theta: &[f32], weights: &[f32]| {
        let weighted = penalty.with_weights(weights).expect("the weights are valid");
        Backend::cpu().evaluate(weighted, theta).expect("the call is valid").value
    };
    let most = cases::power(115);
    let (theta, weights) = (vec![1f32; TILE], vec![f32::INFINITY; TILE]);
    assert_eq!(value(&l1(0.5), &theta, &weights), 0.5 * TILE as f64 * most);
    assert_eq!(value(&l1(0.5), &vec![0.0; TILE], &weights), 0.0);
    // Where θ is large a share may be any finite number.
    let large = vec![cases::power(100) as f32; TILE];
    let total = TILE as f64 * f64::from(f32::MAX);
    close(total, value(&l1(1.0), &large, &weights), SUM).expect("all of them saturate");
    close(cases::power(112), value(&l1(1.0), &large, &vec![1.0; TILE]), SUM).expect("none of them does");
    close(total, value(&net(1.0, 0.5), &large, &weights), SUM).expect("all of them saturate");
}

/// Some tensors of the types given, with weighted penalties and others between.
fn tensors(lens: &[usize], dtype: impl Fn(usize) -> Dtype) -> Tensors {
    let other = Penalty::elastic_net(0.1, 0.25).expect("λ and α are valid");
    Tensors::with(lens, dtype, &[l1(0.3), net(0.2, 0.5), other, l1(0.0), Penalty::none()])
}

fn a_host_set_equals_calls_per_tensor() {
    let dtypes = [Dtype::F32, Dtype::F16, Dtype::BF16];
    let before = tensors(&[4096, 300, 64, 5, 17, 0, 2 * TILE + 3, 1, 1000, 70 * TILE + 1], |i| dtypes[i % 3]);
    let (mut after, mut shrunk) = (before.clone(), before.clone());
    let reports = after.host(Call::EvaluateAndGradientAdd).expect("it is valid").expect("it reports");
    let left = shrunk.host(Call::ProxAndEvaluate(0.5)).expect("it is valid").expect("it reports");
    fn check<E: Weight>(p: &Parameter, [theta, own, gradient, want, shrunk]: [&[u32]; 5], at: [&penalty::Report; 2]) {
        let elements =
            |words| bytemuck::cast_slice::<u32, E>(words).iter().copied().take(p.len as usize).collect::<Vec<E>>();
        let (cpu, mut theta, own, mut gradient) = (Backend::cpu(), elements(theta), elements(own), elements(gradient));
        let ok = "the call is valid";
        let weighted =
            if p.penalty.is_weighted() { p.penalty.with_weights(&own).expect(ok) } else { (&p.penalty).into() };
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

fn what_does_not_fit_is_refused() {
    let cpu = Backend::cpu();
    let (weighted, plain) = (l1(0.5), Penalty::l1(0.5).expect("the λ is valid"));
    let text = |result: Result<()>| result.expect_err("it is refused").to_string();
    let mut theta = [1f32, 2.0, 3.0];
    let missing = "weighted_l1 must be given penalty weights, found none";
    assert_eq!(text(cpu.evaluate(&weighted, &theta).map(drop)), missing);
    assert_eq!(text(cpu.evaluate_all(&weighted, &[theta]).map(drop)), missing);
    assert_eq!(text(cpu.partial_for(&weighted, 0, &theta).map(drop)), missing);
    assert_eq!(text(cpu.gradient(&weighted, &theta).map(drop)), missing);
    assert_eq!(text(cpu.prox_in_place(&weighted, &mut theta, 1.0)), missing);
    assert_eq!(text(cpu.prox(&l1(0.0), &theta, 1.0).map(drop)), missing, "also where λ is 0");
    assert_eq!(text(pollster::block_on(cpu.evaluate_async(&weighted, &theta)).map(drop)), missing);
    let surplus = text(plain.with_weights(&[1f32]).map(drop));
    assert_eq!(surplus, "l1 must be given no penalty weights, found some");

    for len in [0, 2, 4] {
        let own = vec![1f32; len];
        let short = weighted.with_weights(&own).expect("the weights are valid");
        let want = format!("the penalty weights must have 3 elements, found {len}");
        assert_eq!(text(cpu.evaluate(short, &theta).map(drop)), want);
        assert_eq!(text(cpu.gradient_add(short, &theta, &mut [0.0; 3])), want);
        assert_eq!(text(cpu.prox_and_evaluate_in_place(short, &mut theta, 1.0).map(drop)), want);
    }
    assert_eq!(theta, [1.0, 2.0, 3.0], "nothing is written");

    let mut own = vec![1f32; 100 * TILE];
    own[99 * TILE] = f32::NAN;
    own[70 * TILE + 5] = -0.5;
    assert_eq!(
        weighted.with_weights(&own).map(drop),
        Err(Error::PenaltyWeight { index: 70 * TILE as u64 + 5, found: -0.5 })
    );
    own[70 * TILE + 5] = -0.0;
    assert_eq!(
        text(weighted.with_weights(&own).map(drop)),
        format!("the penalty weights must be numbers ≥ 0, found NaN at index {}", 99 * TILE)
    );
    assert!(weighted.with_weights(&[-f32::from_bits(1)]).is_err());
    for bad in [f32::NEG_INFINITY, -f32::NAN, -1.0] {
        assert!(
            weighted.with_weights(&[bad]).is_err() && weighted.with_weights(&[bf16::from_f32(bad)]).is_err(),
            "{bad}"
        );
    }
    for good in [0.0, -0.0, f32::from_bits(1), f32::MAX, f32::INFINITY] {
        assert!(
            weighted.with_weights(&[good]).is_ok() && weighted.with_weights(&[f16::from_f32(good)]).is_ok(),
            "{good}"
        );
    }

    let parameters = || {
        let at = |name: &str, penalty: &Penalty| Parameter::new(name, 3, Dtype::F32, penalty.clone());
        vec![at("a", &weighted), at("b", &plain)]
    };
    let slices = |theta: &[f32; 3]| -> Result<()> {
        HostSet::new(Cpu::new(), parameters()).evaluate(&[theta[..].into(), [0f32; 3][..].into()]).map(drop)
    };
    assert_eq!(text(slices(&theta)), format!("\"a\": {missing}"));
    let ones = [1f32; 3];
    let given = |own: &[Option<penalty::Slice<'_>>]| {
        let set = HostSet::new(Cpu::new(), parameters()).with_penalty_weights(own)?;
        set.evaluate(&[theta[..].into(), [0f32; 3][..].into()]).map(drop)
    };
    let one = || Some(ones[..].into());
    assert_eq!(given(&[one(), None]), Ok(()));
    assert_eq!(text(given(&[None, None])), format!("\"a\": {missing}"));
    assert_eq!(text(given(&[one(), one()])), format!("\"b\": {surplus}"));
    assert_eq!(text(given(&[one()])), "a set needs the penalty weights for each of the 2 tensors, found 1");
    assert_eq!(
        text(given(&[Some(ones[..2].into()), None])),
        "\"a\": the penalty weights must have 3 elements, found 2"
    );
    assert_eq!(
        text(given(&[Some([f16::ONE; 3][..].into()), None])),
        "\"a\": the penalty weights must hold F32, found F16"
    );
    assert_eq!(
        text(given(&[Some([1f32, -1.0, 0.0][..].into()), None])),
        "\"a\": the penalty weights must be numbers ≥ 0, found -1 at index 1"
    );
}

/// A call for each function of a formula, and what is summed behind a prox.
fn a_set_equals_the_host(device: &Device) {
    let gpu = device.plain();
    let dtypes = [Dtype::F32, Dtype::F32, Dtype::F32, Dtype::BF16];
    let mixed = tensors(&[64, 700, 4096, 5, 17, TILE + 8, 0, 2 * TILE, 4], |i| dtypes[i % 4]);
    let nesterov = Call::Sgd(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) });
    let calls = [
        (Call::Evaluate, Layout::PagePerRole),
        (Call::GradientAdd, Layout::Page),
        (Call::GradientAdd, Layout::Scattered(5)),
        (Call::Prox(0.5), Layout::Page),
        (nesterov, Layout::Page),
        (Call::Adam(ADAM), Layout::PagePerRole),
    ];
    for (call, layout) in calls {
        equal(gpu, &mixed, layout, call);
    }
}

fn a_set_equals_the_host_in_tiny_windows(device: &Device) {
    let gpu = open(device, wgpu::Limits::default(), &Options { window: Some(16_640), ..Options::default() });
    let tensors = tensors(&[4096, 3 * TILE + 4, 8, 2 * TILE, 8, 1024], |_| Dtype::F32);
    equal(&gpu, &tensors, Layout::Page, Call::GradientAdd);
    equal(&gpu, &tensors, Layout::PagePerRole, Call::Prox(0.25));
}

/// Slices are sent in chunks of 32 MiB.
fn weights_go_with_their_chunk(device: &Device) {
    let len = (32 << 20) / 4 + 2 * TILE + 8;
    let (theta, weights, others) = (noise(len, 1), own(len), noise(len, 2));
    let penalty = net(0.3, 0.5);
    let weighted = penalty.with_weights(&weights).expect("the weights are valid");
    same(&device.backend(), (weighted, 0.5), "more than a chunk", &theta, &others);
}

/// What nobody looks through: each of its bits means something, the same on the CPU.
fn any_bits_are_weights_on_the_device(device: &Device) {
    let gpu = device.plain();
    let (theta, bits) = cases::elementwise();
    let len = theta.len() / 4 * 4;
    let (theta, bits) = (&theta[..len], &bits[..len]);
    let valid: Vec<f32> = bits.iter().map(|w| if *w >= 0.0 { *w } else { 0.0 }).collect();
    let penalty = net(0.3, 0.5);
    let weighted = penalty.with_weights(&valid).expect("the weights are valid");
    let (cpu, ok) = (Backend::cpu(), "the call is valid");

    // θ, its weights and the gradient in one buffer; and each in its own.
    let image: Vec<u8> =
        [theta, bits, theta].iter().flat_map(|part| bytemuck::cast_slice::<f32, u8>(part)).copied().collect();
    let page = buffer(gpu, &image, USAGES);
    let parts: Vec<wgpu::Buffer> = image.chunks(4 * len).map(|part| buffer(gpu, part, USAGES)).collect();
    let at =
        |buffer, part: usize| Operand { buffer, offset: 4 * (part * len) as u64, len: len as u64, dtype: Dtype::F32 };
    let in_page = [at(&page, 0), at(&page, 1), at(&page, 2)];
    let apart = [at(&parts[0], 0), at(&parts[1], 0), at(&parts[2], 0)];
    for [operand, own, output] in [in_page, apart] {
        let on_device = penalty.with_operand(&own).expect(ok);
        let mut encoder = encoder(gpu);
        let before = gpu.record_evaluate(&mut encoder, on_device, &operand).expect(ok);
        gpu.record_gradient(&mut encoder, on_device, &operand, &output).expect(ok);
        gpu.record_gradient_add(&mut encoder, on_device, &operand, &output).expect(ok);
        gpu.record_prox(&mut encoder, on_device, &operand, 0.5).expect(ok);
        submit(gpu, encoder);
        assert_eq!(before.wait(PATIENCE).expect("it was submitted"), cpu.evaluate(weighted, theta).expect(ok));
        let mut gradient = cpu.gradient(weighted, theta).expect(ok);
        cpu.gradient_add(weighted, theta, &mut gradient).expect(ok);
        let prox = cpu.prox(weighted, theta, 0.5).expect(ok);
        for (want, found) in [(&prox[..], operand), (bits, own), (&gradient, output)] {
            let all = contents(gpu, found.buffer);
            let range = found.offset as usize..found.offset as usize + 4 * len;
            same_bytes(bytemuck::cast_slice(want), &all[range]).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

fn a_penalty_may_become_one_without_weights(device: &Device) {
    let gpu = device.plain();
    let (theta, own) = (noise(64, 1), vec![2f32; 64]);
    let (page, other) =
        (buffer(gpu, bytemuck::cast_slice(&theta), USAGES), buffer(gpu, bytemuck::cast_slice(&own), USAGES));
    let operand = |buffer| Operand { buffer, offset: 0, len: 64, dtype: Dtype::F32 };
    let (weights, penalty_weights) = ([operand(&page)], [Some(operand(&other))]);
    let with = Operands { weights: &weights, penalty_weights: &penalty_weights, ..Operands::default() };
    let without = Operands { weights: &weights, penalty_weights: &[None], ..Operands::default() };
    let parameters = vec![Parameter::new("theta", 64, Dtype::F32, l1(0.5))];
    let mut set = ParameterSet::new(gpu, parameters.clone(), &with, 4).expect("the operands are valid");
    let evaluate = |set: &mut ParameterSet| -> Result<f64> {
        let mut encoder = encoder(gpu);
        let pending = set.record_evaluate(&mut encoder)?;
        submit(gpu, encoder);
        Ok(pending.wait(PATIENCE).expect("it was submitted").total.value)
    };
    let own_words = [bytemuck::cast_slice(&own).to_vec()];
    let host = host_set(Cpu::new(), &parameters, &own_words);
    let words: Vec<u32> = bytemuck::cast_slice(&theta).to_vec();
    let want = host.evaluate(&[slice(&words, &parameters[0])]).expect("the slices fit").total.value;
    assert_eq!(evaluate(&mut set), Ok(want));
    let refused = |error: Error, text: &str| assert_eq!(error.to_string(), text);
    set.penalties_mut().for_each(|(_, p)| *p = Penalty::l1(0.5).expect("the λ is valid"));
    refused(evaluate(&mut set).unwrap_err(), "\"theta\": l1 must be given no penalty weights, found some");
    set.place(&without).expect("the operands are valid");
    close(want / 2.0, evaluate(&mut set).expect("there are none"), 2.0 * SUM).expect("L1 weighs with 1");
    set.penalties_mut().for_each(|(_, p)| *p = l1(0.25));
    refused(evaluate(&mut set).unwrap_err(), "\"theta\": weighted_l1 must be given penalty weights, found none");
    set.place(&with).expect("the operands are valid");
    close(want / 2.0, evaluate(&mut set).expect("they are there"), ROUNDING).expect("λ is half");
}

fn what_breaks_a_rule_is_refused(device: &Device) {
    let gpu = device.plain();
    let (held, other) = (buffer(gpu, &[0; 4096], USAGES), buffer(gpu, &[0; 4096], USAGES));
    let at = |buffer, offset, len| Operand { buffer, offset, len, dtype: Dtype::F32 };
    let (penalty, theta, gradient) = (l1(0.5), at(&held, 0, 64), at(&other, 0, 64));
    let missing = "weighted_l1 must be given penalty weights, found none";
    let refused: [(Operand<'_>, &str); 5] = [
        (at(&held, 252, 64), "the weights and the penalty weights overlap: each must have memory of its own"),
        (at(&other, 1024, 63), "the penalty weights must have 64 elements, found 63"),
        (Operand { dtype: Dtype::F16, ..at(&other, 1024, 64) }, "the penalty weights must hold F32, found F16"),
        (at(&other, 1026, 64), "the penalty weights: its offset must be a multiple of 4 bytes, found 1026"),
        (
            at(&other, 4000, 64),
            "the penalty weights: its range must end inside its buffer, found bytes 4000 to 4256 of a buffer of 4096",
        ),
    ];
    let mut encoder = encoder(gpu);
    let text = |result: Result<()>| result.expect_err("it is refused").to_string();
    for (own, want) in &refused {
        let weighted = penalty.with_operand(own).expect("it takes weights");
        assert_eq!(text(gpu.record_evaluate(&mut encoder, weighted, &theta).map(drop)), *want);
        assert_eq!(text(gpu.record_gradient(&mut encoder, weighted, &theta, &gradient)), *want);
        assert_eq!(text(gpu.record_gradient_add(&mut encoder, weighted, &theta, &gradient)), *want);
        assert_eq!(text(gpu.record_prox(&mut encoder, weighted, &theta, 1.0)), *want);
    }
    let onto = at(&other, 128, 64);
    let onto = penalty.with_operand(&onto).expect("it takes weights");
    let overlaps = "the gradient and the penalty weights overlap: each must have memory of its own";
    assert_eq!(text(gpu.record_gradient(&mut encoder, onto, &theta, &gradient)), overlaps);
    assert_eq!(text(gpu.record_prox(&mut encoder, &penalty, &theta, 1.0)), missing);
    assert_eq!(text(gpu.record_gradient(&mut encoder, &penalty, &theta, &gradient)), missing);
    let plain = Penalty::l2_squared(1.0).expect("the λ is valid");
    assert_eq!(text(plain.with_operand(&theta).map(drop)), "l2_squared must be given no penalty weights, found some");

    let refuse = |gpu: &Gpu, penalty_weights: &[Option<Operand<'_>>], want: &str| {
        let parameters = ["a", "b"].map(|name| Parameter::new(name, 64, Dtype::F32, l1(0.5))).to_vec();
        let weights = [at(&held, 0, 64), at(&held, 256, 64)];
        let operands = Operands { weights: &weights, penalty_weights, ..Operands::default() };
        let error = ParameterSet::new(gpu, parameters, &operands, 1).map(drop).expect_err(want).to_string();
        assert_eq!(error, want);
    };
    let good = Some(at(&other, 0, 64));
    refuse(gpu, &[good], "a set needs the penalty weights for each of the 2 tensors, found 1");
    refuse(gpu, &[good, Some(at(&other, 256, 63))], "\"b\": the penalty weights must have 64 elements, found 63");
    let overlaps =
        "the penalty weights of \"a\" and the penalty weights of \"b\" overlap: each must have memory of its own";
    refuse(gpu, &[good, good], overlaps);
    let overlaps = "the weights of \"b\" and the penalty weights of \"b\" overlap: each must have memory of its own";
    refuse(gpu, &[good, Some(at(&held, 256, 64))], overlaps);
}
