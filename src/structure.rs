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
    /// So many, which a function writes from a place on.
    Read(usize, &'a (dyn Fn(usize, &mut [u32]) + Sync)),
}

/// An exact sum, and how many weights took part.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    total: u128,
    count: u64,
}

impl Sum {
    fn add(self, other: Sum) -> Sum {
        Sum { total: self.total + other.total, count: self.count + other.count }
    }
}

/// Groups of as many weights are summed by several threads.
pub(crate) const PARALLEL: usize = 1 << 16;
/// How many weights are taken at a time where there are so many: they stay in a processor's first cache.
const CHUNK: usize = 1 << 12;
/// As many chunks are worth a task.
const CHUNKS_PER_TASK: usize = 4;

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
        self.greatest(
            #[inline(always)]
            |b| b & MAGNITUDE,
        )
    }

    /// The greatest of what there is of each weight; 0 of none.
    fn greatest(&self, f: impl Fn(u32) -> u32 + Sync) -> u32 {
        self.fold(
            #[inline(always)]
            |bits| bits.iter().fold(0, |max, b| max.max(f(*b))),
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
            Sum::add,
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

    /// How many weights there are.
    fn len(&self) -> usize {
        match self.members {
            Members::Gathered(bits) => bits.len(),
            Members::Read(len, _) => len,
        }
    }

    /// What there is of each few of the weights, added up in any order.
    fn fold<R: Send + Default>(&self, f: impl Fn(&[u32]) -> R + Sync, add: impl Fn(R, R) -> R + Sync + Send) -> R {
        let run = |bits: &[u32]| {
            self.set.run(
                #[inline(always)]
                || f(bits),
            )
        };
        match self.members {
            Members::Gathered(bits) if bits.len() < PARALLEL => run(bits),
            _ => self.chunks(|_, bits| run(bits)).reduce(R::default, add),
        }
    }

    /// What there is of each chunk of the weights, with the place of its first.
    fn chunks<R: Send>(&self, f: impl Fn(usize, &[u32]) -> R + Sync + Send) -> impl IndexedParallelIterator<Item = R> {
        self.chunk_numbers().map(move |chunk| self.chunk(chunk, &f))
    }

    fn chunk_numbers(&self) -> impl IndexedParallelIterator<Item = usize> + use<> {
        (0..self.len().div_ceil(CHUNK)).into_par_iter().with_min_len(CHUNKS_PER_TASK)
    }

    fn chunk<R>(&self, chunk: usize, f: impl FnOnce(usize, &[u32]) -> R) -> R {
        let first = chunk * CHUNK;
        let len = CHUNK.min(self.len() - first);
        match self.members {
            Members::Gathered(bits) => f(first, &bits[first..first + len]),
            Members::Read(_, read) => {
                let mut bits = [0; CHUNK];
                read(first, &mut bits[..len]);
                f(first, &bits[..len])
            }
        }
    }

    /// [`sum`](Group::sum) of what weights become under these numbers, as their type holds it.
    fn sum_stored<F: Formula>(&self, c: &Numbers, f: impl Fn(u32) -> u64 + Sync) -> Sum {
        // A loop for each type, as none that asks for the type is made of vectors.
        match self.dtype {
            Dtype::F32 => self.sum(
                #[inline(always)]
                |b| f(stored::<F, f32>(b, c)),
            ),
            Dtype::F16 => self.sum(
                #[inline(always)]
                |b| f(stored::<F, f16>(b, c)),
            ),
            Dtype::BF16 => self.sum(
                #[inline(always)]
                |b| f(stored::<F, bf16>(b, c)),
            ),
        }
    }

    /// The same of squares.
    fn sum_stored_squares<F: Formula>(&self, c: &Numbers, f: impl Fn(u32) -> u64 + Sync) -> u128 {
        match self.dtype {
            Dtype::F32 => self.sum_squares(
                #[inline(always)]
                |b| f(stored::<F, f32>(b, c)),
            ),
            Dtype::F16 => self.sum_squares(
                #[inline(always)]
                |b| f(stored::<F, f16>(b, c)),
            ),
            Dtype::BF16 => self.sum_squares(
                #[inline(always)]
                |b| f(stored::<F, bf16>(b, c)),
            ),
        }
    }

    /// The bits of what a weight becomes under these numbers, as its type holds it.
    fn stored<F: Formula>(&self, b: u32, c: &Numbers) -> u32 {
        match self.dtype {
            Dtype::F32 => stored::<F, f32>(b, c),
            Dtype::F16 => stored::<F, f16>(b, c),
            Dtype::BF16 => stored::<F, bf16>(b, c),
        }
    }
}

#[inline(always)]
fn stored<F: Formula, E: Bits>(b: u32, c: &Numbers) -> u32 {
    E::encode(elementwise::prox::<F>(b, c)).decode()
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
