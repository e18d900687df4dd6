//! The indices of each group.

use super::Groups;
use super::shape::Shape;
use crate::Result;

impl Groups {
    /// After how many weights a tensor of `len` can be cut, again and again, without cutting a group: a row, a run, a row of
    /// tiles, or all weights.
    ///
    /// ```
    /// use penalty::Groups;
    ///
    /// assert_eq!(Groups::rows(3)?.period(12)?, 3);
    /// assert_eq!(Groups::tiles(6, 2, 3)?.period(24)?, 12);
    /// assert_eq!(Groups::columns(3)?.period(12)?, 12);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`](crate::Error::Groups) if the groups do not cover this many weights.
    pub fn period(&self, len: u64) -> Result<u64> {
        self.geometry(len)?;
        Ok(match &self.0 {
            Shape::Whole | Shape::Columns(_) | Shape::Lists(_) => len,
            Shape::Runs(run) | Shape::Rows(run) => *run,
            Shape::Tiles { columns, height, .. } => columns * height,
        })
    }

    /// The indices of each group of a tensor of `len` weights, ascending in each group.
    ///
    /// ```
    /// use penalty::Groups;
    ///
    /// assert_eq!(Groups::columns(2)?.members(6)?, [[0, 2, 4], [1, 3, 5]]);
    /// assert!(Groups::runs(4)?.members(6).is_err());
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`](crate::Error::Groups) if the groups do not cover this many weights.
    pub fn members(&self, len: usize) -> Result<Vec<Vec<usize>>> {
        let geometry = self.geometry(len as u64)?;
        let of = |group| (0..geometry.size(group)).map(move |member| (group, member));
        let index = |(group, member)| geometry.index(group, member) as usize;
        Ok((0..geometry.count).map(|group| of(group).map(index).collect()).collect())
    }
}
