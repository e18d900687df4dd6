//! Reading CSV.

use std::io::{BufRead, BufReader, Read};

use csv::{ReaderBuilder, StringRecord};

use crate::{Column, Fault};

/// Reads all columns.
pub(crate) fn read(file: impl Read, label: Option<&str>) -> Result<Vec<Column>, String> {
    let mut file = BufReader::with_capacity(1 << 20, file);
    let delimiter = delimiter(file.fill_buf().map_err(|error| error.to_string())?);
    let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(file);
    let mut record = StringRecord::new();
    let mut columns: Vec<Column> = Vec::new();
    while reader.read_record(&mut record).map_err(|error| reason(&error))? {
        let line = record.position().map_or(0, csv::Position::line);
        if columns.is_empty() {
            // An empty cell is a missing number, not a name.
            let named = record.iter().any(|cell| !cell.trim().is_empty() && number(cell).is_none());
            let name = |(at, cell): (usize, &str)| if named { cell.trim().to_owned() } else { (at + 1).to_string() };
            columns = record.iter().enumerate().map(|cell| column(name(cell), label)).collect();
            if named {
                continue;
            }
        }
        for (column, cell) in columns.iter_mut().zip(&record) {
            let cell = cell.trim();
            let number = number(cell).filter(|number| number.is_finite());
            if number.is_none() && column.fault.is_none() {
                let found = if cell.is_empty() { "an empty cell".to_owned() } else { format!("{cell:?}") };
                column.fault = Some(Fault { place: format!("line {line}"), found });
            }
            column.numbers.push(number.unwrap_or(f64::NAN));
            if let Some(texts) = &mut column.texts {
                texts.push(cell.to_owned());
            }
        }
    }
    Ok(columns)
}

fn column(name: String, label: Option<&str>) -> Column {
    let texts = (label == Some(name.as_str())).then(Vec::new);
    Column { name, numbers: Vec::new(), fault: None, texts }
}

fn number(cell: &str) -> Option<f64> {
    cell.trim().parse().ok()
}

/// The first of tab, semicolon and comma that the first line has; a comma if it has none.
fn delimiter(beginning: &[u8]) -> u8 {
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    [b'\t', b';'].into_iter().find(|delimiter| line.contains(delimiter)).unwrap_or(b',')
}

/// What is wrong, with the line.
fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line}: expected {expected_len} cells, as in the first line, found {len}")
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line}: expected UTF-8 text, found other bytes")
        }
        _ => error.to_string(),
    }
}
