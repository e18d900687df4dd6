//! Fixed-point numbers: the weights of a group as integers in a unit that is a power of two below its largest weight, so that
//! sums over it are exact and do not depend on their order.
//!
//! Twin of `shaders/fixed.wgsl`. Weights are bits of finite `f32`s, +0 or at least 2^-120 in magnitude. Every rounding is upward: a sum
//! is an upper bound, and the bound is tighter in a smaller unit.

use crate::elementwise::{MAGNITUDE, SMALLEST};

/// The unit of sums is this many binary places below the largest weight's exponent; that of sums of squares is the square of one
/// `COARSE` places below it.
pub(crate) const FINE: i32 = 55;
pub(crate) const COARSE: i32 = 31;
/// The bits of a device's sums.
const BITS: u32 = 96;

/// The exponent of a weight that is not 0.
#[inline(always)]
pub(crate) fn exponent(bits: u32) -> i32 {
    ((bits & MAGNITUDE) >> 23) as i32 - 127
}

/// |x|·2^(places − e), rounded up or down, at most 2^(places + 1), where no |x| is 2^(e + 1) or more.
#[inline(always)]
fn units(bits: u32, e: i32, places: i32, up: bool) -> u64 {
    let magnitude = bits & MAGNITUDE;
    let significand = if magnitude == 0 { 0 } else { u64::from((magnitude & 0x7f_ffff) | 0x80_0000) };
    let shift = exponent(magnitude) - 23 + places - e;
    let left = shift.clamp(0, 32) as u32;
    let right = (-shift).clamp(0, 25) as u32;
    ((significand << left) + if up { (1 << right) - 1 } else { 0 }) >> right
}

/// |x| in units of 2^(e − 55), rounded up.
#[inline(always)]
pub(crate) fn fine(bits: u32, e: i32) -> u64 {
    units(bits, e, FINE, true)
}

/// The same, rounded down.
#[inline(always)]
pub(crate) fn whole(bits: u32, e: i32) -> u64 {
    units(bits, e, FINE, false)
}

/// |x| in units of 2^(e − 31), rounded up; below 2^32.
#[inline(always)]
pub(crate) fn coarse(bits: u32, e: i32) -> u64 {
    units(bits, e, COARSE, true)
}

/// A number of a penalty that sums are compared with: mantissa·2^exponent, rounded down to 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Amount {
    mantissa: u64,
    exponent: i32,
}

impl Amount {
    /// A finite x ≥ 0.
    pub(crate) fn of(x: f64) -> Amount {
        let bits = x.to_bits();
        let biased = (bits >> 52) as i32;
        let fraction = bits & ((1 << 52) - 1);
        let mantissa = if biased == 0 { fraction } else { fraction | 1 << 52 };
        Amount { mantissa, exponent: biased.max(1) - 1075 }
    }

    /// x², for a finite x ≥ 0.
    pub(crate) fn square_of(x: f64) -> Amount {
        let Amount { mantissa, exponent } = Amount::of(x);
        let square = u128::from(mantissa) * u128::from(mantissa);
        let excess = (128 - square.leading_zeros()).saturating_sub(64);
        Amount { mantissa: (square >> excess) as u64, exponent: 2 * exponent + excess as i32 }
    }

    /// The exponent of its highest bit; the least there is for 0.
    pub(crate) fn log2(self) -> i32 {
        if self.mantissa == 0 { i32::MIN } else { self.exponent + 63 - self.mantissa.leading_zeros() as i32 }
    }

    /// As kernels read it: the upper and the lower half of the mantissa, and the exponent.
    pub(crate) fn words(self) -> [u32; 3] {
        [(self.mantissa >> 32) as u32, self.mantissa as u32, self.exponent as u32]
    }

    pub(crate) fn from_words([high, low, exponent]: [u32; 3]) -> Amount {
        Amount { mantissa: u64::from(high) << 32 | u64::from(low), exponent: exponent as i32 }
    }

    /// Times an integer, in units of 2^-`places`, rounded down; at most what a device's sum can hold.
    pub(crate) fn in_units(self, times: u32, places: i32) -> u128 {
        const MOST: u128 = (1 << BITS) - 1;
        let product = u128::from(self.mantissa) * u128::from(times);
        let shift = self.exponent.saturating_add(places);
        if product == 0 || shift <= -(BITS as i32) {
            return 0;
        }
        if shift <= 0 {
            return product >> -shift;
        }
        let used = 128 - product.leading_zeros();
        if used as i32 + shift > BITS as i32 { MOST } else { product << shift }
    }
}

