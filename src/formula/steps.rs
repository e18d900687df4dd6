//! Optimizer steps over weights as bits, before the prox. The gradients and the state have the weights' type.
//!
//! Every sum in a step is a·x + b·y with |a| and |b| ≤ 1. In a *usual* block each sum is 0 or at least [`LARGE`] in
//! magnitude, and finite. Then a tiny x, y, a·x or b·y did not change its sum, so nothing need be flushed: all that
//! [`sgd`] and [`adam`] flush is tiny. And no number was infinite or NaN. So we take the step without any such test, and
//! look at the sums. Nearly all blocks are usual.

use std::slice::from_mut;

use super::scalars::{Direction, Scalars};
use super::{adam, sgd};
use crate::numeric::bits::{INFINITY, LARGE, MAGNITUDE, select};
use crate::numeric::block;
use crate::numeric::element::{BLOCK, Block, Element};
use crate::numeric::simd::InstructionSet;
use crate::numeric::tile::prefetch_ahead;

/// One step of gradient descent. `momentum` is empty if the direction needs none.
pub(crate) fn sgd<E: Element>(
    set: InstructionSet,
    direction: Direction,
    theta: &mut [u32],
    gradient: &[E],
    momentum: &mut [E],
    s: &Scalars,
) {
    match direction {
        Direction::Gradient => run::<Descent, E, 0>(set, theta, &mut [], gradient, [], s),
        Direction::Momentum => run::<Momentum<false>, E, 1>(set, theta, &mut [], gradient, [momentum], s),
        Direction::Nesterov => run::<Momentum<true>, E, 1>(set, theta, &mut [], gradient, [momentum], s),
    }
}

/// One step of Adam. It writes the metric too.
pub(crate) fn adam<E: Element>(
    set: InstructionSet,
    theta: &mut [u32],
    gradient: &[E],
    state: [&mut [E]; 2],
    metric: &mut [u32],
    s: &Scalars,
) {
    let metric = &mut metric[..theta.len()];
    run::<Adam, E, 2>(set, theta, metric, gradient, state, s);
}

/// What a step makes of one weight: the weight, its state and its metric.
struct Next<T, const N: usize> {
    theta: T,
    state: [T; N],
    metric: T,
}

/// A step of one weight, whose state has N numbers.
trait Step<const N: usize> {
    /// Whether it has a metric.
    const METRIC: bool = false;
    /// Whether it has one sum more than it keeps.
    const MORE: bool = false;
    /// The factors of its sums, and zeros.
    fn factors(s: &Scalars) -> [f32; 6];
    /// The step, as bits.
    fn any(theta: u32, g: u32, state: [u32; N], s: &Scalars) -> Next<u32, N>;
    /// The step in a usual block, and the sum that it does not keep.
    fn usual(theta: f32, g: f32, state: [f32; N], s: &Scalars) -> (Next<f32, N>, f32);
}

struct Descent;

impl Step<0> for Descent {
    fn factors(s: &Scalars) -> [f32; 6] {
        [s[1], 0.0, 0.0, 0.0, 0.0, 0.0]
    }
    #[inline(always)]
    fn any(theta: u32, g: u32, _: [u32; 0], s: &Scalars) -> Next<u32, 0> {
        Next { theta: sgd::step(theta, g, s), state: [], metric: 0 }
    }
    #[inline(always)]
    fn usual(theta: f32, g: f32, _: [f32; 0], s: &Scalars) -> (Next<f32, 0>, f32) {
        (Next { theta: sgd::usual_step(theta, g, s), state: [], metric: 0.0 }, 0.0)
    }
}

struct Momentum<const NESTEROV: bool>;

impl<const NESTEROV: bool> Step<1> for Momentum<NESTEROV> {
    /// The direction.
    const MORE: bool = NESTEROV;

