//! What the weights of a group have in common: the numbers that a gradient or a prox needs of their group, and the group's share of
//! the value.
//!
//! Everything is decided by exact sums of integers (`src/fixed.rs`), so it depends on no order. Twins are in `shaders/structure/`.

mod norm;
mod select;
mod threshold;

use rayon::prelude::*;

use crate::cpu::InstructionSet;
use crate::element::{Bits, Dtype};
use crate::elementwise::{self, MAGNITUDE};
use crate::formula::{Formula, Numbers};
use half::{bf16, f16};

/// How a group's numbers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A norm that is shrunk by the amount; times the root of the group's size where it is sized.
    Shrink {
        /// Whether larger groups weigh more.
        sized: bool,
    },
    /// A norm that is at most the amount.
    Scale,
    /// A sum of magnitudes that is at most the amount.
    Soft,
    /// A largest magnitude, which is lowered until what is cut off sums to the amount.
    Clamp,
    /// A sum of what is no less than 0 that is the amount.
    Simplex,
    /// As many weights as the amount says.
    Select,
}

impl Rule {
    /// How many sums over a group its numbers mostly need at most, and how many they ever do.
    pub(crate) fn sums(self, purpose: Purpose) -> [u32; 2] {
        match self {
            Rule::Shrink { .. } | Rule::Scale => norm::sums(self, purpose),
            Rule::Soft | Rule::Clamp | Rule::Simplex => threshold::sums(self, purpose),
            Rule::Select => select::sums(purpose),
        }
    }

    /// Whether squares are compared with the amount's square.
    pub(crate) fn squares(self) -> bool {
        matches!(self, Rule::Shrink { .. } | Rule::Scale)
    }
}

/// What a group's numbers are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Value,
    Gradient,
    Prox,
}

/// What is found of a group.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Found {
    /// The last two of the numbers that its weights are given.
    pub(crate) numbers: [f32; 2],
    /// Its share of the value's own sum, scaled by 2^-`exponent`.
    pub(crate) share: f32,
    pub(crate) exponent: i32,
}

/// A group's weights as bits, in the order of their indices: +0 for what is not finite or is below 2^-120.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) bits: &'a [u32],
    pub(crate) dtype: Dtype,
    pub(crate) set: InstructionSet,
}

/// An exact sum, and how many weights took part.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    total: u128,
    count: u64,
}

/// Groups of more weights are summed by several threads.
const PARALLEL: usize = 1 << 16;

/// A sum of fewer than 2^32 integers of 64 bits, as those of their halves, neither of which overflows.
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
    /// What this formula needs to know of the group. The numbers are the segment's, and those of the value.
    pub(crate) fn find<F: Formula>(&self, rule: Rule, purpose: Purpose, c: &Numbers, value: [u32; 3]) -> Found {
        match rule {
            Rule::Shrink { .. } | Rule::Scale => norm::find::<F>(self, rule, purpose, c, value),
            Rule::Soft | Rule::Clamp | Rule::Simplex => threshold::find::<F>(self, rule, purpose, c, value),
            Rule::Select => select::find(self, purpose, c, value),
        }
    }

    /// The largest magnitude's bits.
    fn largest(&self) -> u32 {
        self.fold(
            #[inline(always)]
            |bits| bits.iter().fold(0, |max, b| max.max(b & MAGNITUDE)),
            u32::max,
        )
    }

    /// Adds up integers; weights that give 0 do not count.
    fn sum(&self, f: impl Fn(u32) -> u64 + Sync) -> Sum {
        self.fold(
            #[inline(always)]
            |bits| {
                let (mut total, mut count) = (Halves::default(), 0);
                for b in bits {
                    let x = f(*b);
                    total.add(x);
                    count += u64::from(x > 0);
                }
                Sum { total: total.sum(), count }
            },
            |a, b| Sum { total: a.total + b.total, count: a.count + b.count },
        )
    }

    /// Adds up the squares of integers up to 2^32.
    fn sum_squares(&self, f: impl Fn(u32) -> u64 + Sync) -> u128 {
        self.fold(
            #[inline(always)]
            |bits| {
                let mut total = Halves::default();
                for b in bits {
                    total.add(f(*b) * f(*b));
                }
                total.sum()
            },
            |a, b| a + b,
        )
    }

    fn fold<R: Send + Default>(&self, f: impl Fn(&[u32]) -> R + Sync, add: impl Fn(R, R) -> R + Sync + Send) -> R {
        let run = |bits: &[u32]| {
            self.set.run(
                #[inline(always)]
                || f(bits),
            )
        };
        if self.bits.len() < PARALLEL {
            run(self.bits)
        } else {
            self.bits.par_chunks(PARALLEL / 4).map(run).reduce(R::default, add)
        }
    }

    /// The bits of what a weight becomes under these numbers, as its type holds it.
    #[inline(always)]
    fn stored<F: Formula>(&self, b: u32, c: &Numbers) -> u32 {
        stored(elementwise::prox::<F>(b, c), self.dtype)
    }
}

/// The bits of a number as a type of weights holds it.
#[inline(always)]
fn stored(bits: u32, dtype: Dtype) -> u32 {
    match dtype {
        Dtype::F32 => bits,
        Dtype::F16 => f16::encode(bits).decode(),
        Dtype::BF16 => bf16::encode(bits).decode(),
    }
}

/// A segment's numbers with those of a group in the last two places.
#[inline(always)]
pub(crate) fn with_own(c: &Numbers, own: [f32; 2]) -> Numbers {
    [c[0], c[1], c[2], own[0], own[1]]
}

/// How many binary places below the amount a sum may be that was rounded to weights of this type, and be on the simplex.
pub(crate) fn slack(dtype: Dtype) -> u32 {
    match dtype {
        Dtype::F32 => 20,
        Dtype::F16 => 8,
        Dtype::BF16 => 5,
    }
}
