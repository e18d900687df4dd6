//! Many small groups of one size at once: each lane of a vector holds one.
//!
//! The reductions are those of single groups, bit by bit, without branches that depend on a lane. LLVM vectorises the
//! loops over lanes because their count is not known: it unrolls short loops of a known count, and then vectorises
//! only scraps.

pub(crate) mod norm;
pub(crate) mod select;
pub(crate) mod threshold;
mod wide;

use super::{Found, Search, stored};
use crate::formula::rule::Rule;
use crate::formula::{Coefficients, Formula};
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::simd::InstructionSet;

/// How many groups are reduced at once.
pub(crate) const LANES: usize = 64;
/// How many members are combined at a time, so that what is summed stays in registers.
const AT_ONCE: usize = 4;
/// The lanes in use are a multiple of this, which every vector register divides.
const VECTOR: usize = 16;
/// The most weights of a group in a lane: sums of that many units fit 64 bits.
pub(crate) const LONGEST: usize = 32;

/// A value for each lane.
type Lane<T> = [T; LANES];

/// Groups that are consecutive runs of `size` weights, as bits of `f32` weights. Like those of a [`Group`], these are
/// cleaned.
pub(crate) struct Runs<'a> {
    pub(crate) bits: &'a [u32],
    pub(crate) size: usize,
    pub(crate) set: InstructionSet,
}

/// The reduction of runs, `LANES` of them in each item. It leaves some groups unknown.
pub(crate) type FindRuns = fn(&Runs<'_>, &Search<'_>, &mut [FoundLanes]);

/// The weights of up to `LANES` groups: member by member, each lane's. Members beyond the groups' size are 0.
#[derive(Clone, Copy)]
struct Lanes<'a> {
    members: &'a [[Lane<u32>; AT_ONCE]],
    size: usize,
    /// How many lanes are in use.
    used: usize,
}

/// A [`Found`] for each lane.
#[derive(Clone, Copy)]
pub(crate) struct FoundLanes {
    pub(crate) coefficients: [Lane<f32>; 2],
    share: Lane<f32>,
    exponent: Lane<i32>,
    /// Lanes whose groups must be reduced one by one.
    unknown: Lane<bool>,
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

    /// Whether a group must be reduced by itself; then its result is to be set.
    pub(crate) fn is_unknown(&self, l: usize) -> bool {
        self.unknown[l]
    }

    pub(crate) fn set_lane(&mut self, l: usize, found: Found) {
        [self.coefficients[0][l], self.coefficients[1][l]] = found.coefficients;
        (self.share[l], self.exponent[l]) = (found.share, found.exponent);
    }

    fn of_shares(share: Lane<f32>) -> FoundLanes {
        FoundLanes { share, ..FoundLanes::NONE }
    }

    fn of_coefficients(coefficients: [Lane<f32>; 2]) -> FoundLanes {
        FoundLanes { coefficients, ..FoundLanes::NONE }
    }
}

#[inline(always)]
fn any(lanes: &Lane<bool>) -> bool {
    lanes.iter().fold(false, |any, lane| any | lane)
}

impl Lanes<'_> {
    /// By index: debug builds check the additions of an iterator's counter, and then the loop is not vectorised.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "as above")]
    fn each<T: Copy + Default>(self, f: impl Fn(usize) -> T) -> Lane<T> {
        let mut lanes = [T::default(); LANES];
        for l in 0..self.used.min(LANES) {
            lanes[l] = f(l);
        }
        lanes
    }

    /// Combines each lane's members and their places.
    #[inline(always)]
    fn fold<T: Copy>(self, first: Lane<T>, f: impl Fn(usize, usize, T, u32) -> T) -> Lane<T> {
        self.fold_two([first; 2], |l, m, [all, same], b| [f(l, m, all, b), same])[0]
    }

    /// The same for two at once.
    #[inline(always)]
    fn fold_two<T: Copy>(self, mut all: [Lane<T>; 2], f: impl Fn(usize, usize, [T; 2], u32) -> [T; 2]) -> [Lane<T>; 2] {
        let (some, rest) = self.members.as_flattened()[..self.size].as_chunks::<AT_ONCE>();
        for (at, members) in (0..).step_by(AT_ONCE).zip(some) {
            self.fold_some(&mut all, at, members, &f);
        }
        for (at, member) in (some.len() * AT_ONCE..).zip(rest) {
            self.fold_some(&mut all, at, std::array::from_ref(member), &f);
        }
        all
    }

    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "as above")]
    fn fold_some<T: Copy, const N: usize>(
        self,
        [first, second]: &mut [Lane<T>; 2],
        at: usize,
        members: &[Lane<u32>; N],
        f: impl Fn(usize, usize, [T; 2], u32) -> [T; 2],
    ) {
        for l in 0..self.used.min(LANES) {
            let mut lane = [first[l], second[l]];
            for m in 0..N {
                lane = f(l, at + m, lane, members[m][l]);
            }
            [first[l], second[l]] = lane;
        }
    }

    /// The bits of the largest magnitudes.
    #[inline(always)]
    fn largest(self) -> Lane<u32> {
        self.fold([0; LANES], |_, _, max: u32, b| max.max(b & MAGNITUDE))
    }

    /// How many weights meet a condition.
    #[inline(always)]
    fn count(self, is: impl Fn(usize, u32) -> bool) -> Lane<u32> {
        self.fold([0; LANES], |l, _, count: u32, b| count.wrapping_add(u32::from(is(l, b))))
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
    let mut members = [[[0; LANES]; AT_ONCE]; LONGEST / AT_ONCE];
    let mut units = [[[0; LANES]; AT_ONCE]; LONGEST / AT_ONCE];
    let members = &mut members[..runs.size.div_ceil(AT_ONCE)];
    let units = &mut units[..runs.size.div_ceil(AT_ONCE)];
    let mut spare = [[[0; LANES]; AT_ONCE]; LONGEST / AT_ONCE];
    let spare = &mut spare[..runs.size.div_ceil(AT_ONCE)];
    for (bits, found) in runs.bits.chunks(runs.size * LANES).zip(found) {
        side_by_side(bits, runs.size, members);
        let used = (bits.len() / runs.size).next_multiple_of(VECTOR);
        let lanes = Lanes { members, size: runs.size, used };
        *found = match F::RULE {
            Some(Rule::Shrink { .. } | Rule::Scale) => norm::find::<F>(lanes, search, spare),
            Some(Rule::Select) => select::find(lanes, search, spare),
            _ => threshold::find::<F>(lanes, search, units, spare),
        };
    }
}

