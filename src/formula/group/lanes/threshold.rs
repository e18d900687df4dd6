//! The threshold at which each lane's group meets a bound. `src/formula/group/threshold.rs` explains it.
//!
//! All units are 2^(e − 55) with the same e, as the bound gives it. Sums are pairs of `f64`s, both exact. Michelot's
//! steps only guess which weights are above the threshold: in `f32`, as the exact sum over these then tells whether the
//! guess was right. A group where it is not, or whose weights do not fit these units, is unknown.

use super::super::between::power;
use super::super::threshold::{least_on_simplex, ordered, unordered};
use super::super::{Search, with_group};
use super::{Lane, Lanes, Results, any};
use crate::formula::rule::{Purpose, Rule};
use crate::formula::{Coefficients, Formula};
use crate::numeric::arithmetic::quotient;
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::element::Dtype;
use crate::numeric::fixed::{FINE, exponent};

/// The exponents of bounds whose units, and sums of them, are ordinary `f32`s.
const ORDINARY: std::ops::RangeInclusive<i32> = -60..=60;
/// The largest exponent of a weight that a threshold is counted down from, and the largest gap between it and the
/// bound's.
const HIGHEST_TOP: i32 = 125;
const WIDEST_GAP: i32 = 30;
/// How many of Michelot's steps are made, and how often thresholds are raised. Few groups need more.
const STEPS: u32 = 16;
const ATTEMPTS: u32 = 8;

