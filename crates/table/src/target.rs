//! What is to be predicted: numbers or classes.

use std::collections::HashMap;

use crate::{Error, Result, Table};

/// What a target's cells are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Number,
    /// Two classes.
    TwoClasses,
    /// Two classes or more.
    Classes,
}

impl Kind {
    /// Whether the target's cells must be kept as text: pass its name to [`Table::csv`].
    pub fn is_class(self) -> bool {
        self != Kind::Number
    }
}

/// A target.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The numbers, or each row's class as 0, 1, ….
    pub values: Vec<f64>,
    /// The names of the classes, in numeric order if all are numbers, else in that of their characters; empty if the
    /// target is a number.
    pub classes: Vec<String>,
}

impl Table {
    /// A column as the target.
    ///
    /// ```
    /// use penalty_table::{Kind, Table};
    ///
    /// let table = Table::csv("x,ill\n1,yes\n2,no\n3,yes\n".as_bytes(), Some("ill"))?;
    /// let target = table.target("ill", Kind::TwoClasses)?;
    /// assert_eq!(target.classes, ["no", "yes"]);
    /// assert_eq!(target.values, [1.0, 0.0, 1.0]);
    /// # Ok::<(), penalty_table::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoClass`], [`Error::OneClass`] and [`Error::ManyClasses`] if the classes are none, one, or more than
    /// expected; otherwise as [`numbers`](Table::numbers).
    pub fn target(&self, name: &str, kind: Kind) -> Result<Target> {
        if !kind.is_class() {
            return Ok(Target { values: self.numbers(name)?.to_vec(), classes: Vec::new() });
        }
        let target = self.classes(name)?;
        match &target.classes[..] {
            [] | [_] => Err(Error::OneClass { column: name.to_owned(), class: target.classes.concat() }),
            classes @ [_, _, _, ..] if kind == Kind::TwoClasses => Err(Error::many(name, classes)),
            _ => Ok(target),
        }
    }

    /// The classes that a column's cells name.
    fn classes(&self, name: &str) -> Result<Target> {
        let column = self.column(name)?;
        let texts: Vec<String> = match &column.texts {
            Some(texts) => texts.clone(),
            None => self.numbers(name)?.iter().map(f64::to_string).collect(),
        };
        if let Some(at) = texts.iter().position(String::is_empty) {
            return Err(Error::NoClass { row: at + 1, column: name.to_owned() });
        }
        // 1 and 1.0 are one class if all cells are numbers.
        let is_number = column.fault.is_none();
        let key = |at: usize| if is_number { column.numbers[at].to_string() } else { texts[at].clone() };
        let keys: Vec<String> = (0..texts.len()).map(key).collect();
        let mut classes = keys.clone();
        if is_number {
            classes.sort_by(|a, b| a.parse::<f64>().unwrap_or(f64::NAN).total_cmp(&b.parse().unwrap_or(f64::NAN)));
        } else {
            classes.sort();
        }
        classes.dedup();
        let places: HashMap<&str, usize> = classes.iter().map(String::as_str).zip(0..).collect();
        let values = keys.iter().map(|key| places[key.as_str()] as f64).collect();
        Ok(Target { values, classes })
    }
}
