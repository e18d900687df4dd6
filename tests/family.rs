//! The penalties beside L1, L2² and the elastic net: the same bits from every CPU and every adapter, on slices and in sets, of every
//! type, and what a partial says of a value that is not its own.

mod common;

use common::adapters::{Device, DeviceTest};
use common::cases::{self, family, noise};
use common::compare::same_bytes;
use common::device::contents;
use common::everything::same;
use common::oracle::Weight;
use common::tensors::{Call, Layout, Tensors, equal, equal_step_by_step, record};
use libtest_mimic::Trial;
use penalty::TILE;
use penalty::gpu::Recording;
use penalty::half::{bf16, f16};
use penalty::{Adam, Backend, Cpu, Dtype, Error, Gpu, Groups, InstructionSet, Metric, Momentum, Partial, Penalty, Sgd};

const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Adam, iteration: 3 };
/// A call for each function of a formula but the gradient.
const CALLS: [Call; 2] = [Call::Sgd(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) }), Call::Adam(ADAM)];

fn main() {
    let sets = InstructionSet::available().into_iter().map(|set| {
        let run = move || {
            let backend = Backend::Cpu(Cpu::with_instructions(set).expect("the processor has them"));
            same_bits_as_the_reference(&backend);
            Ok(())
        };
        Trial::test("every_instruction_set_gives_the_same_bits", run).with_kind(format!("CPU, {set:?}"))
    });
    let host: [(&str, fn()); 3] = [
        ("a_value_needs_its_own_sum", a_value_needs_its_own_sum),
        ("gradients_that_would_be_zero_are_refused", || gradients_that_would_be_zero_are_refused(&Backend::cpu())),
        ("a_set_names_what_has_no_gradient", a_set_names_what_has_no_gradient),
    ];
    let more = host.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    let tests: &[DeviceTest] = &[
        ("every_adapter_gives_the_same_bits", |device| same_bits_as_the_reference(&device.backend())),
        ("a_set_of_the_whole_family_equals_the_host", a_set_of_the_whole_family_equals_the_host),
        ("a_penalty_may_become_one_of_another_formula", a_penalty_may_become_one_of_another_formula),
        ("no_gradient_is_recorded_of_what_has_none", no_gradient_is_recorded_of_what_has_none),
    ];
    common::adapters::run(sets.chain(more).collect(), tests);
}

fn same_bits_as_the_reference(backend: &Backend) {
    // A multiple of four, so that no tail takes a kernel of its own: drivers take a second for each.
    let (mut edges, mut others) = cases::elementwise();
    edges.truncate(edges.len() / 4 * 4);
    others.truncate(edges.len());
    let half = |weights: &[f32]| weights.iter().map(|&x| f16::nearest(x)).collect::<Vec<f16>>();
    let brain = |weights: &[f32]| weights.iter().map(|&x| bf16::nearest(x)).collect::<Vec<bf16>>();
    // Ordinary tiles, one of large weights, one that is not full.
    let mut tiles = noise(2 * TILE + 76, 11);
    tiles.extend(cases::at_scale(127, TILE));
    let tiles_others = noise(tiles.len(), 12);
    for (i, case) in family().iter().enumerate() {
        let (penalty, step) = case;
        let name = |weights: &str| format!("{weights} by {penalty:?}");
        same(backend, (penalty, *step), &name("edges"), &edges, &others);
        same(backend, (penalty, *step), &name("tiles"), &tiles, &tiles_others);
        // The formulas do not know the type, but for the bounds of the box.
        if i % 9 == 8 {
            same(backend, (penalty, *step), &name("edges"), &half(&edges), &half(&others));
            same(backend, (penalty, *step), &name("tiles"), &brain(&tiles), &brain(&tiles_others));
        }
    }
}

/// Tensors whose penalties are the family's.
fn tensors() -> Tensors {
    let lens: Vec<usize> = (0..family().len()).map(|i| [4, 64, 700, TILE, TILE + 8][i % 5]).collect();
    let mut tensors = Tensors::of(Dtype::F32, &lens);
    for (i, (parameter, (penalty, _))) in tensors.parameters.iter_mut().zip(family().iter().cycle()).enumerate() {
        // One of the elastic net's between.
        if i % 9 != 8 {
            parameter.penalty = penalty.clone();
        }
    }
    tensors
}

