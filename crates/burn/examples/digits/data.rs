//! The rows of the data, and numbers that are the same on every machine.

use std::error::Error;

/// 1797 rows of 64 pixels from 0 to 16 and the digit: the test set of Alpaydin and Kaynak 1998, as scikit-learn has it.
const DIGITS: &str = include_str!("../../../../examples/data/digits.csv");
pub(crate) const PIXELS: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) pixels: Vec<f32>,
    pub(crate) digit: i32,
}

/// The training rows and the test rows. Every fifth row is for the test.
pub(crate) fn rows() -> Result<(Vec<Row>, Vec<Row>), Box<dyn Error>> {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (at, line) in DIGITS.lines().skip(1).enumerate() {
        let mut values = line.split(',').map(str::parse::<f32>).collect::<Result<Vec<_>, _>>()?;
        let digit = values.pop().ok_or("an empty row")? as i32;
        let row = Row { pixels: values.into_iter().map(|v| v / 16.0).collect(), digit };
        if at % 5 == 0 { test.push(row) } else { train.push(row) }
    }
    Ok((train, test))
}
