//! Have separable penalties the reference's bits at every edge, and in sets of several formulas?

use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Adam, Backend, Dtype, Metric, Momentum, Penalty, Sgd};

use crate::common::adapters::{BackendTest, Device, DeviceTest, has_turn};
use crate::common::cases::{self, family_by_formula};
use crate::common::everything::same_in_turn;
use crate::common::oracle::{Weight, to};
use crate::common::tensors::{Call, Layout, Tensors, equal};

pub(crate) const EVERYWHERE: &[BackendTest] = named![same_bits_as_the_reference,];
pub(crate) const ON_DEVICES: &[DeviceTest] = named![a_set_of_the_whole_family_equals_the_host,];

const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Adam, iteration: 3 };

/// A call for each function of a formula but the gradient.
const CALLS: [Call; 2] = [Call::Sgd(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) }), Call::Adam(ADAM)];

fn same_bits_as_the_reference(backend: &Backend) {
    fn of<E: Weight>(
        backend: &Backend,
        turn: usize,
        (penalty, step): &(Penalty, f64),
        name: &str,
        [weights, others]: [&[f32]; 2],
    ) {
        let [weights, others] = [weights, others].map(to::<E>);
        same_in_turn(backend, turn, (penalty, *step), &format!("{name} by {penalty:?}"), &weights, &others);
    }
    let ((edges, edges_others), (tiles, tiles_others)) = (cases::edges(), cases::tiles());
    let (edges, tiles) = ([&edges[..], &edges_others], [&tiles[..], &tiles_others]);
    let cases = family_by_formula().into_iter().enumerate();
    let cases = cases.flat_map(|(formula, cases)| cases.into_iter().map(move |case| (formula, case)));
    for (i, (formula, case)) in cases.enumerate() {
        of::<f32>(backend, formula, &case, "edges", edges);
        of::<f32>(backend, formula, &case, "tiles", tiles);
        // The formulas do not know the type, but for the bounds of the box.
        if i % 9 == 8 {
            of::<f16>(backend, i / 9, &case, "edges", edges);
            of::<bf16>(backend, i / 9 + 1, &case, "tiles", tiles);
        }
    }
}

/// Tensors whose penalties are the family's; where devices take a sample, those of every third formula.
fn tensors(turn: usize) -> Tensors {
    let formulas = family_by_formula().into_iter().enumerate().filter(|(formula, _)| has_turn(turn + formula));
    let family: Vec<(Penalty, f64)> = formulas.flat_map(|(_, cases)| cases).collect();
    let lens: Vec<usize> = (0..family.len()).map(|i| [4, 64, 700, TILE, TILE + 8][i % 5]).collect();
    let mut tensors = Tensors::of(Dtype::F32, &lens);
    for (i, (parameter, (penalty, _))) in tensors.parameters.iter_mut().zip(family).enumerate() {
        // One of the elastic net's between.
        if i % 9 != 8 {
            parameter.penalty = penalty;
        }
    }
    tensors
}

fn a_set_of_the_whole_family_equals_the_host(device: &Device) {
    for (turn, call) in CALLS.into_iter().enumerate() {
        equal(device.plain(), &tensors(turn), Layout::Page, call);
    }
    let mut tensors = tensors(2);
    // Those that have no gradient leave their places to L1.
    for parameter in tensors.parameters.iter_mut().filter(|parameter| !parameter.penalty.has_gradient()) {
        parameter.penalty = Penalty::l1(0.3).expect("its parameters are valid");
    }
    equal(device.plain(), &tensors, Layout::Page, Call::GradientAdd);
}
