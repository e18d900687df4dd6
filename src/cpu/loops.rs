//! The loops over weights as bits that are compiled for each formula and each instruction set, but for no type of weights.

use super::InstructionSet;
use crate::elementwise;
use crate::formula::{Formula, Numbers, TermNumbers};

/// The loops of a formula. A block's bits are replaced by what is computed of them.
pub(crate) struct Loops {
    pub(super) gradient: fn(InstructionSet, &mut [u32], &Numbers),
    /// The same where every weight is finite: without the rules for those that are not, half of the instructions are left.
    pub(super) finite_gradient: fn(InstructionSet, &mut [u32], &Numbers),
    pub(super) prox: fn(InstructionSet, &mut [u32], &Numbers),
    /// In the metric that the second slice holds.
    pub(super) metric_prox: fn(InstructionSet, &mut [u32], &[f32], &Numbers),
    /// What the weights give to the value's own sum.
    pub(super) terms: fn(InstructionSet, &[u32], &TermNumbers, &mut [f32]),
}

impl Loops {
    pub(crate) const fn of<F: Formula>() -> Loops {
        Loops {
            gradient: gradient::<F>,
            finite_gradient: finite_gradient::<F>,
            prox: prox::<F>,
            metric_prox: metric_prox::<F>,
            terms: terms::<F>,
        }
    }
}

// The numbers are copied: behind a reference they could change with every weight that is written.

fn gradient<F: Formula>(set: InstructionSet, bits: &mut [u32], c: &Numbers) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            for b in bits {
                *b = elementwise::gradient::<F>(*b, &c);
            }
        },
    );
}

fn finite_gradient<F: Formula>(set: InstructionSet, bits: &mut [u32], c: &Numbers) {
    set.run(
        #[inline(always)]
        || {
            let c = *c;
            for b in bits {
                *b = elementwise::finite_gradient::<F>(*b, &c);
            }
        },
    );
}

fn prox<F: Formula>(set: InstructionSet, bits: &mut [u32], c: &Numbers) {
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

fn metric_prox<F: Formula>(set: InstructionSet, bits: &mut [u32], metric: &[f32], c: &Numbers) {
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
