//! Loops over the rows of a chunk of weights, which may be anything: the range of their bits says whether they are clean.

use super::CHUNK;
use crate::numeric::bits::{INFINITY, MAGNITUDE, SMALLEST};
use crate::numeric::tile::prefetch_ahead;

/// The most lanes that a vector register holds.
pub(super) const WIDTH: usize = 16;
/// How many weights lie between prefetches.
const BLOCK: usize = 64;

pub(super) type Row = [u32; WIDTH];

/// Calls `add` with each row of the weights, and how many of its weights count: the last row is padded with zeros.
/// Gives the range of the weights' bits.
#[inline(always)]
pub(super) fn scan(bits: &[u32], mut add: impl FnMut(&Row, usize)) -> Range {
    let mut range = Range { least: [u32::MAX; WIDTH], largest: [0; WIDTH], lowest: [i32::MAX; WIDTH] };
    each(
        bits,
        #[inline(always)]
        |row, len| {
            range.add(row);
            add(row, len);
        },
    );
    range
}

/// Calls `add` alone.
#[inline(always)]
pub(super) fn each(bits: &[u32], mut add: impl FnMut(&Row, usize)) {
    let (blocks, rest) = bits.as_chunks::<BLOCK>();
    for block in blocks {
        prefetch_ahead(block);
        for row in block.as_chunks().0 {
            add(row, WIDTH);
        }
    }
    for rest in rest.chunks(WIDTH) {
        let mut row = [0; WIDTH];
        row[..rest.len()].copy_from_slice(rest);
        add(&row, rest.len());
    }
}

/// The range of the weights' bits alone.
#[inline(always)]
pub(super) fn range(bits: &[u32]) -> Range {
    scan(
        bits,
        #[inline(always)]
        |_, _| {},
    )
}

/// The range of weights' bits, in lanes.
pub(super) struct Range {
    /// The smallest magnitude as an integer, less 1: a zero is the largest.
    least: Row,
    largest: Row,
    /// The smallest bits as a signed integer: a −0 is the smallest.
    lowest: [i32; WIDTH],
}

impl Range {
    #[inline(always)]
    fn add(&mut self, row: &Row) {
        for (i, b) in row.iter().enumerate() {
            let magnitude = b & MAGNITUDE;
            self.least[i] = self.least[i].min(magnitude.wrapping_sub(1));
            self.largest[i] = self.largest[i].max(magnitude);
            self.lowest[i] = self.lowest[i].min(*b as i32);
        }
    }

    /// The bits of the largest magnitude.
    #[inline(always)]
    pub(super) fn largest(&self) -> u32 {
        self.largest.into_iter().fold(0, u32::max)
    }

    /// Whether all weights are clean: finite, and 0 or at least 2^-120. A −0 is only clean if signs do not matter.
    #[inline(always)]
    pub(super) fn is_clean(&self, signed: bool) -> bool {
        let least = self.least.into_iter().fold(u32::MAX, u32::min);
        self.largest() < INFINITY && least >= SMALLEST.to_bits() - 1 && !(signed && self.lowest() == i32::MIN)
    }

    /// Whether a weight is negative. A −0 counts too.
    #[inline(always)]
    pub(super) fn has_negative(&self) -> bool {
        self.lowest() < 0
    }

    #[inline(always)]
    fn lowest(&self) -> i32 {
        self.lowest.into_iter().fold(i32::MAX, i32::min)
    }
}

/// The rows of a chunk that hold what is sought. Rows are noted without a branch: whether a row does is hard to predict.
pub(super) struct Hits {
    rows: [u16; CHUNK / WIDTH],
    visited: usize,
    count: usize,
}

impl Hits {
    #[inline(always)]
    pub(super) fn new() -> Hits {
        Hits { rows: [0; CHUNK / WIDTH], visited: 0, count: 0 }
    }

    /// Notes whether the next row is one of them.
    #[inline(always)]
    pub(super) fn note(&mut self, hit: bool) {
        self.rows[self.count % (CHUNK / WIDTH)] = self.visited as u16;
        self.visited += 1;
        self.count += usize::from(hit);
    }

    /// Writes the sizes that are sought, in the order of their weights. Gives how many they are.
    #[inline(always)]
    pub(super) fn gather(
        &self,
        bits: &[u32],
        room: &mut [u32; CHUNK],
        size: impl Fn(u32) -> u32,
        is_sought: impl Fn(u32) -> bool,
    ) -> usize {
        let mut found = 0;
        for row in &self.rows[..self.count] {
            let first = usize::from(*row) * WIDTH;
            for b in &bits[first..bits.len().min(first + WIDTH)] {
                let size = size(*b);
                room[found % CHUNK] = size;
                found += usize::from(is_sought(size));
            }
        }
        found
    }
}
