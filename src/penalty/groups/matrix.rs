//! Which matrices groups are made for, if a tensor's shape is known.

use super::Groups;
use super::shape::Shape;
use crate::{Error, Result};

impl Groups {
    /// Rejects groups that are made for another matrix than this shape is. Also rejects runs that cross its rows, if
    /// runs must lie in rows.
    pub(crate) fn check_matrix(&self, shape: &[u64], runs_lie_in_rows: bool) -> Result<()> {
        let columns = match shape {
            [_, rest @ ..] if !rest.is_empty() => Some(rest.iter().fold(1, |n: u64, side| n.saturating_mul(*side))),
            _ => None,
        };
        let (expected, fits) = match (&self.0, columns) {
            (Shape::Rows(of) | Shape::Columns(of) | Shape::Tiles { columns: of, .. }, _) => {
                (format!("lie in a matrix of {of} columns"), columns == Some(*of))
            }
            (Shape::Runs(len), Some(columns)) if runs_lie_in_rows => {
                ("lie in rows".into(), columns.is_multiple_of(*len))
            }
            _ => return Ok(()),
        };
        if fits {
            return Ok(());
        }
        let found = match columns {
            Some(columns) => format!("the tensor's shape {shape:?} has {columns}"),
            None => format!("the tensor's shape {shape:?} is no matrix"),
        };
        Err(Error::Groups { groups: self.to_string(), expected, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_of_the_matrix_that_a_shape_is() -> Result<()> {
        for groups in [Groups::rows(64)?, Groups::columns(64)?, Groups::tiles(64, 2, 4)?] {
            for shape in [&[32, 64][..], &[2, 8, 8], &[4, 1, 64, 1]] {
                assert_eq!(groups.check_matrix(shape, false), Ok(()), "{groups} {shape:?}");
            }
            for shape in [&[64, 32][..], &[64], &[], &[8, 8, 2], &[2, 128], &[2, u64::MAX, u64::MAX]] {
                let error = groups.check_matrix(shape, false).expect_err("it is another matrix").to_string();
                assert!(error.contains("a matrix of 64 columns") && error.contains(&format!("{shape:?}")), "{error}");
            }
        }
        // These fit any shape. Runs fit any shape only if they may cross rows.
        let runs = Groups::runs(4)?;
        for groups in [Groups::whole(), runs.clone(), Groups::lists(&[[0, 1], [2, 3]])?] {
            assert_eq!(groups.check_matrix(&[6, 6], false), Ok(()), "{groups}");
        }
        for (shape, fits) in
            [(&[6, 6][..], false), (&[6, 8], true), (&[8, 2, 3], false), (&[3, 2, 2], true), (&[8], true)]
        {
            assert_eq!(runs.check_matrix(shape, true).is_ok(), fits, "{shape:?}");
        }
        Ok(())
    }
}
