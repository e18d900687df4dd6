//! A group whose weights several ranks hold: what each has found is added up.
//!
//! Whatever decides how a reduction goes on is a sum, a count or a maximum of all ranks. So all ranks take the same path,
//! and make the same calls. Nothing here is done by samples or floats, which would be those of one rank.

use super::find::Find;
use super::{Found, Group, Members, PartialSum, Search, Weights};
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

impl Group<'_> {
    fn across(&self) -> Option<&Across<'_>> {
        match self.members {
            Members::Shard(_, across) => Some(across),
            Members::Gathered(_) | Members::Large(_) => None,
        }
    }

    /// The number of weights on all ranks.
    pub(super) fn whole_len(&self) -> usize {
        self.across().map_or_else(|| self.len(), |across| across.len as usize)
    }

    pub(super) fn max_of_ranks(&self, here: u32) -> u32 {
        self.across().map_or(here, |across| across.max(here))
    }

    pub(super) fn sum_of_ranks(&self, here: PartialSum) -> PartialSum {
        let Some(across) = self.across() else { return here };
        let (total, count) = across.sum_wide(here.total, here.count);
        PartialSum { total, count }
    }

    pub(super) fn total_of_ranks(&self, here: u128) -> u128 {
        self.across().map_or(here, |across| across.sum_wide(here, 0).0)
    }

    pub(super) fn counts_of_ranks(&self, counts: &mut [u64]) {
        if let Some(across) = self.across() {
            across.sum(counts);
        }
    }

    /// How many of the weights that each rank counts lie on earlier ranks.
    pub(super) fn before(&self, here: u64) -> u64 {
        self.across().map_or(0, |across| across.each(here)[..across.transport.rank()].iter().sum())
    }
}
