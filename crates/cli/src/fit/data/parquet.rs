//! Parquet: columns by name. A column of text may name classes; dates, lists and structs are no numbers.

use std::fs::File;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use penalty_table::Column;

/// Reads all columns. The cells of `label`, if there is one, are also kept as text.
pub(super) fn read(file: File, label: Option<&str>) -> Result<Vec<Column>, String> {
    let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
    let schema = reader.metadata().file_metadata().schema();
    let names: Vec<String> = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    let mut cells: Vec<Vec<Result<f64, String>>> = names.iter().map(|_| Vec::new()).collect();
    let mut texts = Vec::new();
    for row in reader.get_row_iter(None).map_err(|error| error.to_string())? {
        let row = row.map_err(|error| error.to_string())?;
        for ((name, field), cells) in row.get_column_iter().zip(&mut cells) {
            let is_label = label == Some(name.as_str());
            if is_label {
                texts.push(text(field));
            }
            // A label of true and false has these names.
            let cell = if is_label && matches!(field, Field::Bool(_)) { Err(text(field)) } else { number(field) };
            cells.push(cell);
        }
    }
    let column = |(name, cells): (String, Vec<Result<f64, String>>)| {
        let texts = (label == Some(name.as_str())).then(|| std::mem::take(&mut texts));
        Column::of_cells(name, cells, texts)
    };
    Ok(names.into_iter().zip(cells).map(column).collect())
}

/// A cell's number, or what it has instead.
fn number(field: &Field) -> Result<f64, String> {
    let number = match field {
        Field::Bool(x) => f64::from(u8::from(*x)),
        Field::Byte(x) => f64::from(*x),
        Field::Short(x) => f64::from(*x),
        Field::Int(x) => f64::from(*x),
        Field::Long(x) => *x as f64,
        Field::UByte(x) => f64::from(*x),
        Field::UShort(x) => f64::from(*x),
        Field::UInt(x) => f64::from(*x),
        Field::ULong(x) => *x as f64,
        Field::Float16(x) => f64::from(*x),
        Field::Float(x) => f64::from(*x),
        Field::Double(x) => *x,
        Field::Decimal(_) => field.to_string().parse().map_err(|_| format!("the decimal {field}"))?,
        Field::Str(text) => text.trim().parse().map_err(|_| format!("{text:?}"))?,
        Field::Null => return Err("null: fill or drop it first".into()),
        Field::Date(_) => return Err("a date: make it a number first".into()),
        Field::TimeMillis(_) | Field::TimeMicros(_) | Field::TimestampMillis(_) | Field::TimestampMicros(_) => {
            return Err("a time: make it a number first".into());
        }
        Field::Bytes(_) => return Err("bytes".into()),
        Field::Group(_) | Field::ListInternal(_) | Field::MapInternal(_) => {
            return Err("a nested value: give each of its parts a column".into());
        }
    };
    if number.is_finite() { Ok(number) } else { Err(number.to_string()) }
}

/// A cell as the name of a class; of a null an empty one.
fn text(field: &Field) -> String {
    match field {
        Field::Str(text) => text.trim().to_owned(),
        Field::Null => String::new(),
        other => other.to_string(),
    }
}
