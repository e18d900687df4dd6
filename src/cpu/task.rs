//! Runs one span of a plan: the loops of its operation over tiles and blocks.

use super::groups::{GroupCoefficients, OfGroups};
use super::pass::{BLOCK, Pass, SegmentOperands};
use crate::formula::group::with_group;
use crate::formula::loops::{Loops, Weighed};
use crate::formula::scalars::Metric;
use crate::formula::{Coefficients, steps};
use crate::numeric::accumulator::Sums;
use crate::numeric::bits::{self, INFINITY, MAGNITUDE};
use crate::numeric::element::Element;
use crate::numeric::simd::InstructionSet;
use crate::numeric::tile::{self, AHEAD, TILE, TermLanes};
use crate::plan::coefficients::CoefficientRecord;
use crate::plan::operation::Operation;

/// Room for the bits of a block's elements, if they are not bits themselves, and for its metric. A row is cleared at its
/// first use in a span only.
struct Rows<E: Element> {
    source: Option<E::Room<BLOCK>>,
    element_weights: Option<E::Room<BLOCK>>,
    output: Option<E::Room<BLOCK>>,
    first: Option<E::Room<BLOCK>>,
    second: Option<E::Room<BLOCK>>,
    metric: Option<[u32; BLOCK]>,
}

impl<E: Element> Default for Rows<E> {
    fn default() -> Rows<E> {
        Rows { source: None, element_weights: None, output: None, first: None, second: None, metric: None }
    }
}

/// What is done with one span.
pub(super) struct Task<'a> {
    pub(super) set: InstructionSet,
    pub(super) pass: &'a Pass<'a>,
    pub(super) loops: &'static Loops,
    pub(super) c: &'a CoefficientRecord,
    /// The coefficients of the weights' groups, once these are reduced.
    pub(super) groups: Option<&'a GroupCoefficients<'a>>,
    /// Whether the weights are in groups.
    pub(super) grouped: bool,
}

impl Task<'_> {
    /// Visits the weights from `at` on, and adds to the sums if the pass sums.
    pub(super) fn visit<E: Element>(&self, mut at: u64, mut operands: SegmentOperands<'_, E>, sums: &mut Sums) {
        let operation = self.pass.operation;
        if operation == Operation::Evaluate {
            return self.sum(operands.source, operands.element_weights, sums);
        }
        let mut rows = Rows::default();
        // Each block is summed while it is in the cache.
        while !(operands.source.is_empty() && operands.written[0].is_empty()) {
            let mut tile = operands.take(TILE);
            let mut left = tile.reborrow();
            while !left.written[0].is_empty() {
                self.update(at, left.take(BLOCK), &mut rows);
                at += BLOCK as u64;
            }
            if self.pass.sums {
                let gradient = matches!(operation, Operation::Gradient | Operation::AddGradient);
                self.add(if gradient { tile.source } else { tile.written[0] }, tile.element_weights, sums);
            }
        }
    }

    fn sum<E: Element>(&self, weights: &[E], element_weights: &[E], sums: &mut Sums) {
        if self.c.sums_terms() {
            let mut left = SegmentOperands::read(weights, element_weights);
            while !left.source.is_empty() {
                let tile = left.take(TILE);
                self.add(tile.source, tile.element_weights, sums);
            }
        } else {
            self.add_tiles(weights, sums);
        }
    }

    /// Adds a tile, or the part of it that exists.
    fn add<E: Element>(&self, weights: &[E], element_weights: &[E], sums: &mut Sums) {
        let max = self.add_tiles(weights, sums);
        if self.c.sums_terms() {
            let mut lanes = TermLanes::new(max);
            let (mut bits, mut weight_bits, mut shares) = (None, None, [0.0; BLOCK]);
            let mut left = SegmentOperands::read(weights, element_weights);
            while !left.source.is_empty() {
                let row = left.take(BLOCK);
                let shares = &mut shares[..row.source.len()];
                let bits = bits_of(self.set, row.source, &mut bits);
                let element_weights = bits_of(self.set, row.element_weights, &mut weight_bits);
                let t = Weighed { coefficients: &self.c.terms, element_weights };
                (self.loops.terms)(self.set, bits, t, shares);
                self.set.run(
                    #[inline(always)]
                    || lanes.add(shares),
                );
            }
            self.set.run(
                #[inline(always)]
                || lanes.finish(sums),
            );
        }
    }

    /// Adds tiles, and returns the bits of the last one's largest finite |θ|.
    fn add_tiles<E: Element>(&self, weights: &[E], sums: &mut Sums) -> u32 {
        match self.set {
            InstructionSet::Baseline => add_tiles::<E, false>(weights, sums),
            // These sets have a fused multiply-add. Without one, `mul_add` is a slow call.
            _ => self.set.run(
                #[inline(always)]
                || add_tiles::<E, true>(weights, sums),
            ),
        }
    }

    /// Updates at most a block.
    fn update<E: Element>(&self, at: u64, operands: SegmentOperands<'_, E>, rows: &mut Rows<E>) {
        let (set, loops, s) = (self.set, self.loops, &self.pass.scalars);
        let SegmentOperands { source, element_weights, written: [output, first, second] } = operands;
        let element_weights = bits_of(set, element_weights, &mut rows.element_weights);
        let onto = [&mut rows.source, &mut rows.output];
        match self.pass.operation {
            Operation::Evaluate => {}
            Operation::AddGradient if self.c.untouched() => {}
            Operation::AddGradient => {
                onto_bits(set, source, output, onto, true, |source, bits| {
                    self.add_gradient(at, source, bits, element_weights)
                });
            }
            Operation::Gradient => {
                onto_bits(set, source, output, onto, false, |source, bits| {
                    self.gradient(at, source, bits, element_weights)
                });
            }
            Operation::Prox if source.is_empty() => {
                if !self.c.untouched() {
                    on_bits(set, output, &mut rows.output, |bits| self.prox_in_place(at, bits, element_weights));
                }
            }
            Operation::Prox if self.c.untouched() => output.copy_from_slice(source),
            Operation::Prox => {
                onto_bits(set, source, output, onto, false, |source, bits| {
                    self.prox(at, source, bits, element_weights)
                });
            }
            Operation::Sgd(direction) => {
                let gradient = bits_of(set, source, &mut rows.source);
                on_bits(set, output, &mut rows.output, |theta| {
                    on_bits(set, first, &mut rows.first, |momentum| {
                        steps::sgd(set, direction, theta, gradient, momentum, s);
                    });
                    self.prox_in_place(at, theta, element_weights);
                });
            }
            Operation::Adam(metric) => {
                let gradient = bits_of(set, source, &mut rows.source);
                let metrics = rows.metric.get_or_insert([0; BLOCK]);
                on_bits(set, output, &mut rows.output, |theta| {
                    on_bits(set, first, &mut rows.first, |m| {
                        on_bits(set, second, &mut rows.second, |v| {
                            steps::adam(set, theta, gradient, [m, v], metrics, s);
                        });
                    });
                    match metric {
                        Metric::Plain => self.prox_in_place(at, theta, element_weights),
                        Metric::Adam => {
                            let c = Weighed { coefficients: &self.c.c, element_weights };
                            (loops.metric_prox_in_place)(set, theta, &metrics[..theta.len()], c);
                        }
                    }
                });
            }
        }
    }
}

