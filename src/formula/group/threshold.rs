//! The threshold τ at which a group's weights meet a bound: the amounts above τ sum to it. Found by Michelot's
//! iteration, without sorting.
//!
//! Twin of `shaders/formula/group/threshold.wgsl`. τ solves Σ max(|v| − τ, 0) = r. A τ computed from a set that holds
//! all the weights above the solution is never too high. So we drop the weights that are not above it, and the set
//! shrinks until it is right (Michelot 1986; Condat 2016). That is Newton's method on f(τ) = Σ max(|v| − τ, 0) − r,
//! which is convex. A step leaves a fraction a of f and a fraction b of its slope, the number of weights above τ, with
//! a + b ≤ 1. So their product falls to a quarter or less at each step: it begins below 2^122 units and is below 1
//! after 61 steps.

mod bracket;
pub(super) mod floats;

use super::{Found, Group, Halves, Members, PARALLEL, PartialSum, Search, with_group};
use crate::formula::Formula;
use crate::formula::rule::{Purpose, Rule};
use crate::numeric::arithmetic::quotient;
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::element::Dtype;
use crate::numeric::fixed::{Bound, FINE, exponent, fine, nearest, scaled, two_floats, whole};
use crate::numeric::wgsl::Constant;

/// The maximum number of Michelot's steps.
pub(crate) const STEPS: u32 = 62;
/// How many steps usually suffice.
pub(crate) const USUAL_STEPS: u32 = 16;
/// The units of up to this many weights need no heap allocation.
const FEW: usize = 64;
/// How often a threshold is raised, by twice as much each time, until the result satisfies the bound.
pub(crate) const ATTEMPTS: u32 = 40;
/// The integer that stands for 0 or for the largest weight, so that no integer is negative.
pub(super) const BIAS: u64 = 1 << 57;
/// The highest threshold.
pub(super) const HIGHEST: u64 = BIAS + (1 << 56);

/// The constants of the WGSL twin. Of 64-bit integers it gets the upper half, as the lower half is 0.
pub(crate) const CONSTANTS: &[Constant] = &[
    Constant::U32("STEPS", STEPS),
    Constant::U32("ATTEMPTS", ATTEMPTS),
    Constant::U32("BIAS", (BIAS >> 32) as u32),
    Constant::U32("HIGHEST", (HIGHEST >> 32) as u32),
];

/// A sum of rounded weights of this type counts as on the simplex if it falls short of the bound by at most 2^-slack of
/// it.
pub(crate) fn slack(dtype: Dtype) -> u32 {
    match dtype {
        Dtype::F32 => 20,
        Dtype::F16 => 8,
        Dtype::BF16 => 5,
    }
}

pub(super) fn find<F: Formula>(group: &Group<'_>, search: &Search<'_>) -> Found {
    let &Search { rule, purpose, c, .. } = search;
    if group.is_in_place() {
        let found = match purpose {
            Purpose::Prox => bracket::find::<F>(group, search),
            Purpose::Value if rule != Rule::Clamp => bracket::is_inside(group, search).map(of_inside),
            _ => None,
        };
        if let Some(found) = found {
            return found;
        }
    }
    let simplex = rule == Rule::Simplex;
    let top = if simplex { unordered(group.greatest(ordered)) } else { group.largest() };
    match (rule, purpose) {
        (Rule::Clamp, Purpose::Value) => return Found { share: f32::from_bits(top), ..Found::default() },
        (Rule::Clamp, Purpose::Gradient) => {
            // If several weights tie for the largest, they share the slope.
            let ties = group.sum(
                #[inline(always)]
                |b| u64::from(b & MAGNITUDE == top),
            );
            let slope = quotient(c[0], nearest(u128::from(ties.count).max(1)));
            return Found { coefficients: [f32::from_bits(top), slope], ..Found::default() };
        }
        _ => {}
    }
    let units = Units::of(group, top, search.bound(), simplex);
    let all = units.above(0);
    // `is_inside` is false anyway if units count from the top, so the sum is not needed. Devices skip it too, and all
    // ranks must ask for the same sums.
    let negative = simplex
        && !units.from_top
        && group
            .sum(
                #[inline(always)]
                |b| u64::from(b > MAGNITUDE),
            )
            .count
            > 0;
    let inside = units.is_inside(all, negative, group.whole_len());
    if purpose == Purpose::Value {
        return of_inside(inside);
    }
    if inside {
        return Found::default();
    }
    let level = units.level(all);
    units.raised::<F>(group, search, level)
}

