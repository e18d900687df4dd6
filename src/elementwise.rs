//! What happens to one weight in a gradient or a prox, whatever the penalty: the rules for numbers that are too small,
//! infinite or no number.
//!
//! Twin of `shaders/elementwise.wgsl` and `shaders/elementwise/gradient.wgsl`.

use crate::formula::{Formula, Numbers, TermNumbers};

/// Below this, 2^-120, a number read or about to be written is +0: drivers may flush subnormals, and a difference of
/// two larger numbers can be one.
pub(crate) const SMALLEST: f32 = f32::from_bits(7 << 23);
pub(crate) const MAGNITUDE: u32 = 0x7fff_ffff;
pub(crate) const INFINITY: u32 = 0x7f80_0000;
pub(crate) const NAN: u32 = 0x7fc0_0000;
const LARGEST: u32 = f32::MAX.to_bits();

/// +0 for a number below 2^-120 in magnitude, −0 among them.
#[inline(always)]
pub fn flush(x: f32) -> f32 {
    if x.to_bits() & MAGNITUDE < SMALLEST.to_bits() { 0.0 } else { x }
}

/// What an element is weighed with: the largest `f32` for an infinity, +0 for a number below 2^-120, a negative one and a NaN.
#[inline(always)]
pub(crate) fn penalty_weight(bits: u32) -> f32 {
    let smallest = SMALLEST.to_bits();
    let weighs = bits.wrapping_sub(smallest) <= INFINITY - smallest;
    f32::from_bits(select(weighs, bits.min(LARGEST), 0))
}

/// A product or a sum ≥ 0 as what follows can take it: at most the largest `f32`, and +0 below 2^-120.
#[inline(always)]
pub fn bounded(x: f32) -> f32 {
    let y = flush(x);
    if y < f32::MAX { y } else { f32::MAX }
}

/// Clears the last bits of a number's significand if it `must` not be rounded away from 0: it then fits a shorter type exactly.
#[inline(always)]
pub(crate) fn toward_zero(x: f32, lost_bits: f32, must: bool) -> f32 {
    let kept = u32::MAX << (lost_bits as u32 & 31);
    f32::from_bits(x.to_bits() & select(must, kept, u32::MAX))
}

/// The gradient at a weight, as bits: a NaN is itself, an infinity the limit there.
#[inline(always)]
pub(crate) fn gradient<F: Formula>(theta: u32, c: &Numbers) -> u32 {
    let magnitude = theta & MAGNITUDE;
    // What is computed of a weight that is not finite is not used.
    let slope = finite_gradient::<F>(theta, c);
    let limits = F::gradient_limits(c);
    let limit = flush(if theta > MAGNITUDE { limits[0] } else { limits[1] }).to_bits();
    select(magnitude < INFINITY, slope, select(magnitude > INFINITY, theta, limit))
}

/// The gradient at a finite weight, as bits.
#[inline(always)]
pub(crate) fn finite_gradient<F: Formula>(theta: u32, c: &Numbers) -> u32 {
    flush(F::gradient(flush(f32::from_bits(theta)), c)).to_bits()
}

/// `add(existing, gradient)` where the existing number and the weight are finite; the gradient may overflow.
#[inline(always)]
pub(crate) fn add_finite_gradient(existing: u32, gradient: u32) -> u32 {
    flush(flush(f32::from_bits(existing)) + f32::from_bits(gradient)).to_bits()
}

/// An existing gradient plus another, as bits: a NaN stays itself, the existing one first; ∞ − ∞ is 0x7fc00000.
#[inline(always)]
pub(crate) fn add(existing: u32, more: u32) -> u32 {
    let (e, m) = (existing & MAGNITUDE, more & MAGNITUDE);
    // Not used where one of them is not finite. Every rule is a selection, the last one wins: branches would keep this
    // from being vectorised.
    let sum = flush(flush(f32::from_bits(existing)) + flush(f32::from_bits(more))).to_bits();
    let infinite = select((e == m) & (existing != more), NAN, select(e == INFINITY, existing, more));
    let special = select(e > INFINITY, existing, select(m > INFINITY, more, infinite));
    select(e.max(m) < INFINITY, sum, special)
}

/// A number times a finite factor, as bits: a NaN stays itself, and an infinity is one unless the factor is 0.
#[inline(always)]
pub(crate) fn scale(x: u32, factor: f32) -> u32 {
    let magnitude = x & MAGNITUDE;
    let product = flush(flush(f32::from_bits(x)) * factor).to_bits();
    let sign = factor.to_bits() & !MAGNITUDE;
    let infinite = select(factor.to_bits() & MAGNITUDE == 0, 0, x ^ sign);
    select(magnitude < INFINITY, product, select(magnitude > INFINITY, x, infinite))
}

/// The prox of a weight, as bits: one that is not finite comes back as it is.
#[inline(always)]
pub(crate) fn prox<F: Formula>(v: u32, c: &Numbers) -> u32 {
    let shrunk = flush(F::prox(flush(f32::from_bits(v)), c)).to_bits();
    select(v & MAGNITUDE < INFINITY, shrunk, v)
}

/// The prox in a metric that weighs this element's distance with `d` > 0, as bits; an infinite one lets nothing move.
#[inline(always)]
pub(crate) fn metric_prox<F: Formula>(v: u32, d: f32, c: &Numbers) -> u32 {
    let finite = d < f32::INFINITY;
    let shrunk = flush(F::metric_prox(flush(f32::from_bits(v)), if finite { d } else { 1.0 }, c)).to_bits();
    select((v & MAGNITUDE < INFINITY) & finite, shrunk, v)
}

/// What a weight gives to the value's own sum; one that is not finite nothing.
#[inline(always)]
pub(crate) fn term<F: Formula>(theta: u32, t: &TermNumbers) -> f32 {
    let term = flush(F::term(flush(f32::from_bits(theta)), t));
    if theta & MAGNITUDE < INFINITY { term } else { 0.0 }
}

#[inline(always)]
pub(crate) fn select(condition: bool, yes: u32, no: u32) -> u32 {
    if condition { yes } else { no }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::penalty::elastic_net::ElasticNet;

    #[test]
    fn the_short_way_to_add_a_gradient_gives_the_same_bits() {
        let magnitudes = [0, 1, 0x7f_ffff, SMALLEST.to_bits() - 1, SMALLEST.to_bits(), 0x3f80_0000, 0x7f7f_ffff];
        let numbers: Vec<u32> = magnitudes.iter().flat_map(|&m| [m, m + (m >> 1 & 0x3_0003), m | !MAGNITUDE]).collect();
        let factors = [0.0, f32::MIN_POSITIVE * 64.0, 0.25, 1e30, f32::MAX];
        for c in factors.iter().flat_map(|&a| factors.map(|b| [a, b, 0.0, 0.0, 0.0])) {
            for &theta in numbers.iter().filter(|&&n| n & MAGNITUDE < INFINITY) {
                for &existing in numbers.iter().filter(|&&n| n & MAGNITUDE < INFINITY) {
                    let expected = add(existing, gradient::<ElasticNet>(theta, &c));
                    let found = add_finite_gradient(existing, finite_gradient::<ElasticNet>(theta, &c));
                    assert_eq!(found, expected, "{existing:#x} {theta:#x} {c:?}");
                }
            }
        }
    }
}
