//! The largest weights of each lane's group.

use super::super::Search;
use super::{AT_ONCE, FoundLanes, LANES, Lane, Lanes};
use crate::formula::rule::Purpose;
use crate::numeric::bits::{INFINITY, MAGNITUDE};

#[inline(always)]
pub(super) fn find(group: Lanes<'_>, search: &Search<'_>, spare: &mut [[Lane<u32>; AT_ONCE]]) -> FoundLanes {
    let kept = search.bound().in_units(1, 0);
    if search.purpose == Purpose::Value {
        let nonzero = group.count(|_, b| b & MAGNITUDE != 0);
        return FoundLanes::of_shares(group.each(|l| if u128::from(nonzero[l]) > kept { 1.0 } else { 0.0 }));
    }
    let (smallest, last) = if kept == 0 {
        ([INFINITY; LANES], [0; LANES])
    } else if kept >= group.size as u128 {
        ([0; LANES], [u32::MAX; LANES])
    } else {
        sorted(group, kept as u32, spare)
    };
    FoundLanes::of_coefficients([smallest, last].map(|bits| group.each(|l| f32::from_bits(bits[l]))))
}

/// By Batcher's odd-even merge sort, whose comparisons do not depend on the weights. Absent members are the smallest.
#[inline(always)]
fn sorted(group: Lanes<'_>, kept: u32, spare: &mut [[Lane<u32>; AT_ONCE]]) -> (Lane<u32>, Lane<u32>) {
    let rows = spare.as_flattened_mut();
    for (row, member) in rows.iter_mut().zip(group.members.as_flattened()) {
        for l in 0..group.used.min(LANES) {
            row[l] = member[l] & MAGNITUDE;
        }
    }
    let (len, mut run) = (rows.len(), 1);
    while run < len {
        let mut apart = run;
        while apart > 0 {
            for start in (apart % run..len - apart.min(len)).step_by(2 * apart) {
                for near in start..(start + apart).min(len - apart) {
                    if near / (2 * run) == (near + apart) / (2 * run) {
                        let (before, after) = rows.split_at_mut(near + apart);
                        sort_two(group, &mut before[near], &mut after[0]);
                    }
                }
            }
            apart /= 2;
        }
        run *= 2;
    }
    let smallest = rows[kept as usize - 1];
    let above = group.fold([0; LANES], |l, _, count: u32, b| {
        count.wrapping_add(u32::from((b & MAGNITUDE) as i32 > smallest[l] as i32))
    });
    let [last, _] = group.fold_two([[0; LANES], above], |l, m, [last, kept_before]: [u32; 2], b| {
        let tied = b & MAGNITUDE == smallest[l];
        let is = tied & (kept_before < kept);
        [if is { m as u32 } else { last }, kept_before.wrapping_add(u32::from(tied))]
    });
    (smallest, last)
}

/// Puts the larger of each two in front.
#[inline(always)]
fn sort_two(group: Lanes<'_>, a: &mut Lane<u32>, b: &mut Lane<u32>) {
    for l in 0..group.used.min(LANES) {
        (a[l], b[l]) = (a[l].max(b[l]), a[l].min(b[l]));
    }
}
