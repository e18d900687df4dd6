//! A group of which this rank has no weights at hand: its part is on a device, or empty.

use super::find::Find;
use super::{Found, Group, Members, Search, Weights};
use crate::numeric::element::Dtype;
use crate::numeric::simd::InstructionSet;
use crate::transport::Across;

/// The weights of a part that has none, or whose sums are taken [elsewhere](crate::transport::Elsewhere).
struct NotHere;

impl Weights for NotHere {
    fn len(&self) -> usize {
        0
    }

    fn bits(&self, _first: usize, _len: usize) -> Option<&[u32]> {
        None
    }

    fn clean(&self, _first: usize, _bits: &mut [u32]) {}
}

/// The reduction of a group of which this rank has no weights at hand.
pub(crate) fn find_not_here(find: Find, search: &Search<'_>, dtype: Dtype, across: &Across<'_>) -> Found {
    let group = Group { members: Members::Shard(&NotHere, across), dtype, set: InstructionSet::Baseline };
    (find.one)(&group, search)
}