/// The value of a group that is inside its bound or not.
fn of_inside(inside: bool) -> Found {
    Found { share: if inside { 0.0 } else { 1.0 }, ..Found::default() }
}

/// A group's weights as integers, in a unit that suits the bound r.
///
/// The threshold lies at most r below the largest weight. So the unit is about 2^-53 of r, whatever the weights are. If
/// the weights are much larger than r, they are counted down from the largest one. A weight far from it is below the
/// threshold, and its integer is 0.
struct Units<'a> {
    group: &'a Group<'a>,
    /// The unit is 2^(e − 55).
    e: i32,
    /// The bits of the largest weight.
    top: u32,
    /// Whether BIAS stands for the largest weight, not for 0.
    from_top: bool,
    signed: bool,
    /// The bound.
    r: u128,
}

impl<'a> Units<'a> {
    fn of(group: &'a Group<'a>, top: u32, bound: Bound, signed: bool) -> Units<'a> {
        let log2 = bound.log2();
        let e = if log2 == i32::MIN { exponent(top) } else { log2 + 2 };
        // A largest weight of 0 has no exponent, and is not far above the bound.
        let from_top = top & MAGNITUDE != 0 && exponent(top) > e;
        Units { group, e, top, from_top, signed, r: bound.in_units(1, FINE - e) }
    }

    /// Whether a group of this size meets the bound, from the sum of all its weights.
    fn is_inside(&self, all: PartialSum, negative: bool, len: usize) -> bool {
        let total = all.total.saturating_sub(u128::from(all.count) * u128::from(BIAS));
        let least = if self.signed { least_on_simplex(self.r, self.e, len, self.group.dtype) } else { 0 };
        !(self.from_top || self.signed && negative) && (least..=self.r).contains(&total)
    }

    /// A weight's integer.
    fn counted(&self, b: u32) -> u64 {
        if self.from_top { self.counted_from_top(b) } else { self.counted_from_zero(b) }
    }

    #[inline(always)]
    fn counted_from_zero(&self, b: u32) -> u64 {
        counted_from_zero(b, self.e, self.signed)
    }

    #[inline(always)]
    fn counted_from_top(&self, b: u32) -> u64 {
        counted_from_top(b, self.top, self.e, self.signed)
    }

    /// The sum and the count of the weights above a level.
    fn above(&self, level: u64) -> PartialSum {
        if self.from_top {
            self.group.sum(
                #[inline(always)]
                |b| over(self.counted_from_top(b), level),
            )
        } else {
            self.group.sum(
                #[inline(always)]
                |b| over(self.counted_from_zero(b), level),
            )
        }
    }

    /// The smallest level that is not too low, from the sum of all weights.
    fn level(&self, all: PartialSum) -> u64 {
        let r = self.r;
        match self.group.members {
            Members::Gathered(bits) if bits.len() <= FEW => {
                self.level_of_few(bits, &mut [0; FEW][..bits.len()], all, r)
            }
            Members::Gathered(bits) if bits.len() < PARALLEL => {
                self.level_of_few(bits, &mut vec![0; bits.len()], all, r)
            }
            // Stored units would take more memory than the weights.
            _ => level(all, r, |level| self.above(level)),
        }
    }

    fn level_of_few(&self, bits: &[u32], units: &mut [u64], all: PartialSum, r: u128) -> u64 {
        self.write(bits, units);
        level(all, r, |level| {
            self.group.set.run(
                #[inline(always)]
                || sum_above(units, level),
            )
        })
    }

    /// Writes the integers of some weights.
    fn write(&self, bits: &[u32], units: &mut [u64]) {
        self.group.set.run(
            #[inline(always)]
            || {
                let each = units.iter_mut().zip(bits);
                if self.from_top {
                    each.for_each(|(u, b)| *u = self.counted_from_top(*b));
                } else {
                    each.for_each(|(u, b)| *u = self.counted_from_zero(*b));
                }
            },
        );
    }

    /// The coefficients for a level, which is raised until the result satisfies the bound.
    ///
    /// If the nearest representable weights violate it, weights that lose bits are first rounded toward 0. Raising the
    /// threshold instead, by what a large weight was rounded up by, would cost small ones more than their rounding. For
    /// `f32` that cost does not matter.
    fn raised<F: Formula>(&self, group: &Group<'_>, search: &Search<'_>, mut level: u64) -> Found {
        let loses = search.c[0] != 0.0;
        for attempt in 0..ATTEMPTS {
            let [first, second] = self.floats(level);
            if search.rule == Rule::Clamp {
                return Found { coefficients: [first, second], ..Found::default() };
            }
            let marked = f32::from_bits(second.to_bits() & !1 | u32::from(attempt > 0));
            let coefficients = [first, if loses { marked } else { second }];
            let PartialSum { total, count } = group.sum_stored::<F>(&with_group(search.c, coefficients), self.e);
            if total <= self.r {
                return Found { coefficients, ..Found::default() };
            }
            if loses && attempt == 0 {
                continue;
            }
            let step = u128::from(share(total - self.r, count).max(1)) << attempt;
            level = (u128::from(level) + step).min(HIGHEST.into()) as u64;
        }
        Found { coefficients: [f32::MAX, 0.0], ..Found::default() }
    }

    /// A level as the sum of two `f32`s.
    fn floats(&self, level: u64) -> [f32; 2] {
        let e = self.e - FINE;
        let mut negative = level < BIAS;
        let mut size = u128::from(level.abs_diff(BIAS));
        if self.from_top {
            // The largest weight's last place, in units. If even half of it exceeds any level, the largest is the
            // nearest float.
            let places = exponent(self.top) - 23 - e;
            let below = u128::from(BIAS.saturating_sub(level));
            if places > 72 {
                return [f32::from_bits(self.top), 0.0 - scaled(nearest(below), e)];
            }
            let top = u128::from((self.top & 0x7f_ffff) | 0x80_0000) << places;
            negative = self.top > MAGNITUDE;
            // Without the other ranks, whom an error has parted from this one, any level may come out.
            size = if negative { top + below } else { top.saturating_sub(below) };
        }
        let floats = two_floats(size, e);
        if negative { floats.map(|x| 0.0 - x) } else { floats }
    }
}

