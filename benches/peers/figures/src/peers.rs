//! penalty beside other libraries: GB/s, counting the bytes that the operation has to move, a panel for each operation
//! and a figure for each size.

use std::collections::BTreeMap;

use kuva::prelude::{BarPlot, Figure, Layout, Plot};
use serde_json::Value;

use crate::style::{OURS, PEERS, theme};

const COLUMNS: usize = 3;

pub fn figures(rows: &[Value]) -> Vec<(String, Figure)> {
    // By the size that was asked for: an operation may round it.
    let mut sizes: BTreeMap<u32, Vec<&Value>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["contender"].is_string()) {
        let exponent = row["weights"].as_f64().map_or(0.0, f64::log2).round();
        sizes.entry(exponent as u32).or_default().push(row);
    }
    sizes.into_iter().map(|(exponent, rows)| (format!("peers-{exponent}"), figure(&rows))).collect()
}

fn figure(rows: &[&Value]) -> Figure {
    let mut operations: Vec<&str> = Vec::new();
    for operation in rows.iter().filter_map(|row| row["operation"].as_str()) {
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    let mut panels: Vec<Vec<Plot>> = Vec::new();
    let mut layouts = Vec::new();
    for operation in &operations {
        let mut times: Vec<(&str, f64)> = rows
            .iter()
            .filter(|row| row["operation"] == *operation)
            .filter_map(|row| Some((row["contender"].as_str()?, row["gb_per_second"].as_f64()?)))
            .collect();
        // The first bar is the lowest.
        times.sort_by(|a, b| a.1.total_cmp(&b.1));
        let bars = times.iter().map(|&(name, rate)| (name, rate, if name == "penalty" { OURS[0] } else { PEERS }));
        let plots = vec![Plot::Bar(BarPlot::new().with_colored_bars(bars).with_horizontal(true))];
        let layout = Layout::auto_from_plots(&plots)
            .with_theme(theme())
            .with_title(operation.replace('_', " "))
            .with_title_size(15)
            .with_x_label("GB/s")
            .with_tick_size(10);
        layouts.push(layout);
        panels.push(plots);
    }
    Figure::new(operations.len().div_ceil(COLUMNS), COLUMNS)
        .with_plots(panels)
        .with_layouts(layouts)
        .with_cell_size(340.0, 280.0)
}
