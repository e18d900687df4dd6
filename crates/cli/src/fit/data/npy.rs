//! `.npy`: a matrix of numbers, whose columns are named 1, 2, ….

use std::fs::File;
use std::io::BufReader;

use npyz::{DType, NpyFile, Order, TypeChar};
use penalty_table::Column;

/// Opens a file.
pub(super) fn open(file: File) -> Result<NpyFile<BufReader<File>>, String> {
    NpyFile::new(BufReader::with_capacity(1 << 20, file)).map_err(|error| error.to_string())
}

/// The bytes that reading a file of this length takes: the matrix, and its columns.
pub(super) fn memory(npy: &NpyFile<BufReader<File>>, length: u64) -> u64 {
    let count = npy.shape().iter().fold(1u64, |count, side| count.saturating_mul(*side));
    // Whatever its shape says, a file has no more numbers than bytes.
    count.min(length).saturating_mul(16)
}

/// Reads all columns.
pub(super) fn read(npy: NpyFile<BufReader<File>>) -> Result<Vec<Column>, String> {
    let [rows, columns] = *npy.shape() else {
        return Err(format!("expected a matrix, found an array of shape {:?}", npy.shape()));
    };
    let (rows, columns) = (length(rows)?, length(columns)?);
    let Some(count) = rows.checked_mul(columns) else {
        return Err(format!("its shape ({rows}, {columns}) is too large for this machine"));
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    let by_column = npy.order() == Order::Fortran;
    let values = numbers(npy)?;
    if values.len() != count {
        return Err(format!("expected {count} numbers, found {}", values.len()));
    }
    let at = |row: usize, column: usize| if by_column { column * rows + row } else { row * columns + column };
    let column =
        |column: usize| Column::new((column + 1).to_string(), (0..rows).map(|row| values[at(row, column)]).collect());
    Ok((0..columns).map(column).collect())
}

fn length(side: u64) -> Result<usize, String> {
    usize::try_from(side).map_err(|_| format!("its side of {side} is too long for this machine"))
}

/// The array's numbers, in its order.
fn numbers(npy: NpyFile<BufReader<File>>) -> Result<Vec<f64>, String> {
    let DType::Plain(stored) = npy.dtype() else {
        return Err(format!("expected numbers, found {}", npy.dtype().descr()));
    };
    let kind = (stored.type_char(), stored.size_field());
    macro_rules! read {
        ($type:ty, $as:expr) => {
            npy.data::<$type>()
                .map_err(|error| error.to_string())?
                .map(|number| number.map($as).map_err(|error| error.to_string()))
                .collect()
        };
    }
    match kind {
        (TypeChar::Float, 8) => read!(f64, |x| x),
        (TypeChar::Float, 4) => read!(f32, f64::from),
        (TypeChar::Int, 8) => read!(i64, |x| x as f64),
        (TypeChar::Int, 4) => read!(i32, f64::from),
        (TypeChar::Int, 2) => read!(i16, f64::from),
        (TypeChar::Int, 1) => read!(i8, f64::from),
        (TypeChar::Uint, 8) => read!(u64, |x| x as f64),
        (TypeChar::Uint, 4) => read!(u32, f64::from),
        (TypeChar::Uint, 2) => read!(u16, f64::from),
        (TypeChar::Uint, 1) => read!(u8, f64::from),
        (TypeChar::Bool, _) => read!(bool, |x| f64::from(u8::from(x))),
        _ => Err(format!("expected numbers, found {stored}")),
    }
}