/// The lanes whose results are still to be found. When they fit fewer vectors, they are packed.
struct Left<'a> {
    members: &'a mut [[Lane<u32>; AT_ONCE]],
    size: usize,
    used: usize,
    is: Lane<bool>,
    /// Which lane each one was at first.
    place: Lane<usize>,
}

impl<'a> Left<'a> {
    /// The lanes of `is`. The members are copied.
    #[inline(always)]
    fn of(group: Lanes<'_>, is: Lane<bool>, members: &'a mut [[Lane<u32>; AT_ONCE]]) -> Left<'a> {
        members.copy_from_slice(group.members);
        Left { members, size: group.size, used: group.used, is, place: std::array::from_fn(|l| l) }
    }

    #[inline(always)]
    fn lanes(&self) -> Lanes<'_> {
        Lanes { members: self.members, size: self.size, used: self.used }
    }

    /// Sets the coefficients of the lanes where `is` is true. These are no longer left.
    #[inline(always)]
    fn set(&mut self, found: &mut FoundLanes, coefficients: &[Lane<f32>; 2], is: &Lane<bool>) {
        for l in (0..self.used).filter(|l| is[*l]) {
            if self.is[l] {
                let place = self.place[l];
                [found.coefficients[0][place], found.coefficients[1][place]] = [coefficients[0][l], coefficients[1][l]];
                self.is[l] = false;
            }
        }
    }

    /// Packs the lanes if that spares vectors. `keep` copies what else belongs to a lane, from the second lane to the
    /// first. Returns whether any lane is left.
    #[inline(always)]
    fn pack(&mut self, mut keep: impl FnMut(usize, usize)) -> bool {
        let count = self.is[..self.used].iter().filter(|is| **is).count();
        let used = count.next_multiple_of(VECTOR);
        if used < self.used {
            let mut to = 0;
            for from in 0..self.used {
                if self.is[from] {
                    for member in self.members.as_flattened_mut() {
                        member[to] = member[from];
                    }
                    self.place[to] = self.place[from];
                    keep(to, from);
                    to += 1;
                }
            }
            self.used = used;
            self.is = std::array::from_fn(|l| l < count);
        }
        count > 0
    }
}

/// Puts groups, which lie one after the other, side by side. Lanes that are left over hold zeros.
#[inline(always)]
fn side_by_side(bits: &[u32], size: usize, members: &mut [[Lane<u32>; AT_ONCE]]) {
    if bits.len() < size * LANES {
        members.as_flattened_mut().as_flattened_mut().fill(0);
    }
    let groups = bits.len() / size;
    // Squares of as many groups as members: LLVM makes shuffles of them.
    let squares = if size.is_multiple_of(AT_ONCE) { groups / AT_ONCE } else { 0 };
    for (at, members) in members.iter_mut().enumerate() {
        for square in 0..squares {
            let first = square * AT_ONCE;
            let row =
                |l: usize| bits[(first + l) * size + at * AT_ONCE..].first_chunk().copied().unwrap_or([0; AT_ONCE]);
            let rows: [[u32; AT_ONCE]; AT_ONCE] = [row(0), row(1), row(2), row(3)];
            for (m, member) in members.iter_mut().enumerate() {
                member[first..first + AT_ONCE].copy_from_slice(&rows.map(|row| row[m]));
            }
        }
    }
    for l in squares * AT_ONCE..groups {
        for (member, bits) in members.as_flattened_mut().iter_mut().zip(&bits[l * size..][..size]) {
            member[l] = *bits;
        }
    }
    if !size.is_multiple_of(AT_ONCE) {
        members.as_flattened_mut()[size..].fill([0; LANES]);
    }
}

/// The bits of a weight after the prox with a lane's coefficients.
#[inline(always)]
fn stored_in<F: Formula>(b: u32, c: &Coefficients, of_group: [f32; 2]) -> u32 {
    stored::<F, f32>(b, &super::with_group(c, of_group))
}
