//! The largest weights of each lane's group, or of each four weights.

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

/// For the prox of four weights each: the magnitude from which a weight is kept. Of six comparisons, each weight has won
/// those that count.
#[inline(always)]
pub(crate) fn of_fours(bits: &[u32], kept: u32, from: &mut [f32]) {
    for (bits, from) in bits.as_chunks::<4>().0.iter().zip(from.as_chunks_mut::<4>().0) {
        let [a, b, c, d] = bits.map(|b| b & MAGNITUDE);
        // Of equal weights, the first one is larger.
        let won = |first: u32, second: u32| u32::from(first >= second);
        let (ab, ac, ad, bc, bd, cd) = (won(a, b), won(a, c), won(a, d), won(b, c), won(b, d), won(c, d));
        // How many weights are larger.
        let ranks = [3 - ab - ac - ad, 2 + ab - bc - bd, 1 + ac + bc - cd, ad + bd + cd];
        *from = ranks.map(|rank| if rank < kept { 0.0 } else { f32::INFINITY });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_four_weights_the_largest_are_kept_and_of_equal_ones_the_first() {
        let values = [0.0f32, -0.0, 1.0, -1.0, 2.0];
        let all = (0..5usize.pow(4)).map(|i| [1, 5, 25, 125].map(|place| values[i / place % 5].to_bits()));
        let bits: Vec<u32> = all.flatten().collect();
        for kept in 0..=4 {
            let mut from = vec![0.0; bits.len()];
            of_fours(&bits, kept, &mut from);
            for (bits, from) in bits.as_chunks::<4>().0.iter().zip(from.as_chunks::<4>().0) {
                let mut order = [0, 1, 2, 3];
                order.sort_by_key(|i| std::cmp::Reverse(bits[*i] & MAGNITUDE)); // stable
                for (rank, i) in order.into_iter().enumerate() {
                    assert_eq!(from[i], if rank < kept as usize { 0.0 } else { f32::INFINITY }, "{bits:x?} {kept}");
                }
            }
        }
    }
}