fn a_set_of_the_whole_family_equals_the_host(device: &Device) {
    for call in CALLS {
        equal(device.plain(), &tensors(), Layout::Page, call);
    }
    let mut tensors = tensors();
    // Those that have no gradient leave their places to L1.
    for parameter in tensors.parameters.iter_mut().filter(|parameter| !parameter.penalty.has_gradient()) {
        parameter.penalty = Penalty::l1(0.3).expect("its parameters are valid");
    }
    equal(device.plain(), &tensors, Layout::Page, Call::GradientAdd);
}

/// What is counted or constrained, each of the groups with some.
fn without_gradient() -> Vec<Penalty> {
    let lists = || Groups::lists(&[[7, 1, 2, 3], [4, 5, 6, 0]]);
    let penalties = [
        Penalty::l0(0.1),
        Penalty::l0(0.0),
        Penalty::nonnegative_l1(0.1),
        Penalty::nonnegative_l1(0.0),
        Penalty::interval(-0.5, 0.5),
        Penalty::interval(f64::NEG_INFINITY, f64::INFINITY),
        Penalty::l1_ball(0.5),
        Penalty::l1_ball(0.5).and_then(|ball| ball.over(Groups::runs(4)?)),
        Penalty::l2_ball(0.5),
        Penalty::l2_ball(0.5).and_then(|ball| ball.over(Groups::columns(2)?)),
        Penalty::simplex(1.0),
        Penalty::simplex(1.0).and_then(|simplex| simplex.over(Groups::tiles(4, 2, 2)?)),
        Penalty::top_k(2),
        Penalty::top_k(2).and_then(|top| top.over(lists()?)),
        Penalty::n_of_m(2, 4),
    ];
    penalties.map(|penalty| penalty.expect("its parameters are valid")).into()
}

fn gradients_that_would_be_zero_are_refused(backend: &Backend) {
    let (weights, before) = ([3.0f32, -2.0, 0.5, 0.0, -1.0, 4.0, 0.25, 1.0], [7.0f32; 8]);
    for penalty in without_gradient() {
        assert!(!penalty.has_gradient(), "{penalty:?}");
        let mut sum = before;
        let refused = [
            backend.gradient(&penalty, &weights).map(drop),
            backend.gradient_into(&penalty, &weights, &mut sum),
            backend.gradient_add(&penalty, &weights, &mut sum),
            pollster::block_on(backend.gradient_into_async(&penalty, &weights, &mut sum)),
            pollster::block_on(backend.gradient_add_async(&penalty, &weights, &mut sum)),
            // Also where there is nothing to add, and where the groups do not cover the weights.
            backend.gradient::<f32>(&penalty, &[]).map(drop),
            backend.gradient(&penalty, &weights[..7]).map(drop),
        ];
        for (i, result) in refused.into_iter().enumerate() {
            assert!(matches!(result, Err(Error::NoGradient { .. })), "{i} of {penalty:?}: {result:?}");
        }
        assert_eq!(sum, before, "{penalty:?}");
        backend.prox(&penalty, &weights, 0.5).expect("it has a prox");
    }
    for (penalty, _) in family().iter().filter(|(penalty, _)| penalty.has_gradient()) {
        backend.gradient(penalty, &weights).expect("it has a gradient");
    }
    let text = backend.gradient(&Penalty::l0(0.1).expect("it is valid"), &weights).map_err(|error| error.to_string());
    assert_eq!(text, Err("l0 has no gradient: use its prox, or an optimizer's step, which takes it".into()));
}

/// Three tensors, of which the second has no gradient.
fn one_without(penalty: &Penalty) -> Tensors {
    let l1 = Penalty::l1(0.1).expect("its parameters are valid");
    Tensors::with(&[12, 8, 5], |i| [Dtype::F32, Dtype::F16, Dtype::F32][i], &[l1.clone(), penalty.clone(), l1])
}

#[track_caller]
fn names_the_second<R: std::fmt::Debug>(result: penalty::Result<R>) {
    let error = result.map(|_| ()).expect_err("the second has no gradient");
    let Error::InParameter { parameter, error } = error else { panic!("{error}") };
    assert_eq!(parameter, "\"tensor 1\"");
    assert!(matches!(*error, Error::NoGradient { .. }), "{error}");
}

fn a_set_names_what_has_no_gradient() {
    for penalty in without_gradient() {
        let before = one_without(&penalty);
        let mut after = before.clone();
        for call in [Call::GradientAdd, Call::EvaluateAndGradientAdd] {
            names_the_second(after.host(call));
        }
        assert_eq!(before.words, after.words, "{penalty:?}");
        after.host(Call::Evaluate).expect("it has a value");
        after.host(CALLS[0]).expect("it has a prox");
    }
}