    fn factors(s: &Scalars) -> [f32; 6] {
        [s[0], s[1], s[2], 0.0, 0.0, 0.0]
    }
    #[inline(always)]
    fn any(theta: u32, g: u32, [v]: [u32; 1], s: &Scalars) -> Next<u32, 1> {
        let next = sgd::momentum(v, g, s);
        let direction = if NESTEROV { sgd::nesterov(next, g, s) } else { next };
        Next { theta: sgd::step(theta, direction, s), state: [next], metric: 0 }
    }
    #[inline(always)]
    fn usual(theta: f32, g: f32, [v]: [f32; 1], s: &Scalars) -> (Next<f32, 1>, f32) {
        let next = sgd::usual_momentum(v, g, s);
        let direction = if NESTEROV { sgd::usual_nesterov(next, g, s) } else { next };
        let theta = sgd::usual_step(theta, direction, s);
        (Next { theta, state: [next], metric: 0.0 }, direction)
    }
}

struct Adam;

impl Step<2> for Adam {
    const METRIC: bool = true;
    fn factors(s: &Scalars) -> [f32; 6] {
        [s[0], s[1], s[2], s[3], s[6], s[7]]
    }
    #[inline(always)]
    fn any(theta: u32, g: u32, [m, v]: [u32; 2], s: &Scalars) -> Next<u32, 2> {
        let stepped = adam::step(theta, g, m, v, s);
        Next { theta: stepped.theta, state: [stepped.first, stepped.second], metric: stepped.metric.to_bits() }
    }
    #[inline(always)]
    fn usual(theta: f32, g: f32, [m, v]: [f32; 2], s: &Scalars) -> (Next<f32, 2>, f32) {
        let [theta, first, second, metric] = adam::usual_step([theta, g, m, v], s);
        (Next { theta, state: [first, second], metric }, 0.0)
    }
}

/// Runs a step over slices of the same length; the metric's may be empty if the step has none. The last blocks are
/// padded with zeros.
fn run<S: Step<N>, E: Element, const N: usize>(
    set: InstructionSet,
    theta: &mut [u32],
    metric: &mut [u32],
    gradient: &[E],
    mut state: [&mut [E]; N],
    s: &Scalars,
) {
    let step = Blocks { s: *s, small: S::factors(s).iter().all(|factor| factor.abs() <= 1.0) };
    let (gradients, gradient_rest) = gradient.as_chunks::<BLOCK>();
    let (thetas, theta_rest) = theta.as_chunks_mut::<BLOCK>();
    let (metrics, metric_rest) = metric.as_chunks_mut::<BLOCK>();
    if !gradients.is_empty() {
        let states = state.each_mut().map(|slice| slice.as_chunks_mut().0);
        step.blocks::<S, E, N>(set, thetas, metrics, gradients, states);
    }
    if !gradient_rest.is_empty() {
        let (start, len) = (gradients.len() * BLOCK, gradient_rest.len());
        let (mut from, mut to, mut made) = ([E::zeroed(); BLOCK], [0; BLOCK], [0; BLOCK]);
        let mut states = [[E::zeroed(); BLOCK]; N];
        from[..len].copy_from_slice(gradient_rest);
        to[..len].copy_from_slice(theta_rest);
        states.iter_mut().zip(&state).for_each(|(to, slice)| to[..len].copy_from_slice(&slice[start..]));
        let (thetas, metrics) = (from_mut(&mut to), from_mut(&mut made));
        step.blocks::<S, E, N>(set, thetas, metrics, &[from], states.each_mut().map(from_mut));
        theta_rest.copy_from_slice(&to[..len]);
        state.iter_mut().zip(&states).for_each(|(slice, from)| slice[start..].copy_from_slice(&from[..len]));
        if S::METRIC {
            metric_rest.copy_from_slice(&made[..len]);
        }
    }
}

struct Blocks {
    s: Scalars,
    /// Whether no factor is above 1 in magnitude: else no block is usual.
    small: bool,
}

/// The sums of a block's steps.
struct Stepped<const N: usize> {
    theta: Block,
    state: [Block; N],
    /// The sums that are not kept.
    more: Block,
}

