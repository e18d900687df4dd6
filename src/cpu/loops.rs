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
            gradient: |set, bits, c| set.run(|| bits.iter_mut().for_each(|b| *b = elementwise::gradient::<F>(*b, c))),
            finite_gradient: |set, bits, c| {
                set.run(|| bits.iter_mut().for_each(|b| *b = elementwise::finite_gradient::<F>(*b, c)));
            },
            prox: |set, bits, c| set.run(|| bits.iter_mut().for_each(|b| *b = elementwise::prox::<F>(*b, c))),
            metric_prox: |set, bits, metric, c| {
                let each = |(b, d): (&mut u32, &f32)| *b = elementwise::metric_prox::<F>(*b, *d, c);
                set.run(|| bits.iter_mut().zip(metric).for_each(each));
            },
            terms: |set, bits, t, terms| {
                let each = |(to, b): (&mut f32, &u32)| *to = elementwise::term::<F>(*b, t);
                set.run(|| terms.iter_mut().zip(bits).for_each(each));
            },
        }
    }
}
