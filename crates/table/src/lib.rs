//! Tables of numbers in columns, read from CSV, and what a fit takes of them: features and a target.
//!
//! ```
//! use penalty_table::{Table, Kind};
//!
//! let table = Table::csv("size,age,price\n90,3,400\n55,20,210\n".as_bytes(), None)?;
//! let target = table.target("price", Kind::Number)?;
//! let features = table.features("price", &target, |_| true)?;
//! assert_eq!(features.names, ["size", "age"]);
//! assert_eq!(features.values, [90.0, 55.0, 3.0, 20.0]);
//! assert_eq!(target.values, [400.0, 210.0]);
//! # Ok::<(), penalty_table::Error>(())
//! ```

mod column;
mod csv;
mod error;
mod target;

pub use column::{Column, Fault};
pub use error::{Error, Result};
pub use target::{Kind, Target};

/// A file's columns.
#[derive(Debug, Clone)]
pub struct Table {
    rows: usize,
    columns: Vec<Column>,
}

/// The columns that a fit or a prediction takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Their names.
    pub names: Vec<String>,
    /// How many rows there are.
    pub rows: usize,
    /// One column after the other.
    pub values: Vec<f64>,
}

impl Features {
    /// Each column's numbers.
    pub fn columns(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks(self.rows)
    }
}

impl Table {
    /// Reads CSV: fields in quotes or not, separated by commas, semicolons or tabs, with names in the first row or none.
    /// The cells of `label`, if there is one, are also kept as text.
    ///
    /// ```
    /// let error = penalty_table::Table::csv("a;b\n1;2\n3\n".as_bytes(), None).unwrap_err();
    /// assert_eq!(error.to_string(), "line 3: expected 2 cells, as in the first line, found 1");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if it is no CSV, [`Error::Empty`] if it has no rows of data.
    pub fn csv(file: impl std::io::Read, label: Option<&str>) -> Result<Table> {
        Table::new(csv::read(file, label).map_err(Error::Read)?)
    }

    /// A table of these columns, which are of one length.
    ///
    /// ```
    /// use penalty_table::{Column, Table};
    ///
    /// let columns = vec![Column::new("a".into(), vec![1.0, 2.0]), Column::new("b".into(), vec![3.0])];
    /// let error = Table::new(columns).unwrap_err();
    /// assert_eq!(error.to_string(), "column \"b\": expected 2 rows, as in the first column, found 1");
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if there are no rows, [`Error::Length`] if a column has more or fewer than the first, in numbers
    /// or in texts.
    pub fn new(columns: Vec<Column>) -> Result<Table> {
        let rows = columns.first().map_or(0, |column| column.numbers.len());
        for Column { name, numbers, texts, .. } in &columns {
            let lengths = [Some(numbers.len()), texts.as_ref().map(Vec::len)];
            if let Some(found) = lengths.into_iter().flatten().find(|found| *found != rows) {
                return Err(Error::Length { column: name.clone(), expected: rows, found });
            }
        }
        if rows == 0 { Err(Error::Empty) } else { Ok(Table { rows, columns }) }
    }

    /// How many rows of data there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.iter().map(Column::name)
    }

    fn column(&self, name: &str) -> Result<&Column> {
        let mut found = self.columns.iter().filter(|column| column.name == name);
        let column = found.next().ok_or_else(|| Error::missing(name, self.names()))?;
        match found.next() {
            None => Ok(column),
            Some(_) => Err(Error::Several(name.to_owned())),
        }
    }

    /// A column of numbers.
    ///
    /// ```
    /// let table = penalty_table::Table::csv("a,b\n1,2\n3,much\n".as_bytes(), None)?;
    /// assert_eq!(table.numbers("a")?, [1.0, 3.0]);
    /// let error = table.numbers("b").unwrap_err();
    /// assert_eq!(error.to_string(), "line 3, column \"b\": expected a finite number, found \"much\"");
    /// # Ok::<(), penalty_table::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Several`] unless one column has this name, [`Error::Cell`] if a cell is no finite
    /// number.
    pub fn numbers(&self, name: &str) -> Result<&[f64]> {
        let column = self.column(name)?;
        match column.fault() {
            None => Ok(&column.numbers),
            Some(fault) => Err(Error::Cell { column: column.name.clone(), fault: fault.clone() }),
        }
    }

    /// The selected columns, without the target.
    ///
    /// # Errors
    ///
    /// [`Error::NoFeatures`] if there are none, [`Error::IsTarget`] if one of them has the target's numbers; otherwise as
    /// [`numbers`](Table::numbers).
    pub fn features(&self, name: &str, target: &Target, select: impl Fn(&str) -> bool) -> Result<Features> {
        let names: Vec<String> = self.names().filter(|of| *of != name && select(of)).map(str::to_owned).collect();
        if names.is_empty() {
            return Err(Error::NoFeatures(name.to_owned()));
        }
        let features = self.named(names)?;
        let copy = features.columns().position(|column| column == target.values);
        match copy {
            None => Ok(features),
            Some(copy) => Err(Error::IsTarget { column: features.names[copy].clone(), target: name.to_owned() }),
        }
    }

    /// The columns of these names, in this order.
    ///
    /// # Errors
    ///
    /// As [`numbers`](Table::numbers).
    pub fn named(&self, names: Vec<String>) -> Result<Features> {
        let mut values = Vec::with_capacity(names.len() * self.rows);
        for name in &names {
            values.extend_from_slice(self.numbers(name)?);
        }
        Ok(Features { names, rows: self.rows, values })
    }
}
