//! Adam's step, as bits.
//!
//! Twin of `shaders/formula/adam.wgsl`.

use std::ops::Div;

use super::scalars::Scalars;
use crate::numeric::arithmetic::{quotient, root};
use crate::numeric::bits::{INFINITY, MAGNITUDE, NAN, add, flush, scale, select};
use crate::numeric::float::Float;

/// The result of a step for one weight: the weight before the prox, its new state, and the metric √v̂ + ε, which is ∞
/// if v is not finite.
pub(crate) struct Stepped {
    pub(crate) theta: u32,
    pub(crate) first: u32,
    pub(crate) second: u32,
    pub(crate) metric: f32,
}

#[inline(always)]
pub(crate) fn step(theta: u32, g: u32, m: u32, v: u32, s: &Scalars) -> Stepped {
    let first = add(scale(m, s[0]), scale(g, s[1]));
    let second = add(scale(v, s[2]), scale(square(g), s[3]));
    // The root is not used if v is not finite.
    let metric = root(f32::from_bits(select(second < INFINITY, second, 0))) * s[4] + s[5];
    let ratio = ratio(first, second, metric);
    let metric = if second & MAGNITUDE < INFINITY { metric } else { f32::INFINITY };
    let theta = add(scale(theta, s[7]), scale(ratio, s[6]));
    Stepped { theta, first, second, metric }
}

/// The weight, m, v and the metric after a step in a usual block; see [`steps`](super::steps).
#[inline(always)]
pub(crate) fn usual_step<F: Float + Div<Output = F>>([theta, g, m, v]: [F; 4], s: &Scalars<F>) -> [F; 4] {
    let first = m * s[0] + g * s[1];
    let second = v * s[2] + (g * g) * s[3];
    let metric = F::root(second) * s[4] + s[5];
    [theta * s[7] + (first / metric) * s[6], first, second, metric]
}

/// g², as bits.
#[inline(always)]
fn square(g: u32) -> u32 {
    let magnitude = g & MAGNITUDE;
    let x = flush(f32::from_bits(g));
    let product = flush(x * x).to_bits();
    select(magnitude < INFINITY, product, select(magnitude > INFINITY, g, magnitude))
}

/// m/(√v̂ + ε), as bits: a NaN keeps its bits, ∞/∞ is 0x7fc00000, and a finite m over ∞ is 0.
#[inline(always)]
fn ratio(first: u32, second: u32, metric: f32) -> u32 {
    let (m, v) = (first & MAGNITUDE, second & MAGNITUDE);
    let size = quotient(flush(f32::from_bits(select(m < INFINITY, m, 0))), metric).to_bits();
    let quotient = select(size == 0, 0, size | (first & !MAGNITUDE));
    let infinite = select(m == INFINITY, select(v == INFINITY, NAN, first), select(v == INFINITY, 0, quotient));
    select(m > INFINITY, first, select(v > INFINITY, second, infinite))
}
