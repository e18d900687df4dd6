//! The directions and the step of gradient descent, as bits.
//!
//! Twin of the files in `shaders/formula/sgd/`.

use super::scalars::Scalars;
use crate::numeric::bits::{add, scale};

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
