//! What a formula gives for any weight, also one that is too small, infinite or no number.
//!
//! Twin of `shaders/formula/pointwise.wgsl` and `shaders/formula/pointwise/gradient.wgsl`.

use super::{Coefficients, Formula, TermCoefficients};
use crate::numeric::bits::{INFINITY, MAGNITUDE, flush, select};

/// The gradient at a weight, as bits: a NaN is itself, an infinity the limit there.
#[inline(always)]
pub(crate) fn gradient<F: Formula>(theta: u32, c: &Coefficients) -> u32 {
    let magnitude = theta & MAGNITUDE;
    // What is computed of a weight that is not finite is not used.
    let slope = finite_gradient::<F>(theta, c);
    let limits = F::gradient_limits(c);
    let limit = flush(if theta > MAGNITUDE { limits[0] } else { limits[1] }).to_bits();
    select(magnitude < INFINITY, slope, select(magnitude > INFINITY, theta, limit))
}

/// The gradient at a finite weight, as bits.
#[inline(always)]
pub(crate) fn finite_gradient<F: Formula>(theta: u32, c: &Coefficients) -> u32 {
    flush(F::gradient(flush(f32::from_bits(theta)), c)).to_bits()
}

/// The prox of a weight, as bits: one that is not finite comes back as it is.
#[inline(always)]
pub(crate) fn prox<F: Formula>(v: u32, c: &Coefficients) -> u32 {
    let shrunk = flush(F::prox(flush(f32::from_bits(v)), c)).to_bits();
    select(v & MAGNITUDE < INFINITY, shrunk, v)
}

/// The prox in a metric that weighs this element's distance with `d` > 0, as bits; an infinite one lets nothing move.
#[inline(always)]
pub(crate) fn metric_prox<F: Formula>(v: u32, d: f32, c: &Coefficients) -> u32 {
    let finite = d < f32::INFINITY;
    let shrunk = flush(F::metric_prox(flush(f32::from_bits(v)), if finite { d } else { 1.0 }, c)).to_bits();
    select((v & MAGNITUDE < INFINITY) & finite, shrunk, v)
}

/// What a weight gives to the value's own sum; one that is not finite nothing.
#[inline(always)]
pub(crate) fn term<F: Formula>(theta: u32, t: &TermCoefficients) -> f32 {
    let term = flush(F::term(flush(f32::from_bits(theta)), t));
    if theta & MAGNITUDE < INFINITY { term } else { 0.0 }
}
