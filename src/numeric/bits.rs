//! Bits of `f32`, and arithmetic on them with the same results everywhere: the rules for tiny, infinite and NaN
//! numbers.
//!
//! Twin of `shaders/numeric/bits.wgsl`.

use super::wgsl::Constant;

/// A number below 2^-120 in magnitude that is read or about to be written becomes +0: drivers may flush subnormals, and
/// the difference of two larger numbers can be subnormal.
pub(crate) const SMALLEST: f32 = f32::from_bits(7 << 23);
/// If one of two numbers is 0 or at least this in magnitude, the other changes their flushed sum only if it is at least
/// [`SMALLEST`]: anything less is below a quarter unit in the first one's last place.
pub(crate) const LARGE: f32 = f32::from_bits((127 - 94) << 23);
pub(crate) const MAGNITUDE: u32 = 0x7fff_ffff;
pub(crate) const INFINITY: u32 = 0x7f80_0000;
pub(crate) const NAN: u32 = 0x7fc0_0000;
const LARGEST: u32 = f32::MAX.to_bits();

/// The constants of the WGSL twin.
pub(crate) const CONSTANTS: &[Constant] = &[
    Constant::U32("MAGNITUDE", MAGNITUDE),
    Constant::U32("INFINITY", INFINITY),
    Constant::U32("NAN", NAN),
    Constant::U32("LARGEST_FLOAT", LARGEST),
    Constant::U32("SMALLEST", SMALLEST.to_bits()),
    Constant::U32("USUAL", LARGE.to_bits()),
];

/// +0 for a number below 2^-120 in magnitude, −0 included; else the number.
///
/// ```
/// use penalty::custom::flush;
///
/// assert_eq!(flush(1e-37), 0.0); // 2^-120 is about 7.5e-37
/// assert_eq!(flush(-1e-36), -1e-36);
/// ```
#[inline(always)]
pub fn flush(x: f32) -> f32 {
    // A NaN is not less. Compared as floats, this takes one instruction less than as bits.
    if x.abs() < SMALLEST { 0.0 } else { x }
}

/// Rounds once to `f32`: at most `f32::MAX` in magnitude, and 0 below 2^-120, like every number that a kernel reads.
pub(crate) fn coefficient(x: f64) -> f32 {
    let c = (x as f32).clamp(-f32::MAX, f32::MAX);
    if c.abs() < SMALLEST { 0.0 } else { c }
}

/// An element weight from its bits: `f32::MAX` for an infinity, +0 for a NaN, a negative number or one below 2^-120.
#[inline(always)]
pub(crate) fn element_weight(bits: u32) -> f32 {
    let smallest = SMALLEST.to_bits();
    let weighs = bits.wrapping_sub(smallest) <= INFINITY - smallest;
    f32::from_bits(select(weighs, bits.min(LARGEST), 0))
}

/// A product or a sum ≥ 0, limited to the range of later steps: at most `f32::MAX`, and +0 below 2^-120.
///
/// ```
/// use penalty::custom::bounded;
///
/// assert_eq!(bounded(f32::MAX * 2.0), f32::MAX);
/// assert_eq!(bounded(1e-37), 0.0);
/// ```
#[inline(always)]
pub fn bounded(x: f32) -> f32 {
    let y = flush(x);
    if y < f32::MAX { y } else { f32::MAX }
}

/// If the number `must` not be rounded away from 0, clears the last bits of its significand. It then fits a shorter
/// type exactly.
#[inline(always)]
pub(crate) fn toward_zero(x: f32, lost_bits: f32, must: bool) -> f32 {
    let kept = u32::MAX << (lost_bits as u32 & 31);
    f32::from_bits(x.to_bits() & select(must, kept, u32::MAX))
}

/// Soft thresholding: v − clamp(v, −t, t), rounded once.
///
/// ```
/// use penalty::custom::threshold;
///
/// assert_eq!(threshold(2.0, 0.5), 1.5);
/// assert_eq!(threshold(-0.25, 0.5), 0.0);
/// ```
#[inline(always)]
pub fn threshold(v: f32, t: f32) -> f32 {
    // Comparisons, not `f32::clamp`: that also checks for NaN, which costs two instructions per weight.
    let raised = if v > -t { v } else { -t };
    let clamped = if raised < t { raised } else { t };
    v - clamped
}

/// A magnitude ≥ 0 with the sign of `like`.
///
/// ```
/// use penalty::custom::signed;
///
/// assert_eq!(signed(2.0, -0.5), -2.0);
/// ```
#[inline(always)]
pub fn signed(magnitude: f32, like: f32) -> f32 {
    f32::from_bits(magnitude.to_bits() | (like.to_bits() & 0x8000_0000))
}

/// `add(existing, gradient)` if the existing number and the weight are finite. The gradient may overflow.
#[inline(always)]
pub(crate) fn add_finite_gradient(existing: u32, gradient: u32) -> u32 {
    flush(flush(f32::from_bits(existing)) + f32::from_bits(gradient)).to_bits()
}

/// The same for a gradient that is +0 or at least [`LARGE`] in magnitude.
#[inline(always)]
pub(crate) fn add_large_gradient(existing: u32, gradient: u32) -> u32 {
    flush(f32::from_bits(existing) + f32::from_bits(gradient)).to_bits()
}

/// An existing gradient plus another, as bits. A NaN keeps its bits, and the existing NaN wins; ∞ − ∞ is 0x7fc00000.
#[inline(always)]
pub(crate) fn add(existing: u32, more: u32) -> u32 {
    let (e, m) = (existing & MAGNITUDE, more & MAGNITUDE);
    // The sum is not used if one number is not finite. Every rule is a selection, and the last one wins: branches would
    // prevent vectorisation.
    let sum = flush(flush(f32::from_bits(existing)) + flush(f32::from_bits(more))).to_bits();
    let infinite = select((e == m) & (existing != more), NAN, select(e == INFINITY, existing, more));
    let special = select(e > INFINITY, existing, select(m > INFINITY, more, infinite));
    select(e.max(m) < INFINITY, sum, special)
}

/// A number times a finite factor, as bits. A NaN keeps its bits. An infinity times 0 is 0, else it stays infinite.
#[inline(always)]
pub(crate) fn scale(x: u32, factor: f32) -> u32 {
    let magnitude = x & MAGNITUDE;
    let product = flush(flush(f32::from_bits(x)) * factor).to_bits();
    let sign = factor.to_bits() & !MAGNITUDE;
    let infinite = select(factor.to_bits() & MAGNITUDE == 0, 0, x ^ sign);
    select(magnitude < INFINITY, product, select(magnitude > INFINITY, x, infinite))
}

#[inline(always)]
pub(crate) fn select(condition: bool, yes: u32, no: u32) -> u32 {
    if condition { yes } else { no }
}
