//! Have separable penalties the reference's bits at every edge, and in sets of several formulas?

use penalty::half::{bf16, f16};
use penalty::{Adam, Backend, Dtype, Metric, Momentum, Penalty, Sgd, TILE};

use crate::common::adapters::{BackendTest, Device, DeviceTest};
use crate::common::cases::{self, family, noise};
use crate::common::everything::same;
use crate::common::oracle::Weight;
use crate::common::tensors::{Call, Layout, Tensors, equal};

pub(crate) const EVERYWHERE: &[BackendTest] = named![same_bits_as_the_reference,];
pub(crate) const ON_DEVICES: &[DeviceTest] = named![a_set_of_the_whole_family_equals_the_host,];

const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Adam, iteration: 3 };

/// A call for each function of a formula but the gradient.
const CALLS: [Call; 2] = [Call::Sgd(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) }), Call::Adam(ADAM)];

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