/// Gradients and proxes of at most a block of weights, given as bits; `at` is the index of the first.
/// `element_weights` holds bits too. Weights in groups use their groups' coefficients.
impl Task<'_> {
    fn gradient(&self, at: u64, source: &[u32], output: &mut [u32], element_weights: &[u32]) {
        self.with_coefficients(at, source, |coefficients, of_groups| match of_groups {
            None => (self.loops.gradient)(self.set, source, output, Weighed { coefficients, element_weights }),
            Some(of_groups) => (self.loops.gradient_of_each)(self.set, source, output, coefficients, of_groups),
        });
    }

    fn add_gradient(&self, at: u64, source: &[u32], output: &mut [u32], element_weights: &[u32]) {
        if self.groups.is_none() {
            let c = Weighed { coefficients: &self.c.c, element_weights };
            return (self.loops.add_gradient)(self.set, source, output, c);
        }
        self.add_gradient_of_groups(at, source, output, element_weights);
    }

    /// Apart, because its rows would take room on the stack in every call.
    #[inline(never)]
    fn add_gradient_of_groups(&self, at: u64, source: &[u32], output: &mut [u32], element_weights: &[u32]) {
        self.with_coefficients(at, source, |coefficients, of_groups| match of_groups {
            None => (self.loops.add_gradient)(self.set, source, output, Weighed { coefficients, element_weights }),
            Some(of_groups) => {
                let mut gradient = [0; BLOCK];
                let gradient = &mut gradient[..source.len()];
                (self.loops.gradient_of_each)(self.set, source, gradient, coefficients, of_groups);
                self.set.run(
                    #[inline(always)]
                    || output.iter_mut().zip(&*gradient).for_each(|(out, more)| *out = bits::add(*out, *more)),
                );
            }
        });
    }

    fn prox(&self, at: u64, source: &[u32], output: &mut [u32], element_weights: &[u32]) {
        self.with_coefficients(at, source, |coefficients, of_groups| match of_groups {
            None => (self.loops.prox)(self.set, source, output, Weighed { coefficients, element_weights }),
            Some(of_groups) => (self.loops.prox_of_each)(self.set, source, output, coefficients, of_groups),
        });
    }

    fn prox_in_place(&self, at: u64, bits: &mut [u32], element_weights: &[u32]) {
        // Weights in groups are only stepped until their groups are reduced; their prox comes later.
        if self.grouped && self.groups.is_none() {
            return;
        }
        if self.groups.is_none() {
            (self.loops.prox_in_place)(self.set, bits, Weighed { coefficients: &self.c.c, element_weights });
            return;
        }
        self.prox_in_place_of_groups(at, bits, element_weights);
    }

    #[inline(never)]
    fn prox_in_place_of_groups(&self, at: u64, bits: &mut [u32], element_weights: &[u32]) {
        let mut source = [0; BLOCK];
        let source = &mut source[..bits.len()];
        source.copy_from_slice(bits);
        self.prox(at, source, bits, element_weights);
    }

    /// Calls `f` with the coefficients that all of these weights share, and with those of each weight's group if they
    /// differ.
    fn with_coefficients(&self, at: u64, source: &[u32], f: impl FnOnce(&Coefficients, Option<[&[f32]; 2]>)) {
        match self.groups {
            None => f(&self.c.c, None),
            Some(groups) => self.with_coefficients_of(groups, at, source, f),
        }
    }

    #[inline(never)]
    fn with_coefficients_of(
        &self,
        groups: &GroupCoefficients<'_>,
        at: u64,
        source: &[u32],
        f: impl FnOnce(&Coefficients, Option<[&[f32]; 2]>),
    ) {
        let c = &self.c.c;
        let [mut first, mut second] = [[0.0; BLOCK]; 2];
        let len = source.len();
        match groups.of(at, source, [&mut first[..len], &mut second[..len]]) {
            OfGroups::Alike(of_group) => f(&with_group(c, of_group), None),
            OfGroups::Each(of_groups) => f(c, Some(of_groups)),
        }
    }
}

