//! Optimizer steps over weights as bits, before the prox.
//!
//! Every sum in a step is a·x + b·y. Most blocks are *usual*: each number is finite and not huge, and each x is 0 or so
//! large that a·x is 0 or at least [`LARGE`]. Then it is enough to flush the sums. What else [`sgd`] and [`adam`] flush
//! is a tiny y or b·y, and that does not change such a sum.

use super::scalars::{Direction, Scalars};
use super::{adam, sgd};
use crate::numeric::bits::{LARGE, MAGNITUDE};
use crate::numeric::simd::InstructionSet;
use crate::numeric::tile::prefetch_ahead;

/// How many weights are tested at a time.
const BLOCK: usize = 64;
/// The bits of 2^60: below it, no square and no product overflows.
const USUAL_BELOW: u32 = (127 + 60) << 23;

type Block = [u32; BLOCK];

/// One step of gradient descent. `momentum` is empty if the direction needs none.
pub(crate) fn sgd(
    set: InstructionSet,
    direction: Direction,
    theta: &mut [u32],
    gradient: &[u32],
    momentum: &mut [u32],
    s: &Scalars,
) {
    set.run(
        #[inline(always)]
        || match direction {
            Direction::Gradient => blocks(
                [theta],
                gradient,
                #[inline(always)]
                |[theta], g| descend(theta, g, s),
            ),
            Direction::Momentum => blocks(
                [theta, momentum],
                gradient,
                #[inline(always)]
                |[theta, v], g| roll::<false>(theta, v, g, s),
            ),
            Direction::Nesterov => blocks(
                [theta, momentum],
                gradient,
                #[inline(always)]
                |[theta, v], g| roll::<true>(theta, v, g, s),
            ),
        },
    );
}

/// One step of Adam. It writes the metric too.
pub(crate) fn adam(
    set: InstructionSet,
    theta: &mut [u32],
    gradient: &[u32],
    [first, second]: [&mut [u32]; 2],
    metric: &mut [u32],
    s: &Scalars,
) {
    let metric = &mut metric[..theta.len()];
    set.run(
        #[inline(always)]
        || {
            blocks(
                [theta, first, second, metric],
                gradient,
                #[inline(always)]
                |[theta, m, v, d], g| adapt(theta, m, v, d, g, s),
            );
        },
    );
}

/// A step along the gradient.
#[inline(always)]
fn descend(theta: &mut Block, g: &Block, s: &Scalars) {
    let mut range = Range::new();
    for i in 0..BLOCK {
        range.first(theta[i]);
        range.second(g[i]);
    }
    if range.is_usual([1.0], [s[1]]) {
        for i in 0..BLOCK {
            theta[i] = sgd::usual_step(f32::from_bits(theta[i]), f32::from_bits(g[i]), s).to_bits();
        }
    } else {
        for i in 0..BLOCK {
            theta[i] = sgd::step(theta[i], g[i], s);
        }
    }
}

/// A step with momentum.
#[inline(always)]
fn roll<const NESTEROV: bool>(theta: &mut Block, v: &mut Block, g: &Block, s: &Scalars) {
    let mut range = Range::new();
    for i in 0..BLOCK {
        range.first(theta[i]);
        range.first(v[i]);
        if NESTEROV { range.first(g[i]) } else { range.second(g[i]) }
    }
    if range.is_usual([1.0, s[0]], [s[0], s[1], s[2]]) {
        for i in 0..BLOCK {
            let g = f32::from_bits(g[i]);
            let next = sgd::usual_momentum(f32::from_bits(v[i]), g, s);
            let direction = if NESTEROV { sgd::usual_nesterov(next, g, s) } else { next };
            theta[i] = sgd::usual_step(f32::from_bits(theta[i]), direction, s).to_bits();
            v[i] = next.to_bits();
        }
    } else {
        for i in 0..BLOCK {
            let next = sgd::momentum(v[i], g[i], s);
            let direction = if NESTEROV { sgd::nesterov(next, g[i], s) } else { next };
            theta[i] = sgd::step(theta[i], direction, s);
            v[i] = next;
        }
    }
}

/// A step of Adam.
#[inline(always)]
fn adapt(theta: &mut Block, m: &mut Block, v: &mut Block, d: &mut Block, g: &Block, s: &Scalars) {
    let mut range = Range::new();
    for i in 0..BLOCK {
        range.first(theta[i]);
        range.first(m[i]);
        range.first_positive(v[i]);
        range.second(g[i]);
    }
    if range.is_usual([s[0], s[2], s[7]], [s[1], s[3], s[6]]) {
        for i in 0..BLOCK {
            let usual = adam::usual_step([theta[i], g[i], m[i], v[i]].map(f32::from_bits), s);
            [theta[i], m[i], v[i], d[i]] = usual.map(f32::to_bits);
        }
    } else {
        for i in 0..BLOCK {
            let stepped = adam::step(theta[i], g[i], m[i], v[i], s);
            (theta[i], m[i], v[i]) = (stepped.theta, stepped.first, stepped.second);
            d[i] = stepped.metric.to_bits();
        }
    }
}

/// The range of the numbers in a block: it tells whether the block is usual.
struct Range {
    /// The bits of the largest magnitude.
    max: u32,
    /// The bits of the smallest magnitude in first terms, less 1: zeros wrap around to the largest number.
    min: u32,
}

