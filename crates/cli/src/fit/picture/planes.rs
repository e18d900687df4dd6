//! What a penalty allows two coefficients, where a contour of the loss touches it, and both coefficients as λ grows.

use kuva::prelude::{Figure, Layout, LinePlot, MarkerShape, Plot, ScatterPlot};
use penalty_fit::{Geometry, Path};

use super::style;
use crate::report::short;

/// How far the contours are above the least loss, as multiples of the height of the touching one.
const CONTOURS: [f64; 3] = [0.1, 0.4, 1.0];

/// A penalty's picture and its coefficients along λ.
pub(crate) struct Panel {
    pub(crate) name: String,
    pub(crate) lambda: f64,
    pub(crate) geometry: Geometry,
    pub(crate) path: Path,
}

pub(crate) fn planes(names: &[String; 2], panels: &[Panel]) -> Figure {
    // All panels show the same part of the plane.
    let far = |Panel { geometry, .. }: &Panel| {
        let points = std::iter::once(geometry.optimum).chain(corners(geometry));
        points.flat_map(|[x, y]| [x.abs(), y.abs()]).fold(0.0, f64::max)
    };
    let reach = 1.15 * panels.iter().map(far).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let upper = panels.iter().map(|panel| plane(names, reach, panel));
    let lower = panels.iter().map(|panel| coefficients(names, panel));
    let (plots, layouts): (Vec<Vec<Plot>>, Vec<Layout>) = upper.chain(lower).unzip();
    let figure = Figure::new(2, panels.len()).with_plots(plots).with_layouts(layouts);
    figure.with_cell_size(360.0, 330.0).with_shared_legend_bottom()
}

/// Where the boundary crosses the axes, unless it is out of sight.
fn corners(geometry: &Geometry) -> impl Iterator<Item = [f64; 2]> + '_ {
    let far = 10.0 * geometry.optimum[0].hypot(geometry.optimum[1]);
    let on_axis = move |[x, y]: &[f64; 2]| (*x == 0.0 || *y == 0.0) && x.hypot(*y) < far;
    geometry.boundary.iter().copied().filter(on_axis)
}

fn plane(names: &[String; 2], reach: f64, Panel { name, lambda, geometry, .. }: &Panel) -> (Vec<Plot>, Layout) {
    let height = geometry.solution.loss - geometry.least_loss();
    let contours = CONTOURS.into_iter().flat_map(|share| {
        let points = geometry.contour(geometry.least_loss() + share * height);
        let runs = visible(&points, reach).into_iter().enumerate();
        runs.map(move |(at, run)| {
            let contour = LinePlot::new().with_data(run).with_color(style::QUIET).with_stroke_width(1.2);
            if (share, at) == (1.0, 0) { contour.with_legend("contours of the loss") } else { contour }
        })
    });
    let boundary = visible(&geometry.boundary, reach).into_iter().enumerate().map(|(at, run)| {
        let line = LinePlot::new().with_data(run).with_color(style::color(0)).with_stroke_width(2.5);
        if at == 0 { line.with_legend("R(w) = c, the penalty of the solution") } else { line }
    });
    let point = |[x, y]: [f64; 2], marker, at, label: &str| {
        let point = ScatterPlot::new().with_data([(x, y)]).with_color(style::color(at)).with_size(5.0);
        Plot::Scatter(point.with_marker(marker).with_legend(label))
    };
    let touching = [geometry.solution.coef[0], geometry.solution.coef[1]];
    let mut plots: Vec<Plot> = contours.chain(boundary).map(Plot::Line).collect();
    plots.push(point(geometry.optimum, MarkerShape::Cross, 1, "least loss"));
    plots.push(point(touching, MarkerShape::Circle, 2, "touching point: the solution"));
    let zeros = names.iter().zip(touching).filter(|(_, w)| *w == 0.0).map(|(name, _)| format!("{name} = 0"));
    let zeros: Vec<String> = zeros.collect();
    let what = if zeros.is_empty() { "no exact zero".to_owned() } else { format!("exactly {}", zeros.join(", ")) };
    let title = format!("{name}: {what}, λ = {}", short(*lambda));
    let layout = style::layout(&plots, title, &names[0], &names[1]).with_equal_aspect();
    let layout = layout.with_x_axis_min(-reach).with_x_axis_max(reach).with_y_axis_min(-reach).with_y_axis_max(reach);
    (plots, layout)
}

/// The parts of a closed curve that are in sight.
fn visible(points: &[[f64; 2]], reach: f64) -> Vec<Vec<(f64, f64)>> {
    let mut runs: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for [x, y] in points.iter().chain(points.first()) {
        if x.abs().max(y.abs()) > reach {
            runs.push(Vec::new());
        } else if let Some(run) = runs.last_mut() {
            run.push((*x, *y));
        }
    }
    runs.retain(|run| run.len() > 1);
    runs
}

fn coefficients(names: &[String; 2], Panel { lambda, path, .. }: &Panel) -> (Vec<Plot>, Layout) {
    let lines = names.iter().enumerate().map(|(at, name)| {
        let points = path.points.iter().map(|point| (point.solution.lambda, point.solution.coef[at])).collect();
        style::line(points, 2 * at + 3).with_legend(format!("coefficient of {name}"))
    });
    let plots: Vec<Plot> = lines.map(Plot::Line).collect();
    let last = path.points.first().map(|point| &point.solution.coef);
    let zeros = last.map_or(0, |coef| coef.iter().filter(|w| **w == 0.0).count());
    let title = match zeros {
        2 => "both reach 0 as λ grows",
        1 => "one reaches 0 as λ grows",
        _ => "neither reaches 0 as λ grows",
    };
    let mark = kuva::prelude::ReferenceLine::vertical(*lambda).with_color(style::QUIET).with_label("λ above");
    let layout = style::layout(&plots, title.to_owned(), "λ", "coefficient").with_reference_line(mark);
    (plots, layout)
}
