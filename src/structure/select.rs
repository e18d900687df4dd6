//! The largest weights of a group: as many as the amount says, of equal ones those with the lower index.
//!
//! Twin of `shaders/structure/select.wgsl`.

use super::{Found, Group, Purpose};
use crate::elementwise::{INFINITY, MAGNITUDE};
use crate::fixed::Amount;
use crate::formula::Numbers;

/// On a device: how many reach a magnitude, then how many of one are before an index, for two bits at a time of each.
pub(super) fn sums(purpose: Purpose) -> [u32; 2] {
    if purpose == Purpose::Value { [1, 1] } else { [33, 33] }
}

/// The smallest magnitude that is kept, and the last member of that magnitude that is.
pub(super) fn find(group: &Group<'_>, purpose: Purpose, c: &Numbers, value: [u32; 3]) -> Found {
    let words = if purpose == Purpose::Value { value } else { [c[2], c[3], c[4]].map(f32::to_bits) };
    let kept = Amount::from_words(words).in_units(1, 0);
    if purpose == Purpose::Value {
        let nonzero = group.sum(
            #[inline(always)]
            |b| u64::from(b & MAGNITUDE != 0),
        );
        return Found { share: if nonzero.total > kept { 1.0 } else { 0.0 }, ..Found::default() };
    }
    let found = |smallest: u32, last: u32| Found { numbers: [smallest, last].map(f32::from_bits), ..Found::default() };
    if kept == 0 {
        return found(INFINITY, 0);
    }
    if kept >= group.bits.len() as u128 {
        return found(0, u32::MAX);
    }
    let key = |(member, b): (usize, &u32)| u64::from(b & MAGNITUDE) << 32 | u64::from(!(member as u32));
    let mut keys: Vec<u64> = group.bits.iter().enumerate().map(key).collect();
    let at = keys.len() - kept as usize;
    let (_, last, _) = keys.select_nth_unstable(at);
    found((*last >> 32) as u32, !(*last as u32))
}
