//! Coefficients against λ, each line with its name at its end.

use kuva::prelude::{Figure, LinePlot, Plot, TextAnnotation};
use penalty_fit::Path;

use super::style;
use crate::fit::task::Task;
use crate::output::{shortened, width};

/// So many coefficients are named; the others are thin lines.
const NAMED: usize = 12;
/// The picture, what is around the plot (left, right, top, bottom), and a name, in pixels.
const SIZE: (f64, f64) = (640.0, 420.0);
const MARGINS: (f64, f64, f64, f64) = (76.0, 24.0, 50.0, 60.0);
const LETTER: f64 = 6.4;
const FONT: u32 = 11;
const LINE: f64 = 14.0;
/// From a line's end to its name.
const LEADER: f64 = 16.0;
/// kuva draws a text above its point; so far below lies its middle.
const RISE: f64 = 10.0;
/// A name is at most so many letters wide.
const WIDEST: usize = 18;

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
    let name = |at: usize| {
        let name = &names[at % names.len()];
        let class = task.classes.get(at / names.len()).filter(|_| count > names.len());
        let whole = class.map_or(name.clone(), |class| format!("{name} ({class})"));
        shortened(&whole, WIDEST).into_owned()
    };
    let line = |(place, at): (usize, &usize)| {
        let line = style::line(points(*at), place);
        if place < NAMED { line } else { line.with_stroke_width(0.7).with_color(style::QUIET) }
    };
    let mut plots: Vec<Plot> = order.iter().enumerate().map(line).map(Plot::Line).collect();

    // The part of the plane that is shown leaves room for the names, where λ is least.
    let all = || order.iter().flat_map(|at| points(*at));
    let least_and_most = |of: fn((f64, f64)) -> f64| {
        all().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let ((first, last), (low, high)) = (least_and_most(|(x, _)| x), least_and_most(|(_, y)| y));
    let (left, right, top, bottom) = MARGINS;
    let (wide, tall) = (SIZE.0 - left - right, SIZE.1 - top - bottom);
    let named = &order[..order.len().min(NAMED)];
    let longest = named.iter().map(|at| width(&name(*at))).max().unwrap_or(0);
    let room = LETTER * longest as f64 + 1.5 * LEADER;
    let x = (last - first).max(1e-3) / (wide - room);
    let y = 1.1 * (high.max(0.0) - low.min(0.0)) / tall;
    let bottom_of_plane = low.min(0.0) - 0.05 / 1.1 * y * tall;

    let end = |at: usize| points(at).into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.0, |(_, w)| w);
    let mut ends: Vec<(f64, usize)> = named.iter().enumerate().map(|(place, at)| (end(*at), place)).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let wanted: Vec<f64> = ends.iter().map(|(end, _)| (end - bottom_of_plane) / y).collect();
    let mut annotations = Vec::new();
    for ((end, place), height) in ends.iter().zip(spread(&wanted, LINE, tall)) {
        let (label, height) = (name(named[*place]), bottom_of_plane + height * y);
        let leader = LinePlot::new().with_data([(first - LEADER * x, height), (first, *end)]);
        plots.push(Plot::Line(leader.with_color(style::color(*place)).with_stroke_width(0.8)));
        let middle = first - x * (1.2 * LEADER + 0.5 * LETTER * width(&label) as f64);
        annotations.push(TextAnnotation::new(label, middle, height - RISE * y).with_font_size(FONT));
    }

    let others = order.len() - named.len();
    let title = match others {
        0 => "Coefficients, from many to none".to_owned(),
        others => format!("Coefficients, from many to none; {others} more in grey"),
    };
    let layout = style::layout(&plots, title, "log₁₀ λ", "coefficient on the standardized column");
    let layout = if task.is_standardized() { layout } else { layout.with_y_label("coefficient") };
    let layout = layout.with_x_axis_min(first - room * x).with_x_axis_max(first + (wide - room) * x);
    let layout = layout.with_y_axis_min(bottom_of_plane).with_y_axis_max(bottom_of_plane + tall * y);
    let layout = layout.with_force_margins(left, right).with_force_margins_y(top, bottom);
    let layout = annotations.into_iter().fold(layout, |layout, annotation| layout.with_annotation(annotation));
    Figure::new(1, 1).with_plots(vec![plots]).with_layouts(vec![layout]).with_cell_size(SIZE.0, SIZE.1)
}

/// The places from 0 to `most` that are `gap` apart and together nearest to those wanted, which ascend.
fn spread(wanted: &[f64], gap: f64, most: f64) -> Vec<f64> {
    // With i·gap taken off, they must only not descend: places that do take their mean.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (i, place) in wanted.iter().enumerate() {
        let mut block = (place - i as f64 * gap, 1);
        while let Some((mean, count)) = blocks.pop_if(|(mean, _)| *mean > block.0) {
            let all = count + block.1;
            block = ((mean * count as f64 + block.0 * block.1 as f64) / all as f64, all);
        }
        blocks.push(block);
    }
    let last = most - gap * wanted.len().saturating_sub(1) as f64;
    let places =
        blocks.into_iter().flat_map(|(mean, count)| std::iter::repeat_n(mean.clamp(0.0, last.max(0.0)), count));
    places.enumerate().map(|(i, place)| place + i as f64 * gap).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn names_do_not_overlap() {
        assert_eq!(spread(&[10.0, 50.0], 14.0, 300.0), [10.0, 50.0]);
        assert_eq!(spread(&[20.0, 20.0, 20.0], 14.0, 300.0), [6.0, 20.0, 34.0]);
        assert_eq!(spread(&[0.0, 0.0, 299.0], 14.0, 300.0), [0.0, 14.0, 299.0]);
        assert_eq!(spread(&[290.0, 300.0], 14.0, 300.0), [286.0, 300.0]);
        assert!(spread(&[], 14.0, 300.0).is_empty());
    }
}
