//! The largest weights of each lane's group.

use super::super::Search;
use super::{Lane, Lanes, Results};
use crate::formula::rule::Purpose;
use crate::numeric::bits::MAGNITUDE;

#[inline(always)]
pub(super) fn find<const W: usize>(
    group: Lanes<'_, W>,
    search: &Search<'_>,
    spare: &mut [Lane<u32, W>],
    mut found: Results<'_, W>,
) {
    let kept = search.bound().in_units(1, 0);
    if search.purpose == Purpose::Value {
        let nonzero = group.count(
            #[inline(always)]
            |_, b| b & MAGNITUDE != 0,
        );
        return found.set_shares(nonzero.map(|nonzero| if u128::from(nonzero) > kept { 1.0 } else { 0.0 }));
    }
    let [smallest, last] = found.coefficients;
    *found.unknown = [false; W];
    if kept == 0 {
        (*smallest, *last) = ([f32::INFINITY; W], [0.0; W]);
    } else if kept >= group.size() as u128 {
        (*smallest, *last) = ([0.0; W], [f32::from_bits(u32::MAX); W]);
    } else {
        sorted(group, kept as u32, spare, [smallest, last]);
    }
}

/// By Batcher's odd-even merge sort, whose comparisons do not depend on the weights. Absent members are the smallest.
#[inline(always)]
fn sorted<const W: usize>(
    group: Lanes<'_, W>,
    kept: u32,
    rows: &mut [Lane<u32, W>],
    [smallest, last]: [&mut Lane<f32, W>; 2],
) {
    for (row, member) in rows.iter_mut().zip(group.members) {
        for l in 0..W {
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
                        sort_two(&mut before[near], &mut after[0]);
                    }
                }
            }
            apart /= 2;
        }
        run *= 2;
    }
    let tied = &rows[kept as usize - 1];
    let above = group.count(
        #[inline(always)]
        |l, b| b & MAGNITUDE > tied[l],
    );
    let mut before = above;
    for (m, member) in (0..).zip(group.members) {
        for l in 0..W {
            let is = member[l] & MAGNITUDE == tied[l];
            last[l] = f32::from_bits(if is & (before[l] < kept) { m } else { last[l].to_bits() });
            before[l] = before[l].wrapping_add(u32::from(is));
        }
    }
    for l in 0..W {
        smallest[l] = f32::from_bits(tied[l]);
    }
}

/// Puts the larger of each two in front.
#[inline(always)]
fn sort_two<const W: usize>(a: &mut Lane<u32, W>, b: &mut Lane<u32, W>) {
    for l in 0..W {
        (a[l], b[l]) = (a[l].max(b[l]), a[l].min(b[l]));
    }
}