impl Range {
    #[inline(always)]
    fn new() -> Range {
        Range { max: 0, min: u32::MAX }
    }

    /// Counts a number that a sum multiplies to its first term.
    #[inline(always)]
    fn first(&mut self, bits: u32) {
        self.first_positive(bits & MAGNITUDE);
    }

    /// The same for a number that must not be negative: then its bits are larger than those of any magnitude.
    #[inline(always)]
    fn first_positive(&mut self, bits: u32) {
        self.max = self.max.max(bits);
        self.min = self.min.min(bits.wrapping_sub(1));
    }

    /// Counts a number that sums multiply to their second terms.
    #[inline(always)]
    fn second(&mut self, bits: u32) {
        self.max = self.max.max(bits & MAGNITUDE);
    }

    /// Whether the block is usual, given the factors of the first terms and of the second terms.
    #[inline(always)]
    fn is_usual<const N: usize, const M: usize>(&self, first: [f32; N], second: [f32; M]) -> bool {
        let factors = first.iter().fold(1.0, |least: f32, f| if *f == 0.0 { least } else { least.min(f.abs()) });
        let large = f32::from_bits(self.min.saturating_add(1).min(USUAL_BELOW)) * factors >= LARGE;
        let small = first.iter().chain(&second).all(|factor| factor.abs() <= 1.0);
        (self.max < USUAL_BELOW) & large & small
    }
}

/// Calls `f` with each block of the slices, which have the same length. The last blocks are padded with zeros.
#[inline(always)]
fn blocks<const N: usize>(mut written: [&mut [u32]; N], read: &[u32], f: impl Fn([&mut Block; N], &Block)) {
    let (reads, rest) = read.as_chunks::<BLOCK>();
    for (i, read) in reads.iter().enumerate() {
        prefetch_ahead(read);
        let written = written.each_mut().map(|slice| &mut slice.as_chunks_mut().0[i]);
        written.iter().for_each(|block| prefetch_ahead(block));
        f(written, read);
    }
    if !rest.is_empty() {
        let start = reads.len() * BLOCK;
        let (mut from, mut to) = ([0; BLOCK], [[0; BLOCK]; N]);
        from[..rest.len()].copy_from_slice(rest);
        to.iter_mut().zip(&written).for_each(|(to, slice)| to[..rest.len()].copy_from_slice(&slice[start..]));
        f(to.each_mut(), &from);
        written.iter_mut().zip(&to).for_each(|(slice, to)| slice[start..].copy_from_slice(&to[..rest.len()]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that fills a block with numbers whose exponents lie between two limits, some of them 0.
    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> u32 {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (self.0 >> 32) as u32
        }

        fn block(&mut self, from: i32, to: i32, signed: bool) -> Block {
            std::array::from_fn(|_| {
                let exponent = (from + 127) as u32 + self.next() % (to - from + 1) as u32;
                // Significands of few bits make ties and sums that cancel.
                let significand = [self.next() & 0x7f_ffff, self.next() & 0x60_0000, 0][self.next() as usize % 3];
                let sign = if signed { self.next() & !MAGNITUDE } else { 0 };
                if self.next().is_multiple_of(8) { sign } else { sign | exponent << 23 | significand }
            })
        }
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
                let [theta, g, v] = std::array::from_fn(|_| noise.block(from, to, true));
                let [mut found, mut momentum] = [theta, v];
                sgd(InstructionSet::Baseline, direction, &mut found, &g, &mut momentum, s);
                for i in 0..BLOCK {
                    let next = sgd::momentum(v[i], g[i], s);
                    let (along, next) = match direction {
                        Direction::Gradient => (g[i], v[i]),
                        Direction::Momentum => (next, next),
                        Direction::Nesterov => (sgd::nesterov(next, g[i], s), next),
                    };
                    let expected = [sgd::step(theta[i], along, s), next];
                    let inputs = [theta[i], g[i], v[i]].map(f32::from_bits);
                    assert_eq!([found[i], momentum[i]], expected, "{direction:?} of {inputs:?} by {s:?}");
                }
                let mut range = Range::new();
                theta.iter().chain(&v).chain(&g).for_each(|bits| range.first(*bits));
                range.is_usual([1.0, s[0]], [s[1], s[2]])
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
            let [theta, g, m] = std::array::from_fn(|_| noise.block(from, to, true));
            let v = noise.block(from, to, noise.0.is_multiple_of(5));
            let [mut found, mut first, mut second] = [theta, m, v];
            let mut metric = [0; BLOCK];
            adam(InstructionSet::Baseline, &mut found, &g, [&mut first, &mut second], &mut metric, s);
            for i in 0..BLOCK {
                let expected = adam::step(theta[i], g[i], m[i], v[i], s);
                let expected = [expected.theta, expected.first, expected.second, expected.metric.to_bits()];
                let inputs = [theta[i], g[i], m[i], v[i]].map(f32::from_bits);
                assert_eq!([found[i], first[i], second[i], metric[i]], expected, "{inputs:?} by {s:?}");
            }
            let mut range = Range::new();
            theta.iter().chain(&m).chain(&g).for_each(|bits| range.first(*bits));
            v.iter().for_each(|bits| range.first_positive(*bits));
            range.is_usual([s[0], s[2], s[7]], [s[1], s[3], s[6]])
        });
        assert!(usual > 300, "{usual}");
    }
}
