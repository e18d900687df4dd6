//! The threshold of a large group, from one read of its weights: a sample says between which two sizes it lies. The
//! weights above both are only summed, and those between them are gathered. Exact sums prove the guess.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::{BIAS, Units, level, sum_above};
use crate::formula::Formula;
use crate::formula::group::rows::{Hits, Row, WIDTH, scan};
use crate::formula::group::sample::{self, DEVIATIONS, GATHERED};
use crate::formula::group::sums::{Lanes, any_of_chunk};
use crate::formula::group::{CHUNK, Found, Group, Members, PARALLEL, PartialSum, Search, with_group};
use crate::formula::rule::Rule;
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::fixed::{FINE, exponent};

/// If fewer sampled weights than this are above the guess, it is a rough one.
const FEW: usize = 128;
/// The excess of a rough guess in the sample, as a multiple of what is sought.
const ROUGHLY: f64 = 4.0;
/// Above every size.
const NONE: u32 = u32::MAX;

/// Two sizes, as bits, between which a threshold lies: above the first one, and not above the second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bracket {
    low: u32,
    high: u32,
}

/// What a read of the weights gives.
struct Read {
    /// The sum of the weights above the bracket.
    above: PartialSum,
    /// The sizes in the bracket, in any order.
    between: Vec<u32>,
    largest: u32,
    /// Whether a weight is negative.
    negative: bool,
}

/// What the weights say of a threshold.
#[derive(Debug, PartialEq)]
enum Answer {
    /// The group meets the bound.
    Inside,
    /// The smallest level that is not too low. The sizes are those of all weights above the first of the bracket, if they
    /// were gathered.
    Level { level: u64, largest: u32, low: u32, sizes: Option<Vec<u32>> },
}

/// The coefficients for a prox, if the guess is right.
pub(super) fn find<F: Formula>(group: &Group<'_>, search: &Search<'_>) -> Option<Found> {
    let (level, largest, low, sizes) = match answer(group, search)? {
        Answer::Inside => return Some(Found::default()),
        Answer::Level { level, largest, low, sizes } => (level, largest, low, sizes),
    };
    let units = Units::of(group, largest, search.bound(), search.rule == Rule::Simplex);
    let Some(sizes) = sizes else { return Some(units.raised::<F>(group, search, level)) };
    // What was not gathered does not count after the prox either: the prox keeps the order of sizes.
    let c = with_group(search.c, units.floats(level));
    let members = if search.rule == Rule::Clamp || group.stored::<F>(low, &c) == 0 {
        Members::Gathered(&sizes)
    } else {
        group.members
    };
    Some(units.raised::<F>(&Group { members, ..*group }, search, level))
}

/// The answer, if the guess is right.
fn answer(group: &Group<'_>, search: &Search<'_>) -> Option<Answer> {
    let bound = search.bound();
    if bound.log2() == i32::MIN {
        return None;
    }
    let e = bound.log2() + 2;
    let radius = bound.in_units(1, FINE - e) as f64 * 2f64.powi(e - FINE);
    let (lines, simplex) = (sample::lines(group), search.rule == Rule::Simplex);
    // The weights that count towards a simplex are positive.
    let guessed = if simplex {
        guess(lines, group.len(), radius, positive)
    } else {
        guess(lines, group.len(), radius, magnitude)
    };
    // Sizes far above the bound are counted from the largest one, which is not known yet.
    let high = if guessed.high != NONE && exponent(guessed.high) >= e { NONE } else { guessed.high };
    let bracket = Bracket { high, ..guessed };
    let read =
        if simplex { read(group, bracket, e, true, positive)? } else { read(group, bracket, e, false, magnitude)? };
    prove(group, search, bracket, read)
}

/// Whether the group meets the bound, if its unit is an ordinary one.
pub(super) fn is_inside(group: &Group<'_>, search: &Search<'_>) -> Option<bool> {
    let (bound, simplex) = (search.bound(), search.rule == Rule::Simplex);
    if bound.log2() == i32::MIN {
        return None;
    }
    let (all, e) = (Bracket { low: 0, high: 0 }, bound.log2() + 2);
    let read = if simplex { read(group, all, e, true, positive)? } else { read(group, all, e, false, magnitude)? };
    let units = Units::of(group, read.largest, bound, simplex);
    Some(units.is_inside(biased(read.above), read.negative, group.len()))
}

/// A sum of weights that are counted from 0.
fn biased(PartialSum { total, count }: PartialSum) -> PartialSum {
    PartialSum { total: total + u128::from(count) * u128::from(BIAS), count }
}

#[inline(always)]
pub(super) fn magnitude(b: u32) -> u32 {
    b & MAGNITUDE
}

#[inline(always)]
pub(super) fn positive(b: u32) -> u32 {
    (b as i32).max(0) as u32
}

