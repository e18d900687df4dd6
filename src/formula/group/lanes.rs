//! Many small groups of one size at once: each lane of a vector holds one.
//!
//! The reductions are those of single groups, bit by bit, without branches that depend on a lane. LLVM vectorises the
//! loops over lanes because their count is not known: it unrolls short loops of a known count, and then vectorises
//! only scraps.

pub(crate) mod norm;
pub(crate) mod select;
pub(crate) mod threshold;

use super::{Found, Search};
use crate::formula::Formula;
use crate::formula::rule::Rule;
use crate::numeric::accumulator::Sums;
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::simd::InstructionSet;

/// How many groups an item of the results holds.
pub(crate) const LANES: usize = 64;
/// How many are reduced at once if some may need more steps than others.
const FEW: usize = 16;
/// How many members are combined at a time, so that what is summed stays in registers.
const AT_ONCE: usize = 4;
/// The most weights of a group in a lane.
pub(crate) const LONGEST: usize = 32;

/// A value for each of W lanes.
type Lane<T, const W: usize> = [T; W];

/// Groups that are consecutive runs of `size` weights, as bits of `f32` weights. Like those of a [`Group`], these are
/// cleaned.
pub(crate) struct Runs<'a> {
    pub(crate) bits: &'a [u32],
    pub(crate) size: usize,
    pub(crate) set: InstructionSet,
}

/// The reduction of runs, `LANES` of them in each item. It leaves some groups unknown.
pub(crate) type FindRuns = fn(&Runs<'_>, &Search<'_>, &mut [FoundLanes]);

/// The weights of up to W groups: member by member, each lane's.
#[derive(Clone, Copy)]
struct Lanes<'a, const W: usize> {
    members: &'a [Lane<u32, W>],
}

/// A [`Found`] for each lane. A search sets what it asks for: the coefficients, or the shares and their exponents.
#[derive(Clone, Copy)]
pub(crate) struct FoundLanes {
    coefficients: [Lane<f32, LANES>; 2],
    share: Lane<f32, LANES>,
    exponent: Lane<i32, LANES>,
    /// Lanes whose groups must be reduced one by one.
    unknown: Lane<bool, LANES>,
}

/// The results of W lanes.
struct Results<'a, const W: usize> {
    coefficients: [&'a mut Lane<f32, W>; 2],
    share: &'a mut Lane<f32, W>,
    exponent: &'a mut Lane<i32, W>,
    unknown: &'a mut Lane<bool, W>,
}

impl FoundLanes {
    pub(crate) const NONE: FoundLanes = FoundLanes {
        coefficients: [[0.0; LANES]; 2],
        share: [0.0; LANES],
        exponent: [0; LANES],
        unknown: [false; LANES],
    };

    pub(crate) fn lane(&self, l: usize) -> Found {
        let coefficients = [self.coefficients[0][l], self.coefficients[1][l]];
        Found { coefficients, share: self.share[l], exponent: self.exponent[l] }
    }

    /// Each lane's coefficients.
    #[inline(always)]
    pub(crate) fn each(&self) -> impl Iterator<Item = [f32; 2]> {
        let [first, second] = &self.coefficients;
        first.iter().zip(second).map(|(first, second)| [*first, *second])
    }

    /// Adds the shares of the first lanes to the term sum.
    #[inline(always)]
    pub(crate) fn add_shares(&self, lanes: usize, sums: &mut Sums) {
        sums.add_many_terms(&self.share[..lanes], &self.exponent[..lanes]);
    }

    /// Whether a group must be reduced by itself; then its result is to be set.
    pub(crate) fn is_unknown(&self, l: usize) -> bool {
        self.unknown[l]
    }

    pub(crate) fn set_lane(&mut self, l: usize, found: Found) {
        [self.coefficients[0][l], self.coefficients[1][l]] = found.coefficients;
        (self.share[l], self.exponent[l]) = (found.share, found.exponent);
    }

    /// W lanes at a time.
    #[inline(always)]
    fn parts<const W: usize>(&mut self) -> impl Iterator<Item = Results<'_, W>> {
        let [first, second] = self.coefficients.each_mut().map(|lane| lane.as_chunks_mut::<W>().0.iter_mut());
        let shares = self.share.as_chunks_mut().0.iter_mut().zip(self.exponent.as_chunks_mut().0);
        let parts = first.zip(second).zip(shares).zip(self.unknown.as_chunks_mut().0);
        parts.map(|(((first, second), (share, exponent)), unknown)| Results {
            coefficients: [first, second],
            share,
            exponent,
            unknown,
        })
    }
}

impl<const W: usize> Results<'_, W> {
    #[inline(always)]
    fn set_shares(&mut self, share: Lane<f32, W>) {
        (*self.share, *self.exponent, *self.unknown) = (share, [0; W], [false; W]);
    }
}

#[inline(always)]
fn any<const W: usize>(lanes: &Lane<bool, W>) -> bool {
    lanes.iter().fold(false, |any, lane| any | lane)
}

impl<const W: usize> Lanes<'_, W> {
    /// How many weights a group has.
    #[inline(always)]
    fn size(self) -> usize {
        self.members.len()
    }

    /// Combines each lane's members and their places.
    #[inline(always)]
    fn fold<T: Copy>(self, mut all: Lane<T, W>, f: impl Fn(usize, T, u32) -> T) -> Lane<T, W> {
        let (some, rest) = self.members.as_chunks::<AT_ONCE>();
        for members in some {
            for l in 0..W {
                all[l] = members.iter().fold(all[l], |all, member| f(l, all, member[l]));
            }
        }
        for member in rest {
            for l in 0..W {
                all[l] = f(l, all[l], member[l]);
            }
        }
        all
    }

    /// The bits of the largest magnitudes.
    #[inline(always)]
    fn largest(self) -> Lane<u32, W> {
        self.fold(
            [0; W],
            #[inline(always)]
            |_, max: u32, b| max.max(b & MAGNITUDE),
        )
    }

    /// How many weights meet a condition.
    #[inline(always)]
    fn count(self, is: impl Fn(usize, u32) -> bool) -> Lane<u32, W> {
        self.fold(
            [0; W],
            #[inline(always)]
            |l, count: u32, b| count.wrapping_add(u32::from(is(l, b))),
        )
    }
}

