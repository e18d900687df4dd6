//! Sums of squares in `f64`, which are only known to lie between two numbers. Mostly both lead to the same result, which
//! is then that of the exact sum.

use crate::numeric::fixed::{Bound, COARSE, exponent};

/// A sum of up to 2^16 squares is this close to the exact one, relative to it. At least 16 lanes share the squares, so a
/// lane makes at most 2^12 additions. Each loses at most 2^-53 of its sum.
const CLOSE: f64 = 1.0 / (1u64 << 38) as f64;
/// The least exponent of the largest weight of a group whose squares are summed here: weights that count as 0 are below
/// 2 of its units.
const LOWEST: i32 = -90;
/// 2^52: the significand of an `f64` in [2^52, 2^53) is an integer.
const EXACT: f64 = (1u64 << 52) as f64;

/// A number that lies between two others.
#[derive(Clone, Copy)]
pub(super) struct Between {
    low: f64,
    high: f64,
}

/// The nearest `f32` of a number between two others, and whether both have the same.
#[derive(Clone, Copy)]
pub(super) struct Nearest {
    pub(super) float: f32,
    pub(super) known: bool,
}

impl Between {
    /// The sum of squares in the coarse unit of the largest of so many weights, from the sum of their squares as they are.
    /// Only weights below 2^23 units are rounded up, which adds at most 2^24 + 1 to a square. Weights of an ordinary group
    /// that count as 0 are below 2 units. The sums of chunks, which have 2^12 weights, are added one by one.
    pub(super) fn of_squares(sum: f64, largest: u32, len: usize) -> Between {
        let (sum, len) = (sum * power(2 * (COARSE - exponent(largest))), len as f64);
        let close = CLOSE + len * power(-12 - 53);
        Between { low: sum * (1.0 - close) - len * 4.0, high: sum * (1.0 + close) + len * (1 << 25) as f64 }
    }

    #[inline(always)]
    pub(super) fn is_at_most(self, other: Between) -> bool {
        self.high <= other.low
    }

    #[inline(always)]
    pub(super) fn is_above(self, other: Between) -> bool {
        self.low > other.high
    }

    /// The difference from a smaller number.
    #[inline(always)]
    pub(super) fn minus(self, other: Between) -> Between {
        Between { low: (self.low - other.high) * (1.0 - CLOSE), high: (self.high - other.low) * (1.0 + CLOSE) }
    }

    #[inline(always)]
    pub(super) fn nearest(self) -> Nearest {
        let float = self.low as f32;
        Nearest { float, known: float == self.high as f32 }
    }
}

/// Whether squares of a group with this largest weight can be summed here.
#[inline(always)]
pub(super) fn is_ordinary(largest: u32) -> bool {
    exponent(largest) >= LOWEST
}

/// A bound times an integer, ready to be given in units.
#[derive(Clone, Copy)]
pub(super) struct Limit(Between);

impl Limit {
    pub(super) fn of(bound: Bound, times: u32) -> Limit {
        let (product, exponent) = bound.normalized(times);
        let top = (product >> 75) as u64;
        let up = top + u64::from(u128::from(top) << 75 != product);
        let exponent = exponent + 75;
        Limit(match exponent {
            _ if product == 0 => Between { low: 0.0, high: 0.0 },
            // Less than a unit, and more than any sum.
            ..-700 => Between { low: 0.0, high: power(-700) },
            600.. => Between { low: power(600), high: f64::MAX },
            _ => Between { low: top as f64 * power(exponent), high: up as f64 * power(exponent) },
        })
    }

    /// The limit in units of 2^-`places`, rounded down.
    #[inline(always)]
    pub(super) fn in_units(self, places: i32) -> Between {
        let unit = power(places);
        Between { low: floor(self.0.low * unit), high: floor(self.0.high * unit) }
    }
}

/// 2^`exponent`.
#[inline(always)]
pub(super) fn power(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// The integer below x ≥ 0. `f64::floor` is a call where there is no instruction for it.
#[inline(always)]
fn floor(x: f64) -> f64 {
    let near = (x + EXACT) - EXACT;
    let below = if near > x { near - 1.0 } else { near };
    if x < EXACT { below } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::fixed::coarse;
    use crate::numeric::noise::Noise;

    const EXPONENTS: std::ops::RangeInclusive<i32> = LOWEST..=127;

    #[test]
    fn limits_lie_between_theirs() {
        let bounds = [0.0, 1.0, 3.0, 0.1, 1e-30, 1e30, 1e-150, 1e150, 1e-300, f64::MAX, 12345.678, 5e-324];
        for bound in bounds.iter().flat_map(|&x| [Bound::of(x), Bound::square_of(x)]) {
            for times in [1, 2, 3, 31, 64, 1 << 16] {
                for places in EXPONENTS.map(|e| 2 * (COARSE - e)) {
                    let Between { low, high } = Limit::of(bound, times).in_units(places);
                    let exact = bound.in_units(times, places);
                    // Above 2^80, more than any sum.
                    let within =
                        low as u128 <= exact && exact <= high as u128 || exact >> 80 != 0 && low as u128 >> 79 != 0;
                    assert!(within, "{low} <= {exact} <= {high}: {bound:?} times {times}, {places}");
                    assert!(low > 2f64.powi(80) || high <= low * (1.0 + 2f64.powi(-50)) + 1.0, "{low} {high}");
                }
            }
        }
    }

    #[test]
    fn sums_of_squares_are_near_the_exact_ones() {
        let mut noise = Noise(1);
        for e in EXPONENTS {
            let largest = ((127 + e) as u32) << 23;
            let weights: Vec<u32> = (0..200)
                .map(|i| {
                    let state = noise.next();
                    let below = (state >> 40) as i32 % (if i % 2 == 0 { 4 } else { 60 });
                    ((127 + e - below).max(7) as u32) << 23 | (state >> 20) as u32 & 0x7f_ffff
                })
                .chain([largest])
                .collect();
            let exact: u128 = weights.iter().map(|b| u128::from(coarse(*b, e)).pow(2)).sum();
            let plain = weights.iter().map(|b| f64::from(f32::from_bits(*b)).powi(2)).sum();
            let Between { low, high } = Between::of_squares(plain, largest, weights.len());
            assert!(low as u128 <= exact && exact <= high as u128, "2^{e}: {low} <= {exact} <= {high}");
        }
    }

    #[test]
    fn a_float_is_known_if_both_ends_have_it() {
        let of = |low, high| Between { low, high }.nearest();
        assert!(of(1.0, 1.0 + 2f64.powi(-30)).known);
        assert!(!of(1.0, 1.0 + 2f64.powi(-23)).known);
    }
}
