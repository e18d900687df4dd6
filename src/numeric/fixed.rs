//! Fixed-point numbers: a group's weights as integers in units of a power of two. So sums over the group are exact and
//! do not depend on their order.
//!
//! Twin of `shaders/numeric/fixed.wgsl`. Weights are bits of finite `f32`s, +0 or at least 2^-120 in magnitude. Where a
//! function rounds up, a sum is an upper bound, and a smaller unit gives a tighter one.

use super::bits::{MAGNITUDE, SMALLEST};
use super::wgsl::Constant;

/// The unit of sums is 2^(e − 55), with an e that suits the bound. Sums of squares use the square of 2^(e − 31), where
/// e is the exponent of the largest weight.
pub(crate) const FINE: i32 = 55;
pub(crate) const COARSE: i32 = 31;
/// The largest `f32` is this significand times 2^104.
const LARGEST_SIGNIFICAND: u32 = 0xff_ffff;
const LARGEST_PLACES: i32 = 104;
/// How many bits a device's sums have.
const BITS: u32 = 96;

/// The exponent of a non-zero weight.
#[inline(always)]
pub(crate) fn exponent(bits: u32) -> i32 {
    ((bits & MAGNITUDE) >> 23) as i32 - 127
}

/// |x|·2^(places − e), rounded up or down. For places = [`FINE`] and |x| ≥ 2^(e + 2), the result is only known to be
/// ≥ 2^57.
#[inline(always)]
fn units(bits: u32, e: i32, places: i32, up: bool) -> u64 {
    let magnitude = bits & MAGNITUDE;
    let significand = if magnitude == 0 { 0 } else { u64::from((magnitude & 0x7f_ffff) | 0x80_0000) };
    let shift = exponent(magnitude) - 23 + places - e;
    let left = shift.clamp(0, 34) as u32;
    let right = (-shift).clamp(0, 25) as u32;
    ((significand << left) + if up { (1 << right) - 1 } else { 0 }) >> right
}

/// |x| in units of 2^(e − 55), rounded up.
#[inline(always)]
pub(crate) fn fine(bits: u32, e: i32) -> u64 {
    units(bits, e, FINE, true)
}

/// |x| in units of 2^(e − 55), rounded down.
#[inline(always)]
pub(crate) fn whole(bits: u32, e: i32) -> u64 {
    units(bits, e, FINE, false)
}

/// |x| in units of 2^(e − 31), rounded up, for |x| < 2^(e + 1). That is below 2^32, so 32 bits suffice.
#[inline(always)]
pub(crate) fn coarse(bits: u32, e: i32) -> u64 {
    let magnitude = bits & MAGNITUDE;
    let significand = if magnitude == 0 { 0 } else { (magnitude & 0x7f_ffff) | 0x80_0000 };
    let shift = exponent(magnitude) - 23 + COARSE - e;
    let left = shift.clamp(0, 8) as u32;
    let right = (-shift).clamp(0, 25) as u32;
    u64::from(((significand << left) + ((1 << right) - 1)) >> right)
}

/// The limit of a group reduction, which exact sums are compared with: mantissa·2^exponent, rounded down to 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Bound {
    mantissa: u64,
    exponent: i32,
}

impl Bound {
    /// From a finite x ≥ 0.
    pub(crate) fn of(x: f64) -> Bound {
        let bits = x.to_bits();
        let biased = (bits >> 52) as i32;
        let fraction = bits & ((1 << 52) - 1);
        let mantissa = if biased == 0 { fraction } else { fraction | 1 << 52 };
        Bound { mantissa, exponent: biased.max(1) - 1075 }
    }

    /// x², for a finite x ≥ 0.
    pub(crate) fn square_of(x: f64) -> Bound {
        let Bound { mantissa, exponent } = Bound::of(x);
        let square = u128::from(mantissa) * u128::from(mantissa);
        let excess = (128 - square.leading_zeros()).saturating_sub(64);
        Bound { mantissa: (square >> excess) as u64, exponent: 2 * exponent + excess as i32 }
    }

