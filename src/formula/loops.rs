//! The loops over weights. They are compiled for each formula, instruction set and type of weights. A weight is
//! converted, used and converted back in one go, a block at a time. The last block of a slice is padded with zeros.

use std::slice::from_mut;

use super::group::find::{self, Find};
use super::group::with_group;
use super::visit::{AddGradient, Form, Gradient, MetricProx, Prox, Term, Visit};
use super::{Coefficients, Formula, TermCoefficients, pointwise};
use crate::numeric::bits;
use crate::numeric::block;
use crate::numeric::element::{BLOCK, Block, Element};
use crate::numeric::simd::InstructionSet;
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::numeric::tile::prefetch_ahead;

/// A loop from a source to an output.
pub(crate) type Update = fn(InstructionSet, Slice<'_>, SliceMut<'_>, Weighed<'_, Coefficients>);
/// Loops over weights as bits that each have two coefficients of their group.
type GradientOfEach = fn(InstructionSet, &[u32], &mut [u32], &Coefficients, [&[f32]; 2]);
type ProxOfEach = fn(InstructionSet, &mut [u32], &Coefficients, [&[f32]; 2]);

/// The loops of a formula. Those that a separable formula and those that a group's never calls do nothing.
pub(crate) struct Loops {
    pub(crate) gradient: Update,
    pub(crate) add_gradient: Update,
    /// A group's weights are bits.
    pub(crate) prox_in_place: fn(InstructionSet, SliceMut<'_>, Weighed<'_, Coefficients>),
    /// The source is the metric.
    pub(crate) metric_prox_in_place: fn(InstructionSet, &[f32], &mut [f32], Weighed<'_, Coefficients>),
    /// The weights' terms in the term sum.
    pub(crate) terms: fn(InstructionSet, &[f32], Weighed<'_, TermCoefficients>, &mut [f32]),
    pub(crate) gradient_of_each: GradientOfEach,
    pub(crate) prox_of_each_in_place: ProxOfEach,
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

    /// Those of the elements from `start` on, which `padded` pads to a block.
    #[inline(always)]
    fn rest<'b, F: Formula>(&self, start: usize, padded: &'b mut Block) -> Weighed<'b, C>
    where
        'a: 'b,
    {
        if F::WEIGHTED {
            pad(&self.element_weights[start..], padded);
        }
        Weighed { coefficients: self.coefficients, element_weights: padded }
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
    /// What a formula never calls is not compiled for it.
    pub(crate) const fn of<F: Formula>() -> Loops {
        let grouped = F::RULE.is_some();
        Loops {
            gradient: if grouped { update_bits::<Gradient<F>> } else { update::<Gradient<F>> },
            add_gradient: if grouped { |_, _, _, _| {} } else { update::<AddGradient<F>> },
            prox_in_place: if grouped { update_bits_in_place::<Prox<F>> } else { update_in_place::<Prox<F>> },
            metric_prox_in_place: if grouped { |_, _, _, _| {} } else { run::<MetricProx<F>, f32, f32, 5> },
            terms: if grouped || !F::SUMS_TERMS { |_, _, _, _| {} } else { terms::<F> },
            gradient_of_each: if grouped { gradient_of_each::<F> } else { |_, _, _, _, _| {} },
            prox_of_each_in_place: if grouped { prox_of_each_in_place::<F> } else { |_, _, _, _| {} },
            find: find::of::<F>(),
        }
    }
}

/// [`Form`]s as constants.
const ANY: u8 = 0;
const SHORT: u8 = 1;
const SHORTEST: u8 = 2;

/// Runs a loop from a source to an output.
fn run<V: Visit<N>, S: Element, O: Element, const N: usize>(
    set: InstructionSet,
    source: &[S],
    output: &mut [O],
    c: Weighed<'_, [f32; N]>,
) {
    let (sources, source_rest) = source.as_chunks::<BLOCK>();
    let (outputs, output_rest) = output[..source.len()].as_chunks_mut::<BLOCK>();
    if !sources.is_empty() {
        blocks::<V, S, O, N>(set, sources, outputs, c);
    }
    if !source_rest.is_empty() {
        let (mut from, mut to, mut element_weights) = ([S::zeroed(); BLOCK], [O::zeroed(); BLOCK], [0; BLOCK]);
        pad(source_rest, &mut from);
        pad(output_rest, &mut to);
        let c = c.rest::<V::Formula>(sources.len() * BLOCK, &mut element_weights);
        blocks::<V, S, O, N>(set, &[from], from_mut(&mut to), c);
        output_rest.copy_from_slice(&to[..source_rest.len()]);
    }
}

/// Apart, so that it is compiled once for all blocks, the last one among them.
#[inline(never)]
fn blocks<V: Visit<N>, S: Element, O: Element, const N: usize>(
    set: InstructionSet,
    sources: &[[S; BLOCK]],
    outputs: &mut [[O; BLOCK]],
    c: Weighed<'_, [f32; N]>,
) {
    set.run_knowing(
        #[inline(always)]
        |set| match V::form(c.coefficients) {
            Form::Any => each_block::<V, S, O, N, ANY>(set, sources, outputs, c),
            Form::Short => each_block::<V, S, O, N, SHORT>(set, sources, outputs, c),
            Form::Shortest => each_block::<V, S, O, N, SHORTEST>(set, sources, outputs, c),
        },
    );
}

#[inline(always)]
fn each_block<V: Visit<N>, S: Element, O: Element, const N: usize, const FORM: u8>(
    set: InstructionSet,
    sources: &[[S; BLOCK]],
    outputs: &mut [[O; BLOCK]],
    c: Weighed<'_, [f32; N]>,
) {
    for (i, (source, output)) in sources.iter().zip(outputs).enumerate() {
        prefetch_ahead(source);
        prefetch_ahead(output);
        let c = c.block::<V::Formula>(i * BLOCK);
        if !(S::are_finite(source) && (!V::READS || O::are_finite(output))) {
            any_block::<V, S, O, N>(source, output, &c);
            continue;
        }
        let mut room = [0; BLOCK];
        let source = block::bits(set, source, &mut room);
        block::write(
            set,
            output,
            [V::READS, V::Formula::MAY_RETURN_NAN],
            #[inline(always)]
            |output| {
                for i in 0..BLOCK {
                    output[i] = finite::<V, N, FORM>(source[i], output[i], &c.at::<V::Formula>(i));
                }
            },
        );
    }
}

/// A block that holds a NaN or an infinity. Few blocks do, so this is compiled for no particular instructions.
#[inline(never)]
fn any_block<V: Visit<N>, S: Element, O: Element, const N: usize>(
    source: &[S; BLOCK],
    output: &mut [O; BLOCK],
    c: &OfBlock<'_, [f32; N]>,
) {
    let [mut from, mut to] = [[0; BLOCK]; 2];
    block::decode_any(source, &mut from);
    block::decode_any(output, &mut to);
    any::<V, N>(&from, &mut to, c);
    block::encode_any(&to, output);
}

/// The same as bits.
#[inline(never)]
fn any<V: Visit<N>, const N: usize>(from: &Block, to: &mut Block, c: &OfBlock<'_, [f32; N]>) {
    for i in 0..BLOCK {
        to[i] = V::any(from[i], to[i], &c.at::<V::Formula>(i));
    }
}

/// Runs a loop in place: the element is the source, and there is no old value.
fn run_in_place<V: Visit<N>, E: Element, const N: usize>(
    set: InstructionSet,
    elements: &mut [E],
    c: Weighed<'_, [f32; N]>,
) {
    let (blocks, rest) = elements.as_chunks_mut::<BLOCK>();
    let start = blocks.len() * BLOCK;
    if !blocks.is_empty() {
        blocks_in_place::<V, E, N>(set, blocks, c);
    }
    if !rest.is_empty() {
        let (mut block, mut element_weights) = ([E::zeroed(); BLOCK], [0; BLOCK]);
        pad(rest, &mut block);
        let c = c.rest::<V::Formula>(start, &mut element_weights);
        blocks_in_place::<V, E, N>(set, from_mut(&mut block), c);
        rest.copy_from_slice(&block[..rest.len()]);
    }
}

#[inline(never)]
fn blocks_in_place<V: Visit<N>, E: Element, const N: usize>(
    set: InstructionSet,
    blocks: &mut [[E; BLOCK]],
    c: Weighed<'_, [f32; N]>,
) {
    set.run_knowing(
        #[inline(always)]
        |set| match V::form(c.coefficients) {
            Form::Any => each_block_in_place::<V, E, N, ANY>(set, blocks, c),
            Form::Short => each_block_in_place::<V, E, N, SHORT>(set, blocks, c),
            Form::Shortest => each_block_in_place::<V, E, N, SHORTEST>(set, blocks, c),
        },
    );
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "debug builds check an iterator's counter and do not vectorise")]
fn each_block_in_place<V: Visit<N>, E: Element, const N: usize, const FORM: u8>(
    set: InstructionSet,
    blocks: &mut [[E; BLOCK]],
    c: Weighed<'_, [f32; N]>,
) {
    for (i, block) in blocks.iter_mut().enumerate() {
        prefetch_ahead(block);
        let c = c.block::<V::Formula>(i * BLOCK);
        if !E::are_finite(block) {
            let source = *block;
            any_block::<V, E, E, N>(&source, block, &c);
            continue;
        }
        block::write(
            set,
            block,
            [true, V::Formula::MAY_RETURN_NAN],
            #[inline(always)]
            |bits| {
                for i in 0..BLOCK {
                    bits[i] = finite::<V, N, FORM>(bits[i], 0, &c.at::<V::Formula>(i));
                }
            },
        );
    }
}

#[inline(always)]
fn finite<V: Visit<N>, const N: usize, const FORM: u8>(from: u32, old: u32, c: &[f32; N]) -> u32 {
    match FORM {
        ANY => V::finite(from, old, c),
        SHORT => V::short(from, old, c),
        _ => V::shortest(from, old, c),
    }
}

#[inline(always)]
fn pad<T: Copy>(part: &[T], block: &mut [T; BLOCK]) {
    block[..part.len()].copy_from_slice(part);
}

/// Slices have a type as a value, so that the caller is not compiled for each formula.
fn update<V: Visit<5>>(set: InstructionSet, source: Slice<'_>, output: SliceMut<'_>, c: Weighed<'_, Coefficients>) {
    with_element!(source.dtype(), E => run::<V, E, E, 5>(set, source.elements(), output.into_elements(), c));
}

/// The same of bits alone, as weights in groups are given.
fn update_bits<V: Visit<5>>(
    set: InstructionSet,
    source: Slice<'_>,
    output: SliceMut<'_>,
    c: Weighed<'_, Coefficients>,
) {
    run::<V, f32, f32, 5>(set, source.elements(), output.into_elements(), c);
}

fn update_in_place<V: Visit<5>>(set: InstructionSet, weights: SliceMut<'_>, c: Weighed<'_, Coefficients>) {
    with_element!(weights.as_slice().dtype(), E => run_in_place::<V, E, 5>(set, weights.into_elements(), c));
}

fn update_bits_in_place<V: Visit<5>>(set: InstructionSet, weights: SliceMut<'_>, c: Weighed<'_, Coefficients>) {
    run_in_place::<V, f32, 5>(set, weights.into_elements(), c);
}

fn terms<F: Formula>(set: InstructionSet, weights: &[f32], t: Weighed<'_, TermCoefficients>, terms: &mut [f32]) {
    run::<Term<F>, f32, f32, 3>(set, weights, terms, t);
}

fn gradient_of_each<F: Formula>(
    set: InstructionSet,
    source: &[u32],
    output: &mut [u32],
    c: &Coefficients,
    of_groups: [&[f32]; 2],
) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            let [first, second] = of_groups.map(|of_groups| &of_groups[..source.len()]);
            let output = &mut output[..source.len()];
            for i in 0..source.len() {
                output[i] = pointwise::gradient::<F>(source[i], &with_group(&c, [first[i], second[i]]));
            }
        },
    );
}

fn prox_of_each_in_place<F: Formula>(
    set: InstructionSet,
    weights: &mut [u32],
    c: &Coefficients,
    of_groups: [&[f32]; 2],
) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            let [first, second] = of_groups.map(|of_groups| &of_groups[..weights.len()]);
            for i in 0..weights.len() {
                weights[i] = pointwise::prox::<F>(weights[i], &with_group(&c, [first[i], second[i]]));
            }
        },
    );
}
