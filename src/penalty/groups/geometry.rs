//! Where the weights of a group lie.

use std::sync::Arc;

use super::lists::Lists;

/// Groups of a tensor whose length is known: tiles of a matrix, or lists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Geometry {
    pub(crate) columns: u64,
    pub(crate) height: u64,
    pub(crate) width: u64,
    /// How many groups lie side by side.
    pub(crate) across: u64,
    /// How many groups there are.
    pub(crate) count: u64,
    pub(crate) lists: Option<Arc<Lists>>,
}

impl Geometry {
    /// How many weights a group has.
    pub(crate) fn size(&self, group: u64) -> u64 {
        match &self.lists {
            Some(lists) => u64::from(lists.first[group as usize + 1] - lists.first[group as usize]),
            None => self.height * self.width,
        }
    }

    /// How many weights the largest group has.
    pub(crate) fn largest(&self) -> u64 {
        match &self.lists {
            Some(_) => (0..self.count).map(|group| self.size(group)).max().unwrap_or(0),
            None => self.height * self.width,
        }
    }

    /// How many weights there are.
    pub(crate) fn len(&self) -> u64 {
        self.lists.as_ref().map_or(self.count * self.height * self.width, |lists| lists.members.len() as u64)
    }

    /// Whether groups are consecutive runs of weights of the same length.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.lists.is_none() && (self.height == 1 || self.across == 1)
    }

    /// The index of a group's `member`th weight.
    pub(crate) fn index(&self, group: u64, member: u64) -> u64 {
        match &self.lists {
            Some(lists) => u64::from(lists.members[(u64::from(lists.first[group as usize]) + member) as usize]),
            None => {
                let row = group / self.across * self.height + member / self.width;
                row * self.columns + group % self.across * self.width + member % self.width
            }
        }
    }

    /// The group of the weight at an index, and how many weights from there on are in that group at least.
    pub(crate) fn at(&self, index: u64) -> (u64, u64) {
        match &self.lists {
            Some(lists) => (u64::from(lists.group_of[index as usize]), 1),
            None => {
                let (row, column) = (index / self.columns, index % self.columns);
                let group = row / self.height * self.across + column / self.width;
                let run = self.width - column % self.width;
                // If a tile is as wide as the matrix, the tile's next row follows at once.
                let rows = if self.across == 1 { self.height - 1 - row % self.height } else { 0 };
                (group, run + rows * self.width)
            }
        }
    }
}