impl<const N: usize> Stepped<N> {
    #[inline(always)]
    fn new() -> Stepped<N> {
        Stepped { theta: [0; BLOCK], state: [[0; BLOCK]; N], more: [0; BLOCK] }
    }
}

impl Blocks {
    /// Apart, so that it is compiled once for all blocks, the last one among them.
    #[inline(never)]
    fn blocks<S: Step<N>, E: Element, const N: usize>(
        &self,
        set: InstructionSet,
        thetas: &mut [Block],
        metrics: &mut [Block],
        gradients: &[[E; BLOCK]],
        mut states: [&mut [[E; BLOCK]]; N],
    ) {
        // Copied: behind a reference, every write of a weight could change them.
        let step = Blocks { ..*self };
        set.run_knowing(
            #[inline(always)]
            |set| {
                let mut unused = [0; BLOCK];
                for (i, (gradient, theta)) in gradients.iter().zip(thetas).enumerate() {
                    let metric = if S::METRIC { &mut metrics[i] } else { &mut unused };
                    let state = states.each_mut().map(
                        #[inline(always)]
                        |blocks| &mut blocks[i],
                    );
                    prefetch_ahead(gradient);
                    prefetch_ahead(theta);
                    state.iter().for_each(|block| prefetch_ahead(block));
                    let mut next = Stepped::new();
                    let over = step.usual::<S, E, N>(set, theta, metric, gradient, &state, &mut next);
                    if step.small && over < INFINITY - LARGE.to_bits() {
                        write(set, theta, state, &next);
                    } else {
                        step.rare::<S, E, N>(set, theta, metric, gradient, state);
                    }
                }
            },
        );
    }

    /// Takes the steps of a block as if it were usual. Returns how far the sums are beyond the limits.
    #[inline(always)]
    fn usual<S: Step<N>, E: Element, const N: usize>(
        &self,
        set: InstructionSet,
        theta: &Block,
        metric: &mut Block,
        gradient: &[E; BLOCK],
        state: &[&mut [E; BLOCK]; N],
        to: &mut Stepped<N>,
    ) -> u32 {
        let mut rooms = [[0; BLOCK]; N];
        let mut olds = [&[0; BLOCK]; N];
        for ((old, room), state) in olds.iter_mut().zip(&mut rooms).zip(state) {
            *old = block::bits(set, state, room);
        }
        let mut room = [0; BLOCK];
        let g = block::bits(set, gradient, &mut room);
        let mut over = 0;
        for i in 0..BLOCK {
            let old = olds.map(
                #[inline(always)]
                |old| f32::from_bits(old[i]),
            );
            let (next, more) = S::usual(f32::from_bits(theta[i]), f32::from_bits(g[i]), old, &self.s);
            to.theta[i] = next.theta.to_bits();
            over = over.max(beyond(next.theta));
            if S::MORE {
                to.more[i] = more.to_bits();
                over = over.max(beyond(more));
            }
            for (block, next) in to.state.iter_mut().zip(next.state) {
                block[i] = next.to_bits();
                over = over.max(beyond(next));
            }
            if S::METRIC {
                metric[i] = next.metric.to_bits();
            }
        }
        over
    }

    /// The steps of a block with a sum that is 0, or that is not usual. Apart, so that the others stay in registers.
    #[inline(never)]
    fn rare<S: Step<N>, E: Element, const N: usize>(
        &self,
        set: InstructionSet,
        theta: &mut Block,
        metric: &mut Block,
        gradient: &[E; BLOCK],
        state: [&mut [E; BLOCK]; N],
    ) {
        let mut next = Stepped::new();
        let usual = self.small
            && set.run_knowing(
                #[inline(always)]
                |set| {
                    self.usual::<S, E, N>(set, theta, metric, gradient, &state, &mut next);
                    is_usual(&mut next.theta)
                        && next.state.iter_mut().all(is_usual)
                        && (!S::MORE || is_usual(&mut next.more))
                },
            );
        if usual {
            return set.run_knowing(
                #[inline(always)]
                |set| write(set, theta, state, &next),
            );
        }
        let (mut g, mut states) = ([0; BLOCK], [[0; BLOCK]; N]);
        block::decode_any(gradient, &mut g);
        states.iter_mut().zip(&state).for_each(|(bits, block)| block::decode_any(block, bits));
        self.any::<S, N>(set, theta, metric, &g, &mut states);
        state.into_iter().zip(&states).for_each(|(block, bits)| block::encode_any(bits, block));
    }

