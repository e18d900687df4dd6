//! The loops over weights as bits that are compiled for each formula and each instruction set, but for no type of weights.

use super::{AHEAD, InstructionSet};
use crate::elementwise;
use crate::formula::{Formula, Numbers, TermNumbers};
use crate::structure::{Found, Group, Purpose, Rule, with_own};
use crate::tile::{self, TILE};

/// How many weights are tested for NaN and infinity at a time.
const BLOCK: usize = 64;

/// The loops of a formula, from a source to an output or in place.
pub(crate) struct Loops {
    pub(super) gradient: fn(InstructionSet, &[u32], &mut [u32], &Numbers),
    pub(super) add_gradient: fn(InstructionSet, &[u32], &mut [u32], &Numbers),
    pub(super) prox: fn(InstructionSet, &[u32], &mut [u32], &Numbers),
    pub(super) prox_in_place: fn(InstructionSet, &mut [u32], &Numbers),
    /// In the metric that the second slice holds.
    pub(super) metric_prox_in_place: fn(InstructionSet, &mut [u32], &[f32], &Numbers),
    /// What the weights give to the value's own sum.
    pub(super) terms: fn(InstructionSet, &[u32], &TermNumbers, &mut [f32]),
    /// Of weights that have two numbers of their own.
    pub(super) gradient_of_each: fn(InstructionSet, &[u32], &mut [u32], &Numbers, [&[f32]; 2]),
    pub(super) prox_of_each: fn(InstructionSet, &[u32], &mut [u32], &Numbers, [&[f32]; 2]),
    pub(super) find: fn(&Group<'_>, Rule, Purpose, &Numbers, [u32; 3]) -> Found,
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
            gradient_of_each: gradient_of_each::<F>,
            prox_of_each: prox_of_each::<F>,
            find: |group, rule, purpose, c, value| group.find::<F>(rule, purpose, c, value),
        }
    }
}

// The numbers are copied: behind a reference they could change with every weight that is written.

fn gradient<F: Formula>(set: InstructionSet, source: &[u32], output: &mut [u32], c: &Numbers) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            for (out, theta) in output.iter_mut().zip(source) {
                *out = elementwise::gradient::<F>(*theta, &c);
            }
        },
    );
}

/// Blocks without NaN and infinity, as nearly all are, take half as many instructions.
fn add_gradient<F: Formula>(set: InstructionSet, source: &[u32], output: &mut [u32], c: &Numbers) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            let (sources, source) = source.as_chunks::<BLOCK>();
            let (outputs, output) = output.as_chunks_mut::<BLOCK>();
            for (source, output) in sources.iter().zip(outputs) {
                for line in (0..BLOCK).step_by(16) {
                    tile::prefetch(output.as_ptr().wrapping_add(AHEAD * TILE + line));
                    tile::prefetch(source.as_ptr().wrapping_add(AHEAD * TILE + line));
                }
                if finite(source) & finite(output) {
                    for (out, theta) in output.iter_mut().zip(source) {
                        *out = elementwise::add_finite_gradient(*out, elementwise::finite_gradient::<F>(*theta, &c));
                    }
                } else {
                    add_any_gradient::<F>(source, output, &c);
                }
            }
            add_any_gradient::<F>(source, output, &c);
        },
    );
}

#[inline(always)]
fn add_any_gradient<F: Formula>(source: &[u32], output: &mut [u32], c: &Numbers) {
    for (out, theta) in output.iter_mut().zip(source) {
        *out = elementwise::add(*out, elementwise::gradient::<F>(*theta, c));
    }
}

#[inline(always)]
fn finite(block: &[u32; BLOCK]) -> bool {
    block.iter().fold(true, |finite, b| finite & (b & elementwise::MAGNITUDE < elementwise::INFINITY))
}

fn prox<F: Formula>(set: InstructionSet, source: &[u32], output: &mut [u32], c: &Numbers) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            for (out, v) in output.iter_mut().zip(source) {
                *out = elementwise::prox::<F>(*v, &c);
            }
        },
    );
}

fn prox_in_place<F: Formula>(set: InstructionSet, bits: &mut [u32], c: &Numbers) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            for b in bits {
                *b = elementwise::prox::<F>(*b, &c);
            }
        },
    );
}

fn metric_prox_in_place<F: Formula>(set: InstructionSet, bits: &mut [u32], metric: &[f32], c: &Numbers) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            for (b, d) in bits.iter_mut().zip(metric) {
                *b = elementwise::metric_prox::<F>(*b, *d, &c);
            }
        },
    );
}

fn terms<F: Formula>(set: InstructionSet, bits: &[u32], t: &TermNumbers, terms: &mut [f32]) {
    set.run(
        #[inline(always)]
        || {
            let t = *t;
            for (to, b) in terms.iter_mut().zip(bits) {
                *to = elementwise::term::<F>(*b, &t);
            }
        },
    );
}

fn gradient_of_each<F: Formula>(
    set: InstructionSet,
    source: &[u32],
    output: &mut [u32],
    c: &Numbers,
    [first, second]: [&[f32]; 2],
) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            for (((out, theta), a), b) in output.iter_mut().zip(source).zip(first).zip(second) {
                *out = elementwise::gradient::<F>(*theta, &with_own(&c, [*a, *b]));
            }
        },
    );
}

fn prox_of_each<F: Formula>(
    set: InstructionSet,
    source: &[u32],
    output: &mut [u32],
    c: &Numbers,
    [first, second]: [&[f32]; 2],
) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            for (((out, v), a), b) in output.iter_mut().zip(source).zip(first).zip(second) {
                *out = elementwise::prox::<F>(*v, &with_own(&c, [*a, *b]));
            }
        },
    );
}
