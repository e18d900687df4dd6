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
        let fault = numbers.iter().position(|number| !number.is_finite());
        let fault = fault.map(|row| Fault { place: format!("row {}", row + 1), found: numbers[row].to_string() });
        Column { name, numbers, fault, texts: None }
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
