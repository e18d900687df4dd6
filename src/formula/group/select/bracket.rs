//! The smallest kept magnitude of a large group, from one read of its weights: a sample says between which two magnitudes
//! it lies. The weights above both are only counted, and those between them are gathered. The counts prove the guess.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::last_tie;
use crate::formula::group::rows::{Hits, Row, WIDTH, scan};
use crate::formula::group::sample::{self, DEVIATIONS, GATHERED};
use crate::formula::group::{CHUNK, Group};
use crate::numeric::bits::MAGNITUDE;

/// By how many sampled weights a guess may be wrong in any case.
const SPARE: f64 = 16.0;
/// Above every magnitude.
const NONE: u32 = u32::MAX;

/// Two magnitudes, as bits. The smallest kept one is between them, or one of them.
#[derive(Debug, Clone, Copy)]
struct Bracket {
    low: u32,
    high: u32,
}

/// What a chunk has.
#[derive(Default)]
struct Part {
    above: usize,
    at_high: usize,
    /// The magnitudes between both, in the order of their weights.
    between: Vec<u32>,
    at_low: usize,
}

/// The smallest magnitude that is kept and the last member with that magnitude that is kept, if the guess is right.
pub(super) fn find(group: &Group<'_>, kept: usize) -> Option<(u32, u32)> {
    let Bracket { low, high } = guess(sample::lines(group), kept as f64 / group.len() as f64);
    let parts = read(group, Bracket { low, high })?;
    let total = |count: fn(&Part) -> usize| parts.iter().map(count).sum::<usize>();
    let last = |smallest, ties: &dyn Fn(&Part) -> usize, missing| {
        (smallest, last_tie(group, smallest, parts.iter().map(ties), missing))
    };
    let mut missing = kept.checked_sub(total(|part| part.above)).filter(|missing| *missing > 0)?;
    let at_high = total(|part| part.at_high);
    if missing <= at_high {
        return Some(last(high, &|part| part.at_high, missing));
    }
    missing -= at_high;
    let mut between: Vec<u32> = parts.iter().flat_map(|part| &part.between).copied().collect();
    if missing <= between.len() {
        let at = between.len() - missing;
        let (_, &mut smallest, above) = between.select_nth_unstable(at);
        missing -= above.iter().filter(|magnitude| **magnitude > smallest).count();
        let ties = |part: &Part| part.between.iter().filter(|magnitude| **magnitude == smallest).count();
        return Some(last(smallest, &ties, missing));
    }
    missing -= between.len();
    (low < high && missing <= total(|part| part.at_low)).then(|| last(low, &|part| part.at_low, missing))
}

/// How many weights are not 0.
pub(super) fn nonzero(group: &Group<'_>) -> usize {
    // Nothing lies between 0 and 0, so nothing is gathered.
    let parts = read(group, Bracket { low: 0, high: 0 }).unwrap_or_default();
    parts.iter().map(|part| part.above).sum()
}

/// A bracket that very likely holds the smallest magnitude of those kept, which are a share of all.
fn guess(lines: Vec<Row>, share: f64) -> Bracket {
    let mut sizes: Vec<u32> = lines.as_flattened().iter().map(|b| b & MAGNITUDE).collect();
    let all = sizes.len();
    // The larger ones come last.
    let place = |kept: f64| all - (kept as usize).clamp(1, all);
    let kept = share * all as f64;
    let (below, &mut middle, above) = sizes.select_nth_unstable(place(kept));
    let kept_of = |line: &Row| line.iter().filter(|b| **b & MAGNITUDE >= middle).count() as f64;
    let wrong = DEVIATIONS * sample::deviation(lines.iter().map(kept_of)) + SPARE;
    let first = below.len();
    let low = match place(kept + wrong) {
        0 => 0,
        at if at < first => *below.select_nth_unstable(at).1,
        _ => middle,
    };
    let high = if kept - wrong < 1.0 {
        NONE
    } else {
        match place(kept - wrong) {
            at if at > first => *above.select_nth_unstable(at - first - 1).1,
            _ => middle,
        }
    };
    Bracket { low, high }
}

