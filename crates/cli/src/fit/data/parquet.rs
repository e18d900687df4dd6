//! Parquet: columns by name. A column of text may name classes; times, lists and structs are no numbers, and are not read.

use std::fs::File;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Stored};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};
use penalty_table::Column;

/// A column whose cells are being read.
struct Cells {
    numbers: Vec<f64>,
    /// The first row without a number, and what it has instead.
    fault: Option<(usize, String)>,
    texts: Option<Vec<String>>,
}

/// Opens a file.
pub(super) fn open(file: File) -> Result<SerializedFileReader<File>, String> {
    SerializedFileReader::new(file).map_err(|error| error.to_string())
}

/// The most bytes that reading takes at a time: a file may say in few bytes that a number stands in a million rows.
pub(super) fn memory(reader: &SerializedFileReader<File>) -> u64 {
    let metadata = reader.metadata().file_metadata();
    let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
    // The cells, and at most as many again while the last column grows.
    rows.saturating_mul(metadata.schema().get_fields().len() as u64).saturating_mul(16)
}

/// Reads all columns. The cells of `label`, if there is one, are also kept as text.
pub(super) fn read(reader: &SerializedFileReader<File>, label: Option<&str>) -> Result<Vec<Column>, String> {
    let schema = reader.metadata().file_metadata().schema();
    // The library panics at intervals, and at times that no calendar has.
    let kept: Vec<TypePtr> = schema.get_fields().iter().filter(|field| no_number(field).is_none()).cloned().collect();
    let cells = |field: &TypePtr| Cells {
        numbers: Vec::new(),
        fault: None,
        texts: (label == Some(field.name())).then(Vec::new),
    };
    let mut read: Vec<Cells> = kept.iter().map(cells).collect();
    let projection = Type::group_type_builder(schema.name()).with_fields(kept).build();
    let projection = projection.map_err(|error| error.to_string())?;
    let mut rows = 0;
    for row in reader.get_row_iter(Some(projection)).map_err(|error| error.to_string())? {
        let row = row.map_err(|error| error.to_string())?;
        for ((_, field), cells) in row.get_column_iter().zip(&mut read) {
            cells.push(rows, field);
        }
        rows += 1;
    }
    let mut read = read.into_iter();
    let column = |field: &TypePtr| {
        let name = field.name().to_owned();
        match no_number(field) {
            Some(found) => Some(Column::of_cells(name, (0..rows).map(|_| Err(found.to_owned())), None)),
            None => read.next().map(|cells| cells.column(name)),
        }
    };
    Ok(schema.get_fields().iter().filter_map(column).collect())
}

impl Cells {
    fn push(&mut self, row: usize, field: &Field) {
        if let Some(texts) = &mut self.texts {
            texts.push(text(field));
        }
        // A label of true and false has these names.
        let is_name = self.texts.is_some() && matches!(field, Field::Bool(_));
        let cell = if is_name { Err(text(field)) } else { number(field) };
        self.numbers.push(cell.unwrap_or_else(|found| {
            self.fault.get_or_insert((row, found));
            f64::NAN
        }));
    }

    fn column(self, name: String) -> Column {
        let mut fault = self.fault;
        let cell = |(row, number)| match fault.take_if(|(at, _)| *at == row) {
            Some((_, found)) => Err(found),
            None => Ok(number),
        };
        Column::of_cells(name, self.numbers.into_iter().enumerate().map(cell), self.texts)
    }
}

/// What a column has in each row if it has no numbers, and no names either.
fn no_number(field: &Type) -> Option<&'static str> {
    let info = field.get_basic_info();
    if !field.is_primitive() || info.repetition() == Repetition::REPEATED {
        return Some("a nested value: give each of its parts a column");
    }
    // Times in nanoseconds have a logical type only.
    match (info.converted_type(), info.logical_type_ref(), field.get_physical_type()) {
        (ConvertedType::DATE, ..) | (_, Some(LogicalType::Date), _) => Some("a date: make it a number first"),
        (_, Some(LogicalType::Time(_) | LogicalType::Timestamp(_)), _)
        | (ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS, ..)
        | (ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS | ConvertedType::INTERVAL, ..)
        | (_, _, Stored::INT96) => Some("a time: make it a number first"),
        _ => None,
    }
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
        Field::Bytes(_) => return Err("bytes".into()),
        // Columns of these are not read.
        _ => return Err("no number".into()),
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
