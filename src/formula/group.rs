//! The weights of a group, and exact sums over them: the base of group reductions.
//!
//! Exact sums of integers (`src/numeric/fixed.rs`) decide everything, so no order matters. The twins are in
//! `shaders/formula/group/`.

mod across;
mod between;
mod chunks;
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
pub(crate) mod elsewhere;
pub(crate) mod find;
pub(crate) mod lanes;
pub(crate) mod norm;
mod rows;
mod sample;
pub(crate) mod select;
mod squares;
mod sums;
pub(crate) mod threshold;

use half::{bf16, f16};
use rayon::prelude::*;

use super::rule::{Purpose, Rule};
use super::{Coefficients, Formula, pointwise};
use crate::numeric::element::{Bits, Dtype};
use crate::numeric::fixed::{Bound, coarse, fine};
use crate::numeric::simd::InstructionSet;
use crate::transport::Across;

/// The result of a group reduction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Found {
    /// The group's coefficients: the last two of those that its weights get.
    pub(crate) coefficients: [f32; 2],
    /// The group's share of the term sum, scaled by 2^-`exponent`.
    pub(crate) share: f32,
    pub(crate) exponent: i32,
}

/// What a group reduction is for.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) rule: Rule,
    pub(crate) purpose: Purpose,
    /// The segment's coefficients.
    pub(crate) c: &'a Coefficients,
    /// The bits of its term coefficients.
    pub(crate) value: [u32; 3],
}

impl Search<'_> {
    /// The limit that the rule compares a group's sum with.
    pub(crate) fn bound(&self) -> Bound {
        let of_prox = [self.c[2], self.c[3], self.c[4]].map(f32::to_bits);
        Bound::from_words(if self.purpose == Purpose::Value { self.value } else { of_prox })
    }
}

/// A group's weights as bits, in the order of their indices. Non-finite weights and those below 2^-120 are +0.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) members: Members<'a>,
    pub(crate) dtype: Dtype,
    pub(crate) set: InstructionSet,
}

