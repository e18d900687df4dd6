//! The threshold of a group at hand, from sums in `f64`.
//!
//! Weights above a threshold are whole numbers of its last place, so `f64` sums them exactly unless some are much larger.
//! Michelot's iteration may then begin anywhere. It ends at a threshold whose own sum leads to it again: that is the one
//! that integers lead to.

use std::iter::Sum;
use std::ops::AddAssign;

use super::bracket::{magnitude, positive};
use super::{BIAS, HIGHEST, Units, least_on_simplex, of_inside, share};
use crate::formula::Formula;
use crate::formula::group::between::power;
use crate::formula::group::rows::{WIDTH, each};
use crate::formula::group::{Found, Group, Members, PARALLEL, Search};
use crate::formula::rule::{Purpose, Rule};
use crate::numeric::arithmetic::quotient;
use crate::numeric::bits::{INFINITY, MAGNITUDE, SMALLEST};
use crate::numeric::fixed::{FINE, exponent};

/// The exponents of the units of bounds. Weights below 2^-120 are less than any unit.
const ORDINARY: std::ops::RangeInclusive<i32> = -60..=60;
/// How many sums are made. Hardly any group needs more.
const STEPS: u32 = 12;
/// How many of the first steps sum in `f32`, and how many of these follow a parabola.
const ROUGH: u32 = 3;
const CURVED: u32 = 2;
/// How far a sum of up to 2^16 weights is from the exact one, relative to it.
const CLOSE: f64 = 1.0 / (1u64 << 40) as f64;

/// What one loop over the weights gives.
struct Sizes {
    /// The bits of the largest magnitude.
    largest: u32,
    /// The largest size, and the sum of all.
    top: u32,
    total: f64,
    /// Whether a weight is below 0.
    negative: bool,
}

/// The result, if floats leave nothing open. The weights may be anything.
pub(in crate::formula::group) fn find<F: Formula>(group: &Group<'_>, search: &Search<'_>) -> Option<Found> {
    let Members::Gathered(bits) = group.members else { return None };
    if bits.len() >= PARALLEL {
        return None;
    }
    let simplex = search.rule == Rule::Simplex;
    let sizes = if simplex { sizes(group, bits, positive) } else { sizes(group, bits, magnitude) };
    let Sizes { largest, top, .. } = sizes;
    if largest >= INFINITY || top != 0 && top < SMALLEST.to_bits() {
        return None;
    }
    match (search.rule, search.purpose) {
        (Rule::Clamp, Purpose::Value) => return Some(Found { share: f32::from_bits(top), ..Found::default() }),
        (Rule::Clamp, Purpose::Gradient) => {
            let ties = group.set.run(
                #[inline(always)]
                || bits.iter().fold(0u32, |ties, b| ties + u32::from(b & MAGNITUDE == top)),
            );
            let slope = quotient(search.c[0], ties.max(1) as f32);
            return Some(Found { coefficients: [f32::from_bits(top), slope], ..Found::default() });
        }
        _ => {}
    }
    let bound = search.bound();
    if !ORDINARY.contains(&bound.log2()) {
        return None;
    }
    let units = Units::of(group, top, bound, simplex);
    let inside = is_inside(&units, &sizes, bits.len())?;
    if search.purpose == Purpose::Value {
        return Some(of_inside(inside));
    }
    if inside {
        return Some(Found::default());
    }
    let level = if simplex {
        level(&units, sizes.total, bits, positive)?
    } else {
        level(&units, sizes.total, bits, magnitude)?
    };
    Some(units.raised::<F>(group, search, level))
}

fn sizes(group: &Group<'_>, bits: &[u32], size: impl Fn(u32) -> u32) -> Sizes {
    group.set.run(
        #[inline(always)]
        || {
            let ([mut largest, mut top, mut highest], mut sums) = ([[0; WIDTH]; 3], [0.0; WIDTH]);
            each(
                bits,
                #[inline(always)]
                |row, _| {
                    for i in 0..WIDTH {
                        let size = size(row[i]);
                        largest[i] = largest[i].max(row[i] & MAGNITUDE);
                        top[i] = top[i].max(size);
                        highest[i] = highest[i].max(row[i]);
                        sums[i] += f64::from(f32::from_bits(size));
                    }
                },
            );
            let [largest, top, highest] = [largest, top, highest].map(|lanes| lanes.into_iter().fold(0, u32::max));
            // Bits above those of −0 are below 0, in the opposite order.
            Sizes { largest, top, total: sums.iter().sum(), negative: highest >= (-SMALLEST).to_bits() }
        },
    )
}

/// Whether the group meets the bound. Of those that do not, only groups whose threshold is above 0 are known.
fn is_inside(units: &Units<'_>, sizes: &Sizes, len: usize) -> Option<bool> {
    if units.from_top {
        return Some(false);
    }
    let unit = power(units.e - FINE);
    // Each weight may be rounded up to a unit, or be flushed to 0.
    let rounded = len as f64 * unit;
    let (low, high) = (sizes.total * (1.0 - CLOSE) - rounded, sizes.total * (1.0 + CLOSE) + rounded);
    let r = units.r as f64 * unit;
    if low > r {
        return Some(false);
    }
    let least = if units.signed { least_on_simplex(units.r, units.e, len, units.group.dtype) } else { 0 };
    let inside = high <= r && !(units.signed && sizes.negative) && (!units.signed || low >= least as f64 * unit);
    inside.then_some(true)
}