#[inline(always)]
pub(super) fn find<F: Formula, const W: usize>(
    group: Lanes<'_, W>,
    search: &Search<'_>,
    amounts: &mut [Lane<u32, W>],
    mut found: Results<'_, W>,
) {
    let &Search { rule, purpose, c, .. } = search;
    let simplex = rule == Rule::Simplex;
    let top = if simplex {
        let greatest = group.fold(
            [0; W],
            #[inline(always)]
            |_, max: u32, b| max.max(ordered(b)),
        );
        greatest.map(unordered)
    } else {
        group.largest()
    };
    match (rule, purpose) {
        (Rule::Clamp, Purpose::Value) => return found.set_shares(top.map(f32::from_bits)),
        (Rule::Clamp, Purpose::Gradient) => {
            let ties = group.count(
                #[inline(always)]
                |l, b| b & MAGNITUDE == top[l],
            );
            *found.unknown = [false; W];
            for l in 0..W {
                found.coefficients[0][l] = f32::from_bits(top[l]);
                found.coefficients[1][l] = quotient(c[0], ties[l].max(1) as f32);
            }
            return;
        }
        _ => {}
    }
    let bound = search.bound();
    if !ORDINARY.contains(&bound.log2()) {
        *found.unknown = [true; W];
        return;
    }
    let units = Units::of(bound.log2() + 2, |places| bound.in_units(1, places) as u64);
    let e = units.e;
    // What amounts are counted from: 0, or a largest weight that is far above the bound.
    let mut from_top = [false; W];
    let mut base = [0.0; W];
    let mut beyond = [false; W];
    for l in 0..W {
        let of_top = exponent(top[l]);
        from_top[l] = (top[l] & MAGNITUDE != 0) & (of_top > e);
        base[l] = if from_top[l] { f32::from_bits(top[l]) } else { 0.0 };
        beyond[l] = from_top[l] & ((of_top - e > WIDEST_GAP) | (of_top > HIGHEST_TOP));
    }
    let (mut tiny, mut negative) = ([0u32; W], [0u32; W]);
    let mut all = Sum::<W>::default();
    for (amounts, member) in amounts.iter_mut().zip(group.members) {
        for l in 0..W {
            let b = if simplex { member[l] } else { member[l] & MAGNITUDE };
            let amount = f32::from_bits(b) - base[l];
            amounts[l] = amount.to_bits();
            negative[l] |= b >> 31;
            tiny[l] |= u32::from((b & MAGNITUDE).wrapping_sub(1) < units.smallest - 1);
            all.add(l, units.halves(amount));
        }
    }
    // The rounding of tiny weights, and what a sum on the simplex may lack.
    let rounding = group.size() as f64 * units.unit;
    let lack = if simplex {
        let r = units.bound_in_units;
        (r - least_on_simplex(r.into(), e, group.size(), Dtype::F32) as u64) as f64 * units.unit
    } else {
        f64::INFINITY
    };
    let mut outside = [false; W];
    for l in 0..W {
        let excess = units.excess(&all, l);
        let rounded = excess + if tiny[l] == 0 { 0.0 } else { rounding };
        let inside = !from_top[l] & (negative[l] == 0) & (rounded <= 0.0) & (excess >= -lack);
        outside[l] = from_top[l] | (negative[l] != 0) | (excess > 0.0) | (rounded < -lack);
        found.unknown[l] = beyond[l] | !(inside | outside[l]);
        outside[l] &= !found.unknown[l];
        (found.share[l], found.exponent[l]) = (if outside[l] { 1.0 } else { 0.0 }, 0);
        (found.coefficients[0][l], found.coefficients[1][l]) = (0.0, 0.0);
    }
    if purpose == Purpose::Value {
        return;
    }
    if !any(&outside) {
        return;
    }
    let mut guess = [0.0; W];
    for l in 0..W {
        // The threshold is at most the bound below the largest weight.
        let least = f32::from_bits(top[l]) - base[l] - units.bound_float;
        let of_all = (units.excess(&all, l) / group.size() as f64) as f32;
        guess[l] = if !from_top[l] & (of_all > least) { of_all } else { least };
    }
    steps(amounts, &mut guess, units.bound_float);
    let Level { mut first, mut rest, known } = Level::of(amounts, &guess, &base, &units);
    for l in 0..W {
        let exact = from_top[l] | (tiny[l] == 0) | (first[l].to_bits() as i32 >= units.smallest as i32);
        found.unknown[l] |= outside[l] & !(known[l] & exact);
    }
    if rule != Rule::Clamp {
        let mut left: Lane<bool, W> = std::array::from_fn(|l| outside[l] & !found.unknown[l]);
        let mut attempt = 0;
        while attempt < ATTEMPTS && any(&left) {
            raise::<F, W>((group, c), (&mut first, &mut rest), &mut left, (&units, attempt), found.unknown);
            // What is counted from 0 stays below the highest weight.
            for (l, left) in left.iter_mut().enumerate() {
                found.unknown[l] |= *left & !(from_top[l] | (first[l].abs() <= units.highest));
                *left &= !found.unknown[l];
            }
            attempt += 1;
        }
        for (unknown, left) in found.unknown.iter_mut().zip(left) {
            *unknown |= left;
        }
    }
    for l in 0..W {
        let keep = if outside[l] { u32::MAX } else { 0 };
        found.coefficients[0][l] = f32::from_bits(first[l].to_bits() & keep);
        found.coefficients[1][l] = f32::from_bits((rest[l] as f32).to_bits() & keep);
    }
}