/// Where a group's weights are.
#[derive(Clone, Copy)]
pub(crate) enum Members<'a> {
    Gathered(&'a [u32]),
    Large(&'a dyn Weights),
    /// Those of this rank, with what the other ranks have. Sums, counts and maxima are of all of them.
    Shard(&'a dyn Weights, &'a Across<'a>),
}

/// The weights of a large group, where they are.
pub(crate) trait Weights: Sync {
    fn len(&self) -> usize;
    /// Weights from a place on as they are, clean or not, if their bits are at hand.
    fn bits(&self, first: usize, len: usize) -> Option<&[u32]>;
    /// Writes the clean bits of the weights from a place on.
    fn clean(&self, first: usize, bits: &mut [u32]);
}

/// An exact sum, and how many weights count in it.
#[derive(Debug, Clone, Copy, Default)]
struct PartialSum {
    total: u128,
    count: u64,
}

impl PartialSum {
    fn add(self, other: PartialSum) -> PartialSum {
        PartialSum { total: self.total + other.total, count: self.count + other.count }
    }
}

/// From this many weights on, several threads sum a group.
pub(crate) const PARALLEL: usize = 1 << 16;
/// How many weights of a large group are read at a time: they fit a processor's first-level cache.
pub(crate) const CHUNK: usize = 1 << 12;

/// A sum of fewer than 2^32 integers of 64 bits. Their upper and lower halves are summed apart, so neither overflows.
#[derive(Debug, Clone, Copy, Default)]
struct Halves {
    high: u64,
    low: u64,
}

impl Halves {
    #[inline(always)]
    fn add(&mut self, x: u64) {
        self.high += x >> 32;
        self.low += x & 0xffff_ffff;
    }

    fn sum(self) -> u128 {
        (u128::from(self.high) << 32) + u128::from(self.low)
    }
}

impl Group<'_> {
    /// The maximum of `f` over the weights; 0 if there are none.
    fn greatest(&self, f: impl Fn(u32) -> u32 + Sync) -> u32 {
        self.max_of_ranks(self.fold(
            #[inline(always)]
            |bits| bits.iter().fold(0, |max, b| max.max(f(*b))),
            u32::max,
        ))
    }

    /// Sums integers. Weights that give 0 do not count.
    fn sum(&self, f: impl Fn(u32) -> u64 + Sync) -> PartialSum {
        self.sum_of_ranks(self.fold(
            #[inline(always)]
            |bits| {
                let (mut total, mut count) = (Halves::default(), 0);
                for b in bits {
                    let x = f(*b);
                    total.add(x);
                    count += u64::from(x > 0);
                }
                PartialSum { total: total.sum(), count }
            },
            PartialSum::add,
        ))
    }

    /// The number of weights, of this rank's part if the group is spread over ranks.
    fn len(&self) -> usize {
        match self.members {
            Members::Gathered(bits) => bits.len(),
            Members::Large(weights) | Members::Shard(weights, _) => weights.len(),
        }
    }

    /// Applies `f` to parts of the weights, and adds the results in any order.
    fn fold<R: Send + Default>(&self, f: impl Fn(&[u32]) -> R + Sync, add: impl Fn(R, R) -> R + Sync + Send) -> R {
        let run = |bits: &[u32]| {
            self.set.run(
                #[inline(always)]
                || f(bits),
            )
        };
        match self.members {
            Members::Gathered(bits) if !self.is_large() => run(bits),
            _ => self.chunks(|_, bits| run(bits)).reduce(R::default, add),
        }
    }

    /// The sum of the weights after the prox with these coefficients, rounded to their type, in the fine unit of an
    /// exponent.
    fn sum_stored<F: Formula>(&self, c: &Coefficients, e: i32) -> PartialSum {
        // One loop per type: LLVM does not vectorise a loop that asks for the type.
        match self.dtype {
            Dtype::F32 => self.sum_fine(
                e,
                #[inline(always)]
                |b| stored::<F, f32>(b, c),
            ),
            // In rows, LLVM does not vectorise the rounding to `f16`.
            Dtype::F16 => self.sum(
                #[inline(always)]
                |b| fine(stored::<F, f16>(b, c), e),
            ),
            Dtype::BF16 => self.sum_fine(
                e,
                #[inline(always)]
                |b| stored::<F, bf16>(b, c),
            ),
        }
    }

    /// The sum of their squares in the coarse unit of an exponent.
    fn sum_stored_squares<F: Formula>(&self, c: &Coefficients, e: i32) -> u128 {
        match self.dtype {
            Dtype::F32 => self.sum_squares(
                e,
                #[inline(always)]
                |b| stored::<F, f32>(b, c),
            ),
            // As above.
            Dtype::F16 => self.total_of_ranks(self.fold(
                #[inline(always)]
                |bits| {
                    let mut total = Halves::default();
                    for b in bits {
                        let x = coarse(stored::<F, f16>(*b, c), e);
                        total.add(x * x);
                    }
                    total.sum()
                },
                |a, b| a + b,
            )),
            Dtype::BF16 => self.sum_squares(
                e,
                #[inline(always)]
                |b| stored::<F, bf16>(b, c),
            ),
        }
    }

    /// The bits of a weight after the prox with these coefficients, rounded to its type.
    fn stored<F: Formula>(&self, b: u32, c: &Coefficients) -> u32 {
        match self.dtype {
            Dtype::F32 => stored::<F, f32>(b, c),
            Dtype::F16 => stored::<F, f16>(b, c),
            Dtype::BF16 => stored::<F, bf16>(b, c),
        }
    }
}

#[inline(always)]
fn stored<F: Formula, E: Bits>(b: u32, c: &Coefficients) -> u32 {
    E::encode(pointwise::prox::<F>(b, c)).decode()
}

/// A segment's coefficients with those of a group in the last two places.
#[inline(always)]
pub(crate) fn with_group(c: &Coefficients, of_group: [f32; 2]) -> Coefficients {
    [c[0], c[1], c[2], of_group[0], of_group[1]]
}
