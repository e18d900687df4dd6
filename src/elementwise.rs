//! What happens to one weight in a gradient or a prox, whatever the penalty: the rules for numbers that are too small,
//! infinite or no number.
//!
//! Twin of `shaders/elementwise.wgsl`.

use crate::penalty::elastic_net;

/// Below this, 2^-120, a number read or about to be written is +0: drivers may flush subnormals, and a difference of
/// two larger numbers can be one.
pub(crate) const SMALLEST: f32 = f32::from_bits(7 << 23);
const MAGNITUDE: u32 = 0x7fff_ffff;
const INFINITY: u32 = 0x7f80_0000;
const NAN: u32 = 0x7fc0_0000;

/// +0 for a number below 2^-120 in magnitude, −0 among them.
#[inline(always)]
pub(crate) fn flush(x: f32) -> f32 {
    if x.to_bits() & MAGNITUDE < SMALLEST.to_bits() { 0.0 } else { x }
}

/// The gradient at a weight, as bits: a NaN is itself, an infinity the limit there.
#[inline(always)]
pub(crate) fn gradient(theta: u32, c: [f32; 2]) -> u32 {
    let magnitude = theta & MAGNITUDE;
    let finite = f32::from_bits(if magnitude < INFINITY { theta } else { 0 });
    let slope = flush(elastic_net::gradient(flush(finite), c)).to_bits();
    let limit = elastic_net::gradient_at_infinity(c).to_bits() | (theta & !MAGNITUDE);
    if magnitude < INFINITY {
        slope
    } else if magnitude == INFINITY {
        flush(f32::from_bits(limit)).to_bits()
    } else {
        theta
    }
}

/// An existing gradient plus another, as bits: a NaN stays itself, the existing one first; ∞ − ∞ is 0x7fc00000.
#[inline(always)]
pub(crate) fn add(existing: u32, more: u32) -> u32 {
    let (e, m) = (existing & MAGNITUDE, more & MAGNITUDE);
    let finite = |bits: u32, magnitude: u32| flush(f32::from_bits(if magnitude < INFINITY { bits } else { 0 }));
    let sum = flush(finite(existing, e) + finite(more, m)).to_bits();
    if e < INFINITY && m < INFINITY {
        sum
    } else if e > INFINITY {
        existing
    } else if m > INFINITY {
        more
    } else if e == m && existing != more {
        NAN
    } else if e == INFINITY {
        existing
    } else {
        more
    }
}

/// The prox of a weight, as bits: one that is not finite comes back as it is.
#[inline(always)]
pub(crate) fn prox(v: u32, c: [f32; 2]) -> u32 {
    let ordinary = v & MAGNITUDE < INFINITY;
    let finite = f32::from_bits(if ordinary { v } else { 0 });
    let shrunk = flush(elastic_net::prox(flush(finite), c)).to_bits();
    if ordinary { shrunk } else { v }
}