/// A bracket that very likely holds the threshold at which the sizes of so many weights exceed it by a radius.
fn guess(mut lines: Vec<Row>, len: usize, radius: f64, size: impl Fn(u32) -> u32) -> Bracket {
    lines.as_flattened_mut().iter_mut().for_each(|b| *b = size(*b));
    let mut sizes: Vec<f32> = lines.as_flattened().iter().map(|b| f32::from_bits(*b)).collect();
    let target = radius * (sizes.len() as f64 / len as f64);
    // Michelot's iteration, as for the exact threshold.
    let (mut threshold, mut above) = (0.0, 0);
    loop {
        let left = keep_above(&mut sizes, threshold as f32);
        if left == 0 || left == above {
            break;
        }
        above = left;
        sizes.truncate(left);
        let sum: f64 = sizes.iter().map(|x| f64::from(*x)).sum();
        threshold = f64::max((sum - target) / left as f64, threshold);
    }
    let excess = |line: &Row| -> f64 {
        let over = |b: &u32| f64::max(f64::from(f32::from_bits(*b)) - threshold, 0.0);
        line.iter().map(over).sum()
    };
    let wrong = DEVIATIONS * sample::deviation(lines.iter().map(excess));
    if above < FEW || wrong > target / 2.0 {
        return Bracket { low: rough_low(lines.as_flattened_mut(), target), high: NONE };
    }
    // The excess is convex. If sizes fall off no faster than an exponential does, losing a share of it takes that much more
    // than what its slope says.
    let distance = wrong / above as f64;
    let ends = [threshold - distance, threshold + distance * (1.0 + wrong / target)];
    let [low, high] = ends.map(|x| (f64::max(x, 0.0) as f32).to_bits());
    Bracket { low, high }
}

/// A size that is very likely below the threshold, if few sampled sizes are above it.
fn rough_low(sizes: &mut [u32], target: f64) -> u32 {
    let most = sizes.len() / GATHERED;
    let at = sizes.len() - most;
    sizes.select_nth_unstable(at);
    let largest = &mut sizes[at..];
    largest.sort_unstable();
    let (mut sum, mut count) = (0.0, 0);
    for &b in largest.iter().rev() {
        let size = f64::from(f32::from_bits(b));
        if count >= FEW && sum - count as f64 * size >= ROUGHLY * target {
            return b;
        }
        sum += size;
        count += 1;
    }
    largest[0]
}

/// Moves what is above a threshold to the front. Gives how many that are.
fn keep_above(sizes: &mut [f32], threshold: f32) -> usize {
    let mut kept = 0;
    for i in 0..sizes.len() {
        let size = sizes[i];
        sizes[kept] = size;
        kept += usize::from(size > threshold);
    }
    kept
}

/// Reads the weights once. Gives nothing if too many of them are in the bracket.
fn read(group: &Group<'_>, bracket: Bracket, e: i32, signed: bool, size: impl Fn(u32) -> u32 + Sync) -> Option<Read> {
    let Bracket { low, high } = bracket;
    // The sizes above the bracket are whole numbers of this unit, or are rounded up to it.
    let unit = if high == NONE { 0 } else { (exponent(high) - 23).max(e - FINE) };
    let lanes = Lanes::of_unit(unit)?;
    let (gathered, most) = (AtomicUsize::new(0), group.len() / GATHERED);
    let part = |room: &mut [u32; CHUNK], chunk| {
        if gathered.load(Relaxed) > most {
            return None;
        }
        let (mut read, range) = group.scan_chunk(
            chunk,
            signed,
            #[inline(always)]
            |bits| {
                let (mut lanes, mut largest, mut hits) = (lanes, [0; WIDTH], Hits::new());
                let range = scan(
                    bits,
                    #[inline(always)]
                    |row, _| {
                        let (mut above, mut any) = ([0; WIDTH], 0);
                        for i in 0..WIDTH {
                            let size = size(row[i]);
                            largest[i] = size.max(largest[i]);
                            above[i] = if size > high { size } else { 0 };
                            any |= u32::from(size.wrapping_sub(low + 1) < high - low);
                        }
                        lanes.add(&above);
                        hits.note(any > 0);
                    },
                );
                let above = match lanes.sum() {
                    Some(sum) => PartialSum { total: sum.total << (unit - (e - FINE)).clamp(0, 64), ..sum },
                    None => {
                        any_of_chunk(
                            bits,
                            e,
                            #[inline(always)]
                            |b| if size(b) > high { size(b) } else { 0 },
                        )
                        .0
                    }
                };
                let found = hits.gather(
                    bits,
                    room,
                    &size,
                    #[inline(always)]
                    |size| size.wrapping_sub(low + 1) < high - low,
                );
                let largest = largest.into_iter().fold(0, u32::max);
                (Read { above, between: room[..found].to_vec(), largest, negative: false }, range)
            },
        );
        gathered.fetch_add(read.between.len(), Relaxed);
        read.negative = range.has_negative();
        Some(read)
    };
    let parts: Option<Vec<Read>> = group.chunk_numbers().map_init(|| [0; CHUNK], part).collect();
    let parts = parts?;
    Some(Read {
        above: parts.iter().map(|part| part.above).fold(PartialSum::default(), PartialSum::add),
        largest: parts.iter().map(|part| part.largest).fold(0, u32::max),
        negative: parts.iter().any(|part| part.negative),
        between: parts.into_iter().flat_map(|part| part.between).collect(),
    })
}

