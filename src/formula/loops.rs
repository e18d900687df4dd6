//! The loops over weights as bits. They are compiled for each formula and each instruction set, but not for each type
//! of weights.

use super::group::find::{self, Find};
use super::group::with_group;
use super::{Coefficients, Formula, TermCoefficients, pointwise};
use crate::numeric::bits::{self, INFINITY, MAGNITUDE};
use crate::numeric::simd::InstructionSet;
use crate::numeric::tile::prefetch_ahead;

/// How many weights at a time are tested for NaN and infinity. The last ones of a slice are padded with zeros.
const BLOCK: usize = 64;

type Block = [u32; BLOCK];

/// A loop over weights that each have two coefficients of their group.
type UpdateEach = fn(InstructionSet, &[u32], &mut [u32], &Coefficients, [&[f32]; 2]);

/// The loops of a formula, from a source to an output or in place.
pub(crate) struct Loops {
    pub(crate) gradient: fn(InstructionSet, &[u32], &mut [u32], Weighed<'_, Coefficients>),
    pub(crate) add_gradient: fn(InstructionSet, &[u32], &mut [u32], Weighed<'_, Coefficients>),
    pub(crate) prox: fn(InstructionSet, &[u32], &mut [u32], Weighed<'_, Coefficients>),
    pub(crate) prox_in_place: fn(InstructionSet, &mut [u32], Weighed<'_, Coefficients>),
    /// In the metric whose bits the second slice holds.
    pub(crate) metric_prox_in_place: fn(InstructionSet, &mut [u32], &[u32], Weighed<'_, Coefficients>),
    /// The weights' terms in the term sum.
    pub(crate) terms: fn(InstructionSet, &[u32], Weighed<'_, TermCoefficients>, &mut [f32]),
    pub(crate) gradient_of_each: UpdateEach,
    pub(crate) prox_of_each: UpdateEach,
    pub(crate) find: Find,
}

/// A formula's coefficients, and the element weights if it is weighted.
#[derive(Clone, Copy)]
pub(crate) struct Weighed<'a, C> {
    pub(crate) coefficients: &'a C,
    /// As bits; empty if the formula is not weighted.
    pub(crate) element_weights: &'a [u32],
}

/// The same for a block. The coefficients are copied: behind a reference, every write of a weight could change them.
#[derive(Clone, Copy)]
struct OfBlock<'a, C> {
    coefficients: C,
    element_weights: &'a Block,
}

impl<'a, C: Copy> Weighed<'a, C> {
    /// The coefficients of the block that starts at an element.
    #[inline(always)]
    fn block<F: Formula>(&self, start: usize) -> OfBlock<'a, C> {
        let of_block = if F::WEIGHTED { self.element_weights[start..].first_chunk() } else { None };
        OfBlock { coefficients: *self.coefficients, element_weights: of_block.unwrap_or(&[0; BLOCK]) }
    }

    /// Those of the last block, which is padded.
    #[inline(always)]
    fn rest<'b, F: Formula>(&self, start: usize, padded: &'b mut Block) -> OfBlock<'b, C> {
        if F::WEIGHTED {
            pad(&self.element_weights[start..], padded);
        }
        OfBlock { coefficients: *self.coefficients, element_weights: padded }
    }
}

impl<const N: usize> OfBlock<'_, [f32; N]> {
    /// An element's coefficients.
    #[inline(always)]
    fn at<F: Formula>(&self, i: usize) -> [f32; N] {
        let mut c = self.coefficients;
        if F::WEIGHTED {
            c[N - 1] = bits::element_weight(self.element_weights[i]);
        }
        c
    }
}

impl Loops {
    pub(crate) const fn of<F: Formula>() -> Loops {
        Loops {
            gradient: gradient::<F>,
            add_gradient: add_gradient::<F>,
            prox: prox::<F>,
            prox_in_place: prox_in_place::<F>,
            metric_prox_in_place: metric_prox_in_place::<F>,
            terms: terms::<F>,
            // The weights of a separable formula have no coefficients of their group, so these are not compiled for it.
            gradient_of_each: if F::RULE.is_some() { gradient_of_each::<F> } else { |_, _, _, _, _| {} },
            prox_of_each: if F::RULE.is_some() { prox_of_each::<F> } else { |_, _, _, _, _| {} },
            find: find::of::<F>(),
        }
    }
}

