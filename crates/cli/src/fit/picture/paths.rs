//! Coefficients against λ.

use kuva::prelude::{Figure, Plot};
use penalty_fit::Path;

use super::style;
use crate::fit::task::Task;

/// So many coefficients are named; the others are thin lines.
const NAMED: usize = 12;

pub(crate) fn paths(task: &Task, fits: &Path) -> Figure {
    let names = &task.features.names;
    let count = fits.points.first().map_or(0, |point| point.solution.coef.len());
    let points = |at: usize| -> Vec<(f64, f64)> {
        let of = fits.points.iter().filter(|point| point.solution.lambda > 0.0);
        of.map(|point| (point.solution.lambda.log10(), point.solution.coef[at])).collect()
    };
    let largest = |at: &usize| points(*at).iter().map(|(_, w)| w.abs()).fold(0.0, f64::max);
    let mut order: Vec<usize> = (0..count).filter(|at| largest(at) > 0.0).collect();
    order.sort_by(|a, b| largest(b).total_cmp(&largest(a)));
    let name = |at: usize| match task.classes.get(at / names.len()).filter(|_| count > names.len()) {
        Some(class) => format!("{} ({class})", names[at % names.len()]),
        None => names[at % names.len()].clone(),
    };
    let line = |(place, at): (usize, &usize)| {
        let line = style::line(points(*at), place);
        if place < NAMED { line.with_legend(name(*at)) } else { line.with_stroke_width(0.7).with_color(style::QUIET) }
    };
    let plots: Vec<Plot> = order.iter().enumerate().map(line).map(Plot::Line).collect();
    let others = order.len().saturating_sub(NAMED);
    let title = match others {
        0 => "Coefficients, from many to none".to_owned(),
        others => format!("Coefficients, from many to none; {others} more in grey"),
    };
    let layout = style::layout(&plots, title, "log₁₀ λ", "coefficient on the standardized column");
    let layout = if task.is_standardized() { layout } else { layout.with_y_label("coefficient") };
    Figure::new(1, 1)
        .with_plots(vec![plots])
        .with_layouts(vec![layout])
        .with_cell_size(640.0, 420.0)
        .with_shared_legend()
}
