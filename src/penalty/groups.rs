//! What users group a tensor's weights by.

mod covered;
mod geometry;
mod lists;
mod matrix;
mod members;
#[cfg(feature = "serde")]
mod serialized;
mod shape;

use std::fmt;
use std::sync::Arc;

use lists::Lists;
use shape::Shape;

use crate::{Error, Result};

pub(crate) use geometry::Geometry;

/// The groups of a tensor's weights for a group penalty, such as the rows of a matrix. Each weight is in exactly one
/// group.
///
/// Matrices are in row-major order: a row is consecutive. Groups do not know the tensor's length, so the operation
/// checks it: if the groups do not cover the tensor, or do not divide its matrix, the error is [`Error::Groups`].
///
/// ```
/// use penalty::{Backend, Groups, Penalty};
///
/// // Two rows of three; the lighter one is given up.
/// let rows = Penalty::group_lasso(0.5, Groups::rows(3)?)?;
/// let shrunk = Backend::cpu().prox(&rows, &[4.0f32, 0.0, 3.0, 0.1, 0.2, 0.2], 1.0)?;
/// assert_eq!(shrunk[3..], [0.0; 3]);
///
/// let error = Backend::cpu().prox(&rows, &[1.0f32; 7], 1.0).unwrap_err();
/// assert_eq!(error.to_string(), "groups of rows of 3 must cover the tensor: its 7 weights do not divide so");
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Groups(Shape);

impl Groups {
    /// All weights are one group.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// let largest = Penalty::linf_norm(1.0)?.over(Groups::whole())?;
    /// let weights = [1.0f32, -3.0, 2.0, 4.0];
    /// assert_eq!(Backend::cpu().evaluate(&largest, &weights)?.value, 4.0); // λ times the largest magnitude
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn whole() -> Groups {
        Groups(Shape::Whole)
    }

    /// Runs of `len` consecutive weights.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// let largest = Penalty::linf_norm(1.0)?.over(Groups::runs(2)?)?;
    /// let weights = [1.0f32, -3.0, 2.0, 4.0];
    /// assert_eq!(Backend::cpu().evaluate(&largest, &weights)?.value, 3.0 + 4.0); // the largest of 1, −3 and of 2, 4
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if `len` is 0.
    pub fn runs(len: u64) -> Result<Groups> {
        Groups::of(Shape::Runs(len), &[len])
    }

    /// The rows of a matrix with this many columns.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// let largest = Penalty::linf_norm(1.0)?.over(Groups::rows(2)?)?;
    /// let matrix = [
    ///     1.0f32, -3.0, // the first row
    ///     2.0, 4.0,
    /// ];
    /// assert_eq!(Backend::cpu().evaluate(&largest, &matrix)?.value, 3.0 + 4.0); // the largest of 1, −3 and of 2, 4
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if there are 0 columns.
    pub fn rows(columns: u64) -> Result<Groups> {
        Groups::of(Shape::Rows(columns), &[columns])
    }

    /// The columns of a matrix with this many columns.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// let largest = Penalty::linf_norm(1.0)?.over(Groups::columns(2)?)?;
    /// let matrix = [
    ///     1.0f32, -3.0, // the first row
    ///     2.0, 4.0,
    /// ];
    /// assert_eq!(Backend::cpu().evaluate(&largest, &matrix)?.value, 2.0 + 4.0); // the largest of 1, 2 and of −3, 4
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if there are 0 columns.
    pub fn columns(columns: u64) -> Result<Groups> {
        Groups::of(Shape::Columns(columns), &[columns])
    }

    /// Tiles of `height` rows and `width` columns in a matrix with this many columns: block sparsity.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// let largest = Penalty::linf_norm(1.0)?.over(Groups::tiles(4, 2, 2)?)?;
    /// let matrix = [
    ///     1.0f32, 2.0, 5.0, 6.0, // the first row
    ///     3.0, 4.0, 7.0, 8.0,
    /// ];
    /// assert_eq!(Backend::cpu().evaluate(&largest, &matrix)?.value, 4.0 + 8.0); // of 1, 2, 3, 4 and of 5, 6, 7, 8
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if one of the three is 0, or the width does not divide the columns.
    pub fn tiles(columns: u64, height: u64, width: u64) -> Result<Groups> {
        let shape = Shape::Tiles { columns, height, width };
        if width > 0 && !columns.is_multiple_of(width) {
            let groups = Groups(shape).to_string();
            return Err(Error::Groups { groups, expected: "divide the columns".into(), found: columns.to_string() });
        }
        Groups::of(shape, &[columns, height, width])
    }

    /// A list of indices for each group. Together the lists are 0, 1, 2, … in any order. They cover a tensor of exactly
    /// that many weights.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// let largest = Penalty::linf_norm(1.0)?.over(Groups::lists(&[[0, 3], [2, 1]])?)?;
    /// let weights = [1.0f32, -3.0, 2.0, 4.0];
    /// assert_eq!(Backend::cpu().evaluate(&largest, &weights)?.value, 4.0 + 3.0); // of 1, 4 and of 2, −3
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if a group is empty, an index is missing or occurs twice, or there are 2^32 indices or more.
    pub fn lists<L: AsRef<[u64]>>(lists: &[L]) -> Result<Groups> {
        Ok(Groups(Shape::Lists(Arc::new(Lists::new(lists)?))))
    }

    fn of(shape: Shape, sides: &[u64]) -> Result<Groups> {
        let groups = Groups(shape);
        if sides.contains(&0) {
            let (groups, expected) = (groups.to_string(), "have weights".into());
            return Err(Error::Groups { groups, expected, found: "0".into() });
        }
        Ok(groups)
    }

    /// Tells these groups from others in serialized partials, up to collisions.
    pub(crate) fn hash(&self) -> u64 {
        self.0.hash()
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_groups_is_rejected() {
        for lists in [vec![vec![0, 1], vec![1]], vec![vec![0, 2]], vec![vec![0], vec![]], vec![vec![u64::MAX]]] {
            assert!(matches!(Groups::lists(&lists), Err(Error::Groups { .. })), "{lists:?}");
        }
        let sides = [Groups::tiles(5, 1, 2), Groups::tiles(4, 0, 2), Groups::tiles(4, 1, 0), Groups::tiles(0, 1, 1)];
        for groups in sides.into_iter().chain([Groups::runs(0), Groups::rows(0), Groups::columns(0)]) {
            assert!(matches!(groups, Err(Error::Groups { .. })), "{groups:?}");
        }
    }
}
