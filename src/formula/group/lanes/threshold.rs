//! The threshold at which each lane's group meets a bound. `src/formula/group/threshold.rs` explains it.
//!
//! All units are 2^(e − 55) with the same e, as the bound gives it. Groups that are counted from the top differ in what
//! BIAS stands for.

use super::super::Search;
use super::super::threshold::{
    BIAS, HIGHEST, STEPS, counted_from_top, counted_from_zero, least_on_simplex, ordered, over, unordered,
};
use super::wide::{divided, integer, nearest, nearest_cut};
use super::{AT_ONCE, FoundLanes, LANES, Lane, Lanes, Left, any, stored_in};
use crate::formula::Formula;
use crate::formula::rule::{Purpose, Rule};
use crate::numeric::arithmetic::quotient;
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::element::Dtype;
use crate::numeric::fixed::{FINE, exponent, fine, scaled};

/// The exponents of bounds whose thresholds are far below the largest `f32`.
const ORDINARY: std::ops::RangeInclusive<i32> = -300..=64;
/// The largest exponent of a weight that a threshold is counted down from, and the largest gap between it and the
/// bound's.
const HIGHEST_TOP: i32 = 125;
const WIDEST_GAP: i32 = 30;
/// How often thresholds are raised together. Few groups need more.
const ATTEMPTS: u32 = 6;

#[inline(always)]
pub(super) fn find<F: Formula>(
    group: Lanes<'_>,
    search: &Search<'_>,
    units: &mut [[Lane<u64>; AT_ONCE]],
    spare: &mut [[Lane<u32>; AT_ONCE]],
) -> FoundLanes {
    let &Search { rule, purpose, c, .. } = search;
    let simplex = rule == Rule::Simplex;
    let top = if simplex {
        let greatest = group.fold([0; LANES], |_, _, max: u32, b| max.max(ordered(b)));
        group.each(|l| unordered(greatest[l]))
    } else {
        group.largest()
    };
    match (rule, purpose) {
        (Rule::Clamp, Purpose::Value) => return FoundLanes::of_shares(group.each(|l| f32::from_bits(top[l]))),
        (Rule::Clamp, Purpose::Gradient) => {
            let ties = group.count(|l, b| b & MAGNITUDE == top[l]);
            let slope = group.each(|l| quotient(c[0], ties[l].max(1) as f32));
            return FoundLanes::of_coefficients([group.each(|l| f32::from_bits(top[l])), slope]);
        }
        _ => {}
    }
    let bound = search.bound();
    if !ORDINARY.contains(&bound.log2()) {
        return FoundLanes { unknown: [true; LANES], ..FoundLanes::NONE };
    }
    let e = bound.log2() + 2;
    // Below 2^54, as e suits the bound.
    let r = bound.in_units(1, FINE - e) as u64;
    let gap = group.each(|l| exponent(top[l]) - e);
    let from_top = group.each(|l| (top[l] & MAGNITUDE != 0) & (gap[l] > 0));
    let beyond = group.each(|l| from_top[l] & ((gap[l] > WIDEST_GAP) | (exponent(top[l]) > HIGHEST_TOP)));
    let any_from_top = any(&from_top);
    // Units of absent members are 0: no level is below them.
    units.as_flattened_mut().iter_mut().skip(group.size).for_each(|units| *units = [0; LANES]);
    let members = group.members.as_flattened().iter().take(group.size);
    for (units, member) in units.as_flattened_mut().iter_mut().zip(members) {
        *units = group.each(|l| counted_from_zero(member[l], e, simplex));
        if any_from_top {
            let counted = group.each(|l| counted_from_top(member[l], top[l], e, simplex));
            *units = group.each(|l| if from_top[l] { counted[l] } else { units[l] });
        }
    }
    let all = above(group, units, &[0; LANES]);
    let negative = group.count(|_, b| simplex & (b > MAGNITUDE));
    let least = if simplex { least_on_simplex(r.into(), e, group.size, Dtype::F32) as u64 } else { 0 };
    let inside = group.each(|l| {
        let total = all.total[l].saturating_sub(all.count[l].wrapping_mul(BIAS));
        !from_top[l] & (negative[l] == 0) & (least <= total) & (total <= r)
    });
    if purpose == Purpose::Value {
        return FoundLanes::of_shares(group.each(|l| if inside[l] { 0.0 } else { 1.0 }));
    }
    let mut level = level(group, units, all, r);
    let mut found = FoundLanes { unknown: beyond, ..FoundLanes::NONE };
    let (mut top, mut from_top) = (top, from_top);
    let mut left = Left::of(group, group.each(|l| !inside[l] & !beyond[l]), spare);
    let loses = c[0] != 0.0;
    for attempt in 0..ATTEMPTS {
        let any = left.pack(|to, from| {
            (level[to], top[to], from_top[to]) = (level[from], top[from], from_top[from]);
        });
        if !any {
            return found;
        }
        let group = left.lanes();
        let mut floats = from_zero(group, &level, e);
        if any_from_top {
            let of_top = down_from(group, &level, &top, e);
            floats = [0, 1].map(|i| group.each(|l| if from_top[l] { of_top[i][l] } else { floats[i][l] }));
        }
        if rule == Rule::Clamp {
            left.set(&mut found, &floats, &[true; LANES]);
            return found;
        }
        if loses {
            floats[1] = group.each(|l| f32::from_bits(floats[1][l].to_bits() & !1 | u32::from(attempt > 0)));
        }
        let [first, second] = &floats;
        let [total, count] = group.fold_two([[0; LANES]; 2], |l, _, [total, count]: [u64; 2], b| {
            let x = fine(stored_in::<F>(b, c, [first[l], second[l]]), e);
            [total.wrapping_add(x), count.wrapping_add(u64::from(x > 0))]
        });
        if !(loses && attempt == 0) {
            level = group.each(|l| {
                let step = divided(total[l].saturating_sub(r), count[l].max(1)).clamp(1, HIGHEST);
                level[l].wrapping_add(step << attempt).min(HIGHEST)
            });
        }
        let met = group.each(|l| total[l] <= r);
        left.set(&mut found, &floats, &met);
    }
    for l in (0..left.used).filter(|l| left.is[*l]) {
        found.unknown[left.place[l]] = true;
    }
    found
}