/// The sum and the count of the sizes above a threshold, which is given by its bits. The sum is one of what `widen` makes
/// of sizes.
fn above<T: Copy + Default + AddAssign + Sum<T>>(
    group: &Group<'_>,
    bits: &[u32],
    threshold: u32,
    size: impl Fn(u32) -> u32,
    widen: impl Fn(f32) -> T,
) -> (T, u32) {
    group.set.run(
        #[inline(always)]
        || {
            let (mut sums, mut counts) = ([T::default(); WIDTH], [0; WIDTH]);
            let (rows, rest) = bits.as_chunks();
            let mut last = [0; WIDTH];
            last[..rest.len()].copy_from_slice(rest);
            for row in rows.iter().chain([&last]) {
                for i in 0..WIDTH {
                    let size = size(row[i]);
                    // Signed numbers take one instruction less.
                    let is_above = size as i32 > threshold as i32;
                    sums[i] += widen(f32::from_bits(if is_above { size } else { 0 }));
                    counts[i] += u32::from(is_above);
                }
            }
            (sums.into_iter().sum(), counts.iter().sum())
        },
    )
}

/// The smallest level that is not too low, of a group whose threshold is above 0.
fn level(units: &Units<'_>, total: f64, bits: &[u32], size: impl Fn(u32) -> u32) -> Option<u64> {
    let (e, top) = (units.e, f64::from(f32::from_bits(units.top)));
    let r = units.r as f64 * power(e - FINE);
    // The spread of sizes up to which a sum of so many is exact.
    let widest = 28 - bits.len().ilog2() as i32;
    // A threshold with the count above it. The first one is 0, where all weights count.
    let (mut before, mut count_before) = (0.0, bits.len() as f64);
    let newton = (total - r) / count_before;
    let mut threshold = (f64::max(newton, top - r) as f32).to_bits();
    let mut next_below = None;
    for step in 0..STEPS {
        let (sum, count) = if step < ROUGH {
            let (sum, count) = above(
                units.group,
                bits,
                threshold,
                &size,
                #[inline(always)]
                |x| x,
            );
            (f64::from(sum), count)
        } else {
            above(units.group, bits, threshold, &size, f64::from)
        };
        let Some((level, next)) = units.next(sum, count) else {
            // The parabola led too far.
            threshold = next_below.take()?;
            continue;
        };
        if next == threshold && step >= ROUGH {
            let exact = exponent(units.top) - exponent(threshold) <= widest && exponent(threshold) > e - 32;
            return exact.then_some(level);
        }
        let (at, count) = (f64::from(f32::from_bits(threshold)), f64::from(count));
        let excess = sum - count * at - r;
        let density = (count_before - count) / (at - before);
        let curved = count * count - 2.0 * density * excess;
        (before, count_before) = (at, count);
        threshold = next;
        if step < CURVED && density > 0.0 && excess > 0.0 && curved > 0.0 {
            next_below = Some(next);
            threshold = ((at + 2.0 * excess / (count + curved.sqrt())) as f32).to_bits();
        }
    }
    None
}

impl Units<'_> {
    /// The level at which so many weights of this sum meet the bound, and the bits of the `f32` below it, if both are
    /// above 0.
    fn next(&self, sum: f64, count: u32) -> Option<(u64, u32)> {
        if count == 0 {
            return None;
        }
        let inverse = power(FINE - self.e);
        let count_float = f64::from(count);
        if !self.from_top {
            let excess = ((sum * inverse) as u128).checked_sub(self.r)?;
            let above = share(excess, count.into()).min(HIGHEST - BIAS);
            let (length, e) = (64 - above.leading_zeros() as i32, self.e - FINE);
            // An `f32` has 24 bits.
            let bits = if length >= 24 { above >> (length - 24) } else { above << (24 - length) };
            let exponent = length - 1 + e;
            return (-119..=127)
                .contains(&exponent)
                .then(|| (BIAS + above, ((exponent + 127) as u32) << 23 | bits as u32 & 0x7f_ffff));
        }
        let top = f64::from(f32::from_bits(self.top));
        let gaps = ((count_float * top - sum) * inverse) as u128 + self.r;
        let below = u64::try_from(gaps / u128::from(count)).ok().filter(|below| *below < BIAS)?;
        // In halves of the largest weight's last place, of which the two are whole numbers.
        let places = exponent(self.top) - self.e + 31;
        let halves = if places < 64 { below.div_ceil(1 << places) } else { u64::from(below > 0) };
        let largest = u64::from(self.top & 0x7f_ffff | 0x80_0000) << 1;
        let threshold = largest.checked_sub(halves).filter(|threshold| *threshold >= 1 << 23)? as u32;
        // Below a power of two, the last place is half as large.
        let (exponent, threshold) = match self.top >> 23 {
            exponent if threshold >= 1 << 24 => (exponent, threshold >> 1),
            exponent => (exponent - 1, threshold),
        };
        let bits = exponent << 23 | threshold & 0x7f_ffff;
        Some((BIAS - below, bits))
    }
}