/// The `f32` nearest to an integer, ties to even.
pub(crate) fn nearest(x: u128) -> f32 {
    // The conversion of 64 bits is an instruction or two. Of more, what is below them only decides ties.
    let excess = (128 - x.leading_zeros()).saturating_sub(64);
    let top = (x >> excess) as u64;
    let lost = u128::from(top) << excess != x;
    (top | u64::from(lost)) as f32 * f32::from_bits((127 + excess) << 23)
}

/// x·2^e for x ≥ 0: at most the largest `f32`, and 0 below 2^-120.
pub(crate) fn scaled(x: f32, e: i32) -> f32 {
    let bits = x.to_bits();
    if bits < SMALLEST.to_bits() {
        return 0.0;
    }
    let scaled = (bits >> 23) as i32 + e.clamp(-512, 512);
    match scaled {
        ..7 => 0.0,
        7..255 => f32::from_bits((scaled as u32) << 23 | (bits & 0x7f_ffff)),
        _ => f32::MAX,
    }
}

/// An integer below 2^58 times 2^e as the sum of two `f32`s, the upper one first; what is left of it is lost.
pub(crate) fn two_floats(x: u64, e: i32) -> [f32; 2] {
    let upper = (64 - x.leading_zeros()).saturating_sub(24);
    let high = x >> upper;
    let rest = x - (high << upper);
    let lower = (64 - rest.leading_zeros()).saturating_sub(24);
    [scaled(high as f32, e + upper as i32), scaled((rest >> lower) as f32, e + lower as i32)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_rounded_up_and_exact_where_they_can_be() {
        assert_eq!(fine(1.0f32.to_bits(), 0), 1 << 55);
        assert_eq!(fine((-1.5f32).to_bits(), 0), 3 << 54);
        assert_eq!(coarse(1.75f32.to_bits(), 0), 7 << 29);
        assert_eq!(coarse(f32::from_bits(0x3fff_ffff).to_bits(), 0), 0xffff_ff00);
        assert_eq!(coarse(f32::from_bits(0x3f80_0001 - (9 << 23)).to_bits(), 0), (1 << 22) + 1);
        assert_eq!([fine(SMALLEST.to_bits(), 0), fine(0, 0), coarse(0x8000_0000, 5)], [1, 0, 0]);
        assert_eq!(fine(SMALLEST.to_bits(), -120), 1 << 55);
        assert_eq!(fine(f32::MAX.to_bits(), 127), 0xff_ffff << 32);
    }

    #[test]
    fn amounts_keep_their_value() {
        for x in [0.0, 1.0, 0.1, 1e-300, 1e30, 12345.678] {
            let whole = Amount::of(x).in_units(1, 20);
            assert_eq!(whole, ((x * 2f64.powi(20)).floor() as u128).min((1 << 96) - 1), "{x}");
            assert_eq!(Amount::from_words(Amount::of(x).words()), Amount::of(x));
        }
        assert_eq!(Amount::square_of(3.0).in_units(5, 2), 9 * 5 * 4);
        assert_eq!(Amount::square_of(1e-200).in_units(1, 100), 0);
        assert_eq!(Amount::of(f64::MAX).in_units(7, 62), (1 << 96) - 1);
    }

    #[test]
    fn the_nearest_float_is_that_of_a_conversion() {
        let mut x = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834u128;
        for i in 0..10_000u32 {
            x = x.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
            let some = x >> (32 + i % 96);
            assert_eq!(nearest(some), some as f32, "{some}");
        }
        for tie in [(1 << 72) + (1 << 48), (1 << 72) + (3 << 48), (1 << 72) + (1 << 48) + 1, (1 << 95) + (1 << 71) - 1]
        {
            assert_eq!(nearest(tie), tie as f32, "{tie}");
        }
    }

    #[test]
    fn two_floats_have_forty_eight_bits() {
        for x in [0, 1, 0xff_ffff, 0x1ff_ffff, (1 << 57) + 12345, (1 << 48) - 1] {
            let [high, low] = two_floats(x, -20);
            let sum = (f64::from(high) + f64::from(low)) * 2f64.powi(20);
            assert!((sum - x as f64).abs() <= x as f64 * 2f64.powi(-47), "{x} {high} {low}");
        }
    }
}