    /// The exponent of its highest bit; `i32::MIN` for 0.
    pub(crate) fn log2(self) -> i32 {
        if self.mantissa == 0 { i32::MIN } else { self.exponent + 63 - self.mantissa.leading_zeros() as i32 }
    }

    /// As kernels read it: the upper and the lower half of the mantissa, then the exponent.
    pub(crate) fn words(self) -> [u32; 3] {
        [(self.mantissa >> 32) as u32, self.mantissa as u32, self.exponent as u32]
    }

    pub(crate) fn from_words([high, low, exponent]: [u32; 3]) -> Bound {
        Bound { mantissa: u64::from(high) << 32 | u64::from(low), exponent: exponent as i32 }
    }

    /// The bound times an integer below 2^32, as an integer whose highest bit is set and the exponent of its lowest bit;
    /// 0 at an exponent below any other.
    pub(crate) fn normalized(self, times: u32) -> (u128, i32) {
        let product = u128::from(self.mantissa) * u128::from(times);
        if product == 0 {
            return (0, -(1 << 16));
        }
        let zeros = product.leading_zeros();
        (product << zeros, self.exponent - zeros as i32)
    }

    /// The bound times an integer, in units of 2^-`places`, rounded down; at most what a device's sum can hold.
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
    // Converting 64 bits takes an instruction or two. If there are more bits, those below only decide ties.
    let excess = (128 - x.leading_zeros()).saturating_sub(64);
    let top = (x >> excess) as u64;
    let lost = u128::from(top) << excess != x;
    (top | u64::from(lost)) as f32 * f32::from_bits((127 + excess) << 23)
}

/// The integer nearest to x that an `f32` can hold, ties to even.
fn rounded(x: u128) -> u128 {
    let cut = (128 - x.leading_zeros()).saturating_sub(24);
    let top = x >> cut;
    let (rest, half) = (x - (top << cut), (1u128 << cut) >> 1);
    let up = cut > 0 && (rest > half || (rest == half && top & 1 == 1));
    (top + u128::from(up)) << cut
}

/// x·2^e for x ≥ 0: at most `f32::MAX`, and 0 below 2^-120.
#[inline(always)]
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

/// x·2^e for x < 2^96 as the sum of two `f32`s: the nearest one, and the one nearest to the rest. Subtracting the first
/// from a weight near it is exact, so only subtracting the second rounds.
pub(crate) fn two_floats(x: u128, e: i32) -> [f32; 2] {
    // Anything above the largest `f32` goes to the second.
    let most = u128::from(LARGEST_SIGNIFICAND) << (LARGEST_PLACES - e).clamp(0, 72);
    let first = rounded(x).min(most);
    let rest = nearest(x.abs_diff(first));
    [scaled(nearest(first), e), scaled(rest, e) * if x < first { -1.0 } else { 1.0 }]
}

/// The significand of x > 0, from 1 to 2.
#[inline(always)]
pub(crate) fn significand(x: f32) -> f32 {
    f32::from_bits((x.to_bits() & 0x7f_ffff) | 0x3f80_0000)
}

/// The largest exponent of a wide factor, in either direction. Beyond it, a weight and its result cannot both be in
/// range.
const WIDEST: i32 = 250;
/// This is added to a wide factor's exponent to make its integer positive.
const WIDE_BIAS: i32 = 256;

/// The constants of the WGSL twin.
pub(crate) const CONSTANTS: &[Constant] = &[
    Constant::I32("FINE", FINE),
    Constant::I32("COARSE", COARSE),
    Constant::U32("LARGEST_SIGNIFICAND", LARGEST_SIGNIFICAND),
    Constant::I32("LARGEST_PLACES", LARGEST_PLACES),
    Constant::I32("WIDEST", WIDEST),
    Constant::I32("WIDE_BIAS", WIDE_BIAS),
];

