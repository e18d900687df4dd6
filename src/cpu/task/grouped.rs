//! Updates a block whose weights are in groups, once these are reduced.

use bytemuck::{cast_slice, cast_slice_mut};

use super::Task;
use super::rows::{Rows, on_bits, onto_bits};
use crate::cpu::groups::{GroupCoefficients, OfGroups};
use crate::cpu::pass::BLOCK;
use crate::formula::group::with_group;
use crate::formula::loops::{Update, UpdateEach, Weighed};
use crate::numeric::bits;
use crate::numeric::element::Element;
use crate::plan::operation::Operation;

impl Task<'_> {
    /// Updates at most a block; `at` is the index of its first weight. Apart, because its rows would take room on the
    /// stack in every call.
    #[inline(never)]
    pub(super) fn update_groups<E: Element>(
        &self,
        groups: &GroupCoefficients<'_>,
        at: u64,
        source: &[E],
        output: &mut [E],
        rows: &mut Rows<E>,
    ) {
        let (set, loops) = (self.set, self.loops);
        let onto = [&mut rows.source, &mut rows.output];
        match self.pass.operation {
            Operation::Gradient => {
                let update = (loops.gradient, loops.gradient_of_each);
                onto_bits(set, source, output, onto, false, |source, bits| {
                    self.apply(update, groups, at, source, bits)
                });
            }
            Operation::AddGradient => {
                let update = (loops.gradient, loops.gradient_of_each);
                onto_bits(set, source, output, onto, true, |source, bits| {
                    let mut gradient = [0; BLOCK];
                    let gradient = &mut gradient[..source.len()];
                    self.apply(update, groups, at, source, gradient);
                    set.run(
                        #[inline(always)]
                        || bits.iter_mut().zip(gradient).for_each(|(out, more)| *out = bits::add(*out, *more)),
                    );
                });
            }
            Operation::Prox if source.is_empty() => {
                on_bits(set, output, &mut rows.output, |bits| {
                    let mut source = [0; BLOCK];
                    let source = &mut source[..bits.len()];
                    source.copy_from_slice(bits);
                    self.apply((loops.prox_of_group, loops.prox_of_each), groups, at, source, bits);
                });
            }
            Operation::Prox => {
                let update = (loops.prox_of_group, loops.prox_of_each);
                onto_bits(set, source, output, onto, false, |source, bits| {
                    self.apply(update, groups, at, source, bits)
                });
            }
            Operation::Evaluate | Operation::Sgd(_) | Operation::Adam(_) => {}
        }
    }

    /// Runs a loop with the coefficients that all of these weights share, or with those of each weight's group.
    fn apply(
        &self,
        (alike, of_each): (Update, UpdateEach),
        groups: &GroupCoefficients<'_>,
        at: u64,
        source: &[u32],
        output: &mut [u32],
    ) {
        let (c, len) = (&self.c.c, source.len());
        let [mut first, mut second] = [[0.0; BLOCK]; 2];
        match groups.of(at, source, [&mut first[..len], &mut second[..len]]) {
            OfGroups::Alike(of_group) => {
                let (source, output) = (cast_slice::<_, f32>(source), cast_slice_mut::<_, f32>(output));
                let c = Weighed { coefficients: &with_group(c, of_group), element_weights: &[] };
                alike(self.set, source.into(), output.into(), c);
            }
            OfGroups::Each(of_groups) => of_each(self.set, source, output, c, of_groups),
        }
    }
}
