//! The one error type. Every rejection says what was expected and what was found.

/// What went wrong. The display text is one line, fit for a user.
///
/// ```
/// use penalty_fit::{Error, Matrix};
///
/// let error = Matrix::dense(3, 2, &[1.0; 5]).unwrap_err();
/// assert_eq!(error.to_string(), "the design must have 6 numbers, found 5");
/// assert!(matches!(error, Error::Length { expected: 6, .. }));
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A slice whose length is not that of the problem.
    #[error("{what} must have {expected} numbers, found {found}")]
    Length {
        /// The slice.
        what: &'static str,
        /// The length it must have.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// A number that is not allowed where it stands.
    #[error("{what} must be {expected}, found {found} at index {index}")]
    Number {
        /// The slice.
        what: &'static str,
        /// What each of its numbers must be.
        expected: &'static str,
        /// The first one that is not.
        found: f64,
        /// Where it is.
        index: usize,
    },
    /// A number of the design that is NaN or infinite.
    #[error("the design must be finite, found {found} in row {row} of column {column} (counted from 0)")]
    Design {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// The number.
        found: f64,
    },
    /// A sparse design whose starts or rows are not those of a matrix in compressed columns.
    #[error("the sparse design must have {expected}, found {found}")]
    Sparse {
        /// The rule that it breaks.
        expected: &'static str,
        /// What was found instead.
        found: String,
    },
    /// A setting out of its range.
    #[error("{name} must be {expected}, found {found}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its range.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A target from which nothing can be learned: one class only, or the same number in every row.
    #[error("the target of {loss} must have at least two different values, found only {found}")]
    OneValue {
        /// The loss.
        loss: &'static str,
        /// The value.
        found: f64,
    },
    /// Something that a penalty cannot do.
    #[error("{penalty} cannot {asked}: {reason}")]
    Unsupported {
        /// The penalty's name.
        penalty: &'static str,
        /// What was asked.
        asked: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A penalty that has no least λ at which all coefficients are 0.
    #[error("{penalty} cannot have a largest λ: {reason}")]
    NoLargest {
        /// The penalty's name.
        penalty: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// The progress callback asked to stop.
    #[error("cancelled by the progress callback")]
    Cancelled,
    /// An error of a penalty.
    #[error(transparent)]
    Penalty(#[from] penalty::Error),
}

/// The result of everything here that can fail.
///
/// ```
/// fn columns(x: &[f64], rows: usize) -> penalty_fit::Result<usize> {
///     Ok(penalty_fit::Matrix::dense(rows, x.len() / rows, x)?.cols())
/// }
///
/// assert_eq!(columns(&[1.0, 2.0, 3.0, 4.0], 2), Ok(2));
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;
