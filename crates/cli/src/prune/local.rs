//! Pruning rows, and groups of n:m, each for itself.

use std::ops::Range;

use rayon::prelude::*;

use super::structure::Layers;
use crate::number::Number;

/// How many weights a task takes at least.
const TASK: u64 = 1 << 16;

/// What is pruned of a tensor without a look at others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Local {
    /// So many of each row of this many weights.
    Rows {
        len: u64,
        pruned: u64,
    },
    Layers(Layers),
}

impl Local {
    /// Cuts a range into parts of about this many weights that may be pruned one by one. It begins at one.
    pub(crate) fn parts(self, from: u64, to: u64, size: u64) -> Vec<Range<u64>> {
        match self {
            Local::Layers(layers) => layers.parts(from, to, size),
            Local::Rows { len, .. } => {
                let rows = (size / len).max(1) * len;
                (from..to).step_by(rows as usize).map(|at| at..to.min(at + rows)).collect()
            }
        }
    }

    /// Prunes the part that starts at an index.
    pub(crate) fn prune<N: Number>(self, start: u64, elements: &mut [N]) {
        let mut tasks = Vec::new();
        let mut rest = elements;
        for part in self.parts(start, start + rest.len() as u64, TASK) {
            let (task, after) = rest.split_at_mut((part.end - part.start) as usize);
            tasks.push((part.start, task));
            rest = after;
        }
        tasks.into_par_iter().for_each(|(start, task)| match self {
            Local::Rows { len, pruned } => {
                let mut magnitudes = Vec::new();
                task.chunks_mut(len as usize).for_each(|row| prune_row(row, pruned as usize, &mut magnitudes));
            }
            Local::Layers(layers) => prune_layers(layers, start, task),
        });
    }
}

/// Sets the smallest magnitudes of a row to 0, of equal ones the first.
fn prune_row<N: Number>(row: &mut [N], pruned: usize, magnitudes: &mut Vec<N::Magnitude>) {
    if pruned >= row.len() {
        return row.fill(N::zeroed());
    }
    magnitudes.clear();
    magnitudes.extend(row.iter().map(N::magnitude));
    let (smaller, &mut kept, _) = magnitudes.select_nth_unstable(pruned);
    let mut ties = smaller.iter().filter(|smaller| **smaller == kept).count();
    for element in row {
        let of = element.magnitude();
        let is_tie = of == kept && ties > 0;
        ties -= usize::from(is_tie);
        *element = if of < kept || is_tie { N::zeroed() } else { *element };
    }
}

fn prune_layers<N: Number>(layers: Layers, start: u64, mut elements: &mut [N]) {
    let Layers { n, m, inner, .. } = layers;
    if (n, m, inner) == (2, 4, 1) && layers.are_even() {
        // No group is shorter, so a task has whole ones.
        return elements.as_chunks_mut().0.iter_mut().for_each(prune_two_of_four);
    }
    let (mut at, mut keys) = (start, Vec::new());
    while !elements.is_empty() {
        let (block, after) = elements.split_at_mut((layers.block(at) as usize).min(elements.len()));
        at += block.len() as u64;
        elements = after;
        let inner = inner as usize;
        let pruned = (block.len() / inner).saturating_sub(n as usize);
        if pruned == 0 {
            continue;
        }
        for column in 0..inner {
            keys.clear();
            let members = block[column..].iter().step_by(inner);
            keys.extend(members.zip(0..).map(|(element, i)| element.keyed(i)));
            keys.select_nth_unstable(pruned - 1);
            for key in &keys[..pruned] {
                block[column + N::index(*key) * inner] = N::zeroed();
            }
        }
    }
}

/// Sets the two smallest magnitudes to 0, of equal ones the first.
fn prune_two_of_four<N: Number>(group: &mut [N; 4]) {
    let of = group.each_ref().map(|element| element.magnitude());
    for i in 0..4 {
        let before = (0..4).map(|j| u32::from(if j < i { of[j] <= of[i] } else { of[j] < of[i] })).sum::<u32>();
        group[i] = if before < 2 { N::zeroed() } else { group[i] };
    }
}
