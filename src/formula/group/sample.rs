//! A sample of a large group's weights. It only guides a search whose answer is then proved.

use rayon::prelude::*;

use super::rows::{Row, WIDTH};
use super::{Group, Members};

/// At most this many lines of consecutive weights are read, and at most one of `SPARSELY`.
const LINES: usize = 1 << 12;
const SPARSELY: usize = 16;
/// At most one in so many weights is gathered.
pub(super) const GATHERED: usize = 8;
/// By how many standard deviations of the sample a guess may be wrong.
pub(super) const DEVIATIONS: f64 = 5.0;

/// The clean bits of lines of weights that are spread over the group. A line is a cache line of `f32`.
pub(super) fn lines(group: &Group<'_>) -> Vec<Row> {
    let all = group.len() / WIDTH;
    let count = (all / SPARSELY).clamp(1, LINES);
    let line = |i: usize| {
        // One line of each stretch. A fixed distance would fit the rows of some matrices.
        let (start, end) = (i * all / count, (i + 1) * all / count);
        let noise = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let first = (start + noise as usize % (end - start)) * WIDTH;
        let mut bits = [0; WIDTH];
        match group.members {
            Members::Gathered(weights) => bits.copy_from_slice(&weights[first..first + WIDTH]),
            Members::Large(weights) | Members::Shard(weights, _) => weights.clean(first, &mut bits),
        }
        bits
    };
    (0..count).into_par_iter().with_min_len(256).map(line).collect()
}

/// The standard deviation of a sum over the lines, from each line's part of it.
pub(super) fn deviation(parts: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for part in parts {
        count += 1.0;
        sum += part;
        squares += part * part;
    }
    f64::max(squares - sum * sum / count, 0.0).sqrt()
}