/// Sets each element of the output from the source's element, its own old value and its coefficients. Blocks without
/// NaN and infinity, as nearly all are, take `finite`, which needs fewer instructions than `any`. If `READS` is set, the
/// old value counts too.
#[inline(always)]
fn blocks<F: Formula, const READS: bool, const N: usize>(
    source: &[u32],
    output: &mut [u32],
    c: Weighed<'_, [f32; N]>,
    finite: impl Fn(u32, u32, &[f32; N]) -> u32,
    any: impl Fn(u32, u32, &[f32; N]) -> u32,
) {
    let (sources, source_rest) = source.as_chunks::<BLOCK>();
    let (outputs, output_rest) = output[..source.len()].as_chunks_mut::<BLOCK>();
    for (i, (source, output)) in sources.iter().zip(outputs).enumerate() {
        prefetch_ahead(source);
        prefetch_ahead(output);
        visit::<F, READS, N>(source, output, c.block::<F>(i * BLOCK), &finite, &any);
    }
    if !source_rest.is_empty() {
        let [mut from, mut to, mut element_weights] = [[0; BLOCK]; 3];
        pad(source_rest, &mut from);
        pad(output_rest, &mut to);
        let c = c.rest::<F>(sources.len() * BLOCK, &mut element_weights);
        visit::<F, READS, N>(&from, &mut to, c, &finite, &any);
        output_rest.copy_from_slice(&to[..source_rest.len()]);
    }
}

#[inline(always)]
fn visit<F: Formula, const READS: bool, const N: usize>(
    source: &Block,
    output: &mut Block,
    c: OfBlock<'_, [f32; N]>,
    finite: impl Fn(u32, u32, &[f32; N]) -> u32,
    any: impl Fn(u32, u32, &[f32; N]) -> u32,
) {
    if is_finite(source) && (!READS || is_finite(output)) {
        for i in 0..BLOCK {
            output[i] = finite(source[i], output[i], &c.at::<F>(i));
        }
    } else {
        for i in 0..BLOCK {
            output[i] = any(source[i], output[i], &c.at::<F>(i));
        }
    }
}

/// The same in place.
#[inline(always)]
fn blocks_in_place<F: Formula, const N: usize>(
    bits: &mut [u32],
    c: Weighed<'_, [f32; N]>,
    finite: impl Fn(u32, &[f32; N]) -> u32,
    any: impl Fn(u32, &[f32; N]) -> u32,
) {
    let (blocks, rest) = bits.as_chunks_mut::<BLOCK>();
    let start = blocks.len() * BLOCK;
    for (i, block) in blocks.iter_mut().enumerate() {
        prefetch_ahead(block);
        visit_in_place::<F, N>(block, c.block::<F>(i * BLOCK), &finite, &any);
    }
    if !rest.is_empty() {
        let [mut block, mut element_weights] = [[0; BLOCK]; 2];
        pad(rest, &mut block);
        visit_in_place::<F, N>(&mut block, c.rest::<F>(start, &mut element_weights), &finite, &any);
        rest.copy_from_slice(&block[..rest.len()]);
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "debug builds check an iterator's counter and do not vectorise")]
fn visit_in_place<F: Formula, const N: usize>(
    block: &mut Block,
    c: OfBlock<'_, [f32; N]>,
    finite: impl Fn(u32, &[f32; N]) -> u32,
    any: impl Fn(u32, &[f32; N]) -> u32,
) {
    if is_finite(block) {
        for i in 0..BLOCK {
            block[i] = finite(block[i], &c.at::<F>(i));
        }
    } else {
        for i in 0..BLOCK {
            block[i] = any(block[i], &c.at::<F>(i));
        }
    }
}

#[inline(always)]
fn pad(part: &[u32], block: &mut Block) {
    block[..part.len()].copy_from_slice(part);
}

#[inline(always)]
fn is_finite(block: &Block) -> bool {
    block.iter().fold(0, |max, b| max.max(b & MAGNITUDE)) < INFINITY
}

fn gradient<F: Formula>(set: InstructionSet, source: &[u32], output: &mut [u32], c: Weighed<'_, Coefficients>) {
    set.run(
        #[inline(always)]
        || {
            if F::has_short_gradient(c.coefficients) {
                blocks::<F, false, _>(
                    source,
                    output,
                    c,
                    #[inline(always)]
                    |theta, _, c| F::short_gradient(theta, c),
                    #[inline(always)]
                    |theta, _, c| pointwise::gradient::<F>(theta, c),
                );
            } else {
                blocks::<F, false, _>(
                    source,
                    output,
                    c,
                    #[inline(always)]
                    |theta, _, c| pointwise::finite_gradient::<F>(theta, c),
                    #[inline(always)]
                    |theta, _, c| pointwise::gradient::<F>(theta, c),
                );
            }
        },
    );
}

fn add_gradient<F: Formula>(set: InstructionSet, source: &[u32], output: &mut [u32], c: Weighed<'_, Coefficients>) {
    set.run(
        #[inline(always)]
        || {
            if F::has_short_gradient(c.coefficients) {
                blocks::<F, true, _>(
                    source,
                    output,
                    c,
                    #[inline(always)]
                    |theta, existing, c| bits::add_large_gradient(existing, F::short_gradient(theta, c)),
                    #[inline(always)]
                    |theta, existing, c| bits::add(existing, pointwise::gradient::<F>(theta, c)),
                );
            } else {
                blocks::<F, true, _>(
                    source,
                    output,
                    c,
                    #[inline(always)]
                    |theta, existing, c| bits::add_finite_gradient(existing, pointwise::finite_gradient::<F>(theta, c)),
                    #[inline(always)]
                    |theta, existing, c| bits::add(existing, pointwise::gradient::<F>(theta, c)),
                );
            }
        },
    );
}

