//! What can be wrong with a table. Each text is one line, without the file's name.

use crate::Fault;

/// Errors show at most so many names.
const SHOWN: usize = 20;

/// What is wrong with a table, or with what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no CSV, or cannot be read: with the line, where there is one.
    #[error("{0}")]
    Read(String),
    /// There are no rows.
    #[error("expected rows of data, found none")]
    Empty,
    /// A column that is not as long as the first.
    #[error("column {column:?}: expected {expected} rows, as in the first column, found {found}")]
    Length {
        /// The column.
        column: String,
        /// How many rows the first column has.
        expected: usize,
        /// How many this one has.
        found: usize,
    },
    /// No column has the name.
    #[error("has no column {name:?}; its columns are {columns}")]
    Missing {
        /// The name.
        name: String,
        /// The names that there are, or the first of them.
        columns: String,
    },
    /// More than one column has the name.
    #[error("has several columns {0:?}: rename all but one")]
    Several(String),
    /// A cell that is no finite number.
    #[error("{}, column {column:?}: {fault}", fault.place)]
    Cell {
        /// The column.
        column: String,
        /// The cell.
        fault: Fault,
    },
    /// A class without a name.
    #[error("row {row}, column {column:?}: expected a class, found an empty cell")]
    NoClass {
        /// The row, from 1.
        row: usize,
        /// The column.
        column: String,
    },
    /// A target of one class.
    #[error("column {column:?}: expected at least two classes, found only {class}")]
    OneClass {
        /// The target.
        column: String,
        /// Its class.
        class: String,
    },
    /// A target of more classes than two.
    #[error("column {column:?}: expected two classes, found {count}: {classes}")]
    ManyClasses {
        /// The target.
        column: String,
        /// How many there are.
        count: usize,
        /// The classes, or the first of them.
        classes: String,
    },
    /// There is nothing to predict the target from.
    #[error("expected columns besides the target {0:?}, found none")]
    NoFeatures(String),
    /// A feature that has the target's numbers.
    #[error("column {column:?} is the target {target:?} itself")]
    IsTarget {
        /// The feature.
        column: String,
        /// The target.
        target: String,
    },
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn missing<'a>(name: &str, columns: impl Iterator<Item = &'a str>) -> Error {
        Error::Missing { name: name.to_owned(), columns: first(columns) }
    }

    pub(crate) fn many(column: &str, classes: &[String]) -> Error {
        let shown = first(classes.iter().map(String::as_str));
        Error::ManyClasses { column: column.to_owned(), count: classes.len(), classes: shown }
    }
}

/// The first names, and an ellipsis if there are more.
fn first<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let shown = names.by_ref().take(SHOWN).collect::<Vec<_>>().join(", ");
    if names.next().is_some() { shown + ", …" } else { shown }
}
