//! A formula applied to any weight, also to a tiny, infinite or NaN one.
//!
//! Twin of `shaders/formula/pointwise.wgsl` and `shaders/formula/pointwise/gradient.wgsl`.

use super::{Coefficients, Formula, TermCoefficients};
use crate::numeric::bits::{INFINITY, MAGNITUDE, SMALLEST, flush, select};

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

/// The gradient c₀·sign θ at a finite weight, as bits.
#[inline(always)]
pub(crate) fn sign_gradient(theta: u32, c: &Coefficients) -> u32 {
    let zero = theta & MAGNITUDE < SMALLEST.to_bits();
    select(zero, 0, c[0].to_bits() | (theta & !MAGNITUDE))
}

/// The prox of a weight, as bits: a non-finite weight keeps its bits.
#[inline(always)]
pub(crate) fn prox<F: Formula>(v: u32, c: &Coefficients) -> u32 {
    select(v & MAGNITUDE < INFINITY, finite_prox::<F>(v, c), v)
}

/// The prox of a finite weight, as bits.
#[inline(always)]
pub(crate) fn finite_prox<F: Formula>(v: u32, c: &Coefficients) -> u32 {
    flush(F::prox(flush(f32::from_bits(v)), c)).to_bits()
}

/// The variable-metric prox of a weight, as bits: `d` > 0 weighs its squared distance. An infinite `d` keeps the
/// weight.
#[inline(always)]
pub(crate) fn metric_prox<F: Formula>(v: u32, d: f32, c: &Coefficients) -> u32 {
    let finite = d < f32::INFINITY;
    let shrunk = finite_metric_prox::<F>(v, if finite { d } else { 1.0 }, c);
    select((v & MAGNITUDE < INFINITY) & finite, shrunk, v)
}

/// The variable-metric prox of a finite weight with a finite `d`, as bits.
#[inline(always)]
pub(crate) fn finite_metric_prox<F: Formula>(v: u32, d: f32, c: &Coefficients) -> u32 {
    flush(F::metric_prox(flush(f32::from_bits(v)), d, c)).to_bits()
}

/// A weight's term in the term sum; 0 if the weight is not finite.
#[inline(always)]
pub(crate) fn term<F: Formula>(theta: u32, t: &TermCoefficients) -> f32 {
    let term = finite_term::<F>(theta, t);
    if theta & MAGNITUDE < INFINITY { term } else { 0.0 }
}

/// A finite weight's term in the term sum.
#[inline(always)]
pub(crate) fn finite_term<F: Formula>(theta: u32, t: &TermCoefficients) -> f32 {
    flush(F::term(flush(f32::from_bits(theta)), t))
}