/// The wide factor m·2^k for m > 0 as an integer: 9 bits of exponent, then 23 bits of fraction. Larger factors are
/// larger integers, and the next factor is the next integer. It is 0 below 2^-250, and the largest factor from 2^251
/// on.
///
/// A factor such as λ/‖θ‖ can leave the range of `f32` although θ and the product are in range.
#[inline(always)]
pub(crate) fn wide_factor(m: f32, k: i32) -> u32 {
    let exponent = (m.to_bits() >> 23) as i32 - 127 + k;
    if exponent < -WIDEST {
        return 0;
    }
    if exponent > WIDEST {
        return ((WIDEST + WIDE_BIAS) << 23) as u32 | 0x7f_ffff;
    }
    ((exponent + WIDE_BIAS) << 23) as u32 | (m.to_bits() & 0x7f_ffff)
}

/// A wide factor as an `f32` c: the factor is |c| times the power of two in |c|, and twice that if c < 0.
#[inline(always)]
pub(crate) fn wide_float(factor: u32) -> f32 {
    if factor == 0 {
        return 0.0;
    }
    let half = (factor >> 24) + 127 - (WIDE_BIAS as u32 >> 1);
    f32::from_bits((factor << 8 & 0x8000_0000) | half << 23 | (factor & 0x7f_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::arithmetic::times_wide;

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
            let whole = Bound::of(x).in_units(1, 20);
            assert_eq!(whole, ((x * 2f64.powi(20)).floor() as u128).min((1 << 96) - 1), "{x}");
            assert_eq!(Bound::from_words(Bound::of(x).words()), Bound::of(x));
        }
        assert_eq!(Bound::square_of(3.0).in_units(5, 2), 9 * 5 * 4);
        assert_eq!(Bound::square_of(1e-200).in_units(1, 100), 0);
        assert_eq!(Bound::of(f64::MAX).in_units(7, 62), (1 << 96) - 1);
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
    fn two_floats_are_each_the_nearest() {
        let ties = [(1 << 72) + (1 << 48), (3 << 48) + (1 << 72), (0xff_ffff << 72) - (1 << 48)];
        for x in [0, 1, 0xff_ffff, 0x1ff_ffff, (1 << 57) + 12345, (1 << 48) - 1].into_iter().chain(ties) {
            let [first, rest] = two_floats(x, -20).map(|x| f64::from(x) * 2f64.powi(20));
            assert_eq!(first as u128, rounded(x), "{x}");
            assert_eq!(first, f64::from(x as f32), "{x}");
            let left = x as i128 - first as i128;
            assert_eq!(rest, f64::from(left as f32), "{x}");
        }
    }

    #[test]
    fn what_is_above_the_largest_float_goes_to_the_second() {
        // 1.5 times 2^128, then the largest float, then that plus half a unit in its last place.
        assert_eq!(two_floats(3 << 60, 67), [f32::MAX, 2f32.powi(127) + 2f32.powi(104)]);
        assert_eq!(two_floats(0xff_ffff << 30, 74), [f32::MAX, 0.0]);
        assert_eq!(two_floats((0xff_ffff << 30) + (1 << 29), 74), [f32::MAX, 2f32.powi(103)]);
    }

    #[test]
    fn wide_factors_are_exact_and_in_order() {
        let mut last = 0;
        for k in -260..260 {
            for m in [1.0f32, 1.0 + f32::EPSILON, 1.5, 2.0 - f32::EPSILON] {
                let factor = wide_factor(m, k);
                let exact = f64::from(m) * 2f64.powi(k);
                // Includes numbers near both ends of the range of `f32`.
                for x in [1.0f32, 1.75, 2f32.powi(100), 2f32.powi(-100), 2f32.powi(-119), 2f32.powi(126)] {
                    let (found, want) = (f64::from(times_wide(x, wide_float(factor))), f64::from(x) * exact);
                    let reached = (-250..=250).contains(&k) && want < f64::from(f32::MAX) && want >= 2f64.powi(-120);
                    assert!(!reached || found == f64::from(want as f32), "{x:e} times {m}·2^{k} is {found:e}");
                }
                assert!(!(-250..=250).contains(&k) || factor > last, "{m}·2^{k}");
                last = factor;
            }
        }
        assert_eq!(
            [wide_float(wide_factor(1.0, 0)), wide_float(wide_factor(1.5, -260)), times_wide(f32::MAX, 0.0)],
            [1.0, 0.0, 0.0]
        );
        assert_eq!(wide_factor(4.0, -2), wide_factor(1.0, 0));
    }
}
