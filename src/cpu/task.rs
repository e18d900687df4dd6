//! Runs one span of a plan: the loops of its operation over tiles and blocks.

use super::groups::{GroupCoefficients, OfGroups};
use super::pass::{BLOCK, Pass, SegmentOperands};
use crate::formula::group::with_group;
use crate::formula::loops::{Loops, Weighed};
use crate::formula::scalars::{Direction, Metric};
use crate::formula::{Coefficients, adam, sgd};
use crate::numeric::accumulator::Sums;
use crate::numeric::bits;
use crate::numeric::element::Element;
use crate::numeric::simd::InstructionSet;
use crate::numeric::tile::{self, AHEAD, TILE, TermLanes};
use crate::plan::coefficients::CoefficientRecord;
use crate::plan::operation::Operation;

/// Tensors of at most this many weights, such as biases, are summed without the rest of their tile. So are those of at
/// most half the lanes.
const SHORT: usize = 64;

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
    /// Visits the weights from `at` on.
    pub(super) fn visit<E: Element>(&self, mut at: u64, mut operands: SegmentOperands<'_, E>) -> Option<Sums> {
        let operation = self.pass.operation;
        if operation == Operation::Evaluate {
            return Some(self.sum(operands.source, operands.element_weights));
        }
        let mut sums = Sums::default();
        // Each block is summed while it is in the cache.
        while !(operands.source.is_empty() && operands.written[0].is_empty()) {
            let mut tile = operands.take(TILE);
            let mut left = tile.reborrow();
            while !left.written[0].is_empty() {
                self.update(at, left.take(BLOCK));
                at += BLOCK as u64;
            }
            if self.pass.sums {
                let gradient = matches!(operation, Operation::Gradient | Operation::AddGradient);
                self.add(if gradient { tile.source } else { tile.written[0] }, tile.element_weights, &mut sums);
            }
        }
        self.pass.sums.then_some(sums)
    }

    fn sum<E: Element>(&self, weights: &[E], element_weights: &[E]) -> Sums {
        let mut sums = Sums::default();
        if self.c.sums_terms() {
            let mut left = SegmentOperands::read(weights, element_weights);
            while !left.source.is_empty() {
                let tile = left.take(TILE);
                self.add(tile.source, tile.element_weights, &mut sums);
            }
        } else {
            self.add_tiles(weights, &mut sums);
        }
        sums
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
    fn update<E: Element>(&self, at: u64, operands: SegmentOperands<'_, E>) {
        let (set, loops, s) = (self.set, self.loops, &self.pass.scalars);
        let SegmentOperands { source, element_weights, written: [output, first, second] } = operands;
        let mut weight_bits = None;
        let element_weights = bits_of(set, element_weights, &mut weight_bits);
        match self.pass.operation {
            Operation::Evaluate => {}
            Operation::AddGradient if self.c.untouched() => {}
            Operation::AddGradient => {
                onto_bits(set, source, output, true, |source, bits| {
                    self.add_gradient(at, source, bits, element_weights)
                });
            }
            Operation::Gradient => {
                onto_bits(set, source, output, false, |source, bits| self.gradient(at, source, bits, element_weights));
            }
            Operation::Prox if source.is_empty() => {
                if !self.c.untouched() {
                    on_bits(set, output, |bits| self.prox_in_place(at, bits, element_weights));
                }
            }
            Operation::Prox if self.c.untouched() => output.copy_from_slice(source),
            Operation::Prox => {
                onto_bits(set, source, output, false, |source, bits| self.prox(at, source, bits, element_weights));
            }
            Operation::Sgd(direction) => on_bits(set, output, |bits| {
                set.run(
                    #[inline(always)]
                    || match direction {
                        Direction::Gradient => {
                            for (theta, g) in bits.iter_mut().zip(source) {
                                *theta = sgd::step(*theta, g.decode(), s);
                            }
                        }
                        Direction::Momentum | Direction::Nesterov => {
                            for ((theta, b), g) in bits.iter_mut().zip(first).zip(source) {
                                let next = sgd::momentum(b.decode(), g.decode(), s);
                                let ahead = direction == Direction::Nesterov;
                                let d = if ahead { sgd::nesterov(next, g.decode(), s) } else { next };
                                *theta = sgd::step(*theta, d, s);
                                *b = E::encode(next);
                            }
                        }
                    },
                );
                self.prox_in_place(at, bits, element_weights);
            }),
            Operation::Adam(metric) => on_bits(set, output, |bits| {
                let mut metrics = [0.0; BLOCK];
                set.run(
                    #[inline(always)]
                    || {
                        let states = first.iter_mut().zip(second).zip(&mut metrics);
                        for ((theta, ((m, v), d)), g) in bits.iter_mut().zip(states).zip(source) {
                            let stepped = adam::step(*theta, g.decode(), m.decode(), v.decode(), s);
                            (*theta, *d) = (stepped.theta, stepped.metric);
                            (*m, *v) = (E::encode(stepped.first), E::encode(stepped.second));
                        }
                    },
                );
                match metric {
                    Metric::Plain => self.prox_in_place(at, bits, element_weights),
                    Metric::Adam => {
                        let c = Weighed { coefficients: &self.c.c, element_weights };
                        (loops.metric_prox_in_place)(set, bits, &metrics, c);
                    }
                }
            }),
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
        let mut source = [0; BLOCK];
        let source = &mut source[..bits.len()];
        source.copy_from_slice(bits);
        self.prox(at, source, bits, element_weights);
    }

    /// Calls `f` with the coefficients that all of these weights share, and with those of each weight's group if they
    /// differ.
    fn with_coefficients(&self, at: u64, source: &[u32], f: impl FnOnce(&Coefficients, Option<[&[f32]; 2]>)) {
        let c = &self.c.c;
        let Some(groups) = self.groups else { return f(c, None) };
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
        max = tile::add::<E, FUSED, TILE, { tile::rows(TILE) }>(tile, TILE, ahead, sums);
    }
    if part.is_empty() {
        max
    } else if part.len() <= SHORT {
        add_part::<E, FUSED, SHORT, { tile::rows(SHORT) }>(part, sums)
    } else if part.len() <= tile::HALF {
        add_part::<E, FUSED, { tile::HALF }, { tile::rows(tile::HALF) }>(part, sums)
    } else {
        add_part::<E, FUSED, TILE, { tile::rows(TILE) }>(part, sums)
    }
}

/// Adds a part of a tile. Absent weights are +0.
#[inline(always)]
fn add_part<E: Element, const FUSED: bool, const N: usize, const ROWS: usize>(weights: &[E], sums: &mut Sums) -> u32 {
    let mut part = [E::zeroed(); N];
    part[..weights.len()].copy_from_slice(weights);
    tile::add::<E, FUSED, N, ROWS>(&part, weights.len(), part.as_ptr(), sums)
}

/// The bits of at most a block: the elements themselves if they are bits, else decoded into `held`.
fn bits_of<'a, E: Element>(set: InstructionSet, elements: &'a [E], held: &'a mut Option<[u32; BLOCK]>) -> &'a [u32] {
    if let Some(bits) = E::bits(elements) {
        return bits;
    }
    if elements.is_empty() {
        return &[];
    }
    let bits = &mut held.get_or_insert_with(|| [0; BLOCK])[..elements.len()];
    set.run(
        #[inline(always)]
        || decode(elements, bits),
    );
    bits
}

/// Calls `f` with the bits of at most a block: in place if elements are their own bits.
fn on_bits<E: Element>(set: InstructionSet, elements: &mut [E], f: impl FnOnce(&mut [u32])) {
    if let Some(bits) = E::bits_mut(elements) {
        return f(bits);
    }
    let mut bits = [0; BLOCK];
    let bits = &mut bits[..elements.len()];
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
    adds: bool,
    f: impl FnOnce(&[u32], &mut [u32]),
) {
    if let (Some(source), Some(output)) = (E::bits(source), E::bits_mut(output)) {
        return f(source, output);
    }
    let (mut from, mut to) = ([0; BLOCK], [0; BLOCK]);
    let (from, to) = (&mut from[..source.len()], &mut to[..source.len()]);
    set.run(
        #[inline(always)]
        || {
            decode(source, from);
            if adds {
                decode(output, to);
            }
        },
    );
    f(from, to);
    set.run(
        #[inline(always)]
        || encode(to, output),
    );
}

#[inline(always)]
fn decode<E: Element>(elements: &[E], bits: &mut [u32]) {
    for (to, from) in bits.iter_mut().zip(elements) {
        *to = from.decode();
    }
}

#[inline(always)]
fn encode<E: Element>(bits: &[u32], elements: &mut [E]) {
    for (to, from) in elements.iter_mut().zip(bits) {
        *to = E::encode(*from);
    }
}
