//! The indices of each group.

use super::Groups;
use crate::Result;

impl Groups {
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
