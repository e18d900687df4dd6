//! The directions and the step of gradient descent, as bits.
//!
//! Twin of the files in `shaders/formula/sgd/`.

use super::scalars::Scalars;
use crate::numeric::bits::{add, scale};
use crate::numeric::float::Float;

/// The next momentum: μv + (1−d)g.
#[inline(always)]
pub(crate) fn momentum(v: u32, g: u32, s: &Scalars) -> u32 {
    add(scale(v, s[0]), scale(g, s[2]))
}

/// The direction of Nesterov's step: g + μv, with the next v.
#[inline(always)]
pub(crate) fn nesterov(v: u32, g: u32, s: &Scalars) -> u32 {
    add(g, scale(v, s[0]))
}

/// θ − η·direction.
#[inline(always)]
pub(crate) fn step(theta: u32, direction: u32, s: &Scalars) -> u32 {
    add(theta, scale(direction, s[1]))
}

/// The next momentum in a usual block; see [`steps`](super::steps).
#[inline(always)]
pub(crate) fn usual_momentum<F: Float>(v: F, g: F, s: &Scalars<F>) -> F {
    v * s[0] + g * s[2]
}

/// The direction of Nesterov's step in a usual block.
#[inline(always)]
pub(crate) fn usual_nesterov<F: Float>(v: F, g: F, s: &Scalars<F>) -> F {
    g + v * s[0]
}

/// The step in a usual block.
#[inline(always)]
pub(crate) fn usual_step<F: Float>(theta: F, direction: F, s: &Scalars<F>) -> F {
    theta + direction * s[1]
}
