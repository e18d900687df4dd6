//! The directions of gradient descent, as bits.
//!
//! Twin of `shaders/sgd.wgsl` and of the files in `shaders/sgd/`.

use super::Scalars;
use crate::elementwise::{add, scale};

/// The next momentum: μb + g.
#[inline(always)]
pub(crate) fn momentum(b: u32, g: u32, s: &Scalars) -> u32 {
    add(scale(b, s[0]), g)
}

/// Where Nesterov's step goes: g + μb, with the next b.
#[inline(always)]
pub(crate) fn nesterov(b: u32, g: u32, s: &Scalars) -> u32 {
    add(g, scale(b, s[0]))
}

/// θ − ηd.
#[inline(always)]
pub(crate) fn step(theta: u32, d: u32, s: &Scalars) -> u32 {
    add(theta, scale(d, s[1]))
}