/// The reduction of runs by a formula's rule.
pub(super) const fn of<F: Formula>() -> FindRuns {
    match F::RULE {
        Some(_) => |runs, search, found| {
            runs.set.run(
                #[inline(always)]
                || find_runs::<F>(runs, search, found),
            );
        },
        // A separable formula has no groups to reduce.
        None => |_, _, _| {},
    }
}

#[inline(always)]
fn find_runs<F: Formula>(runs: &Runs<'_>, search: &Search<'_>, found: &mut [FoundLanes]) {
    match F::RULE {
        Some(Rule::Shrink { .. }) => each::<LANES>(
            runs,
            found,
            #[inline(always)]
            |lanes, _, found| norm::find::<F, LANES>(lanes, search, found),
        ),
        Some(Rule::Select) => each::<LANES>(
            runs,
            found,
            #[inline(always)]
            |lanes, spare, found| select::find(lanes, search, spare, found),
        ),
        Some(Rule::Scale) => each::<FEW>(
            runs,
            found,
            #[inline(always)]
            |lanes, _, found| norm::find::<F, FEW>(lanes, search, found),
        ),
        _ => each::<FEW>(
            runs,
            found,
            #[inline(always)]
            |lanes, spare, found| threshold::find::<F, FEW>(lanes, search, spare, found),
        ),
    }
}

/// Calls `f` with W groups at a time, and with room for a number per member.
#[inline(always)]
fn each<const W: usize>(
    runs: &Runs<'_>,
    found: &mut [FoundLanes],
    f: impl Fn(Lanes<'_, W>, &mut [Lane<u32, W>], Results<'_, W>),
) {
    let [mut members, mut spare] = [[[0; W]; LONGEST]; 2];
    let (members, spare) = (&mut members[..runs.size], &mut spare[..runs.size]);
    let parts = found.iter_mut().flat_map(FoundLanes::parts);
    for (bits, found) in runs.bits.chunks(runs.size * W).zip(parts) {
        side_by_side(bits, members);
        f(Lanes { members }, spare, found);
    }
}

/// Puts groups, which lie one after the other, side by side. Lanes that are left over hold zeros.
#[inline(always)]
fn side_by_side<const W: usize>(bits: &[u32], members: &mut [Lane<u32, W>]) {
    let size = members.len();
    if bits.len() < size * W {
        members.as_flattened_mut().fill(0);
    }
    match size {
        4 => squares::<4, W>(bits, members),
        8 => squares::<8, W>(bits, members),
        16 => squares::<16, W>(bits, members),
        32 => squares::<32, W>(bits, members),
        _ => {
            for (l, bits) in bits.chunks_exact(size).enumerate().take(W) {
                for (member, bits) in members.iter_mut().zip(bits) {
                    member[l] = *bits;
                }
            }
        }
    }
}

/// The same for groups of N, by squares of as many groups as members.
#[inline(always)]
fn squares<const N: usize, const W: usize>(bits: &[u32], members: &mut [Lane<u32, W>]) {
    let (groups, rest) = bits.as_chunks::<N>().0.as_chunks::<AT_ONCE>();
    for (at, members) in members.as_chunks_mut::<AT_ONCE>().0.iter_mut().take(N / AT_ONCE).enumerate() {
        let [first, second, third, fourth] = members.each_mut().map(|member| member.as_chunks_mut::<AT_ONCE>().0);
        let lanes = first.iter_mut().zip(second).zip(third).zip(fourth);
        for ((((first, second), third), fourth), groups) in lanes.zip(groups) {
            let row = |l: usize| -> [u32; AT_ONCE] { std::array::from_fn(|m| groups[l][at * AT_ONCE + m]) };
            [*first, *second, *third, *fourth] = transposed([row(0), row(1), row(2), row(3)]);
        }
    }
    for (l, bits) in (groups.len() * AT_ONCE..W).zip(rest) {
        for (member, bits) in members.iter_mut().zip(bits) {
            member[l] = *bits;
        }
    }
}

/// LLVM makes scalar moves of the plain form.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transposed(rows: [[u32; AT_ONCE]; AT_ONCE]) -> [[u32; AT_ONCE]; AT_ONCE] {
    use std::arch::x86_64::{_mm_unpackhi_epi32, _mm_unpacklo_epi32};
    let [a, b, c, d] = rows.map(bytemuck::cast);
    // SAFETY: every processor of x86-64 has SSE2.
    let interleaved = |x, y| unsafe { [_mm_unpacklo_epi32(x, y), _mm_unpackhi_epi32(x, y)] };
    let (near, far) = (interleaved(a, c), interleaved(b, d));
    let (low, high) = (interleaved(near[0], far[0]), interleaved(near[1], far[1]));
    [low[0], low[1], high[0], high[1]].map(bytemuck::cast)
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn transposed(rows: [[u32; AT_ONCE]; AT_ONCE]) -> [[u32; AT_ONCE]; AT_ONCE] {
    std::array::from_fn(|m| rows.map(|row| row[m]))
}
