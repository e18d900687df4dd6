//! A group whose weights several ranks hold: what each has found is added up.
//!
//! Whatever decides how a reduction goes on is a sum, a count or a maximum of all ranks. So all ranks take the same path,
//! and make the same calls. Nothing here is done by samples or floats, which would be those of one rank.

use super::{Group, Members, PartialSum};
use crate::transport::Across;

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