/// The smallest sum that counts as r. It allows for rounding to the weights' type, and for weights below 2^-120, which
/// are 0.
pub(super) fn least_on_simplex(r: u128, e: i32, len: usize, dtype: Dtype) -> u128 {
    let smallest = -120 - (e - FINE);
    let flushed = if smallest < 0 { 0 } else { (len as u128) << smallest.min(63) };
    r.saturating_sub((r >> slack(dtype)) + flushed)
}

/// A weight's integer, rounded up; BIAS stands for 0.
#[inline(always)]
pub(super) fn counted_from_zero(b: u32, e: i32, signed: bool) -> u64 {
    let below = BIAS - whole(b, e).min(BIAS);
    if signed & (b > MAGNITUDE) { below } else { BIAS + fine(b, e) }
}

/// A weight's integer, exact; BIAS stands for the largest weight. The gap between the two is first counted in halves of
/// the largest's last place: near the largest, every weight is a whole number of these.
#[inline(always)]
pub(super) fn counted_from_top(b: u32, top: u32, e: i32, signed: bool) -> u64 {
    let b = if signed { b } else { b & MAGNITUDE };
    let halves = |b: u32, shift: u32| ((b & 0x7f_ffff) | 0x80_0000) << shift;
    let shift = exponent(b) - exponent(top) + 1;
    let near = ((b ^ top) <= MAGNITUDE) & (shift as u32 <= 2);
    let gap = halves(top, 1).abs_diff(halves(b, shift.clamp(0, 2) as u32));
    let places = (exponent(top) - e + 31).clamp(32, 57);
    let most = 1u32 << (57 - places);
    BIAS - (u64::from(if near & (gap < most) { gap } else { most }) << places)
}

