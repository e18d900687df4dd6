//! Data for fits: a table of numbers in columns, read from a CSV or `.npy` file.

mod csv;
mod npy;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::select::Patterns;

/// Errors show at most so many names.
pub(super) const SHOWN: usize = 20;

/// A file's columns.
pub(super) struct Table {
    path: PathBuf,
    rows: usize,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    /// Numbers, as far as the cells are numbers.
    numbers: Vec<f64>,
    /// The first cell that is no finite number.
    fault: Option<Fault>,
    /// The cells as they are in the file, if they were asked for.
    texts: Option<Vec<String>>,
}

/// A cell that is no finite number.
struct Fault {
    /// The line of the file or the row of the array, from 1.
    place: String,
    found: String,
}

/// The columns that a fit or a prediction takes.
pub(super) struct Features {
    pub(super) names: Vec<String>,
    pub(super) rows: usize,
    /// One column after the other.
    pub(super) values: Vec<f64>,
}

impl Features {
    pub(super) fn columns(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks(self.rows)
    }
}

/// Classes, and the class of each row.
pub(super) struct Classes {
    /// In numeric order if all are numbers, else in that of their characters.
    pub(super) labels: Vec<String>,
    pub(super) of: Vec<usize>,
}

impl Table {
    /// Reads a file. The cells of `label`, if there is one, are also kept as text.
    pub(super) fn open(path: &Path, label: Option<&str>) -> Result<Table> {
        let file = File::open(path).map_err(|error| Error::file(path, error))?;
        let columns = if path.extension().is_some_and(|extension| extension == "npy") {
            npy::read(file)
        } else {
            csv::read(file, label)
        };
        Table::new(path, columns.map_err(|reason| Error::file(path, reason))?)
    }

    /// The table of a CSV text that the program has.
    pub(super) fn of_csv(name: &str, text: &str) -> Result<Table> {
        let path = Path::new(name);
        let columns = csv::read(text.as_bytes(), None).map_err(|reason| Error::file(path, reason))?;
        Table::new(path, columns)
    }

    fn new(path: &Path, columns: Vec<Column>) -> Result<Table> {
        let rows = columns.first().map_or(0, |column| column.numbers.len());
        let table = Table { path: path.into(), rows, columns };
        if rows == 0 {
            return Err(table.error("expected rows of data, found none"));
        }
        Ok(table)
    }

    pub(super) fn error(&self, reason: impl std::fmt::Display) -> Error {
        Error::file(&self.path, reason)
    }

    fn column(&self, name: &str) -> Result<&Column> {
        let mut found = self.columns.iter().filter(|column| column.name == name);
        let column = found.next().ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).take(SHOWN).collect();
            let more = if self.columns.len() > SHOWN { ", …" } else { "" };
            self.error(format!("has no column {name:?}; its columns are {}{more}", names.join(", ")))
        })?;
        match found.next() {
            None => Ok(column),
            Some(_) => Err(self.error(format!("has several columns {name:?}: rename all but one"))),
        }
    }

    /// A column of numbers.
    pub(super) fn numbers(&self, name: &str) -> Result<&[f64]> {
        let column = self.column(name)?;
        match &column.fault {
            None => Ok(&column.numbers),
            Some(Fault { place, found }) => {
                let name = &column.name;
                Err(self.error(format!("{place}, column {name:?}: expected a finite number, found {found}")))
            }
        }
    }

    /// The classes that a column's cells name.
    pub(super) fn classes(&self, name: &str) -> Result<Classes> {
        let column = self.column(name)?;
        let texts: Vec<String> = match &column.texts {
            Some(texts) => texts.clone(),
            None => self.numbers(name)?.iter().map(f64::to_string).collect(),
        };
        // 1 and 1.0 are one class if all cells are numbers.
        let key = |at: usize| if column.fault.is_none() { column.numbers[at].to_string() } else { texts[at].clone() };
        if let Some(at) = texts.iter().position(String::is_empty) {
            return Err(self.error(format!("row {}, column {name:?}: expected a class, found an empty cell", at + 1)));
        }
        let keys: Vec<String> = (0..texts.len()).map(key).collect();
        let mut labels = keys.clone();
        if column.fault.is_none() {
            labels.sort_by(|a, b| a.parse::<f64>().unwrap_or(f64::NAN).total_cmp(&b.parse().unwrap_or(f64::NAN)));
        } else {
            labels.sort();
        }
        labels.dedup();
        let places: HashMap<&str, usize> = labels.iter().map(String::as_str).zip(0..).collect();
        let of = keys.iter().map(|key| places[key.as_str()]).collect();
        Ok(Classes { labels, of })
    }

    /// The selected columns, without the target.
    pub(super) fn features(&self, target: &str, patterns: &Patterns<'_>) -> Result<Features> {
        patterns.check("column", self.columns.iter().map(|column| column.name.as_str()))?;
        let names = self.columns.iter().map(|column| column.name.clone());
        let names: Vec<String> = names.filter(|name| name != target && patterns.select(name)).collect();
        if names.is_empty() {
            return Err(self.error(format!("expected columns besides the target {target:?}, found none")));
        }
        self.named(names)
    }

    /// The columns of these names, in this order.
    pub(super) fn named(&self, names: Vec<String>) -> Result<Features> {
        let mut values = Vec::with_capacity(names.len() * self.rows);
        for name in &names {
            values.extend_from_slice(self.numbers(name)?);
        }
        Ok(Features { names, rows: self.rows, values })
    }
}
