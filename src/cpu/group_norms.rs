//! The norms of groups on the CPU, of whole tensors and of their chunks.

use rayon::prelude::*;

use super::Cpu;
use super::search::magnitude;
use crate::numeric::element::Element;
use crate::numeric::slice::{Slice, with_element};
use crate::penalty::groups::Geometry;

/// How many weights of a row of groups a task takes at least.
const TASK: u64 = 1 << 12;

/// A group of a tensor: Σθ², which is not rounded to `f32`, and how many weights it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norm {
    pub(super) tensor: usize,
    pub(super) group: u64,
    pub(super) squared: f64,
    pub(super) size: u64,
}

impl Cpu {
    /// The norms of the groups of these tensors, in order. Weights for which `counts` does not hold, by the bits of their
    /// magnitudes, count as 0.
    pub(super) fn norms(
        &self,
        tensors: &[(Slice<'_>, Option<Geometry>)],
        counts: impl Fn(u32) -> bool + Sync,
    ) -> Vec<Norm> {
        let of_tensor = |(tensor, (slice, geometry)): (usize, &(Slice<'_>, Option<Geometry>))| {
            let Some(geometry) = geometry else { return Vec::new() };
            let mut squared = vec![0.0; geometry.count as usize];
            add_squares(geometry, 0, *slice, &mut squared, &counts);
            of_groups(tensor, geometry, &squared).collect()
        };
        tensors.iter().enumerate().flat_map(of_tensor).collect()
    }
}

/// The norms of a tensor's groups, from their sums of squares.
fn of_groups(tensor: usize, geometry: &Geometry, squared: &[f64]) -> impl Iterator<Item = Norm> {
    let norm =
        move |(group, squared): (u64, &f64)| Norm { tensor, group, squared: *squared, size: geometry.size(group) };
    (0..).zip(squared).map(norm)
}

/// Adds the squares of a chunk, which begins at an index of the tensor, to the sums of its groups. Each group's squares
/// are added in the order of indices, however the tensor is cut into chunks.
pub(super) fn add_squares(
    geometry: &Geometry,
    start: u64,
    chunk: Slice<'_>,
    squared: &mut [f64],
    counts: &(impl Fn(u32) -> bool + Sync),
) {
    fn square<E: Element>(element: &E, counts: &impl Fn(u32) -> bool) -> f64 {
        let of = magnitude(element);
        let x = f64::from(f32::from_bits(if counts(of) { of } else { 0 }));
        x * x
    }
    with_element!(chunk.dtype(), E => {
        add(geometry, start, chunk.elements::<E>(), squared, &|sum: f64, element| sum + square(element, counts))
    });
}

/// Adds each element to the sum of its group.
pub(super) fn add<T: Sync, S: Copy + Send>(
    geometry: &Geometry,
    start: u64,
    elements: &[T],
    squared: &mut [S],
    plus: &(impl Fn(S, &T) -> S + Sync),
) {
    if let Some(lists) = &geometry.lists {
        for (group, element) in lists.group_of[start as usize..].iter().zip(elements) {
            let sum = &mut squared[*group as usize];
            *sum = plus(*sum, element);
        }
        return;
    }
    if elements.is_empty() {
        return;
    }
    let Geometry { columns, height, width, across, .. } = *geometry;
    let end = start + elements.len() as u64;
    let first = start / columns / height;
    let last = (end - 1) / columns / height;
    // Groups that lie side by side, and those of each task.
    let side_by_side =
        squared[(first * across) as usize..((last + 1) * across) as usize].par_chunks_mut(across as usize);
    let task = (TASK / width).max(1);
    side_by_side.enumerate().for_each(|(i, squared)| {
        let row_of_groups = first + i as u64;
        squared.par_chunks_mut(task as usize).enumerate().for_each(|(i, squared)| {
            let (left, right) = (i as u64 * task * width, (i as u64 * task + squared.len() as u64) * width);
            for row in row_of_groups * height..(row_of_groups + 1) * height {
                let from = (row * columns + left).max(start);
                let to = (row * columns + right).min(end);
                if from >= to {
                    continue;
                }
                let elements = &elements[(from - start) as usize..(to - start) as usize];
                let column = from - row * columns - left;
                if width == 1 {
                    let sums = squared[column as usize..].iter_mut().zip(elements);
                    sums.for_each(|(sum, element)| *sum = plus(*sum, element));
                    continue;
                }
                // The first of them may be the end of a group.
                let (head, rest) = elements.split_at(((width - column % width) as usize).min(elements.len()));
                let parts = std::iter::once(head).chain(rest.chunks(width as usize));
                for (sum, part) in squared[(column / width) as usize..].iter_mut().zip(parts) {
                    *sum = part.iter().fold(*sum, plus);
                }
            }
        });
    });
}