    /// The steps of any block, as bits.
    #[inline(never)]
    fn any<S: Step<N>, const N: usize>(
        &self,
        set: InstructionSet,
        theta: &mut Block,
        metric: &mut Block,
        gradient: &Block,
        state: &mut [Block; N],
    ) {
        set.run(
            #[inline(always)]
            || {
                for i in 0..BLOCK {
                    let old = std::array::from_fn(
                        #[inline(always)]
                        |k| state[k][i],
                    );
                    let next = S::any(theta[i], gradient[i], old, &self.s);
                    theta[i] = next.theta;
                    metric[i] = next.metric;
                    for (state, next) in state.iter_mut().zip(next.state) {
                        state[i] = next;
                    }
                }
            },
        );
    }
}

#[inline(always)]
fn write<E: Element, const N: usize>(
    set: InstructionSet,
    theta: &mut Block,
    state: [&mut [E; BLOCK]; N],
    next: &Stepped<N>,
) {
    *theta = next.theta;
    for (state, next) in state.into_iter().zip(&next.state) {
        block::write(
            set,
            state,
            [false, false],
            #[inline(always)]
            |bits| *bits = *next,
        );
    }
}

/// How far a sum's bits are from those of [`LARGE`]. Anything smaller wraps around, so one maximum checks both ends.
#[inline(always)]
fn beyond(x: f32) -> u32 {
    (x.to_bits() & MAGNITUDE).wrapping_sub(LARGE.to_bits())
}