fn no_gradient_is_recorded_of_what_has_none(device: &Device) {
    gradients_that_would_be_zero_are_refused(&device.backend());
    let gpu = device.plain();
    for penalty in without_gradient() {
        let tensors = one_without(&penalty);
        let images = tensors.lay_out(Layout::Page);
        let buffers = images.upload(gpu);
        let lists = images.operands(&tensors, &buffers);
        let operands = common::tensors::operands(&lists);
        let mut encoder = common::device::encoder(gpu);
        let (theta, gradient) = (&operands.weights[1], &operands.gradients[1]);
        for record in [Gpu::record_gradient, Gpu::record_gradient_add] {
            let refused = record(gpu, &mut encoder, &penalty, theta, gradient);
            assert!(matches!(refused, Err(Error::NoGradient { .. })), "{refused:?}");
        }
        let mut set = common::tensors::set(gpu, &tensors, &images, &buffers, 1);
        for call in [Call::GradientAdd, Call::EvaluateAndGradientAdd] {
            names_the_second(record(&mut set, &mut encoder, call).map(drop));
        }
        for recording in [Recording::GradientAdd, Recording::EvaluateAndGradientAdd] {
            names_the_second(set.prepare(&[recording]));
        }
        common::device::submit(gpu, encoder);
        same_bytes(&images.bytes[0], &contents(gpu, &buffers[0])).expect("nothing was recorded");
        // With another penalty it has one, and with the first it has none again.
        let l1 = Penalty::l1(0.1).expect("its parameters are valid");
        let mut encoder = common::device::encoder(gpu);
        for (new, refused) in [(&l1, false), (&penalty, true)] {
            set.penalties_mut().for_each(|(name, p)| *p = if name == "tensor 1" { new.clone() } else { l1.clone() });
            assert_eq!(record(&mut set, &mut encoder, Call::GradientAdd).is_err(), refused, "{penalty:?}");
        }
        common::device::submit(gpu, encoder);
    }
}

fn a_penalty_may_become_one_of_another_formula(device: &Device) {
    let steps = [Penalty::mcp(0.1, 3.0), Penalty::l1(0.2), Penalty::mcp(0.3, 2.0), Penalty::mcp(0.4, 1.0)];
    let steps = steps.map(|penalty| penalty.expect("its parameters are valid"));
    equal_step_by_step(device.plain(), Tensors::of(Dtype::F32, &[5000, 72, 4]), &steps);
}

fn a_value_needs_its_own_sum() {
    let cpu = Backend::cpu();
    let weights = noise(TILE, 1);
    let [mcp, other] = [3.0, 4.0].map(|gamma| Penalty::mcp(0.1, gamma).expect("its parameters are valid"));
    let of = |penalty: &Penalty| cpu.partial_for(penalty, 0, &weights).expect("the CPU does not fail");
    let value = |partial: &Partial, penalty: &Penalty| partial.report(penalty).map(|report| report.value);
    let refused = Err(Error::OtherPenalty { penalty: "mcp" });
    assert_eq!(value(&of(&mcp), &mcp), cpu.evaluate(&mcp, &weights).map(|report| report.value));
    assert_eq!(value(&of(&mcp), &other), refused);
    assert_eq!(value(&of(&Penalty::none()), &mcp), refused);
    // L1's value follows from the statistics, whatever the partial was made for.
    let l1 = Penalty::l1(0.5).expect("its parameters are valid");
    assert_eq!(value(&of(&mcp), &l1), value(&of(&l1), &l1));
    let merged = |a: &Partial, b: &Partial| {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    };
    let twice = merged(&of(&mcp), &of(&mcp));
    let doubled: Vec<f32> = weights.iter().chain(&weights).copied().collect();
    assert_eq!(value(&twice, &mcp), cpu.evaluate(&mcp, &doubled).map(|report| report.value));
    assert_eq!(value(&merged(&of(&mcp), &of(&other)), &mcp), refused);
    assert_eq!(merged(&of(&mcp), &Partial::default()), of(&mcp));
    assert_eq!(merged(&Partial::default(), &of(&mcp)), of(&mcp));
    assert_eq!(Partial::from_bytes(&of(&mcp).to_bytes()), Ok(of(&mcp)));
    // Of nothing every value is 0.
    assert_eq!(value(&Partial::default(), &mcp), Ok(0.0));
}
