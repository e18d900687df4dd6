//! Runs one span of a plan: the loops of its operation over tiles and blocks.

mod grouped;
mod rows;

use bytemuck::{cast_slice, cast_slice_mut};

use self::rows::{Rows, bits_of, on_bits};
use super::groups::GroupCoefficients;
use super::pass::{BLOCK, Pass, SegmentOperands};
use crate::formula::loops::{Loops, Weighed};
use crate::formula::scalars::Metric;
use crate::formula::{Coefficients, steps};
use crate::numeric::accumulator::Sums;
use crate::numeric::element::Element;
use crate::numeric::simd::InstructionSet;
use crate::numeric::stream;
use crate::numeric::tile::{self, AHEAD, TILE, TermLanes};
use crate::plan::coefficients::CoefficientRecord;
use crate::plan::operation::Operation;

/// What is done with one span.
pub(super) struct Task<'a> {
    pub(super) set: InstructionSet,
    pub(super) pass: &'a Pass<'a>,
    pub(super) loops: &'static Loops,
    pub(super) c: &'a CoefficientRecord,
    /// How many weights the segment has.
    pub(super) len: u64,
    /// The coefficients of the weights' groups, once these are reduced.
    pub(super) groups: Option<&'a GroupCoefficients<'a>>,
    /// Whether the weights are in groups.
    pub(super) grouped: bool,
}

impl Task<'_> {
    /// Visits the weights from `at` on, and adds to the sums if the pass sums.
    pub(super) fn visit<E: Element>(&self, mut at: u64, mut operands: SegmentOperands<'_, E>, sums: &mut Sums) {
        let operation = self.pass.operation;
        if operation == Operation::Evaluate {
            return self.sum(operands.source, operands.element_weights, sums);
        }
        let streams = self.streams::<E>();
        let mut rows = Rows::default();
        // Each block is summed while it is in the cache.
        while !(operands.source.is_empty() && operands.written[0].is_empty()) {
            let mut tile = operands.take(TILE);
            let mut left = tile.reborrow();
            while !left.written[0].is_empty() {
                self.update(at, left.take(BLOCK), streams, &mut rows);
                at += BLOCK as u64;
            }
            if self.pass.sums {
                let gradient = matches!(operation, Operation::Gradient | Operation::AddGradient);
                self.add(if gradient { tile.source } else { tile.written[0] }, tile.element_weights, sums);
            }
        }
        if streams {
            stream::fence();
        }
    }

    /// Whether the output is streamed: it is written only, and not summed.
    fn streams<E: Element>(&self) -> bool {
        let written_only = match self.pass.operation {
            Operation::Gradient => true,
            Operation::Prox => !self.pass.sums,
            _ => false,
        };
        written_only && !self.grouped && stream::pays(self.len * size_of::<E>() as u64)
    }

    fn sum<E: Element>(&self, weights: &[E], element_weights: &[E], sums: &mut Sums) {
        if self.c.sums_terms() {
            let mut left = SegmentOperands::read(weights, element_weights);
            while !left.source.is_empty() {
                let tile = left.take(TILE);
                self.add(tile.source, tile.element_weights, sums);
            }
        } else {
            self.add_tiles(weights, sums);
        }
    }

    /// Adds a tile, or the part of it that exists.
    fn add<E: Element>(&self, weights: &[E], element_weights: &[E], sums: &mut Sums) {
        let max = self.add_tiles(weights, sums);
        if self.c.sums_terms() {
            let mut lanes = TermLanes::new(max);
            let (mut weight_bits, mut shares) = (None, [0.0; BLOCK]);
            let mut left = SegmentOperands::read(weights, element_weights);
            while !left.source.is_empty() {
                let row = left.take(BLOCK);
                let shares = &mut shares[..row.source.len()];
                let element_weights = bits_of(self.set, row.element_weights, &mut weight_bits);
                let t = Weighed { coefficients: &self.c.terms, element_weights };
                (self.loops.terms)(self.set, row.source.into(), t, shares);
                self.set.run(
                    #[inline(always)]
                    || lanes.add(shares),
                );
            }
            self.set.run(
                #[inline(always)]
                || lanes.finish(sums),
            );
        }
    }

    /// Adds tiles, and returns the bits of the last one's largest finite |θ|.
    fn add_tiles<E: Element>(&self, weights: &[E], sums: &mut Sums) -> u32 {
        self.set.run_knowing(
            #[inline(always)]
            |set| add_tiles(set, weights, sums),
        )
    }

    /// Updates at most a block.
    fn update<E: Element>(&self, at: u64, operands: SegmentOperands<'_, E>, streams: bool, rows: &mut Rows<E>) {
        let (set, loops, s) = (self.set, self.loops, &self.pass.scalars);
        let SegmentOperands { source, element_weights, written: [output, first, second] } = operands;
        if let Some(groups) = self.groups {
            return self.update_groups(groups, at, source, output, rows);
        }
        let element_weights = bits_of(set, element_weights, &mut rows.element_weights);
        let c = Weighed { coefficients: &self.c.c, element_weights };
        match self.pass.operation {
            Operation::Evaluate => {}
            Operation::AddGradient if self.c.untouched() => {}
            Operation::AddGradient => (loops.add_gradient)(set, source.into(), output.into(), c, false),
            Operation::Gradient => (loops.gradient)(set, source.into(), output.into(), c, streams),
            Operation::Prox if source.is_empty() => {
                if !self.c.untouched() {
                    (loops.prox_in_place)(set, output.into(), c);
                }
            }
            Operation::Prox if self.c.untouched() => output.copy_from_slice(source),
            Operation::Prox => (loops.prox)(set, source.into(), output.into(), c, streams),
            Operation::Sgd(direction) => {
                on_bits(set, output, &mut rows.output, |theta| {
                    steps::sgd(set, direction, theta, source, first, s);
                    self.prox_of_step(theta, c);
                });
            }
            Operation::Adam(metric) => {
                let metrics = rows.metric.get_or_insert([0; BLOCK]);
                on_bits(set, output, &mut rows.output, |theta| {
                    steps::adam(set, theta, source, [first, second], metrics, s);
                    match metric {
                        Metric::Plain => self.prox_of_step(theta, c),
                        Metric::Adam => {
                            let metrics = cast_slice(&metrics[..theta.len()]);
                            (loops.metric_prox_in_place)(set, metrics, cast_slice_mut(theta), c, false);
                        }
                    }
                });
            }
        }
    }

    /// The prox after a step. Weights in groups have theirs later, when their groups are reduced.
    fn prox_of_step(&self, bits: &mut [u32], c: Weighed<'_, Coefficients>) {
        if !self.grouped {
            (self.loops.prox_in_place)(self.set, cast_slice_mut::<u32, f32>(bits).into(), c);
        }
    }
}

/// Adds tiles, the last of which may be partial, and returns the bits of the last one's largest finite |θ|.
#[inline(always)]
fn add_tiles<E: Element>(set: InstructionSet, weights: &[E], sums: &mut Sums) -> u32 {
    let (tiles, part) = weights.as_chunks::<TILE>();
    let (mut max, mut room) = (0, None);
    for tile in tiles {
        let ahead = tile.as_ptr().wrapping_add(AHEAD * TILE);
        max = tile::add(set, tile, ahead, &mut room, sums);
    }
    if part.is_empty() { max } else { tile::add_part(set, part, sums) }
}
