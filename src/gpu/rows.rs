//! The rows of the table: what a kernel reads about each span.

use super::dispatch::Dispatch;
use super::element_spans::Spans;
use super::kernel::{ROLES, Team};

/// Writes the rows over what `rows` holds. `rows_before` is how many rows of the table come before these.
pub(super) fn write(spans: &Spans, dispatches: &[Dispatch], rows_before: usize, rows: &mut Vec<[[u32; 4]; 2]>) {
    rows.clear();
    let first_geometry = rows_before + 2 * spans.placed.len();
    for dispatch in dispatches {
        for p in &spans.placed[dispatch.first..dispatch.first + dispatch.spans] {
            let mut words = [0; ROLES.len()];
            for (word, (binding, origin)) in words.iter_mut().zip(p.kernel.bindings.of.iter().zip(p.origins)) {
                if let Some(binding) = binding {
                    let window = dispatch.windows[usize::from(*binding)];
                    // A tensor may begin before its window. Its word then wraps below 0, and adding an index wraps
                    // back.
                    *word = (origin.wrapping_sub(window.start) as i64 / 4) as u32;
                }
            }
            let [source, output, first, second, weights] = words;
            let geometry = (first_geometry + 2 * p.geometry) as u32;
            let third = if p.kernel.groups.is_some() { geometry } else { weights };
            let head = [p.span.segment, p.span.len, third, p.span.start as u32];
            let [begin, end, partial_sums] = p.places;
            let sums = p.kernel.groups.is_some_and(|groups| groups.team == Team::Grid);
            let tail = if sums { [source, begin, end, partial_sums] } else { [source, output, first, second] };
            rows.push([head, tail]);
        }
    }
    rows.extend(&spans.geometries);
}
