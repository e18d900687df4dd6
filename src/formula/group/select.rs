//! The largest weights of a group: the bound says how many. Among equal ones, the lower index wins.
//!
//! Twin of `shaders/formula/group/select.wgsl`.

mod bracket;
pub(super) mod floats;

use rayon::prelude::*;

use super::{Found, Group, Members, PARALLEL, Search};
use crate::formula::rule::Purpose;
use crate::numeric::bits::{INFINITY, MAGNITUDE};
use crate::numeric::wgsl::Constant;

/// Up to this many weights, each is compared with every other.
const FEW: usize = 16;

/// The constants of the WGSL twin.
pub(crate) const CONSTANTS: &[Constant] = &[Constant::U32("FEW", FEW as u32)];
/// How many bits of the magnitudes are counted at a time, and how many bits lie below each such digit.
const DIGIT: u32 = 11;
const DIGITS: [u32; 3] = [22, 11, 0];

/// Finds the smallest magnitude that is kept, and the last member with that magnitude that is kept.
pub(super) fn find(group: &Group<'_>, search: &Search<'_>) -> Found {
    let kept = search.bound().in_units(1, 0);
    if search.purpose == Purpose::Value {
        let nonzero = if group.is_in_place() {
            bracket::nonzero(group) as u128
        } else {
            let nonzero = group.sum(
                #[inline(always)]
                |b| u64::from(b & MAGNITUDE != 0),
            );
            nonzero.total
        };
        return Found { share: if nonzero > kept { 1.0 } else { 0.0 }, ..Found::default() };
    }
    if let Some(found) = given(kept, group.whole_len()) {
        return found;
    }
    let kept = kept as usize;
    let (smallest, last) = match group.members {
        Members::Gathered(bits) if bits.len() <= FEW => ranked(bits, kept),
        Members::Gathered(bits) if bits.len() < PARALLEL => sorted(bits, kept),
        Members::Gathered(_) | Members::Shard(..) => counted(group, kept),
        Members::Large(_) => bracket::find(group, kept).unwrap_or_else(|| counted(group, kept)),
    };
    Found::kept(smallest, last)
}

/// The result if none or all of the weights are kept.
fn given(kept: u128, len: usize) -> Option<Found> {
    match kept {
        0 => Some(Found::kept(INFINITY, 0)),
        _ if kept >= len as u128 => Some(Found::kept(0, u32::MAX)),
        _ => None,
    }
}

impl Found {
    /// Keeps magnitudes from the smallest one on, and that one up to the last member.
    fn kept(smallest: u32, last: u32) -> Found {
        Found { coefficients: [smallest, last].map(f32::from_bits), ..Found::default() }
    }
}

/// By comparing each weight with every other.
fn ranked(bits: &[u32], kept: usize) -> (u32, u32) {
    let before = |b: u32, i: usize, member: usize, of: u32| b > of || (b == of && i <= member);
    let rank = |member: usize| {
        let of = bits[member] & MAGNITUDE;
        bits.iter().enumerate().filter(|&(i, b)| before(b & MAGNITUDE, i, member, of)).count()
    };
    let member = (0..bits.len()).find(|&member| rank(member) == kept).unwrap_or(0);
    (bits[member] & MAGNITUDE, member as u32)
}

/// By a partial sort.
fn sorted(bits: &[u32], kept: usize) -> (u32, u32) {
    let key = |(member, b): (usize, &u32)| u64::from(b & MAGNITUDE) << 32 | u64::from(!(member as u32));
    let mut keys: Vec<u64> = bits.iter().enumerate().map(key).collect();
    let at = keys.len() - kept;
    let (_, last, _) = keys.select_nth_unstable(at);
    ((*last >> 32) as u32, !(*last as u32))
}

/// By counting digits of the magnitudes, from the highest digit on.
fn counted(group: &Group<'_>, kept: usize) -> (u32, u32) {
    let (mut smallest, mut missing) = (0u32, kept as u64);
    for shift in DIGITS {
        let above = shift + DIGIT;
        let nothing = || vec![0u64; 1 << DIGIT];
        let count = |mut counts: Vec<u64>, chunk| {
            group.chunk(chunk, |_, bits| {
                for magnitude in bits.iter().map(|b| b & MAGNITUDE) {
                    if magnitude.checked_shr(above) == smallest.checked_shr(above) {
                        counts[(magnitude >> shift) as usize & ((1 << DIGIT) - 1)] += 1;
                    }
                }
            });
            counts
        };
        let add = |a: Vec<u64>, b: Vec<u64>| a.iter().zip(b).map(|(a, b)| a + b).collect();
        let mut counts = group.chunk_numbers().fold(nothing, count).reduce(nothing, add);
        group.counts_of_ranks(&mut counts);
        let mut digit = counts.len() - 1;
        while digit > 0 && counts[digit] < missing {
            missing -= counts[digit];
            digit -= 1;
        }
        smallest |= (digit as u32) << shift;
    }
    let ties: Vec<usize> = group.chunks(|_, bits| bits.iter().filter(|b| *b & MAGNITUDE == smallest).count()).collect();
    match missing.saturating_sub(group.before(ties.iter().sum::<usize>() as u64)) {
        // All that are kept lie on earlier ranks.
        0 => (smallest + 1, u32::MAX),
        missing => (smallest, last_tie(group, smallest, ties.into_iter(), missing as usize)),
    }
}

/// The last of so many members with a magnitude, from how many each chunk has.
fn last_tie(group: &Group<'_>, magnitude: u32, ties: impl Iterator<Item = usize>, mut missing: usize) -> u32 {
    for (chunk, ties) in ties.enumerate() {
        if missing <= ties {
            return group.chunk(chunk, |first, bits| {
                let mut ties = (first..).zip(bits).filter(|(_, b)| *b & MAGNITUDE == magnitude);
                ties.nth(missing - 1).map_or(first, |(member, _)| member)
            }) as u32;
        }
        missing -= ties;
    }
    u32::MAX
}
