//! Do sets of several separable penalties have the host's bits?

use penalty::exact::TILE;
use penalty::{Adam, Dtype, Metric, Momentum, Penalty, Sgd};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, equal};
use crate::common::cases::family_by_formula;
use crate::common::tensors::{Call, Tensors};
use crate::common::trials::has_turn;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![a_set_of_the_whole_family_equals_the_host,];

const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Adam, iteration: 3 };

/// A call for each function of a formula except the gradient.
const CALLS: [Call; 2] =
    [Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) }), Call::AdamAndEvaluate(ADAM)];

/// Tensors with all penalties of the family. If devices take a sample, only every third formula.
fn tensors(turn: usize) -> Tensors {
    let formulas = family_by_formula().into_iter().enumerate().filter(|(formula, _)| has_turn(turn + formula));
    let family: Vec<(Penalty, f64)> = formulas.flat_map(|(_, cases)| cases).collect();
    let lens: Vec<usize> = (0..family.len()).map(|i| [4, 64, 700, TILE, TILE + 8][i % 5]).collect();
    let mut tensors = Tensors::of(Dtype::F32, &lens);
    for (i, (parameter, (penalty, _))) in tensors.parameters.iter_mut().zip(family).enumerate() {
        // An elastic net between them.
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
    // L1 replaces penalties without a gradient.
    for parameter in tensors.parameters.iter_mut().filter(|parameter| !parameter.penalty.has_gradient()) {
        parameter.penalty = Penalty::l1(0.3).expect("its parameters are valid");
    }
    equal(device.plain(), &tensors, Layout::Page, Call::GradientAdd);
}