/// Raises the thresholds of the lanes that are left, if the sums of their stored weights exceed the bound. The others are
/// no longer left.
#[inline(always)]
fn raise<F: Formula, const W: usize>(
    (group, c): (Lanes<'_, W>, &Coefficients),
    (first, rest): (&mut Lane<f32, W>, &mut Lane<f64, W>),
    left: &mut Lane<bool, W>,
    (units, attempt): (&Units, u32),
    unknown: &mut Lane<bool, W>,
) {
    let (mut total, mut count, mut tiny) = (Sum::<W>::default(), [0u32; W], [0u32; W]);
    let mut second = [0.0; W];
    for l in 0..W {
        second[l] = rest[l] as f32;
    }
    for member in group.members {
        let mut stored = [0.0; W];
        for l in 0..W {
            stored[l] = F::prox(f32::from_bits(member[l]), &with_group(c, [first[l], second[l]])).abs();
            tiny[l] |= u32::from(stored[l].to_bits().wrapping_sub(1) < units.smallest - 1);
            count[l] = count[l].wrapping_add(u32::from(stored[l] > 0.0));
        }
        for (l, stored) in stored.iter().enumerate() {
            total.add(l, units.halves(*stored));
        }
    }
    let mut steps = [0.0; W];
    let times = f64::from(1 << attempt);
    for l in 0..W {
        let excess = units.excess(&total, l);
        let step = units.up(excess / f64::from(count[l].max(1)));
        let step = if step > units.unit { step } else { units.unit };
        steps[l] = if excess > 0.0 { step * times } else { 0.0 };
        let certain = (tiny[l] == 0) & (excess < units.most);
        unknown[l] |= left[l] & !certain;
        left[l] &= certain & (excess > 0.0);
    }
    for l in 0..W {
        let split = split(f64::from(first[l]), rest[l] + steps[l]);
        (first[l], rest[l]) = (split.first, split.rest);
        unknown[l] |= left[l] & !split.known;
        left[l] &= split.known;
    }
}

/// Sums over the lanes in two parts: one in multiples of 2^28 units, the other less. Both are exact.
struct Sum<const W: usize> {
    high: Lane<f64, W>,
    low: Lane<f64, W>,
}

impl<const W: usize> Default for Sum<W> {
    #[inline(always)]
    fn default() -> Sum<W> {
        Sum { high: [0.0; W], low: [0.0; W] }
    }
}

impl<const W: usize> Sum<W> {
    #[inline(always)]
    fn add(&mut self, l: usize, [high, low]: [f64; 2]) {
        self.high[l] += high;
        self.low[l] += low;
    }
}

/// The units 2^(e − 55) as floats.
struct Units {
    e: i32,
    unit: f64,
    /// Numbers that round what they are added to, to units or to 2^28 of them.
    fine: f64,
    coarse: f64,
    /// The bits of the smallest weight that is certainly a whole number of units.
    smallest: u32,
    bound_in_units: u64,
    bound: [f64; 2],
    bound_float: f32,
    /// An excess below this is exact, and so is its quotient rounded up.
    most: f64,
    /// No threshold that is counted from 0 is higher.
    highest: f32,
}

impl Units {
    fn of(e: i32, bound: impl Fn(i32) -> u64) -> Units {
        let unit = power(e - FINE);
        let r = bound(FINE - e);
        let bound = [(r >> 28 << 28) as f64 * unit, (r & ((1 << 28) - 1)) as f64 * unit];
        Units {
            e,
            unit,
            fine: 1.5 * power(52 + e - FINE),
            coarse: 1.5 * power(80 + e - FINE),
            smallest: ((127 + e - FINE + 23) as u32) << 23,
            bound_in_units: r,
            bound,
            bound_float: (bound[0] + bound[1]) as f32,
            most: power(46 + e - FINE),
            highest: power(e + 1) as f32,
        }
    }

    #[inline(always)]
    fn halves(&self, x: f32) -> [f64; 2] {
        let x = f64::from(x);
        let high = (x + self.coarse) - self.coarse;
        [high, x - high]
    }

    /// What a sum exceeds the bound by; rounded if that is much.
    #[inline(always)]
    fn excess<const W: usize>(&self, sum: &Sum<W>, l: usize) -> f64 {
        (sum.high[l] - self.bound[0]) + (sum.low[l] - self.bound[1])
    }

    /// Rounds up to a whole number of units.
    #[inline(always)]
    fn up(&self, x: f64) -> f64 {
        let near = (x + self.fine) - self.fine;
        if near < x { near + self.unit } else { near }
    }
}

/// Michelot's steps in `f32`, from levels that are hardly too high.
#[inline(always)]
fn steps<const W: usize>(amounts: &[Lane<u32, W>], level: &mut Lane<f32, W>, bound: f32) {
    for _ in 0..STEPS {
        let (mut total, mut count) = ([0.0; W], [0.0; W]);
        for amounts in amounts {
            for l in 0..W {
                let amount = f32::from_bits(amounts[l]);
                let above = amount > level[l];
                total[l] += if above { amount } else { 0.0 };
                count[l] += if above { 1.0 } else { 0.0 };
            }
        }
        let mut rises = 0;
        for l in 0..W {
            let next = (total[l] - bound) / count[l];
            let higher = next > level[l];
            level[l] = if higher { next } else { level[l] };
            rises |= u32::from(higher);
        }
        if rises == 0 {
            break;
        }
    }
}

/// Levels as the sums of two numbers: the nearest `f32`, and the rest in whole units.
struct Level<const W: usize> {
    first: Lane<f32, W>,
    rest: Lane<f64, W>,
    known: Lane<bool, W>,
}

impl<const W: usize> Level<W> {
    /// The smallest levels at which the amounts above them sum to the bound, if the same amounts are above the guess.
    #[inline(always)]
    fn of(amounts: &[Lane<u32, W>], guess: &Lane<f32, W>, base: &Lane<f32, W>, units: &Units) -> Level<W> {
        let (mut sum, mut count) = (Sum::<W>::default(), [0.0; W]);
        for amounts in amounts {
            for l in 0..W {
                let amount = f32::from_bits(amounts[l]);
                let above = amount > guess[l];
                sum.add(l, units.halves(if above { amount } else { 0.0 }));
                count[l] += if above { 1.0 } else { 0.0 };
            }
        }
        let mut level = Level { first: [0.0; W], rest: [0.0; W], known: [false; W] };
        let mut relative = [0.0; W];
        for l in 0..W {
            let base = f64::from(base[l]);
            let count: f64 = count[l];
            let first = (base + units.excess(&sum, l) / count) as f32;
            relative[l] = (f64::from(first) - base) as f32;
            // Exact: the multiple takes away all but the last places.
            let left = (sum.high[l] - units.bound[0] - count * f64::from(relative[l])) + (sum.low[l] - units.bound[1]);
            let rest = units.up(left / count);
            (level.first[l], level.rest[l]) = (first, rest);
            let whole = (first == 0.0) | (first.abs() >= units.unit as f32 * (1 << 24) as f32);
            level.known[l] = whole & (left.abs() < units.most) & (split(f64::from(first), rest).first == first);
        }
        // Among `f32`s, only the first number itself can lie between itself and the level.
        let (mut above, mut not_below) = ([0.0; W], [0.0; W]);
        for amounts in amounts {
            for l in 0..W {
                let amount = f32::from_bits(amounts[l]);
                above[l] += if amount > relative[l] { 1.0 } else { 0.0 };
                not_below[l] += if amount >= relative[l] { 1.0 } else { 0.0 };
            }
        }
        for l in 0..W {
            let most = if level.rest[l] > 0.0 { above[l] } else { not_below[l] };
            let least = if level.rest[l] < 0.0 { not_below[l] } else { above[l] };
            level.known[l] &= (least <= count[l]) & (count[l] <= most);
        }
        level
    }
}

/// A number as the nearest `f32` and the rest.
struct Split {
    first: f32,
    rest: f64,
    /// Whether the first is certainly the nearest one.
    known: bool,
}

/// Of the sum of an `f32` and a smaller number.
#[inline(always)]
fn split(first: f64, rest: f64) -> Split {
    let sum = first + rest;
    let nearest = sum as f32;
    // If the sum is not exact, a little more of the rest must lead to the same float.
    let exact = sum - first == rest;
    let known = exact | ((first + rest * (1.0 + 1.0 / (1 << 20) as f64)) as f32 == nearest);
    Split { first: nearest, rest: rest - (f64::from(nearest) - first), known }
}
