//! A formula applied to any weight, also to a tiny, infinite or NaN one.
//!
//! Twin of `shaders/formula/pointwise.wgsl` and `shaders/formula/pointwise/gradient.wgsl`.

use super::{Coefficients, Formula, TermCoefficients};
use crate::numeric::bits::{INFINITY, MAGNITUDE, flush, select};

/// The gradient at a weight, as bits: a NaN keeps its bits, and an infinity gives the limit there.
#[inline(always)]
pub(crate) fn gradient<F: Formula>(theta: u32, c: &Coefficients) -> u32 {
    let magnitude = theta & MAGNITUDE;
    // The slope of a non-finite weight is not used.
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

/// The prox of a weight, as bits: a non-finite weight keeps its bits.
#[inline(always)]
pub(crate) fn prox<F: Formula>(v: u32, c: &Coefficients) -> u32 {
    let shrunk = flush(F::prox(flush(f32::from_bits(v)), c)).to_bits();
    select(v & MAGNITUDE < INFINITY, shrunk, v)
}

/// The variable-metric prox of a weight, as bits: `d` > 0 weighs its squared distance. An infinite `d` keeps the
/// weight.
#[inline(always)]
pub(crate) fn metric_prox<F: Formula>(v: u32, d: f32, c: &Coefficients) -> u32 {
    let finite = d < f32::INFINITY;
    let shrunk = flush(F::metric_prox(flush(f32::from_bits(v)), if finite { d } else { 1.0 }, c)).to_bits();
    select((v & MAGNITUDE < INFINITY) & finite, shrunk, v)
}

/// A weight's term in the term sum; 0 if the weight is not finite.
#[inline(always)]
pub(crate) fn term<F: Formula>(theta: u32, t: &TermCoefficients) -> f32 {
    let term = flush(F::term(flush(f32::from_bits(theta)), t));
    if theta & MAGNITUDE < INFINITY { term } else { 0.0 }
}
