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
use crate::numeric::tile::{self, TILE, TermLanes};
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
        if self.updates_once(&operands) {
            return self.update_once(at, operands);
        }
        let streams = self.streams::<E>();
        let len = self.at_once(&operands, streams);
        let mut rows = Rows::default();
        // Each block is summed while it is in the cache.
        while !(operands.source.is_empty() && operands.written[0].is_empty()) {
            let mut tile = operands.take(TILE);
            let mut left = tile.reborrow();
            while !left.written[0].is_empty() {
                self.update(at, left.take(len), streams, &mut rows);
                at += len as u64;
            }
            if self.pass.sums {
                let gradient = matches!(operation, Operation::Gradient | Operation::AddGradient);
                self.add(if gradient { tile.source } else { tile.written[0] }, tile.element_weights, &mut rows, sums);
            }
        }
        if streams {
            stream::fence();
        }
    }

    /// Whether nothing is summed, and one update takes all of these elements. None are left of a tensor whose groups have
    /// been updated, and its loops take bits alone.
    pub(super) fn updates_once<E: Element>(&self, operands: &SegmentOperands<'_, E>) -> bool {
        let len = operands.written[0].len();
        !self.pass.sums && self.pass.operation != Operation::Evaluate && (1..=BLOCK).contains(&len)
    }

    /// Updates what [`updates_once`](Task::updates_once): in sets of short tensors, more preparations would take longer
    /// than the update.
    pub(super) fn update_once<E: Element>(&self, at: u64, operands: SegmentOperands<'_, E>) {
        self.update(at, operands, false, &mut Rows::default());
    }

    /// How many elements are updated at a time: a block if several loops go over them or they take rows, else a tile.
    fn at_once<E: Element>(&self, operands: &SegmentOperands<'_, E>, streams: bool) -> usize {
        let steps = matches!(self.pass.operation, Operation::Sgd(_) | Operation::Adam(_));
        let rows = steps || streams || self.groups.is_some() || !operands.element_weights.is_empty();
        if rows { BLOCK } else { TILE }
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
        if let Some(groups) = self.groups {
            let mut rows = Rows::default();
            for tile in weights.chunks(TILE) {
                self.add_tiles(tile, sums);
                self.add_shares(groups, tile, &mut rows, sums);
            }
        } else if self.c.sums_terms() {
            let (mut left, mut rows) = (SegmentOperands::read(weights, element_weights), Rows::default());
            while !left.source.is_empty() {
                let tile = left.take(TILE);
                self.add(tile.source, tile.element_weights, &mut rows, sums);
            }
        } else {
            self.add_tiles(weights, sums);
        }
    }

    /// Adds a tile, or the part of it that exists.
    fn add<E: Element>(&self, weights: &[E], element_weights: &[E], rows: &mut Rows<E>, sums: &mut Sums) {
        let max = self.add_tiles(weights, sums);
        if self.c.sums_terms() {
            let (mut lanes, mut shares) = (TermLanes::new(max), [0.0; BLOCK]);
            let mut left = SegmentOperands::read(weights, element_weights);
            while !left.source.is_empty() {
                let row = left.take(BLOCK);
                let shares = &mut shares[..row.source.len()];
                let weights = cast_slice(bits_of(self.set, row.source, &mut rows.source));
                let element_weights = bits_of(self.set, row.element_weights, &mut rows.element_weights);
                let t = Weighed { coefficients: &self.c.terms, element_weights };
                (self.loops.terms)(self.set, weights, t, shares);
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

    /// Adds tiles, the last of which may be partial, and returns the bits of the last one's largest finite |θ|. Tiles and
    /// parts are apart: in one function, LLVM does not vectorise the parts.
    fn add_tiles<E: Element>(&self, weights: &[E], sums: &mut Sums) -> u32 {
        let (tiles, part) = weights.as_chunks::<TILE>();
        let mut max = 0;
        if !tiles.is_empty() {
            max = self.set.run_knowing(
                #[inline(always)]
                |set| add_tiles(set, tiles, sums),
            );
        }
        if !part.is_empty() {
            max = self.set.run_knowing(
                #[inline(always)]
                |set| tile::add_part(set, part, sums),
            );
        }
        max
    }

    /// Updates at most a tile, or at most a block if it takes rows.
    fn update<E: Element>(&self, at: u64, operands: SegmentOperands<'_, E>, streams: bool, rows: &mut Rows<E>) {
        let (set, loops, s) = (self.set, self.loops, &self.pass.scalars);
        let SegmentOperands { source, element_weights, written: [output, first, second] } = operands;
        if let Some(groups) = self.groups {
            return self.update_groups(groups, at, source, output, rows);
        }
        let element_weights = bits_of(set, element_weights, &mut rows.element_weights);
        // Reading a struct as a whole just after its fields were stored stalls the processor. So this is made at each use.
        let c = || Weighed { coefficients: &self.c.c, element_weights };
        match self.pass.operation {
            Operation::Evaluate => {}
            Operation::AddGradient if self.c.untouched() => {}
            Operation::AddGradient => (loops.add_gradient)(set, source.into(), output.into(), c()),
            Operation::Gradient => {
                streamed(streams, output, &mut rows.made, |output| {
                    (loops.gradient)(set, source.into(), output.into(), c());
                });
            }
            Operation::Prox if source.is_empty() => {
                if !self.c.untouched() {
                    (loops.prox_in_place)(set, output.into(), c());
                }
            }
            Operation::Prox if self.c.untouched() => output.copy_from_slice(source),
            Operation::Prox => {
                streamed(streams, output, &mut rows.made, |output| {
                    output.copy_from_slice(source);
                    (loops.prox_in_place)(set, output.into(), c());
                });
            }
            Operation::Sgd(direction) => {
                on_bits(set, output, &mut rows.output, |theta| {
                    steps::sgd(set, direction, theta, source, first, s);
                    self.prox_of_step(theta, c());
                });
            }
            Operation::Adam(metric) => {
                let metrics = rows.made.get_or_insert([0; BLOCK]);
                on_bits(set, output, &mut rows.output, |theta| {
                    steps::adam(set, theta, source, [first, second], metrics, s);
                    match metric {
                        Metric::Plain => self.prox_of_step(theta, c()),
                        Metric::Adam => {
                            let metrics = cast_slice(&metrics[..theta.len()]);
                            (loops.metric_prox_in_place)(set, metrics, cast_slice_mut(theta), c());
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

/// Adds tiles, and returns the bits of the last one's largest finite |θ|.
#[inline(always)]
fn add_tiles<E: Element>(set: InstructionSet, tiles: &[[E; TILE]], sums: &mut Sums) -> u32 {
    let (mut max, mut room) = (0, None);
    for tile in tiles {
        max = tile::add(set, tile, &mut room, sums);
    }
    max
}

/// Calls `f` with at most a block of output, or with memory that is then streamed to it.
fn streamed<E: Element>(streams: bool, output: &mut [E], made: &mut Option<[u32; BLOCK]>, f: impl FnOnce(&mut [E])) {
    if !streams {
        return f(output);
    }
    let made = &mut cast_slice_mut(made.get_or_insert([0; BLOCK]))[..output.len()];
    f(made);
    stream::store(made, output);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Adam, Cpu, HostSet, Momentum, Parameter, Penalty, Result, Sgd, Slice, SliceMut};
    use half::{bf16, f16};

    fn streams_the_bits_that_it_stores<E: Element>() -> Result<()> {
        let penalty = Penalty::elastic_net(0.5, 0.25)?;
        let loops = &penalty.formula().loops;
        let c = Weighed { coefficients: &[0.25, 0.75, 0.0, 0.0, 0.0], element_weights: &[] };
        // Any bits, NaN and infinity among them.
        let source: Vec<E> = (0..1100u32).map(|i| E::encode(i.wrapping_mul(2_654_435_761))).collect();
        for set in InstructionSet::available() {
            // Starts that are aligned, and starts that are not.
            for (start, len) in (0..9).flat_map(|start| [(start, 1), (start, 64), (start, 200), (start, BLOCK)]) {
                let (source, mut made) = (&source[start + 1..][..len], None);
                let mut outputs = [(); 2].map(|()| vec![E::zeroed(); start + len]);
                for (streams, output) in [true, false].into_iter().zip(&mut outputs) {
                    streamed(streams, &mut output[start..], &mut made, |output| {
                        (loops.gradient)(set, source.into(), output.into(), c);
                    });
                }
                stream::fence();
                let bits = outputs.map(|output| output.iter().map(|x| x.decode()).collect::<Vec<_>>());
                assert_eq!(bits[0], bits[1], "{set:?} {start} {len}");
            }
        }
        Ok(())
    }

    /// Nothing is left where they end, which need not be a place for an `f32`.
    #[test]
    fn groups_of_halves_end_anywhere() -> Result<()> {
        for len in [1, 2, 3, 5000, 5001] {
            let mut halves = vec![f16::from_f32(0.5); len + 1];
            for start in [0, 1] {
                let set = HostSet::new(Cpu::new(), vec![Parameter::new("a", Penalty::l2_ball(0.0)?)]);
                set.prox_in_place(&mut [SliceMut::from(&mut halves[start..][..len])], 1.0)?;
                assert!(halves[start..][..len].iter().all(|x| *x == f16::ZERO));
            }
        }
        Ok(())
    }

    /// A call with a report takes its blocks one by one.
    #[test]
    fn short_tensors_have_the_bits_of_tensors_with_a_report() -> Result<()> {
        let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
        let penalties = [Penalty::elastic_net(0.5, 0.25)?, Penalty::log_sum(0.5, 0.25)?, Penalty::weighted_l1(0.5)?];
        let adam = |metric: Metric| Adam { step: 0.125, metric, ..Adam::default() };
        let sgd = |momentum| Sgd { step: 0.125, momentum };
        for set in InstructionSet::available() {
            for (len, penalty) in [1, 63, 64, 65, BLOCK - 1, BLOCK, BLOCK + 1].into_iter().zip(penalties.iter().cycle())
            {
                let [theta, g, m, v, of_elements] =
                    [0, 1, 2, 3, 4].map(|at| (0..len).map(|i| noise(5 * i + at)).collect::<Vec<f32>>());
                let [v, of_elements] = [v, of_elements].map(|x| x.iter().map(|x| x.abs()).collect::<Vec<f32>>());
                let weighted = penalty.is_weighted().then_some(Slice::from(&of_elements[..]));
                let host = HostSet::new(Cpu::with_instructions(set)?, vec![Parameter::new("a", penalty.clone())]);
                let host = host.with_element_weights(&[weighted])?;
                for operation in 0..6 {
                    let [alone, reported] = [false, true].map(|reports| -> Result<_> {
                        let (mut theta, mut g, mut m, mut v) = (theta.clone(), g.clone(), m.clone(), v.clone());
                        {
                            let weights = &mut [SliceMut::from(&mut theta[..])];
                            let first = &mut [SliceMut::from(&mut m[..])];
                            let second = &mut [SliceMut::from(&mut v[..])];
                            let gradient = &mut [SliceMut::from(&mut g[..])];
                            let read = &[gradient[0].as_slice()];
                            match (operation, reports) {
                                (0, false) => host.prox_in_place(weights, 0.5)?,
                                (0, true) => drop(host.prox_and_evaluate_in_place(weights, 0.5)?),
                                (1, false) => host.sgd(weights, read, &mut [], &sgd(Momentum::None))?,
                                (1, true) => {
                                    drop(host.sgd_and_evaluate(weights, read, &mut [], &sgd(Momentum::None))?);
                                }
                                (2, false) => host.sgd(weights, read, first, &sgd(Momentum::nesterov(0.5)))?,
                                (2, true) => {
                                    drop(host.sgd_and_evaluate(weights, read, first, &sgd(Momentum::nesterov(0.5)))?);
                                }
                                (3, false) => host.adam(weights, read, first, second, &adam(Metric::Adam))?,
                                (3, true) => {
                                    drop(host.adam_and_evaluate(weights, read, first, second, &adam(Metric::Adam))?);
                                }
                                (4, false) => host.gradient_into(&[weights[0].as_slice()], gradient)?,
                                (4, true) => {
                                    drop(host.evaluate_and_gradient_into(&[weights[0].as_slice()], gradient)?);
                                }
                                (_, false) => host.gradient_add(&[weights[0].as_slice()], gradient)?,
                                (_, true) => drop(host.evaluate_and_gradient_add(&[weights[0].as_slice()], gradient)?),
                            }
                        }
                        Ok([theta, g, m, v].map(|x| x.into_iter().map(f32::to_bits).collect::<Vec<u32>>()))
                    });
                    assert_eq!(alone?, reported?, "{set:?} {len} {penalty:?} {operation}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_streamed_output_has_the_bits_of_a_stored_one() -> Result<()> {
        streams_the_bits_that_it_stores::<f32>()?;
        streams_the_bits_that_it_stores::<f16>()?;
        streams_the_bits_that_it_stores::<bf16>()
    }
}
