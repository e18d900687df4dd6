//! The two types that the formulas of separable penalties compute in: `f32`, and `f64` for fits on the host.

use std::ops::{Add, BitAnd, BitOr, Mul, Neg, Not, Sub};

use super::{arithmetic, bits};

/// A float with the functions that formulas use.
///
/// `f32` has the functions of the numeric contract, so its results have the same bits on every backend. `f64` has those
/// of the standard library, and promises no bits. What the contract adds for the sake of `f32` means this in `f64`:
///
/// - Tiny numbers stay as they are. `f32` sets numbers below 2^-120 to +0 because drivers may flush subnormals; no
///   formula needs that.
/// - Nothing is limited to `f32::MAX`. An overflow gives ∞, and only [`bounded`](Float::bounded) numbers, which are
///   multiplied by what may be 0, end at the largest float.
/// - A formula may take a detour only because of the range or the precision of `f32`: another way to compute the
///   logarithm of a large number, a limit on what a tile of `f32` can sum, a polynomial with eight correct digits. It
///   asks [`DOUBLE`](Float::DOUBLE) whether it must.
/// - Weights that are NaN or infinite are a matter of bits, so `formula/pointwise.rs` is for `f32` alone. Formulas see
///   finite weights only, in `f64` too. A −0 counts as 0.
pub(crate) trait Float:
    Copy + Neg<Output = Self> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// What a comparison gives.
    type Mask: Copy + BitAnd<Output = Self::Mask> + BitOr<Output = Self::Mask> + Not<Output = Self::Mask>;

    const ZERO: Self;
    const ONE: Self;
    const MAX: Self;
    const INFINITY: Self;
    /// Whether it has the range and the precision of `f64`.
    const DOUBLE: bool;

    /// The float nearest to a constant.
    fn of(constant: f64) -> Self;
    /// a < b.
    fn less(a: Self, b: Self) -> Self::Mask;
    /// a ≤ b.
    fn at_most(a: Self, b: Self) -> Self::Mask;
    /// a = b.
    fn equal(a: Self, b: Self) -> Self::Mask;
    /// `yes` where the mask holds, else `no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    fn abs(self) -> Self;
    /// a/b for a ≥ 0 and b > 0.
    fn quotient(a: Self, b: Self) -> Self;
    /// √x for x ≥ 0.
    fn root(x: Self) -> Self;
    /// ln(x + lost) for x > 0, with `lost` at most half a unit in x's last place.
    fn ln(x: Self, lost: Self) -> Self;
    /// ln(1 + u) for u ≥ 0.
    fn ln_1p(u: Self) -> Self;
    /// A number that is added to, without what is too small to count.
    fn flush(x: Self) -> Self;
    /// A product or a sum ≥ 0, at most the largest float.
    fn bounded(x: Self) -> Self;
    /// Soft thresholding: v − clamp(v, −t, t).
    fn threshold(v: Self, t: Self) -> Self;
    /// A magnitude ≥ 0 with the sign of `like`.
    fn signed(magnitude: Self, like: Self) -> Self;
}

impl Float for f32 {
    type Mask = bool;

    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const MAX: f32 = f32::MAX;
    const INFINITY: f32 = f32::INFINITY;
    const DOUBLE: bool = false;

    #[inline(always)]
    fn of(constant: f64) -> f32 {
        constant as f32
    }

    #[inline(always)]
    fn less(a: f32, b: f32) -> bool {
        a < b
    }

    #[inline(always)]
    fn at_most(a: f32, b: f32) -> bool {
        a <= b
    }

    #[inline(always)]
    fn equal(a: f32, b: f32) -> bool {
        a == b
    }

    #[inline(always)]
    fn select(mask: bool, yes: f32, no: f32) -> f32 {
        if mask { yes } else { no }
    }

    #[inline(always)]
    fn abs(self) -> f32 {
        self.abs()
    }

    #[inline(always)]
    fn quotient(a: f32, b: f32) -> f32 {
        arithmetic::quotient(a, b)
    }

    #[inline(always)]
    fn root(x: f32) -> f32 {
        arithmetic::root(x)
    }

    #[inline(always)]
    fn ln(x: f32, lost: f32) -> f32 {
        arithmetic::ln(x, lost)
    }

    #[inline(always)]
    fn ln_1p(u: f32) -> f32 {
        arithmetic::ln_1p(u)
    }

    #[inline(always)]
    fn flush(x: f32) -> f32 {
        bits::flush(x)
    }

    #[inline(always)]
    fn bounded(x: f32) -> f32 {
        bits::bounded(x)
    }

    #[inline(always)]
    fn threshold(v: f32, t: f32) -> f32 {
        bits::threshold(v, t)
    }

    #[inline(always)]
    fn signed(magnitude: f32, like: f32) -> f32 {
        bits::signed(magnitude, like)
    }
}

impl Float for f64 {
    type Mask = bool;

    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const MAX: f64 = f64::MAX;
    const INFINITY: f64 = f64::INFINITY;
    const DOUBLE: bool = true;

    #[inline(always)]
    fn of(constant: f64) -> f64 {
        constant
    }

    #[inline(always)]
    fn less(a: f64, b: f64) -> bool {
        a < b
    }

    #[inline(always)]
    fn at_most(a: f64, b: f64) -> bool {
        a <= b
    }

    #[inline(always)]
    fn equal(a: f64, b: f64) -> bool {
        a == b
    }

    #[inline(always)]
    fn select(mask: bool, yes: f64, no: f64) -> f64 {
        if mask { yes } else { no }
    }

    #[inline(always)]
    fn abs(self) -> f64 {
        self.abs()
    }

    #[inline(always)]
    fn quotient(a: f64, b: f64) -> f64 {
        a / b
    }

    #[inline(always)]
    fn root(x: f64) -> f64 {
        x.sqrt()
    }

    #[inline(always)]
    fn ln(x: f64, lost: f64) -> f64 {
        x.ln() + lost / x
    }

    #[inline(always)]
    fn ln_1p(u: f64) -> f64 {
        u.ln_1p()
    }

    #[inline(always)]
    fn flush(x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn bounded(x: f64) -> f64 {
        x.min(f64::MAX)
    }

    #[inline(always)]
    fn threshold(v: f64, t: f64) -> f64 {
        v - v.max(-t).min(t)
    }

    #[inline(always)]
    fn signed(magnitude: f64, like: f64) -> f64 {
        magnitude.copysign(like)
    }
}
