//! Data for fits, read from a CSV, `.npy` or Parquet file.

mod npy;
#[cfg(feature = "parquet")]
mod parquet;

use std::fs::File;
use std::path::Path;

use penalty_table::{Error as Fault, Features, Table, Target};

use crate::error::{Error, Result};
use crate::memory;
use crate::select::Patterns;

/// Reads a file. The cells of `label`, if there is one, are also kept as text.
pub(super) fn open(path: &Path, label: Option<&str>) -> Result<Table> {
    let file = File::open(path).map_err(|error| Error::file(path, error))?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let table = match path.extension().and_then(|extension| extension.to_str()) {
        Some("npy") => {
            let npy = npy::open(file).map_err(|error| Error::file(path, error))?;
            memory::check(npy::memory(&npy, length))?;
            npy::read(npy).map_err(Fault::Read).and_then(Table::new)
        }
        #[cfg(feature = "parquet")]
        Some("parquet") => {
            let reader = parquet::open(file).map_err(|error| Error::file(path, error))?;
            memory::check(parquet::memory(&reader))?;
            parquet::read(&reader, label).map_err(Fault::Read).and_then(Table::new)
        }
        #[cfg(not(feature = "parquet"))]
        Some("parquet") => {
            Err(Fault::Read("this build does not read Parquet: build with --features parquet, or give CSV".into()))
        }
        _ => {
            // The shortest cell, a digit and a comma, becomes a number of 8 bytes.
            memory::check(length.saturating_mul(4))?;
            Table::csv(file, label)
        }
    };
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

/// The columns that the patterns select, without the target and the sample weights.
pub(super) fn features(
    path: &Path,
    table: &Table,
    patterns: &Patterns<'_>,
    name: &str,
    weights: Option<&str>,
    target: &Target,
) -> Result<Features> {
    patterns.check("column", table.names())?;
    let select = |name: &str| weights != Some(name) && patterns.select(name);
    table.features(name, target, select).map_err(|error| failed(path, &error))
}
