//! The CPU path: a plan run over slices, on the calling thread and its rayon pool.

mod set;
mod simd;

use rayon::prelude::*;

pub use set::{HostSet, Slice, SliceMut};
pub use simd::InstructionSet;

use crate::element::Element;
use crate::elementwise;
use crate::exact::Partial;
use crate::optimizer::{Metric, Scalars, adam, sgd};
use crate::plan::{Coefficients, Direction, Operation, Plan, Span};
use crate::tile::{self, TILE};
use crate::{Error, Result};

/// What one task of the pool takes at a time: a megabyte of `f32`, so that few partials are merged.
pub(crate) const TILES_PER_SPAN: u32 = 64;
/// How many tasks are made at a time: what they need and give stays in the caches.
const SPANS: usize = 1024;
/// How far ahead of the tile being worked on memory is asked for, in tiles.
const AHEAD: usize = 1;
/// Tensors of at most so many weights, such as biases, are summed without the rest of their tile; so are those of half the
/// lanes.
const SHORT: usize = 64;
/// How many elements are tested for NaN and infinity at a time.
const BLOCK: usize = 64;

/// Computes on the calling thread and its rayon pool, with the best vector instructions that the processor has.
///
/// The bits depend neither on the number of threads nor on the instructions. To bound the threads, call from inside
/// [`rayon::ThreadPool::install`](https://docs.rs/rayon/latest/rayon/struct.ThreadPool.html#method.install).
#[derive(Debug, Clone)]
pub struct Cpu {
    set: InstructionSet,
}

impl Default for Cpu {
    fn default() -> Cpu {
        Cpu { set: InstructionSet::available().pop().unwrap_or(InstructionSet::Baseline) }
    }
}

impl Cpu {
    /// With the best instructions there are.
    pub fn new() -> Cpu {
        Cpu::default()
    }

    /// With these instructions; for tests and measurements.
    ///
    /// # Errors
    ///
    /// [`Error::InstructionSet`] where the processor does not have them.
    pub fn with_instructions(set: InstructionSet) -> Result<Cpu> {
        if InstructionSet::available().contains(&set) { Ok(Cpu { set }) } else { Err(Error::InstructionSet(set)) }
    }

    /// The vector instructions in use.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    /// Does an operation with every segment's operands, and sums its weights where `sums` is set: then one partial a
    /// segment, else none.
    pub(crate) fn run<E: Element>(
        &self,
        plan: &Plan,
        pass: &Pass<'_>,
        mut operands: Vec<Operands<'_, E>>,
    ) -> Vec<Partial> {
        let mut partials = vec![Partial::default(); if pass.sums { plan.segments.len() } else { 0 }];
        for spans in plan.stages.iter().flat_map(|stage| stage.spans.chunks(SPANS)) {
            let tasks = spans.iter().map(|span| {
                // The spans of a segment follow each other, so each takes the front of what is left.
                (span, operands[span.segment as usize].take(span.len as usize))
            });
            let tasks: Vec<(&Span, Operands<'_, E>)> = tasks.collect();
            let visit = |(span, operands): (&Span, Operands<'_, E>)| {
                let c = &pass.coefficients[span.segment as usize];
                match self.set {
                    InstructionSet::Baseline => visit::<E, false>(pass, c, operands),
                    // These sets have a fused multiply-add; without one, `mul_add` is a slow call.
                    _ => self.set.run(
                        #[inline(always)]
                        || visit::<E, true>(pass, c, operands),
                    ),
                }
            };
            let sums: Vec<Option<Partial>> = if tasks.len() == 1 {
                tasks.into_iter().map(visit).collect()
            } else {
                tasks.into_par_iter().map(visit).collect()
            };
            for (span, sum) in spans.iter().zip(&sums) {
                if let Some(sum) = sum {
                    partials[span.segment as usize].merge(sum);
                }
            }
        }
        partials
    }
}

/// What is done in one go over a plan.
pub(crate) struct Pass<'a> {
    pub(crate) operation: Operation,
    pub(crate) sums: bool,
    pub(crate) coefficients: &'a [Coefficients],
    pub(crate) scalars: Scalars,
}

/// A segment's operands, or a part of each. An operand that an operation does not have is empty.
pub(crate) struct Operands<'a, E> {
    /// What is only read: the weights, or the gradient that an optimizer steps against.
    pub(crate) source: &'a [E],
    /// What is written: a gradient or weights, in place where there is no source, then the optimizer's state.
    pub(crate) written: [&'a mut [E]; 3],
}

impl<'a, E> Operands<'a, E> {
    pub(crate) fn read(source: &'a [E]) -> Operands<'a, E> {
        Operands { source, written: [&mut [], &mut [], &mut []] }
    }

    pub(crate) fn update(source: Option<&'a [E]>, output: &'a mut [E]) -> Operands<'a, E> {
        Operands { source: source.unwrap_or_default(), written: [output, &mut [], &mut []] }
    }

    /// Splits off the first `len` elements of each.
    fn take(&mut self, len: usize) -> Operands<'a, E> {
        let (source, left) = self.source.split_at(len.min(self.source.len()));
        self.source = left;
        let written = self.written.each_mut().map(|slice| {
            let whole = std::mem::take(slice);
            let (part, left) = whole.split_at_mut(len.min(whole.len()));
            *slice = left;
            part
        });
        Operands { source, written }
    }
}

