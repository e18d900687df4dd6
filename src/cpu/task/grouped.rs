//! What is done with a block whose weights are in groups.

use bytemuck::{cast_slice, cast_slice_mut};

use super::Task;
use super::rows::{Rows, bits_of, on_bits, onto_bits};
use crate::cpu::groups::{GroupCoefficients, GroupRows, OfGroups};
use crate::cpu::pass::BLOCK;
use crate::formula::group::with_group;
use crate::formula::loops::Weighed;
use crate::numeric::accumulator::Sums;
use crate::numeric::bits;
use crate::numeric::element::Element;
use crate::plan::operation::Operation;

impl Task<'_> {
    /// Updates at most a block; `at` is the index of its first weight.
    #[inline(never)]
    pub(super) fn update_groups<E: Element>(
        &self,
        groups: &GroupCoefficients<'_>,
        at: u64,
        source: &[E],
        output: &mut [E],
        rows: &mut Rows<E>,
    ) {
        let set = self.set;
        let room = rows.groups.get_or_insert_default();
        let onto = [&mut rows.source, &mut rows.output];
        match self.pass.operation {
            Operation::Gradient => onto_bits(set, source, output, onto, false, |source, bits| {
                self.gradient(groups, at, source, bits, room);
            }),
            Operation::AddGradient => onto_bits(set, source, output, onto, true, |source, bits| {
                let gradient = &mut rows.made.get_or_insert([0; BLOCK])[..source.len()];
                self.gradient(groups, at, source, gradient, room);
                set.run(
                    #[inline(always)]
                    || bits.iter_mut().zip(gradient).for_each(|(out, more)| *out = bits::add(*out, *more)),
                );
            }),
            Operation::Prox if source.is_empty() => {
                on_bits(set, output, &mut rows.output, |bits| self.prox(groups, at, bits, room));
            }
            Operation::Prox => onto_bits(set, source, output, onto, false, |source, bits| {
                bits.copy_from_slice(source);
                self.prox(groups, at, bits, room);
            }),
            Operation::Evaluate | Operation::Sgd(_) | Operation::Adam(_) => {}
        }
    }

    /// The gradient, with the coefficients that all of these weights share, or with those of each weight's group.
    fn gradient(
        &self,
        groups: &GroupCoefficients<'_>,
        at: u64,
        source: &[u32],
        output: &mut [u32],
        room: &mut GroupRows,
    ) {
        let (loops, c) = (self.loops, &self.c.c);
        match groups.of(at, source, room) {
            OfGroups::Alike(of_group) => {
                let (source, output) = (cast_slice::<_, f32>(source), cast_slice_mut::<_, f32>(output));
                let c = Weighed { coefficients: &with_group(c, of_group), element_weights: &[] };
                (loops.gradient)(self.set, source.into(), output.into(), c);
            }
            OfGroups::Each(of_groups) => (loops.gradient_of_each)(self.set, source, output, c, of_groups),
        }
    }

    /// The prox of weights in place.
    fn prox(&self, groups: &GroupCoefficients<'_>, at: u64, bits: &mut [u32], room: &mut GroupRows) {
        let (loops, c) = (self.loops, &self.c.c);
        match groups.of(at, bits, room) {
            OfGroups::Alike(of_group) => {
                let c = Weighed { coefficients: &with_group(c, of_group), element_weights: &[] };
                (loops.prox_in_place)(self.set, cast_slice_mut::<_, f32>(bits).into(), c);
            }
            OfGroups::Each(of_groups) => (loops.prox_of_each_in_place)(self.set, bits, c, of_groups),
        }
    }

    /// Adds the shares of a tile's groups to the term sum.
    pub(super) fn add_shares<E: Element>(
        &self,
        groups: &GroupCoefficients<'_>,
        weights: &[E],
        rows: &mut Rows<E>,
        sums: &mut Sums,
    ) {
        let room = rows.groups.get_or_insert_default();
        for weights in weights.chunks(BLOCK) {
            groups.add_shares(bits_of(self.set, weights, &mut rows.source), room, sums);
        }
    }
}
