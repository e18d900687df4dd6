//! Integers of more than 64 bits, as an upper part and a lower one of 32 bits, without branches.
//!
//! They are below 2^72: sums of the squares of at most 2^8 integers of 32 bits.

use crate::numeric::fixed::Bound;

/// high·2^32 + low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Wide {
    pub(super) high: u64,
    pub(super) low: u64,
}

/// The lower part.
const LOW: u64 = 0xffff_ffff;

impl Wide {
    /// From a sum of upper parts and a sum of lower parts.
    #[inline(always)]
    pub(super) fn carried(high: u64, low: u64) -> Wide {
        Wide { high: high.wrapping_add(low >> 32), low: low & LOW }
    }

    #[inline(always)]
    pub(super) fn is_at_most(self, other: Wide) -> bool {
        (self.high < other.high) | ((self.high == other.high) & (self.low <= other.low))
    }

    /// The difference from a number that is not larger.
    #[inline(always)]
    pub(super) fn minus(self, other: Wide) -> Wide {
        let low = self.low.wrapping_sub(other.low);
        Wide { high: self.high.wrapping_sub(other.high).wrapping_sub(low >> 63), low: low & LOW }
    }

    /// As [`nearest`](crate::numeric::fixed::nearest).
    #[inline(always)]
    pub(super) fn nearest(self) -> f32 {
        let small = self.high < 1 << 20;
        let whole = self.high << 32 | self.low;
        let cut = self.high << 12 | self.low >> 20 | u64::from(self.low & 0xf_ffff != 0);
        exact(if small { whole } else { cut }) as f32 * if small { 1.0 } else { (1 << 20) as f32 }
    }
}

/// As [`nearest`](crate::numeric::fixed::nearest), below 2^64.
#[inline(always)]
pub(super) fn nearest(x: u64) -> f32 {
    let small = x < 1 << 52;
    let cut = x >> 12 | u64::from(x & 0xfff != 0);
    exact(if small { x } else { cut }) as f32 * if small { 1.0 } else { (1 << 12) as f32 }
}

/// The same below 2^52.
#[inline(always)]
pub(super) fn nearest_cut(x: u64) -> f32 {
    exact(x) as f32
}

/// 2^52: the significand of an `f64` in [2^52, 2^53) is an integer.
const EXACT: f64 = (1u64 << 52) as f64;

/// An integer below 2^52 as an `f64`. Processors without AVX-512 have no such instruction.
#[inline(always)]
fn exact(x: u64) -> f64 {
    f64::from_bits((x & ((1 << 52) - 1)) | EXACT.to_bits()) - EXACT
}

/// An `f32` that is an integer below 2^58.
#[inline(always)]
pub(super) fn integer(x: f32) -> u64 {
    let shift = (x.to_bits() >> 23) as i32 - 150;
    let significand = u64::from((x.to_bits() & 0x7f_ffff) | 0x80_0000);
    significand << shift.clamp(0, 34) >> (-shift).clamp(0, 24)
}

/// x/d rounded up, for 1 ≤ d ≤ 64. A division of vectors is one of floating point: in two steps, as each quotient
/// must be exact before it is rounded.
#[inline(always)]
pub(super) fn divided(x: u64, d: u64) -> u64 {
    let x = x.wrapping_add(d.wrapping_sub(1));
    let by = exact(d);
    let floor = |x: u64| {
        let quotient = exact(x) / by;
        let near = quotient + EXACT;
        (near.to_bits() & ((1 << 52) - 1)).wrapping_sub(u64::from(near - EXACT > quotient))
    };
    let high = floor(x >> 32);
    let rest = (x >> 32).wrapping_sub((high & LOW).wrapping_mul(d & LOW));
    (high << 32).wrapping_add(floor(rest << 32 | x & LOW))
}

/// A bound times an integer up to 64, ready to be given in units.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    top: u64,
    rest: u64,
    exponent: i32,
}

