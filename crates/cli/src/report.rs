//! How results are shown: tables for people, JSON for programs.

use std::io::{self, Write};

use penalty::Report;
use serde_json::{Map, Value, json};

use crate::backend::Device;
use crate::checkpoint::{Checkpoint, Skipped, Tensor};
use crate::json;
use crate::named::Asked;
use crate::number::Type;
use crate::output::{self, Output};

/// A table. The first columns hold text, aligned left; the others hold numbers, aligned right.
pub(crate) struct Table {
    text: usize,
    rows: Vec<Vec<String>>,
}

/// A shortened text column keeps at least this many columns.
const LEAST: usize = 8;

impl Table {
    /// A table with these headings, the first `text` of them for text columns.
    pub(crate) fn new(text: usize, headings: &[&str]) -> Table {
        Table { text, rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| output::escaped(&cell).into_owned()).collect());
    }

    pub(crate) fn print(&self, out: &mut Output<impl Write>) -> io::Result<()> {
        let widths = self.widths(out.columns().unwrap_or(usize::MAX));
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                let cell = output::shortened(cell, width);
                let space = " ".repeat(width.saturating_sub(output::width(&cell)));
                if column < self.text { format!("{cell}{space}") } else { format!("{space}{cell}") }
            });
            out.row(cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    /// The width of each column: that of its widest cell. Text columns with a cell wider than the terminal share the
    /// space that the other columns leave.
    fn widths(&self, terminal: usize) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells =
            |column: usize| self.rows.iter().filter_map(move |row| row.get(column)).map(|cell| output::width(cell));
        let most = |column| if column < self.text { terminal } else { usize::MAX };
        let widest = |column| cells(column).filter(|&width| width <= most(column)).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        let long: Vec<usize> = (0..columns).filter(|&column| cells(column).any(|width| width > most(column))).collect();
        let others: usize = (0..columns).filter(|column| !long.contains(column)).map(|column| widths[column]).sum();
        let left = terminal.saturating_sub(others + 2 * columns.saturating_sub(1));
        for &column in &long {
            widths[column] = widths[column].max(left / long.len()).max(LEAST);
        }
        widths
    }
}

/// Six significant digits, without an exponent if that is readable.
pub(crate) fn short(x: f64) -> String {
    let magnitude = x.abs();
    if x == 0.0 || !x.is_finite() {
        format!("{x}")
    } else if (1e-4..1e9).contains(&magnitude) {
        let decimals = (5 - magnitude.log10().floor() as i32).max(0) as usize;
        format!("{x:.decimals$}")
    } else {
        format!("{x:.5e}")
    }
}

/// The percentage of weights that are exactly zero.
pub(crate) fn zeros(report: &Report) -> String {
    format!("{:.2}", if report.len == 0 { 0.0 } else { 100.0 * report.zeros() as f64 / report.len as f64 })
}

pub(crate) fn shape(tensor: &Tensor) -> String {
    format!("{:?}", tensor.shape).replace(' ', "")
}

/// The lines below a table: skipped tensors, the device and the speed.
pub(crate) fn footer(
    out: &mut Output<impl Write>,
    Checkpoint { tensors, skipped, .. }: &Checkpoint,
    device: &Device,
    bytes: u64,
    seconds: f64,
) -> io::Result<()> {
    name_skipped(out, skipped)?;
    for tensor in tensors {
        tensor.tied.iter().try_for_each(|tied| out.line(format_args!("{tied} is {}, and counts once", tensor.name)))?;
    }
    out.line(device)?;
    if tensors.iter().any(|tensor| tensor.dtype == Type::F64) {
        out.line("F64 tensors: on the CPU, in f64")?;
    }
    out.line(format_args!("{bytes} bytes in {seconds:.3} s, {:.2} GB/s", bytes as f64 / seconds.max(1e-9) / 1e9))
}

/// A line for each skipped tensor.
pub(crate) fn name_skipped(out: &mut Output<impl Write>, skipped: &[Skipped]) -> io::Result<()> {
    skipped.iter().try_for_each(|tensor| {
        tensor.names().try_for_each(|name| out.line(format_args!("skipped {name}: {}", tensor.reason)))
    })
}

/// The same in JSON.
pub(crate) fn skipped(skipped: &[Skipped]) -> Value {
    let of = |s: &Skipped| s.names().map(|name| json!({"name": name, "dtype": s.dtype, "reason": s.reason})).collect();
    Value::Array(skipped.iter().flat_map::<Vec<Value>, _>(of).collect())
}

/// The numbers of a report.
pub(crate) fn numbers(report: &Report) -> Map<String, Value> {
    let pairs = [
        ("len", json!(report.len)),
        ("l1", json::number(report.l1)),
        ("l2_squared", json::number(report.l2_squared)),
        ("max_abs", json::number(report.max_abs)),
        ("nonzero", json!(report.nonzero)),
        ("nan", json!(report.nan)),
        ("inf", json!(report.inf)),
        ("value", json::number(report.value)),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The entries that identify a tensor.
pub(crate) fn identity(tensor: &Tensor) -> Map<String, Value> {
    let pairs = [
        ("file", json!(tensor.source.path.display().to_string())),
        ("name", json!(tensor.name)),
        ("dtype", json!(tensor.type_name())),
        ("shape", json!(tensor.shape)),
    ];
    // No device has f64.
    let on_cpu = (tensor.dtype == Type::F64).then(|| ("on", json!("cpu")));
    let tied = (!tensor.tied.is_empty()).then(|| ("tied", json!(tensor.tied)));
    pairs.into_iter().chain(on_cpu).chain(tied).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The first entries of every JSON object.
pub(crate) fn head(device: &Device, asked: &Asked) -> Map<String, Value> {
    let pairs =
        [("version", json!(env!("CARGO_PKG_VERSION"))), ("device", json!(device)), ("penalty", asked.json.clone())];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The last entries of every JSON object.
pub(crate) fn tail(object: &mut Map<String, Value>, skipped: &[Skipped], bytes: u64, seconds: f64) {
    object.insert("skipped".to_owned(), self::skipped(skipped));
    object.insert("bytes".to_owned(), json!(bytes));
    object.insert("seconds".to_owned(), json!(seconds));
}