/// Adds tiles, the last of which may be partial, and returns the bits of the last one's largest finite |θ|.
#[inline(always)]
fn add_tiles<E: Element, const FUSED: bool>(weights: &[E], sums: &mut Sums) -> u32 {
    let (tiles, part) = weights.as_chunks::<TILE>();
    let mut max = 0;
    for tile in tiles {
        let ahead = tile.as_ptr().wrapping_add(AHEAD * TILE);
        max = tile::add::<E, FUSED>(tile, ahead, sums);
    }
    if part.is_empty() { max } else { tile::add_part::<E, FUSED>(part, sums) }
}

/// The bits of at most a block: the elements themselves if they are bits, else decoded into `held`.
fn bits_of<'a, E: Element>(set: InstructionSet, elements: &'a [E], held: &'a mut Option<E::Room<BLOCK>>) -> &'a [u32] {
    if let Some(bits) = E::bits(elements) {
        return bits;
    }
    if elements.is_empty() {
        return &[];
    }
    let bits = &mut held.get_or_insert_with(E::room).as_mut()[..elements.len()];
    set.run(
        #[inline(always)]
        || decode(elements, bits),
    );
    bits
}

/// Calls `f` with the bits of at most a block: in place if elements are their own bits.
fn on_bits<E: Element>(
    set: InstructionSet,
    elements: &mut [E],
    held: &mut Option<E::Room<BLOCK>>,
    f: impl FnOnce(&mut [u32]),
) {
    if let Some(bits) = E::bits_mut(elements) {
        return f(bits);
    }
    let bits = &mut held.get_or_insert_with(E::room).as_mut()[..elements.len()];
    set.run(
        #[inline(always)]
        || decode(elements, bits),
    );
    f(bits);
    set.run(
        #[inline(always)]
        || encode(bits, elements),
    );
}

/// The same from a source to an output. If `adds` is set, `f` needs what the output holds.
fn onto_bits<E: Element>(
    set: InstructionSet,
    source: &[E],
    output: &mut [E],
    [from, to]: [&mut Option<E::Room<BLOCK>>; 2],
    adds: bool,
    f: impl FnOnce(&[u32], &mut [u32]),
) {
    let source = bits_of(set, source, from);
    if adds {
        return on_bits(set, output, to, |output| f(source, output));
    }
    if let Some(output) = E::bits_mut(output) {
        return f(source, output);
    }
    let bits = &mut to.get_or_insert_with(E::room).as_mut()[..output.len()];
    f(source, bits);
    set.run(
        #[inline(always)]
        || encode(bits, output),
    );
}

#[inline(always)]
fn decode<E: Element>(elements: &[E], bits: &mut [u32]) {
    for (to, from) in bits.iter_mut().zip(elements) {
        *to = from.decode();
    }
}

/// Blocks without NaN, as nearly all are, take fewer instructions.
#[inline(always)]
fn encode<E: Element>(bits: &[u32], elements: &mut [E]) {
    for (elements, bits) in elements.chunks_mut(64).zip(bits.chunks(64)) {
        if bits.iter().fold(0, |max, b| max.max(b & MAGNITUDE)) <= INFINITY {
            for (to, from) in elements.iter_mut().zip(bits) {
                *to = E::encode_number(*from);
            }
        } else {
            for (to, from) in elements.iter_mut().zip(bits) {
                *to = E::encode(*from);
            }
        }
    }
}