/// The sum and the count of the units above a level.
struct Above {
    total: Lane<u64>,
    count: Lane<u64>,
}

#[inline(always)]
fn above(group: Lanes<'_>, units: &[[Lane<u64>; AT_ONCE]], level: &Lane<u64>) -> Above {
    let [mut total, mut count] = [[0u64; LANES]; 2];
    for units in units {
        for l in 0..group.used.min(LANES) {
            for units in units {
                total[l] = total[l].wrapping_add(over(units[l], level[l]));
                count[l] = count[l].wrapping_add(u64::from(units[l] > level[l]));
            }
        }
    }
    Above { total, count }
}

/// The smallest levels with Σ max(units − level, 0) ≤ r. A lane's further steps change nothing.
#[inline(always)]
fn level(group: Lanes<'_>, units: &[[Lane<u64>; AT_ONCE]], all: Above, r: u64) -> Lane<u64> {
    let (mut level, mut sum) = ([0; LANES], all);
    for _ in 0..STEPS {
        level = group.each(|l| divided(sum.total[l].saturating_sub(r), sum.count[l].max(1)).min(HIGHEST).max(level[l]));
        let next = above(group, units, &level);
        let falls = group.each(|l| (next.count[l] != sum.count[l]) & (next.count[l] != 0));
        if !any(&falls) {
            break;
        }
        sum.total = group.each(|l| if falls[l] { next.total[l] } else { sum.total[l] });
        sum.count = group.each(|l| if falls[l] { next.count[l] } else { sum.count[l] });
    }
    level
}

/// Levels that are counted from 0, as the sums of two `f32`s.
#[inline(always)]
fn from_zero(group: Lanes<'_>, level: &Lane<u64>, e: i32) -> [Lane<f32>; 2] {
    let e = e - FINE;
    let size = group.each(|l| level[l].abs_diff(BIAS));
    let first = group.each(|l| nearest(size[l]));
    let second = group.each(|l| {
        let whole = integer(first[l]);
        let rest = scaled(nearest(size[l].abs_diff(whole)), e);
        rest * if size[l] < whole { -1.0 } else { 1.0 }
    });
    signed(group, [group.each(|l| scaled(first[l], e)), second], |l| level[l] < BIAS)
}

/// The same for levels that are counted from the top. They are first cut to units of 2^-26 of the top's last place.
#[inline(always)]
fn down_from(group: Lanes<'_>, level: &Lane<u64>, top: &Lane<u32>, e: i32) -> [Lane<f32>; 2] {
    const CUT: i32 = 26;
    let e = e - FINE;
    let significand = |l: usize| u64::from((top[l] & 0x7f_ffff) | 0x80_0000);
    // The top's last place in units.
    let places = group.each(|l| (exponent(top[l]) - 23 - e).clamp(33, 33 + WIDEST_GAP - 1));
    let negative = group.each(|l| top[l] > MAGNITUDE);
    let below = group.each(|l| BIAS.saturating_sub(level[l]));
    let first = group.each(|l| {
        let shift = (places[l] - CUT) as u32;
        let (whole, rest) = (below[l] >> shift, u64::from(below[l] & ((1 << shift) - 1) != 0));
        let top = significand(l) << CUT;
        let size = if negative[l] { top.wrapping_add(whole) } else { top.wrapping_sub(whole).wrapping_sub(rest) };
        nearest_cut(size | rest)
    });
    let second = group.each(|l| {
        let shift = (places[l] - CUT) as u32;
        let top = significand(l) << places[l];
        let size = if negative[l] { top.wrapping_add(below[l]) } else { top.wrapping_sub(below[l]) };
        let rest = size.wrapping_sub(integer(first[l]) << shift);
        let lower = rest > u64::MAX / 2;
        let rest = scaled(nearest(if lower { rest.wrapping_neg() } else { rest }), e);
        rest * if lower { -1.0 } else { 1.0 }
    });
    signed(group, [group.each(|l| scaled(first[l], e + places[l] - CUT)), second], |l| negative[l])
}

#[inline(always)]
fn signed(group: Lanes<'_>, floats: [Lane<f32>; 2], negative: impl Fn(usize) -> bool) -> [Lane<f32>; 2] {
    floats.map(|float| group.each(|l| if negative(l) { 0.0 - float[l] } else { float[l] }))
}
