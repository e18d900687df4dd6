//! The CPU path: a plan run over slices, on the calling thread and its rayon pool.

mod simd;

use rayon::prelude::*;

pub use simd::InstructionSet;

use crate::element::Element;
use crate::elementwise;
use crate::exact::Partial;
use crate::plan::{Operation, Plan, Span};
use crate::tile::{self, TILE};
use crate::{Error, Result};

/// What one task of the pool takes at a time: a megabyte of `f32`, so that few partials are merged.
pub(crate) const TILES_PER_SPAN: u32 = 64;
/// How far ahead of the tile being summed memory is asked for, in tiles.
const AHEAD: usize = 1;

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

    /// One partial a segment, of the weights in `sources`.
    pub(crate) fn evaluate<E: Element>(&self, plan: &Plan, sources: &[&[E]]) -> Vec<Partial> {
        let mut partials = vec![Partial::default(); plan.segments.len()];
        for stage in &plan.stages {
            let sum = |span: &Span| match self.set {
                InstructionSet::Baseline => sum::<E, false>(part(sources, span)),
                // These sets have a fused multiply-add; without one, `mul_add` is a slow call.
                _ => self.set.run(
                    #[inline(always)]
                    || sum::<E, true>(part(sources, span)),
                ),
            };
            let sums: Vec<Partial> = match &stage.spans[..] {
                [span] => vec![sum(span)],
                spans => spans.par_iter().map(sum).collect(),
            };
            for (span, sum) in stage.spans.iter().zip(&sums) {
                partials[span.segment as usize].merge(sum);
            }
        }
        partials
    }

    /// Gradients and proxes: `outputs` from `sources`, or in place where there are none.
    pub(crate) fn update<E: Element>(
        &self,
        plan: &Plan,
        coefficients: &[[f32; 2]],
        sources: Option<&[&[E]]>,
        mut outputs: Vec<&mut [E]>,
    ) {
        for stage in &plan.stages {
            let mut tasks: Vec<(&Span, &mut [E])> = Vec::with_capacity(stage.spans.len());
            for span in &stage.spans {
                // The spans of a segment follow each other, so each takes the front of what is left of its slice.
                let left = std::mem::take(&mut outputs[span.segment as usize]);
                let (output, left) = left.split_at_mut(span.len as usize);
                outputs[span.segment as usize] = left;
                tasks.push((span, output));
            }
            let run = |(span, output): (&Span, &mut [E])| {
                let c = coefficients[span.segment as usize];
                let source = sources.map(|sources| part(sources, span));
                self.set.run(
                    #[inline(always)]
                    || update(stage.operation, c, source, output),
                );
            };
            if tasks.len() == 1 {
                tasks.into_iter().for_each(run);
            } else {
                tasks.into_par_iter().for_each(run);
            }
        }
    }
}

/// The weights of a span.
fn part<'a, E>(slices: &[&'a [E]], span: &Span) -> &'a [E] {
    let start = span.start as usize;
    &slices[span.segment as usize][start..start + span.len as usize]
}

#[inline(always)]
fn sum<E: Element, const FUSED: bool>(weights: &[E]) -> Partial {
    let mut partial = Partial::default();
    let (tiles, rest) = weights.as_chunks::<TILE>();
    for tile in tiles {
        tile::add::<E, FUSED>(tile, TILE, tile.as_ptr().wrapping_add(AHEAD * TILE), &mut partial);
    }
    if !rest.is_empty() {
        let mut last = [E::zeroed(); TILE];
        last[..rest.len()].copy_from_slice(rest);
        tile::add::<E, FUSED>(&last, rest.len(), last.as_ptr(), &mut partial);
    }
    partial
}

#[inline(always)]
fn update<E: Element>(operation: Operation, c: [f32; 2], source: Option<&[E]>, output: &mut [E]) {
    match (operation, source) {
        (Operation::Evaluate, _) => {}
        (Operation::Gradient, Some(source)) => into(source, output, |v, _| elementwise::gradient(v, c)),
        (Operation::AddGradient, Some(source)) => {
            into(source, output, |v, old| elementwise::add(old, elementwise::gradient(v, c)));
        }
        (Operation::Prox, Some(source)) => into(source, output, |v, _| elementwise::prox(v, c)),
        (Operation::Gradient, None) => in_place(output, |v| elementwise::gradient(v, c)),
        (Operation::AddGradient, None) => in_place(output, |v| elementwise::add(v, elementwise::gradient(v, c))),
        (Operation::Prox, None) => in_place(output, |v| elementwise::prox(v, c)),
    }
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
