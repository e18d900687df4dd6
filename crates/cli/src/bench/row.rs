//! A row, for people and for programs.

use serde::Serialize;

use super::case::{Case, Measure};
use super::measure::{Spread, Times};
use crate::backend::Device;

/// A row that was timed, or why it was not.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    version: &'static str,
    #[serde(flatten)]
    device: &'a Device,
    determinism: Option<&'a str>,
    operation: String,
    #[serde(rename = "type")]
    dtype: String,
    tensors: usize,
    weights: usize,
    zeros: f64,
    measure: String,
    bytes: u64,
    microseconds: Option<Spread>,
    device_microseconds: Option<Spread>,
    dispatch_microseconds: Option<Spread>,
    machine: String,
    machine_microseconds: Option<Spread>,
    machine_device_microseconds: Option<Spread>,
    gb_per_second: Option<f64>,
    machine_gb_per_second: Option<f64>,
    ratio: Option<f64>,
    error: Option<String>,
}

/// The names of the columns, and how wide they are. Those of the first TEXT are aligned left.
const COLUMNS: [(&str, usize); 13] = [
    ("operation", 12),
    ("type", 4),
    ("weights", 10),
    ("zeros", 5),
    ("measure", 9),
    ("min µs", 10),
    ("median µs", 10),
    ("max µs", 10),
    ("device µs", 10),
    ("dispatch µs", 11),
    ("GB/s", 8),
    ("machine", 8),
    ("ratio", 5),
];
const TEXT: usize = 5;

impl<'a> Row<'a> {
    pub(super) fn new(
        device: &'a Device,
        determinism: Option<&'a str>,
        case: &Case,
        timed: Result<(Times, Option<Times>), String>,
    ) -> Row<'a> {
        let (timed, error) = match timed {
            Ok(timed) => (Some(timed), None),
            Err(error) => (None, Some(error)),
        };
        let ours = timed.map(|(ours, _)| ours);
        let machine = timed.and_then(|(_, machine)| machine);
        // By the device's clock if there is one. Recording moves nothing.
        let rate = |times: Option<Times>| {
            let median = times.map(|times| times.device.unwrap_or(times.host).median)?;
            (case.measure != Measure::Recording).then_some(case.bytes() as f64 / 1e3 / median)
        };
        let rates = (rate(ours), rate(machine));
        Row {
            version: env!("CARGO_PKG_VERSION"),
            device,
            determinism,
            operation: case.operation.to_string(),
            dtype: case.dtype.to_string(),
            tensors: case.shape.tensors,
            weights: case.shape.weights,
            zeros: if case.zeros { 0.9 } else { 0.0 },
            measure: case.measure.to_string(),
            bytes: case.bytes(),
            microseconds: ours.map(|times| times.host),
            device_microseconds: ours.and_then(|times| times.device),
            dispatch_microseconds: ours.and_then(|times| times.dispatch),
            machine: case.operation.machine().to_string(),
            machine_microseconds: machine.map(|times| times.host),
            machine_device_microseconds: machine.and_then(|times| times.device),
            gb_per_second: rates.0,
            machine_gb_per_second: rates.1,
            ratio: rates.0.zip(rates.1).map(|(ours, machine)| ours / machine),
            error,
        }
    }

    /// A line of the table.
    pub(super) fn line(&self) -> String {
        let tensors = if self.tensors == 1 { String::new() } else { format!("{}x", self.tensors) };
        let mut cells = vec![
            self.operation.clone(),
            self.dtype.clone(),
            format!("{tensors}{}", self.weights),
            format!("{:.0} %", 100.0 * self.zeros),
            self.measure.clone(),
        ];
        match &self.error {
            Some(error) => cells.push(error.clone()),
            None => {
                let number = |x: Option<f64>, decimals: usize| x.map_or("-".to_owned(), |x| format!("{x:.decimals$}"));
                let host = self.microseconds;
                let micros = [
                    host.map(|x| x.minimum),
                    host.map(|x| x.median),
                    host.map(|x| x.maximum),
                    self.device_microseconds.map(|x| x.median),
                    self.dispatch_microseconds.map(|x| x.median),
                ];
                cells.extend(micros.map(|x| number(x, 1)));
                cells.extend([self.gb_per_second, self.machine_gb_per_second, self.ratio].map(|x| number(x, 2)));
            }
        }
        aligned(&cells)
    }
}

/// The table's first line.
pub(super) fn headings() -> String {
    aligned(&COLUMNS.map(|(name, _)| name.to_owned()))
}

fn aligned(cells: &[String]) -> String {
    let cell = |(column, (cell, (_, width))): (usize, (&String, (&str, usize)))| match column < TEXT {
        true => format!("{cell:<width$}"),
        false => format!("{cell:>width$}"),
    };
    cells.iter().zip(COLUMNS).enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