/// Bits as integers in the order of their numbers; 0 stands for no number.
#[inline(always)]
pub(super) fn ordered(b: u32) -> u32 {
    if b > MAGNITUDE { !b } else { b | !MAGNITUDE }
}

#[inline(always)]
pub(super) fn unordered(order: u32) -> u32 {
    if order > MAGNITUDE { order & MAGNITUDE } else { !order }
}

/// The units if they are above a level, else 0.
#[inline(always)]
pub(super) fn over(units: u64, level: u64) -> u64 {
    if units > level { units } else { 0 }
}

/// The sum and the count of the units above a level.
#[inline(always)]
fn sum_above(units: &[u64], level: u64) -> PartialSum {
    let (mut total, mut count) = (Halves::default(), 0);
    for &u in units {
        total.add(over(u, level));
        count += u64::from(u > level);
    }
    PartialSum { total: total.sum(), count }
}

/// The smallest level with Σ max(units − level, 0) ≤ r, from the sum of all units and of those above a level.
fn level(all: PartialSum, r: u128, above: impl Fn(u64) -> PartialSum) -> u64 {
    let (mut level, mut sum) = (0, all);
    for _ in 0..STEPS {
        level = share(sum.total.saturating_sub(r), sum.count).max(level);
        let left = above(level);
        if left.count == sum.count || left.count == 0 {
            break;
        }
        sum = left;
    }
    level
}

/// An excess divided by a count, rounded up; at most the highest threshold.
fn share(excess: u128, count: u64) -> u64 {
    // Without the other ranks, whom an error has parted from this one, nothing may be left to count.
    let count = count.max(1);
    // A 64-bit division is one instruction.
    match u64::try_from(excess) {
        Ok(excess) => excess.div_ceil(count).min(HIGHEST),
        Err(_) => excess.div_ceil(count.into()).min(HIGHEST.into()) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::noise::Noise;

    /// Units of which Michelot drops one per step: each is below the mean of itself and those above it, and the next is
    /// not.
    fn slow(n: usize) -> Vec<u64> {
        let mut below = vec![0];
        let mut excess = 0;
        for m in 1..n as u64 {
            let gap = excess + m + 2;
            excess += m * gap;
            below.push(below[below.len() - 1] + gap);
        }
        let most = below[below.len() - 1];
        below.iter().map(|x| most + 1 - x).collect()
    }

    #[test]
    fn the_smallest_level_that_is_not_too_low_is_found_in_time() {
        let mut noise = Noise(12345);
        let mut next = || noise.next() >> 20;
        let mut sets = vec![slow(10), slow(18), vec![1], vec![7, 7, 7], vec![HIGHEST; 3]];
        sets.extend((1..50).map(|n| (0..n).map(|_| 1 + next() % (1 << (n % 45))).collect()));
        let mut slowest = 0;
        for units in sets {
            let steps = std::cell::Cell::new(0);
            let above = |level: u64| {
                steps.set(steps.get() + 1);
                let above = units.iter().filter(|&&u| u > level);
                PartialSum { total: above.clone().map(|&u| u128::from(u)).sum(), count: above.count() as u64 }
            };
            let all = PartialSum { total: units.iter().map(|&u| u128::from(u)).sum(), count: units.len() as u64 };
            let left = |level: u64| units.iter().map(|&u| u128::from(u.saturating_sub(level))).sum::<u128>();
            for r in [0, 1, all.total / 100, all.total / 3, all.total - 1] {
                steps.set(0);
                let found = level(all, r, above);
                assert!(left(found) <= r && (found == 0 || left(found - 1) > r), "{found} of {units:?} at {r}");
                slowest = slowest.max(steps.get());
            }
        }
        assert!((USUAL_STEPS..STEPS).contains(&slowest), "{slowest}");
    }
}
