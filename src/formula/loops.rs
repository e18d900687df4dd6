//! The loops over weights as bits. They are compiled for each formula and each instruction set, but not for each type
//! of weights.

use super::group::find::{self, Find};
use super::group::with_group;
use super::{Coefficients, Formula, TermCoefficients, pointwise};
use crate::numeric::bits::{self, INFINITY, MAGNITUDE};
use crate::numeric::simd::InstructionSet;
use crate::numeric::tile::{AHEAD, TILE, prefetch};

/// How many weights at a time are tested for NaN and infinity.
const BLOCK: usize = 64;

/// A loop over weights that each have two coefficients of their group.
type UpdateEach = fn(InstructionSet, &[u32], &mut [u32], &Coefficients, [&[f32]; 2]);

/// The loops of a formula, from a source to an output or in place.
pub(crate) struct Loops {
    pub(crate) gradient: fn(InstructionSet, &[u32], &mut [u32], Weighed<'_, Coefficients>),
    pub(crate) add_gradient: fn(InstructionSet, &[u32], &mut [u32], Weighed<'_, Coefficients>),
    pub(crate) prox: fn(InstructionSet, &[u32], &mut [u32], Weighed<'_, Coefficients>),
    pub(crate) prox_in_place: fn(InstructionSet, &mut [u32], Weighed<'_, Coefficients>),
    /// In the metric that the second slice holds.
    pub(crate) metric_prox_in_place: fn(InstructionSet, &mut [u32], &[f32], Weighed<'_, Coefficients>),
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

/// The same for a loop over a given number of elements. The coefficients are copied: behind a reference, every write of
/// a weight could change them.
struct Each<'a, C> {
    coefficients: C,
    element_weights: &'a [u32],
}

impl<'a, C: Copy> Weighed<'a, C> {
    #[inline(always)]
    fn each<F: Formula>(&self, len: usize) -> Each<'a, C> {
        let element_weights = if F::WEIGHTED { &self.element_weights[..len] } else { &[] };
        Each { coefficients: *self.coefficients, element_weights }
    }
}

impl<'a, const N: usize> Each<'a, [f32; N]> {
    /// An element's coefficients.
    #[inline(always)]
    fn at<F: Formula>(&self, i: usize) -> [f32; N] {
        let mut c = self.coefficients;
        if F::WEIGHTED {
            c[N - 1] = bits::element_weight(self.element_weights[i]);
        }
        c
    }

    /// The part for `len` elements from `start` on.
    #[inline(always)]
    fn part<F: Formula>(&self, start: usize, len: usize) -> Each<'a, [f32; N]> {
        let element_weights = if F::WEIGHTED { &self.element_weights[start..start + len] } else { &[] };
        Each { element_weights, ..*self }
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

/// Sets each output element from the source's element and the output's old one.
///
/// By index: debug builds check the additions of an iterator's counter, and then the loop is not vectorised.
#[inline(always)]
fn each(source: &[u32], output: &mut [u32], f: impl Fn(usize, u32, u32) -> u32) {
    let output = &mut output[..source.len()];
    for i in 0..source.len() {
        output[i] = f(i, source[i], output[i]);
    }
}

/// The same in place.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "as above")]
fn each_in_place(bits: &mut [u32], f: impl Fn(usize, u32) -> u32) {
    for i in 0..bits.len() {
        bits[i] = f(i, bits[i]);
    }
}

fn gradient<F: Formula>(set: InstructionSet, source: &[u32], output: &mut [u32], c: Weighed<'_, Coefficients>) {
    set.run(
        #[inline(always)]
        || {
            let c = c.each::<F>(source.len());
            each(source, output, |i, theta, _| pointwise::gradient::<F>(theta, &c.at::<F>(i)));
        },
    );
}

/// Blocks without NaN and infinity, as nearly all are, take half as many instructions.
fn add_gradient<F: Formula>(set: InstructionSet, source: &[u32], output: &mut [u32], c: Weighed<'_, Coefficients>) {
    set.run(
        #[inline(always)]
        || {
            let all = c.each::<F>(source.len());
            let (sources, source) = source.as_chunks::<BLOCK>();
            let (outputs, output) = output.as_chunks_mut::<BLOCK>();
            for (block, (source, output)) in sources.iter().zip(outputs).enumerate() {
                ask_ahead(output);
                ask_ahead(source);
                let c = all.part::<F>(block * BLOCK, BLOCK);
                if finite(source) & finite(output) {
                    each(source, output, |i, theta, existing| {
                        bits::add_finite_gradient(existing, pointwise::finite_gradient::<F>(theta, &c.at::<F>(i)))
                    });
                } else {
                    add_any_gradient::<F>(source, output, &c);
                }
            }
            add_any_gradient::<F>(source, output, &all.part::<F>(sources.len() * BLOCK, source.len()));
        },
    );
}

#[inline(always)]
fn add_any_gradient<F: Formula>(source: &[u32], output: &mut [u32], c: &Each<'_, Coefficients>) {
    each(source, output, |i, theta, existing| bits::add(existing, pointwise::gradient::<F>(theta, &c.at::<F>(i))));
}

/// Prefetches the block one tile ahead.
#[inline(always)]
fn ask_ahead(block: &[u32; BLOCK]) {
    for line in (0..BLOCK).step_by(16) {
        prefetch(block.as_ptr().wrapping_add(AHEAD * TILE + line));
    }
}

#[inline(always)]
fn finite(block: &[u32; BLOCK]) -> bool {
    block.iter().fold(true, |finite, b| finite & (b & MAGNITUDE < INFINITY))
}

fn prox<F: Formula>(set: InstructionSet, source: &[u32], output: &mut [u32], c: Weighed<'_, Coefficients>) {
    set.run(
        #[inline(always)]
        || {
            let c = c.each::<F>(source.len());
            each(source, output, |i, v, _| pointwise::prox::<F>(v, &c.at::<F>(i)));
        },
    );
}

fn prox_in_place<F: Formula>(set: InstructionSet, bits: &mut [u32], c: Weighed<'_, Coefficients>) {
    set.run(
        #[inline(always)]
        || {
            let all = c.each::<F>(bits.len());
            let (blocks, rest) = bits.as_chunks_mut::<BLOCK>();
            let start = blocks.len() * BLOCK;
            for (block, bits) in blocks.iter_mut().enumerate() {
                ask_ahead(bits);
                shrink::<F>(bits, &all.part::<F>(block * BLOCK, BLOCK));
            }
            let left = rest.len();
            shrink::<F>(rest, &all.part::<F>(start, left));
        },
    );
}

#[inline(always)]
fn shrink<F: Formula>(bits: &mut [u32], c: &Each<'_, Coefficients>) {
    each_in_place(bits, |i, v| pointwise::prox::<F>(v, &c.at::<F>(i)));
}

fn metric_prox_in_place<F: Formula>(
    set: InstructionSet,
    bits: &mut [u32],
    metric: &[f32],
    c: Weighed<'_, Coefficients>,
) {
    set.run(
        #[inline(always)]
        || {
            let c = c.each::<F>(bits.len());
            let metric = &metric[..bits.len()];
            each_in_place(bits, |i, v| pointwise::metric_prox::<F>(v, metric[i], &c.at::<F>(i)));
        },
    );
}

fn terms<F: Formula>(set: InstructionSet, bits: &[u32], t: Weighed<'_, TermCoefficients>, terms: &mut [f32]) {
    set.run(
        #[inline(always)]
        || {
            let t = t.each::<F>(bits.len());
            let terms = &mut terms[..bits.len()];
            for i in 0..bits.len() {
                terms[i] = pointwise::term::<F>(bits[i], &t.at::<F>(i));
            }
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
            each(source, output, |i, x, _| f(x, &with_group(&c, [first[i], second[i]])));
        },
    );
}
