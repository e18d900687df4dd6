//! Group penalties for tests, tensors with them, and weights where their rules must decide.

use penalty::{Adam, Dtype, Groups, Metric, Momentum, Penalty, Sgd};

use super::cases::noise;
use super::tensors::{Call, Tensors};

pub(crate) const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Plain, iteration: 3 };

pub(crate) const CALLS: [Call; 3] = [
    Call::ProxAndEvaluate(0.25),
    Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) }),
    Call::AdamAndEvaluate(ADAM),
];

/// A penalty for each rule, with a step.
pub(crate) fn penalties() -> Vec<(Penalty, f64)> {
    let penalties = [
        (Penalty::l2_norm(0.3), 0.5),
        (Penalty::group_lasso(0.1, Groups::whole()), 0.7),
        (Penalty::sparse_group_lasso(0.2, 0.3, Groups::whole()), 0.7),
        (Penalty::l2_ball(0.7), 1.0),
        (Penalty::linf_norm(0.5), 0.9),
        (Penalty::l1_ball(1.5), 1.0),
        (Penalty::simplex(1.1), 1.0),
        (Penalty::top_k(3), 1.0),
    ];
    penalties.map(|(penalty, step)| (penalty.expect("its parameters are valid"), step)).into()
}

/// Weights where rules must decide: ties, zeros, both signs, several scales, NaN and infinities.
pub(crate) fn weights(len: usize) -> Vec<f32> {
    let mut weights = noise(len, 5);
    for (i, w) in weights.iter_mut().enumerate() {
        match i % 97 {
            0 => *w = 0.5,
            1 => *w = -0.5,
            2 => *w = 0.0,
            3 => *w = -0.0,
            4 => *w *= 1e-20,
            5 => *w *= 30.0,
            6 => *w = f32::from_bits(1),
            _ => {}
        }
    }
    weights[len / 2] = f32::NAN;
    weights[len / 3] = f32::NEG_INFINITY;
    weights
}

/// Tensors of one type with group penalties, and one with L1.
pub(crate) fn tensors(dtype: Dtype) -> Tensors {
    let mut tensors = Tensors::of(dtype, &[96, 5000, 96, 300, 4096, 60, 96, 12]);
    let penalties = [
        Penalty::group_lasso(0.1, Groups::runs(8).expect("it is valid")),
        Penalty::l1(0.1),
        Penalty::group_lasso(0.2, Groups::columns(4).expect("it is valid")),
        Penalty::l1_ball(3.0),
        Penalty::sparse_group_lasso(0.1, 0.5, Groups::tiles(64, 4, 8).expect("it is valid")),
        Penalty::n_of_m(2, 4),
        Penalty::group_lasso(0.3, Groups::lists(&[(0..50).collect::<Vec<u64>>(), (50..96).collect()]).expect("it is")),
        Penalty::l2_norm(0.5),
    ];
    for (parameter, penalty) in tensors.parameters.iter_mut().zip(penalties) {
        parameter.penalty = penalty.expect("its parameters are valid");
    }
    tensors
}

/// Replaces constraints, which have no gradient, by norms.
pub(crate) fn with_gradients(mut tensors: Tensors) -> Tensors {
    for parameter in tensors.parameters.iter_mut().filter(|parameter| !parameter.penalty.has_gradient()) {
        parameter.penalty = Penalty::linf_norm(0.5).expect("it is valid");
    }
    tensors
}
