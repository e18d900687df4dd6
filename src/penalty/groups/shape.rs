//! The kinds of groups: what errors call them, and their hashes.

use std::fmt;
use std::sync::Arc;

use super::lists::Lists;
use crate::numeric::hash::fnv1a_of;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Whole,
    Runs(u64),
    Rows(u64),
    Columns(u64),
    Tiles { columns: u64, height: u64, width: u64 },
    Lists(Arc<Lists>),
}

impl Shape {
    /// A hash of the kind and its sides. The numbers here must never change, since partials are stored.
    pub(super) fn hash(&self) -> u64 {
        match self {
            Shape::Whole => fnv1a_of([0]),
            Shape::Runs(len) => fnv1a_of([1, *len]),
            Shape::Rows(columns) => fnv1a_of([2, *columns]),
            Shape::Columns(columns) => fnv1a_of([3, *columns]),
            Shape::Tiles { columns, height, width } => fnv1a_of([4, *columns, *height, *width]),
            Shape::Lists(lists) => lists.hash,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Whole => write!(f, "a group of all"),
            Shape::Runs(len) => write!(f, "groups of runs of {len}"),
            Shape::Rows(columns) => write!(f, "groups of rows of {columns}"),
            Shape::Columns(columns) => write!(f, "groups of columns, {columns} of them,"),
            Shape::Tiles { columns, height, width } => {
                write!(f, "groups of tiles of {height}x{width} in {columns} columns")
            }
            Shape::Lists(lists) => write!(f, "{} lists of indices", lists.count()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Groups, Result};

    /// Hashes are part of serialized partials.
    #[test]
    fn hashes_stay_as_they_are() -> Result<()> {
        let all = [
            (Groups::whole(), 0xa8c7_f832_281a_39c5),
            (Groups::runs(4)?, 0xbd36_edcd_222d_23a0),
            (Groups::rows(4)?, 0xaa31_2f25_5b6c_6c63),
            (Groups::columns(4)?, 0x5b33_195d_4857_5422),
            (Groups::tiles(6, 2, 3)?, 0x600b_d7bd_16f2_8b86),
            (Groups::lists(&[[3, 0], [1, 2]])?, 0xc576_4864_a301_7022),
            (Groups::lists::<[u64; 0]>(&[])?, 0xfd29_b2d1_0195_eb20),
        ];
        let found: Vec<u64> = all.iter().map(|(groups, _)| groups.hash()).collect();
        assert_eq!(found, all.map(|(_, hash)| hash));
        // Each list is sorted, so the order of its indices does not matter. The order of the lists does.
        assert_eq!(Groups::lists(&[[0, 3], [2, 1]])?.hash(), Groups::lists(&[[3, 0], [1, 2]])?.hash());
        assert_ne!(Groups::lists(&[[1, 2], [0, 3]])?.hash(), Groups::lists(&[[3, 0], [1, 2]])?.hash());
        Ok(())
    }
}