#[inline(always)]
fn visit<E: Element, const FUSED: bool>(
    pass: &Pass<'_>,
    c: &Coefficients,
    mut operands: Operands<'_, E>,
) -> Option<Partial> {
    match (pass.operation, pass.sums) {
        (Operation::Evaluate, _) => Some(sum::<E, FUSED>(operands.source)),
        (operation, false) => {
            update(operation, c, &pass.scalars, &mut operands);
            None
        }
        (operation, true) => {
            let mut partial = Partial::default();
            // Each tile is summed while it is in the cache.
            while !(operands.source.is_empty() && operands.written[0].is_empty()) {
                let mut tile = operands.take(TILE);
                update(operation, c, &pass.scalars, &mut tile);
                let gradient = matches!(operation, Operation::Gradient | Operation::AddGradient);
                add::<E, FUSED>(if gradient { tile.source } else { tile.written[0] }, &mut partial);
            }
            Some(partial)
        }
    }
}

#[inline(always)]
fn sum<E: Element, const FUSED: bool>(weights: &[E]) -> Partial {
    let mut partial = Partial::default();
    for tile in weights.chunks(TILE) {
        add::<E, FUSED>(tile, &mut partial);
    }
    partial
}

/// Adds a tile, or the part of one that there is.
#[inline(always)]
fn add<E: Element, const FUSED: bool>(weights: &[E], partial: &mut Partial) {
    if let Some(tile) = weights.first_chunk::<TILE>() {
        let ahead = tile.as_ptr().wrapping_add(AHEAD * TILE);
        tile::add::<E, FUSED, TILE, { tile::HALF }>(tile, TILE, ahead, partial);
    } else if weights.len() <= SHORT {
        add_part::<E, FUSED, SHORT, SHORT>(weights, partial);
    } else if weights.len() <= tile::HALF {
        add_part::<E, FUSED, { tile::HALF }, { tile::HALF }>(weights, partial);
    } else {
        add_part::<E, FUSED, TILE, { tile::HALF }>(weights, partial);
    }
}

/// Adds a part of a tile, with +0 for what is absent.
#[inline(always)]
fn add_part<E: Element, const FUSED: bool, const N: usize, const SUMS: usize>(weights: &[E], partial: &mut Partial) {
    let mut part = [E::zeroed(); N];
    part[..weights.len()].copy_from_slice(weights);
    tile::add::<E, FUSED, N, SUMS>(&part, weights.len(), part.as_ptr(), partial);
}

#[inline(always)]
fn update<E: Element>(operation: Operation, c: &Coefficients, s: &Scalars, operands: &mut Operands<'_, E>) {
    let (untouched, c) = (c.untouched != 0, c.c);
    let source = operands.source;
    let [output, first, second] = &mut operands.written;
    if untouched {
        if !source.is_empty() && operation == Operation::Prox {
            output.copy_from_slice(source);
        }
        return;
    }
    match operation {
        Operation::Evaluate => {}
        Operation::Gradient => into(source, output, |v, _| elementwise::gradient(v, c)),
        Operation::AddGradient => add_gradient(source, output, c),
        Operation::Prox if source.is_empty() => in_place(output, |v| elementwise::prox(v, c)),
        Operation::Prox => into(source, output, |v, _| elementwise::prox(v, c)),
        Operation::Sgd(Direction::Gradient) => {
            into(source, output, |g, theta| elementwise::prox(sgd::step(theta, g, s), c));
        }
        Operation::Sgd(direction) => {
            for ((theta, b), g) in output.iter_mut().zip(first.iter_mut()).zip(source) {
                let next = sgd::momentum(b.decode(), g.decode(), s);
                let d = if direction == Direction::Nesterov { sgd::nesterov(next, g.decode(), s) } else { next };
                *theta = E::encode(elementwise::prox(sgd::step(theta.decode(), d, s), c));
                *b = E::encode(next);
            }
        }
        Operation::Adam(metric) => {
            let states = first.iter_mut().zip(second.iter_mut());
            for ((theta, (m, v)), g) in output.iter_mut().zip(states).zip(source) {
                let stepped = adam::step(theta.decode(), g.decode(), m.decode(), v.decode(), s);
                *theta = E::encode(match metric {
                    Metric::Plain => elementwise::prox(stepped.theta, c),
                    Metric::Adam => adam::prox(&stepped, c),
                });
                *m = E::encode(stepped.first);
                *v = E::encode(stepped.second);
            }
        }
    }
}

/// Blocks without NaN and infinity, as nearly all are, take half as many instructions.
#[inline(always)]
fn add_gradient<E: Element>(source: &[E], output: &mut [E], c: [f32; 2]) {
    let full = |v, old| elementwise::add(old, elementwise::gradient(v, c));
    let (sources, source) = source.as_chunks::<BLOCK>();
    let (outputs, output) = output.as_chunks_mut::<BLOCK>();
    for (source, output) in sources.iter().zip(outputs) {
        for line in (0..BLOCK).step_by(const { 64 / size_of::<E>() }) {
            tile::prefetch(output.as_ptr().wrapping_add(AHEAD * TILE + line));
            tile::prefetch(source.as_ptr().wrapping_add(AHEAD * TILE + line));
        }
        if finite(source) & finite(output) {
            into(source, output, |v, old| elementwise::add_finite_gradient(old, v, c));
        } else {
            into(source, output, full);
        }
    }
    into(source, output, full);
}

#[inline(always)]
fn finite<E: Element>(block: &[E; BLOCK]) -> bool {
    block.iter().fold(true, |finite, x| finite & (x.decode() & elementwise::MAGNITUDE < elementwise::INFINITY))
}

#[inline(always)]
fn into<E: Element>(source: &[E], output: &mut [E], f: impl Fn(u32, u32) -> u32) {
    for (out, v) in output.iter_mut().zip(source) {
        *out = E::encode(f(v.decode(), out.decode()));
    }
}

#[inline(always)]
fn in_place<E: Element>(output: &mut [E], f: impl Fn(u32) -> u32) {
    for out in output {
        *out = E::encode(f(out.decode()));
    }
}