fn prox<F: Formula>(set: InstructionSet, source: &[u32], output: &mut [u32], c: Weighed<'_, Coefficients>) {
    set.run(
        #[inline(always)]
        || {
            if F::has_short_prox(c.coefficients) {
                blocks::<F, false, _>(
                    source,
                    output,
                    c,
                    #[inline(always)]
                    |v, _, c| F::short_prox(v, c),
                    #[inline(always)]
                    |v, _, c| pointwise::prox::<F>(v, c),
                );
            } else {
                blocks::<F, false, _>(
                    source,
                    output,
                    c,
                    #[inline(always)]
                    |v, _, c| pointwise::finite_prox::<F>(v, c),
                    #[inline(always)]
                    |v, _, c| pointwise::prox::<F>(v, c),
                );
            }
        },
    );
}

fn prox_in_place<F: Formula>(set: InstructionSet, bits: &mut [u32], c: Weighed<'_, Coefficients>) {
    set.run(
        #[inline(always)]
        || {
            if F::has_short_prox(c.coefficients) {
                blocks_in_place::<F, _>(
                    bits,
                    c,
                    #[inline(always)]
                    |v, c| F::short_prox(v, c),
                    #[inline(always)]
                    |v, c| pointwise::prox::<F>(v, c),
                );
            } else {
                blocks_in_place::<F, _>(
                    bits,
                    c,
                    #[inline(always)]
                    |v, c| pointwise::finite_prox::<F>(v, c),
                    #[inline(always)]
                    |v, c| pointwise::prox::<F>(v, c),
                );
            }
        },
    );
}

/// The metric is the source, as bits.
fn metric_prox_in_place<F: Formula>(
    set: InstructionSet,
    bits: &mut [u32],
    metric: &[u32],
    c: Weighed<'_, Coefficients>,
) {
    set.run(
        #[inline(always)]
        || {
            if F::has_short_metric_prox(c.coefficients) {
                blocks::<F, true, _>(
                    metric,
                    bits,
                    c,
                    #[inline(always)]
                    |d, v, c| F::short_metric_prox(v, f32::from_bits(d), c),
                    #[inline(always)]
                    |d, v, c| pointwise::metric_prox::<F>(v, f32::from_bits(d), c),
                );
            } else {
                blocks::<F, true, _>(
                    metric,
                    bits,
                    c,
                    #[inline(always)]
                    |d, v, c| pointwise::finite_metric_prox::<F>(v, f32::from_bits(d), c),
                    #[inline(always)]
                    |d, v, c| pointwise::metric_prox::<F>(v, f32::from_bits(d), c),
                );
            }
        },
    );
}

fn terms<F: Formula>(set: InstructionSet, bits: &[u32], t: Weighed<'_, TermCoefficients>, terms: &mut [f32]) {
    set.run(
        #[inline(always)]
        || {
            blocks::<F, false, _>(
                bits,
                bytemuck::cast_slice_mut(terms),
                t,
                #[inline(always)]
                |theta, _, t| pointwise::finite_term::<F>(theta, t).to_bits(),
                #[inline(always)]
                |theta, _, t| pointwise::term::<F>(theta, t).to_bits(),
            );
        },
    );
}

fn gradient_of_each<F: Formula>(
    set: InstructionSet,
    source: &[u32],
    output: &mut [u32],
    c: &Coefficients,
    of_groups: [&[f32]; 2],
) {
    of_each(set, source, output, c, of_groups, pointwise::gradient::<F>);
}

fn prox_of_each<F: Formula>(
    set: InstructionSet,
    source: &[u32],
    output: &mut [u32],
    c: &Coefficients,
    of_groups: [&[f32]; 2],
) {
    of_each(set, source, output, c, of_groups, pointwise::prox::<F>);
}

/// Applies `f` to each weight and its coefficients, the last two of which are its group's.
#[inline(always)]
fn of_each(
    set: InstructionSet,
    source: &[u32],
    output: &mut [u32],
    c: &Coefficients,
    of_groups: [&[f32]; 2],
    f: impl Fn(u32, &Coefficients) -> u32,
) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            let [first, second] = of_groups.map(|of_groups| &of_groups[..source.len()]);
            let output = &mut output[..source.len()];
            for i in 0..source.len() {
                output[i] = f(source[i], &with_group(&c, [first[i], second[i]]));
            }
        },
    );
}
