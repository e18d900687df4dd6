//! The error of cross-validation against λ.

use kuva::prelude::{Figure, Plot, ReferenceLine, ScatterPlot};
use penalty_fit::CrossValidation;

use super::style;
use crate::fit::task::Task;
use crate::report::short;

pub(crate) fn curve(task: &Task, cv: &CrossValidation) -> Figure {
    let at = || (0..cv.lambdas.len()).filter(|at| cv.lambdas[*at] > 0.0);
    let log = |at: usize| cv.lambdas[at].log10();
    let mean: Vec<(f64, f64)> = at().map(|at| (log(at), cv.mean[at])).collect();
    let low: Vec<f64> = at().map(|at| cv.mean[at] - cv.standard_error[at]).collect();
    let high: Vec<f64> = at().map(|at| cv.mean[at] + cv.standard_error[at]).collect();
    let (_, name) = task.loss.measure();
    let line = style::line(mean, 0).with_band(low, high).with_legend("mean over the folds ± standard error");
    let point = |lambda: f64| at().find(|at| cv.lambdas[*at] == lambda).map(|at| (log(at), cv.mean[at]));
    let marks: Vec<(f64, f64)> = [cv.lambda_min, cv.lambda_1se].into_iter().filter_map(point).collect();
    let marks = ScatterPlot::new().with_data(marks).with_color(style::color(1)).with_size(5.0);
    let plots = vec![Plot::Line(line), Plot::Scatter(marks.with_legend("λ_min and λ_1se"))];
    let title = format!("λ_min = {}, λ_1se = {}", short(cv.lambda_min), short(cv.lambda_1se));
    let mut layout = style::layout(&plots, title, "log₁₀ λ", &format!("{name} on held-out rows"));
    for (lambda, label) in [(cv.lambda_min, "λ_min"), (cv.lambda_1se, "λ_1se")] {
        if lambda > 0.0 {
            let line = ReferenceLine::vertical(lambda.log10()).with_color(style::QUIET).with_label(label);
            layout = layout.with_reference_line(line);
        }
    }
    let figure = Figure::new(1, 1).with_plots(vec![plots]).with_layouts(vec![layout]);
    figure.with_cell_size(640.0, 420.0).with_shared_legend_bottom()
}
