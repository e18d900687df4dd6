//! GB/s against the number of weights, a panel for each operation and a figure for each device: penalty as lines, the
//! machine's kernel that moves the same bytes as a dashed one.

use std::collections::BTreeMap;

use kuva::prelude::{Figure, Layout, LinePlot, Plot};
use serde_json::Value;

use crate::style::{MACHINE, OURS, theme};

const PANELS: [&str; 6] = ["evaluate", "gradient", "gradient_add", "prox", "sgd_momentum", "adam"];

type Points = Vec<(f64, f64)>;

pub fn figures(rows: &[Value]) -> Vec<(String, Figure)> {
    let mut devices: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["measure"] == "step" && row["tensors"] == 1) {
        let dense_f32 = row["type"] == "F32" && row["zeros"] == 0.0;
        if let (true, Some(backend)) = (dense_f32, row["backend"].as_str()) {
            devices.entry(backend).or_default().push(row);
        }
    }
    devices.into_iter().map(|(backend, rows)| (format!("speed-{backend}"), figure(&rows))).collect()
}

fn figure(rows: &[&Value]) -> Figure {
    let mut adapters: Vec<&str> = rows.iter().filter_map(|row| row["adapter"].as_str()).collect();
    adapters.sort_unstable();
    adapters.dedup();
    let mut panels = Vec::new();
    let mut layouts = Vec::new();
    for operation in PANELS {
        let of = |adapter: &str, key: &str| -> Points {
            let rows = rows.iter().filter(|row| row["operation"] == operation && row["adapter"] == adapter);
            rows.filter_map(|row| Some((row["weights"].as_f64()?.log2(), row[key].as_f64()?))).collect()
        };
        let mut plots = Vec::new();
        for (adapter, color) in adapters.iter().zip(OURS.iter().cycle()) {
            plots.push(line(of(adapter, "gb_per_second"), color).with_legend(format!("penalty, {adapter}")));
        }
        // The kernel is the same for all of them, so its fastest time at a size counts.
        let mut machine: Points = adapters.iter().flat_map(|adapter| of(adapter, "machine_gb_per_second")).collect();
        machine.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        machine.dedup_by_key(|point| point.0);
        plots.push(line(machine, MACHINE).with_dashed().with_legend("the machine's kernel that moves as many bytes"));
        let plots: Vec<Plot> = plots.into_iter().map(Plot::Line).collect();
        let layout = Layout::auto_from_plots(&plots)
            .with_theme(theme())
            .with_title(operation.replace('_', ", "))
            .with_title_size(15)
            .with_x_label("log₂ of the number of weights")
            .with_y_label("GB/s")
            .with_x_tick_step(4.0)
            .with_y_axis_min(0.0);
        layouts.push(layout);
        panels.push(plots);
    }
    Figure::new(2, 3).with_plots(panels).with_layouts(layouts).with_cell_size(330.0, 260.0).with_shared_legend_bottom()
}

fn line(points: Points, color: &str) -> LinePlot {
    LinePlot::new().with_data(points).with_color(color).with_stroke_width(2.0)
}