/// Whether each sum is 0 or at least [`LARGE`] in magnitude, and finite. Replaces −0 by +0.
#[inline(always)]
fn is_usual(sums: &mut Block) -> bool {
    let (mut min, mut max) = (u32::MAX, 0);
    for bits in sums {
        let magnitude = *bits & MAGNITUDE;
        // A zero wraps around to the largest number.
        min = min.min(magnitude.wrapping_sub(1));
        max = max.max(magnitude);
        *bits = select(magnitude == 0, 0, *bits);
    }
    min >= LARGE.to_bits() - 1 && max < INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::noise::Noise;

    fn word(noise: &mut Noise) -> u32 {
        (noise.next() >> 32) as u32
    }

    /// Numbers whose exponents lie between two limits, some of them 0.
    fn numbers(noise: &mut Noise, from: i32, to: i32, signed: bool) -> Block {
        std::array::from_fn(|_| {
            let exponent = (from + 127) as u32 + word(noise) % (to - from + 1) as u32;
            // Significands of few bits make ties and sums that cancel.
            let significand = [word(noise) & 0x7f_ffff, word(noise) & 0x60_0000, 0][word(noise) as usize % 3];
            let sign = if signed { word(noise) & !MAGNITUDE } else { 0 };
            if word(noise).is_multiple_of(8) { sign } else { sign | exponent << 23 | significand }
        })
    }

    fn cast(bits: &Block) -> &[f32] {
        bytemuck::cast_slice(bits)
    }

    fn cast_mut(bits: &mut Block) -> &mut [f32] {
        bytemuck::cast_slice_mut(bits)
    }

    fn are_usual(sums: &[u32]) -> bool {
        let usual = |x: f32| x == 0.0 || x.abs() >= LARGE && x.is_finite();
        sums.iter().all(|bits| usual(f32::from_bits(*bits)))
    }

    /// Compares a step over blocks with the steps of single weights. Returns how many blocks were usual.
    fn compare(scalars: &[Scalars], check: impl Fn(&mut Noise, (i32, i32), &Scalars) -> bool) -> usize {
        let mut noise = Noise(1);
        let ranges = [(-20, 20), (-94, 59), (-94, 60), (-95, 59), (-90, -80), (-126, -110), (-60, 127), (-93, -93)];
        let all = scalars.iter().flat_map(|s| ranges.iter().map(move |range| (s, *range)));
        all.map(|(s, range)| (0..200).filter(|_| check(&mut noise, range, s)).count()).sum()
    }

    #[test]
    fn steps_of_blocks_have_the_bits_of_steps_of_weights() {
        // μ, −η and 1 − d.
        let scalars = [[0.9, -0.1, 1.0], [0.5, -1.0, 0.5], [0.0, -1e-6, 1.0], [0.9, -3.0, 1.0], [1.0, -1e-30, 0.0]];
        let scalars = scalars.map(|[a, b, c]| [a, b, c, 0.0, 0.0, 0.0, 0.0, 0.0]);
        for direction in [Direction::Gradient, Direction::Momentum, Direction::Nesterov] {
            let usual = compare(&scalars, |noise, (from, to), s| {
                let [theta, g, v] = std::array::from_fn(|_| numbers(noise, from, to, true));
                let [mut found, mut momentum] = [theta, v];
                sgd::<f32>(InstructionSet::Baseline, direction, &mut found, cast(&g), cast_mut(&mut momentum), s);
                let mut sums = Vec::new();
                for i in 0..BLOCK {
                    let next = sgd::momentum(v[i], g[i], s);
                    let (along, next) = match direction {
                        Direction::Gradient => (g[i], v[i]),
                        Direction::Momentum => (next, next),
                        Direction::Nesterov => (sgd::nesterov(next, g[i], s), next),
                    };
                    let expected = [sgd::step(theta[i], along, s), next];
                    sums.extend(expected.into_iter().chain([along]));
                    let inputs = [theta[i], g[i], v[i]].map(f32::from_bits);
                    assert_eq!([found[i], momentum[i]], expected, "{direction:?} of {inputs:?} by {s:?}");
                }
                are_usual(&sums)
            });
            assert!(usual > 1000, "{usual}");
        }
    }

    #[test]
    fn steps_of_adam_have_the_bits_of_steps_of_weights() {
        // β₁, 1 − β₁, β₂, 1 − β₂, what scales the root, ε, −η and 1 − ηδ.
        let scalars = [
            [0.9, 0.1, 0.999, 0.001, 1.5, 1e-8, -1e-3, 1.0],
            [0.0, 1.0, 0.5, 0.5, 1.0, 1e-30, -1.0, 0.5],
            [0.99, 0.01, 0.9, 0.1, 30.0, 1.0, -2.0, 1.0],
        ];
        let usual = compare(&scalars, |noise, (from, to), s| {
            let [theta, g, m] = std::array::from_fn(|_| numbers(noise, from, to, true));
            let signed = noise.0.is_multiple_of(5);
            let v = numbers(noise, from, to, signed);
            let [mut found, mut first, mut second] = [theta, m, v];
            let mut metric = [0; BLOCK];
            let state = [cast_mut(&mut first), cast_mut(&mut second)];
            adam::<f32>(InstructionSet::Baseline, &mut found, cast(&g), state, &mut metric, s);
            let mut sums = Vec::new();
            for i in 0..BLOCK {
                let expected = adam::step(theta[i], g[i], m[i], v[i], s);
                let expected = [expected.theta, expected.first, expected.second, expected.metric.to_bits()];
                sums.extend(&expected[..3]);
                let inputs = [theta[i], g[i], m[i], v[i]].map(f32::from_bits);
                assert_eq!([found[i], first[i], second[i], metric[i]], expected, "{inputs:?} by {s:?}");
            }
            are_usual(&sums)
        });
        assert!(usual > 300, "{usual}");
    }
}
