//! Weighted penalties, and element weights for them.

use penalty::{Dtype, Penalty};

use super::cases::{self, noise};
use super::oracle::SMALLEST;
use super::tensors::Tensors;

pub(crate) fn l1(lambda: f64) -> Penalty {
    Penalty::weighted_l1(lambda).expect("the λ is valid")
}

pub(crate) fn net(lambda: f64, alpha: f64) -> Penalty {
    Penalty::weighted_elastic_net(lambda, alpha).expect("λ and α are valid")
}

/// Penalties with a step, ordinary and extreme.
pub(crate) fn family() -> [(Penalty, f64); 7] {
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

/// This many element weights: zeros, ordinary ones, every scale, infinities.
pub(crate) fn element_weights(len: usize) -> Vec<f32> {
    let special = [0.0, f32::INFINITY, f32::MAX, SMALLEST as f32, SMALLEST as f32 / 2.0, -0.0, 1.0, f32::MIN_POSITIVE];
    let scale = |i: usize| if i.is_multiple_of(5) { cases::power((i / 5 % 200) as i32 - 100) } else { 1.0 };
    let ordinary = noise(len, 21).into_iter().map(|x| f64::from(2.0 * x.abs())).enumerate();
    ordinary.map(|(i, x)| if i % 9 == 4 { special[i / 9 % 8] } else { (x * scale(i)) as f32 }).collect()
}

/// Tensors of the given types, with weighted penalties and others between them.
pub(crate) fn tensors(lens: &[usize], dtype: impl Fn(usize) -> Dtype) -> Tensors {
    let other = Penalty::elastic_net(0.1, 0.25).expect("λ and α are valid");
    Tensors::with(lens, dtype, &[l1(0.3), net(0.2, 0.5), other, l1(0.0), Penalty::none()])
}
