//! The loops over weights. They are compiled for each formula, instruction set and type of weights. A weight is
//! converted, used and converted back in one go, a block at a time. The last block of a slice is padded with zeros.

use super::group::find::{self, Find};
use super::group::with_group;
use super::visit::{AddGradient, Gradient, MetricProx, Prox, Term, Visit};
use super::{Coefficients, Formula, TermCoefficients, pointwise};
use crate::numeric::bits;
use crate::numeric::block;
use crate::numeric::element::{BLOCK, Block, Element};
use crate::numeric::simd::InstructionSet;
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::numeric::stream;
use crate::numeric::tile::prefetch_ahead;

/// A loop from a source to an output. The last argument tells whether it streams the output.
pub(crate) type Update = fn(InstructionSet, Slice<'_>, SliceMut<'_>, Weighed<'_, Coefficients>, bool);
/// A loop over weights as bits that each have two coefficients of their group.
pub(crate) type UpdateEach = fn(InstructionSet, &[u32], &mut [u32], &Coefficients, [&[f32]; 2]);

/// The loops of a formula, from a source to an output or in place.
pub(crate) struct Loops {
    pub(crate) gradient: Update,
    pub(crate) add_gradient: Update,
    pub(crate) prox: Update,
    pub(crate) prox_in_place: fn(InstructionSet, SliceMut<'_>, Weighed<'_, Coefficients>),
    /// The source is the metric.
    pub(crate) metric_prox_in_place: fn(InstructionSet, &[f32], &mut [f32], Weighed<'_, Coefficients>, bool),
    /// The weights' terms in the term sum.
    pub(crate) terms: fn(InstructionSet, Slice<'_>, Weighed<'_, TermCoefficients>, &mut [f32]),
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
    /// What a formula never calls is not compiled for it.
    pub(crate) const fn of<F: Formula>() -> Loops {
        let grouped = F::RULE.is_some();
        Loops {
            gradient: if grouped { update_bits::<Gradient<F>> } else { update::<Gradient<F>> },
            add_gradient: if grouped { |_, _, _, _, _| {} } else { update::<AddGradient<F>> },
            prox: if grouped { update_bits::<Prox<F>> } else { update::<Prox<F>> },
            prox_in_place: if grouped { |_, _, _| {} } else { update_in_place::<Prox<F>> },
            metric_prox_in_place: if grouped { |_, _, _, _, _| {} } else { run::<MetricProx<F>, f32, f32, 5> },
            terms: if grouped || !F::SUMS_TERMS { |_, _, _, _| {} } else { terms::<F> },
            gradient_of_each: if grouped { gradient_of_each::<F> } else { |_, _, _, _, _| {} },
            prox_of_each: if grouped { prox_of_each::<F> } else { |_, _, _, _, _| {} },
            find: find::of::<F>(),
        }
    }
}

/// Runs a loop from a source to an output.
#[inline(always)]
fn run<V: Visit<N>, S: Element, O: Element, const N: usize>(
    set: InstructionSet,
    source: &[S],
    output: &mut [O],
    c: Weighed<'_, [f32; N]>,
    streams: bool,
) {
    // What is read before it is written is in the cache.
    let streams = streams && !V::READS;
    set.run_knowing(
        #[inline(always)]
        |set| {
            if V::has_short(c.coefficients) {
                blocks::<V, S, O, N, true>(set, source, output, c, streams);
            } else {
                blocks::<V, S, O, N, false>(set, source, output, c, streams);
            }
        },
    );
}

#[inline(always)]
fn blocks<V: Visit<N>, S: Element, O: Element, const N: usize, const SHORT: bool>(
    set: InstructionSet,
    source: &[S],
    output: &mut [O],
    c: Weighed<'_, [f32; N]>,
    streams: bool,
) {
    let (sources, source_rest) = source.as_chunks::<BLOCK>();
    let (outputs, output_rest) = output[..source.len()].as_chunks_mut::<BLOCK>();
    for (i, (source, output)) in sources.iter().zip(outputs).enumerate() {
        prefetch_ahead(source);
        if !streams {
            prefetch_ahead(output);
        }
        let c = c.block::<V::Formula>(i * BLOCK);
        if streams {
            let mut made = [O::zeroed(); BLOCK];
            block::<V, S, O, N, SHORT>(set, source, &mut made, c);
            stream::store(&made, output);
        } else {
            block::<V, S, O, N, SHORT>(set, source, output, c);
        }
    }
    if !source_rest.is_empty() {
        let (mut from, mut to, mut element_weights) = ([S::zeroed(); BLOCK], [O::zeroed(); BLOCK], [0; BLOCK]);
        pad(source_rest, &mut from);
        pad(output_rest, &mut to);
        let c = c.rest::<V::Formula>(sources.len() * BLOCK, &mut element_weights);
        block::<V, S, O, N, SHORT>(set, &from, &mut to, c);
        output_rest.copy_from_slice(&to[..source_rest.len()]);
    }
}

#[inline(always)]
fn block<V: Visit<N>, S: Element, O: Element, const N: usize, const SHORT: bool>(
    set: InstructionSet,
    source: &[S; BLOCK],
    output: &mut [O; BLOCK],
    c: OfBlock<'_, [f32; N]>,
) {
    if S::are_finite(source) && (!V::READS || O::are_finite(output)) {
        let mut room = [0; BLOCK];
        let source = block::bits(set, source, &mut room);
        block::write(
            set,
            output,
            [V::READS, V::Formula::MAY_RETURN_NAN],
            #[inline(always)]
            |output| {
                for i in 0..BLOCK {
                    output[i] = finite::<V, N, SHORT>(source[i], output[i], &c.at::<V::Formula>(i));
                }
            },
        );
    } else {
        any_block::<V, S, O, N>(set, source, output, c);
    }
}

/// A block that holds a NaN or an infinity. Apart, because it is rare and long.
#[inline(never)]
fn any_block<V: Visit<N>, S: Element, O: Element, const N: usize>(
    set: InstructionSet,
    source: &[S; BLOCK],
    output: &mut [O; BLOCK],
    c: OfBlock<'_, [f32; N]>,
) {
    set.run(
        #[inline(always)]
        || {
            for i in 0..BLOCK {
                output[i] = O::encode(V::any(source[i].decode(), output[i].decode(), &c.at::<V::Formula>(i)));
            }
        },
    );
}

/// Runs a loop in place: the element is the source, and there is no old value.
#[inline(always)]
fn run_in_place<V: Visit<N>, E: Element, const N: usize>(
    set: InstructionSet,
    elements: &mut [E],
    c: Weighed<'_, [f32; N]>,
) {
    set.run_knowing(
        #[inline(always)]
        |set| {
            if V::has_short(c.coefficients) {
                blocks_in_place::<V, E, N, true>(set, elements, c);
            } else {
                blocks_in_place::<V, E, N, false>(set, elements, c);
            }
        },
    );
}

#[inline(always)]
fn blocks_in_place<V: Visit<N>, E: Element, const N: usize, const SHORT: bool>(
    set: InstructionSet,
    elements: &mut [E],
    c: Weighed<'_, [f32; N]>,
) {
    let (blocks, rest) = elements.as_chunks_mut::<BLOCK>();
    let start = blocks.len() * BLOCK;
    for (i, block) in blocks.iter_mut().enumerate() {
        prefetch_ahead(block);
        block_in_place::<V, E, N, SHORT>(set, block, c.block::<V::Formula>(i * BLOCK));
    }
    if !rest.is_empty() {
        let (mut block, mut element_weights) = ([E::zeroed(); BLOCK], [0; BLOCK]);
        pad(rest, &mut block);
        block_in_place::<V, E, N, SHORT>(set, &mut block, c.rest::<V::Formula>(start, &mut element_weights));
        rest.copy_from_slice(&block[..rest.len()]);
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "debug builds check an iterator's counter and do not vectorise")]
fn block_in_place<V: Visit<N>, E: Element, const N: usize, const SHORT: bool>(
    set: InstructionSet,
    elements: &mut [E; BLOCK],
    c: OfBlock<'_, [f32; N]>,
) {
    if E::are_finite(elements) {
        block::write(
            set,
            elements,
            [true, V::Formula::MAY_RETURN_NAN],
            #[inline(always)]
            |bits| {
                for i in 0..BLOCK {
                    bits[i] = finite::<V, N, SHORT>(bits[i], 0, &c.at::<V::Formula>(i));
                }
            },
        );
    } else {
        for i in 0..BLOCK {
            elements[i] = E::encode(V::any(elements[i].decode(), 0, &c.at::<V::Formula>(i)));
        }
    }
}

#[inline(always)]
fn finite<V: Visit<N>, const N: usize, const SHORT: bool>(from: u32, old: u32, c: &[f32; N]) -> u32 {
    if SHORT { V::short(from, old, c) } else { V::finite(from, old, c) }
}

#[inline(always)]
fn pad<T: Copy>(part: &[T], block: &mut [T; BLOCK]) {
    block[..part.len()].copy_from_slice(part);
}

/// Slices have a type as a value, so that the caller is not compiled for each formula.
fn update<V: Visit<5>>(
    set: InstructionSet,
    source: Slice<'_>,
    output: SliceMut<'_>,
    c: Weighed<'_, Coefficients>,
    streams: bool,
) {
    with_element!(source.dtype(), E => run::<V, E, E, 5>(set, source.elements(), output.into_elements(), c, streams));
}

/// The same of bits alone, as weights in groups are given.
fn update_bits<V: Visit<5>>(
    set: InstructionSet,
    source: Slice<'_>,
    output: SliceMut<'_>,
    c: Weighed<'_, Coefficients>,
    streams: bool,
) {
    run::<V, f32, f32, 5>(set, source.elements(), output.into_elements(), c, streams);
}

fn update_in_place<V: Visit<5>>(set: InstructionSet, weights: SliceMut<'_>, c: Weighed<'_, Coefficients>) {
    with_element!(weights.as_slice().dtype(), E => run_in_place::<V, E, 5>(set, weights.into_elements(), c));
}

fn terms<F: Formula>(set: InstructionSet, weights: Slice<'_>, t: Weighed<'_, TermCoefficients>, terms: &mut [f32]) {
    with_element!(weights.dtype(), E => run::<Term<F>, E, f32, 3>(set, weights.elements(), terms, t, false));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Penalty, Result};
    use half::{bf16, f16};

    fn streams_the_bits_that_it_stores<E: Element>() -> Result<()> {
        let penalty = Penalty::elastic_net(0.5, 0.25)?;
        let loops = &penalty.formula().loops;
        let c = Weighed { coefficients: &[0.25, 0.75, 0.0, 0.0, 0.0], element_weights: &[] };
        // Any bits, NaN and infinity among them.
        let source: Vec<E> = (0..3000u32).map(|i| E::encode(i.wrapping_mul(2_654_435_761))).collect();
        for set in InstructionSet::available() {
            // Starts that are aligned, and starts that are not.
            for (start, len) in (0..9).flat_map(|start| [(start, 64), (start, 200), (start, 2048)]) {
                let source = &source[start + 1..][..len];
                for update in [loops.gradient, loops.prox] {
                    let mut outputs = [(); 2].map(|()| vec![E::zeroed(); start + len]);
                    let [streamed, stored] = outputs.each_mut().map(|output| &mut output[start..]);
                    update(set, source.into(), streamed.into(), c, true);
                    update(set, source.into(), stored.into(), c, false);
                    stream::fence();
                    let bits = outputs.map(|output| output.iter().map(|x| x.decode()).collect::<Vec<_>>());
                    assert_eq!(bits[0], bits[1], "{set:?} {start} {len}");
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