/// The answer, if the threshold is in the bracket or the weights are inside.
fn prove(group: &Group<'_>, search: &Search<'_>, Bracket { low, high }: Bracket, read: Read) -> Option<Answer> {
    let units = Units::of(group, read.largest, search.bound(), search.rule == Rule::Simplex);
    if units.from_top && high != NONE {
        return None;
    }
    let (r, above) = (units.r, biased(read.above));
    let mut between = vec![0; read.between.len()];
    let parts = between.par_chunks_mut(PARALLEL).zip(read.between.par_chunks(PARALLEL));
    parts.for_each(|(units_of, sizes)| units.write(sizes, units_of));
    let sum_above = |level| {
        let part = |units: &[u64]| {
            group.set.run(
                #[inline(always)]
                || sum_above(units, level),
            )
        };
        between.par_chunks(PARALLEL).map(part).reduce(PartialSum::default, PartialSum::add).add(above)
    };
    // The threshold is above a level if what the weights exceed it by is above the bound.
    let excess = |sum: PartialSum, level: u64| sum.total - u128::from(sum.count) * u128::from(level);
    let lowest = units.counted(low);
    let all = sum_above(lowest);
    if excess(all, lowest) <= r {
        let inside = low == 0 && units.is_inside(all, read.negative, group.len());
        return inside.then_some(Answer::Inside);
    }
    if high != NONE {
        let highest = units.counted(high) - 1;
        if excess(sum_above(highest), highest) > r {
            return None;
        }
    }
    let level = level(all, r, sum_above);
    Some(Answer::Level { level, largest: read.largest, low, sizes: (high == NONE).then_some(read.between) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::group::chunks::tests::Clean;
    use crate::formula::rule::Purpose;
    use crate::numeric::fixed::Bound;

    #[test]
    fn a_sample_finds_what_all_steps_do() {
        let weights = Clean::uniform((1 << 17) + 5);
        let group = weights.group();
        let norm: f64 = weights.0.iter().map(|b| f64::from(f32::from_bits(*b).abs())).sum();
        for (rule, most) in [(Rule::Soft, norm), (Rule::Simplex, norm / 2.1), (Rule::Clamp, norm)] {
            for share in [1e-9, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999] {
                let radius = most * share;
                let [high, low, exponent] = Bound::of(radius).words().map(f32::from_bits);
                let c = [0.0, 0.0, high, low, exponent];
                let search = Search { rule, purpose: Purpose::Prox, c: &c, value: [0; 3] };
                let top =
                    weights.0.iter().map(|b| if rule == Rule::Simplex { positive(*b) } else { magnitude(*b) }).max();
                let units = Units::of(&group, top.unwrap_or(0), search.bound(), rule == Rule::Simplex);
                let Some(Answer::Level { level, largest, .. }) = answer(&group, &search) else {
                    panic!("{rule:?} of {radius} is not guessed")
                };
                assert_eq!((level, Some(largest)), (units.level(units.above(0)), top), "{rule:?} of {radius}");
            }
        }
    }

    #[test]
    fn the_ends_of_a_wrong_bracket_are_noticed() {
        let weights = Clean::uniform(1 << 17);
        let group = weights.group();
        let [high, low, exponent] = Bound::of(1000.0).words().map(f32::from_bits);
        let c = [0.0, 0.0, high, low, exponent];
        let search = Search { rule: Rule::Soft, purpose: Purpose::Prox, c: &c, value: [0; 3] };
        let e = search.bound().log2() + 2;
        let Some(Answer::Level { level, .. }) = answer(&group, &search) else { panic!("it is not guessed") };
        let units = Units::of(&group, 0x3f80_0000, search.bound(), false);
        let threshold = units.floats(level)[0].to_bits();
        for (low, high, right) in [
            (threshold - 1000, threshold + 1000, true),
            (threshold - 1, threshold + 1, true),
            (threshold + 1, threshold + 1000, false),
            (threshold - 1000, threshold - 1, false),
        ] {
            let bracket = Bracket { low, high };
            let read = read(&group, bracket, e, false, magnitude).expect("the unit is ordinary");
            let found = prove(&group, &search, bracket, read);
            assert_eq!(
                matches!(found, Some(Answer::Level { level: found, .. }) if found == level),
                right,
                "{bracket:?}"
            );
            assert_eq!(found.is_some(), right, "{bracket:?}");
        }
    }
}