impl Limit {
    pub(super) fn of(bound: Bound, times: u32) -> Limit {
        let (product, exponent) = bound.normalized(times);
        Limit { top: (product >> 64) as u64, rest: product as u64, exponent }
    }

    /// The limit in units of 2^-`places`, rounded down; larger than any sum if it is above 2^72.
    #[inline(always)]
    pub(super) fn in_units(self, places: i32) -> Wide {
        let right = 0i32.wrapping_sub(self.exponent.wrapping_add(places));
        let shr = |x: u64, n: i32| if (n as u32) < 64 { x >> (n & 63) } else { 0 };
        let left = 64i32.wrapping_sub(right);
        let shl = if (left as u32) < 64 { self.top << (left & 63) } else { 0 };
        let low = shl | shr(self.top, right.wrapping_sub(64)) | shr(self.rest, right);
        let high = shr(self.top, right.wrapping_sub(32));
        Wide { high: if right < 56 { u64::MAX } else { high }, low: low & LOW }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::fixed;

    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let x = *state;
        (x ^ (x >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    /// Integers of every length up to 64 bits, and those near powers of two.
    fn integers() -> impl Iterator<Item = u64> {
        let mut state = 1;
        let near = (0..64).flat_map(|n| [(1u64 << n) - 1, 1 << n, (1 << n) + 1]);
        near.chain((0..20_000).map(move |i| random(&mut state) >> (i % 64)))
    }

    #[test]
    fn the_nearest_floats_are_those_of_single_groups() {
        let mut state = 7;
        for x in integers() {
            assert_eq!(nearest(x), fixed::nearest(x.into()), "{x}");
            let low = random(&mut state) & [LOW, 0xfff0_0000, 0, 1][(x % 4) as usize];
            let wide = Wide { high: x >> 24, low };
            assert_eq!(wide.nearest(), fixed::nearest(u128::from(x >> 24) << 32 | u128::from(low)), "{wide:?}");
            let float = nearest(x >> 7);
            assert_eq!(integer(float), float as u64, "{x}");
        }
    }

    #[test]
    fn quotients_are_those_of_integers() {
        for x in integers() {
            let x = x.min(u64::MAX - 64);
            for d in (1..=64).filter(|d| (x ^ d) % 7 == 0) {
                assert_eq!(divided(x, d), x.div_ceil(d), "{x}/{d}");
                let multiple = x / d * d;
                assert_eq!(divided(multiple, d), multiple / d, "{multiple}/{d}");
            }
        }
    }

    #[test]
    fn sums_are_compared_and_subtracted_as_integers_are() {
        let mut state = 3;
        let whole = |w: Wide| u128::from(w.high) << 32 | u128::from(w.low);
        for x in integers() {
            let a = Wide { high: x >> 24, low: random(&mut state) & LOW };
            let b = Wide { high: a.high.wrapping_sub(random(&mut state) % 3), low: random(&mut state) & LOW };
            assert_eq!(a.is_at_most(b), whole(a) <= whole(b));
            if b.is_at_most(a) {
                assert_eq!(whole(a.minus(b)), whole(a) - whole(b));
            }
        }
    }

    #[test]
    fn limits_are_those_of_single_groups() {
        let bounds = [0.0, 1.0, 3.0, 0.1, 1e-30, 1e30, 1e-300, 1e300, f64::MAX, 12345.678, 5e-324];
        for bound in bounds.iter().flat_map(|&x| [Bound::of(x), Bound::square_of(x)]) {
            for times in [1, 2, 3, 31, 64] {
                for places in -320..320 {
                    let found = Limit::of(bound, times).in_units(places);
                    let want = bound.in_units(times, places);
                    if want >> 72 == 0 {
                        assert_eq!(u128::from(found.high) << 32 | u128::from(found.low), want, "{bound:?} {places}");
                    } else {
                        assert!(found.high >= 1 << 40, "{bound:?} {places}");
                    }
                }
            }
        }
    }
}
