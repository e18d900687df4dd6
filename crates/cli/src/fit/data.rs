//! Data for fits, read from a CSV or `.npy` file.

mod npy;

use std::fs::File;
use std::path::Path;

use penalty_table::{Error as Fault, Features, Table, Target};

use crate::error::{Error, Result};
use crate::select::Patterns;

/// Reads a file. The cells of `label`, if there is one, are also kept as text.
pub(super) fn open(path: &Path, label: Option<&str>) -> Result<Table> {
    let file = File::open(path).map_err(|error| Error::file(path, error))?;
    let is_npy = path.extension().is_some_and(|extension| extension == "npy");
    let table =
        if is_npy { npy::read(file).map_err(Fault::Read).and_then(Table::new) } else { Table::csv(file, label) };
    table.map_err(|error| failed(path, &error))
}

/// An error of a file's table, with the option that helps.
pub(super) fn failed(path: &Path, error: &Fault) -> Error {
    match error {
        Fault::ManyClasses { .. } => Error::file(path, format!("{error} (--loss multinomial takes several)")),
        Fault::IsTarget { .. } => Error::file(path, format!("{error}: --exclude it")),
        _ => Error::file(path, error),
    }
}

/// The columns that the patterns select, without the target.
pub(super) fn features(
    path: &Path,
    table: &Table,
    patterns: &Patterns<'_>,
    name: &str,
    target: &Target,
) -> Result<Features> {
    patterns.check("column", table.names())?;
    table.features(name, target, |name| patterns.select(name)).map_err(|error| failed(path, &error))
}
