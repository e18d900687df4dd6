//! The penalties beside L1, L2² and the elastic net: the same bits from every CPU and every adapter, on slices and in sets, of every
//! type, and what a partial says of a value that is not its own.

mod common;

use common::adapters::{Device, DeviceTest};
use common::cases::{self, family, noise};
use common::everything::same;
use common::oracle::Weight;
use common::tensors::{Call, Layout, Tensors, equal, equal_step_by_step};
use libtest_mimic::Trial;
use penalty::half::{bf16, f16};
use penalty::{Adam, Backend, Cpu, Dtype, Error, InstructionSet, Metric, Momentum, Partial, Penalty, Sgd, TILE};

const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Adam, iteration: 3 };
/// A call for each function of a formula.
const CALLS: [Call; 3] =
    [Call::GradientAdd, Call::Sgd(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) }), Call::Adam(ADAM)];

fn main() {
    let sets = InstructionSet::available().into_iter().map(|set| {
        let run = move || {
            let backend = Backend::Cpu(Cpu::with_instructions(set).expect("the processor has them"));
            same_bits_as_the_reference(&backend);
            Ok(())
        };
        Trial::test("every_instruction_set_gives_the_same_bits", run).with_kind(format!("CPU, {set:?}"))
    });
    let more = [Trial::test("a_value_needs_its_own_sum", || {
        a_value_needs_its_own_sum();
        Ok(())
    })];
    let tests: &[DeviceTest] = &[
        ("every_adapter_gives_the_same_bits", |device| same_bits_as_the_reference(&device.backend())),
        ("a_set_of_the_whole_family_equals_the_host", a_set_of_the_whole_family_equals_the_host),
        ("a_penalty_may_become_one_of_another_formula", a_penalty_may_become_one_of_another_formula),
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