/// Reads the weights once. Gives nothing if too many of them are in the bracket.
fn read(group: &Group<'_>, Bracket { low, high }: Bracket) -> Option<Vec<Part>> {
    let (gathered, most) = (AtomicUsize::new(0), group.len() / GATHERED);
    let sought = high.saturating_sub(low + 1);
    let part = |room: &mut [u32; CHUNK], chunk| {
        if gathered.load(Relaxed) > most {
            return None;
        }
        let (part, _) = group.scan_chunk(
            chunk,
            false,
            #[inline(always)]
            |bits| {
                let ([mut above, mut at_high, mut at_low], mut hits) = ([[0; WIDTH]; 3], Hits::new());
                let mut padding = 0;
                let range = scan(
                    bits,
                    #[inline(always)]
                    |row, len| {
                        let mut any = 0;
                        for i in 0..WIDTH {
                            let magnitude = row[i] & MAGNITUDE;
                            above[i] += u32::from(magnitude > high);
                            at_high[i] += u32::from(magnitude == high);
                            at_low[i] += u32::from(magnitude == low);
                            any |= u32::from(magnitude.wrapping_sub(low + 1) < sought);
                        }
                        hits.note(any > 0);
                        padding += WIDTH - len;
                    },
                );
                let found = hits.gather(
                    bits,
                    room,
                    #[inline(always)]
                    |b| b & MAGNITUDE,
                    #[inline(always)]
                    |magnitude| magnitude.wrapping_sub(low + 1) < sought,
                );
                let total = |lanes: Row| lanes.iter().sum::<u32>() as usize;
                // A short row is padded with zeros.
                let padding_at = |magnitude: u32| if magnitude == 0 { padding } else { 0 };
                let part = Part {
                    above: total(above),
                    at_high: total(at_high) - padding_at(high),
                    between: room[..found].to_vec(),
                    at_low: total(at_low) - padding_at(low),
                };
                (part, range)
            },
        );
        gathered.fetch_add(part.between.len(), Relaxed);
        Some(part)
    };
    group.chunk_numbers().map_init(|| [0; CHUNK], part).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sorted;
    use super::*;
    use crate::formula::group::chunks::tests::Clean;

    #[test]
    fn a_sample_finds_what_a_sort_does() {
        let len = (1 << 17) + 5;
        let weights = Clean::uniform(len);
        for kept in [1, 2, 100, len / 1000, len / 10, len / 2, len * 9 / 10, len - 100, len - 1] {
            assert_eq!(find(&weights.group(), kept), Some(sorted(&weights.0, kept)), "{kept} of {len}");
        }
    }

    #[test]
    fn ties_at_an_end_of_the_bracket_are_counted_only() {
        let mut weights = Clean::uniform((1 << 17) + 5);
        let some = (0..).zip(&mut weights.0);
        // A third are 0, a third have one magnitude and both signs.
        some.for_each(|(i, b)| *b = [0, *b, 0x3e80_0000 | (i as u32 & 1) << 31][i % 3]);
        let smaller = weights.0.iter().filter(|b| **b & MAGNITUDE < 0x3e80_0000).count();
        let nonzero = weights.0.iter().filter(|b| **b > 0).count();
        let larger = weights.0.len() - smaller - weights.0.len() / 3;
        for kept in [larger - 1, larger, larger + 1, larger + 1000, nonzero - 1, nonzero, nonzero + 1, nonzero + 999] {
            assert_eq!(find(&weights.group(), kept), Some(sorted(&weights.0, kept)), "{kept}");
        }
    }

    #[test]
    fn a_wrong_guess_gives_nothing() {
        // The sample sees none of the weights of a stretch between its lines, so one of 2^20 kept is not among them.
        let mut weights = Clean(vec![0x3f80_0000; 1 << 20]);
        let seen: Vec<usize> = {
            let numbered = Clean((0..1 << 20).map(|i| 0x3f80_0000 + i).collect());
            sample::lines(&numbered.group()).as_flattened().iter().map(|b| (b - 0x3f80_0000) as usize).collect()
        };
        (0..1 << 20).for_each(|i| weights.0[i] += i as u32 + 1);
        seen.iter().for_each(|i| weights.0[*i] = 0);
        assert_eq!(find(&weights.group(), 1 << 18), None);
    }
}
