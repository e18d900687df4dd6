//! One column.

use std::fmt;

/// A column of numbers, as far as its cells are numbers.
#[derive(Debug, Clone)]
pub struct Column {
    pub(crate) name: String,
    pub(crate) numbers: Vec<f64>,
    pub(crate) fault: Option<Fault>,
    /// The cells as they are in the file, if they were asked for.
    pub(crate) texts: Option<Vec<String>>,
}

/// The first cell of a column that is no finite number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line of the file or the row of the array, from 1: "line 3".
    pub place: String,
    /// What it has instead.
    pub found: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected a finite number, found {}", self.found)
    }
}

impl Column {
    /// A column of an array.
    ///
    /// ```
    /// let column = penalty_table::Column::new("1".into(), vec![1.0, f64::NAN]);
    /// assert_eq!(column.fault().unwrap().place, "row 2");
    /// ```
    pub fn new(name: String, numbers: Vec<f64>) -> Column {
        let cell = |number: f64| if number.is_finite() { Ok(number) } else { Err(number.to_string()) };
        Column::of_cells(name, numbers.into_iter().map(cell), None)
    }

    /// A column of cells that are finite numbers, or say what they have instead. `texts` are the cells as text, of a column
    /// that is to name classes.
    ///
    /// ```
    /// let cells = [Ok(1.0), Err("a date".into())];
    /// let column = penalty_table::Column::of_cells("day".into(), cells, None);
    /// assert_eq!(column.fault().unwrap().to_string(), "expected a finite number, found a date");
    /// ```
    pub fn of_cells(
        name: String,
        cells: impl IntoIterator<Item = Result<f64, String>>,
        texts: Option<Vec<String>>,
    ) -> Column {
        let mut fault = None;
        let number = |(row, cell): (usize, Result<f64, String>)| {
            cell.unwrap_or_else(|found| {
                fault.get_or_insert(Fault { place: format!("row {}", row + 1), found });
                f64::NAN
            })
        };
        let numbers = cells.into_iter().enumerate().map(number).collect();
        Column { name, numbers, fault, texts }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first cell that is no finite number.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }
}
