//! The smallest kept magnitude of a group at hand, by counting the weights above guesses that lie ever closer.

use super::given;
use crate::formula::group::rows::{WIDTH, range};
use crate::formula::group::{Found, Group, Members, PARALLEL, Search};
use crate::formula::rule::Purpose;
use crate::numeric::bits::MAGNITUDE;

/// Smaller groups are sorted.
const LEAST: usize = 64;
/// How many guesses are made. Hardly any group needs more.
const STEPS: u32 = 24;
/// So often, a guess halves the bracket whatever the counts are.
const HALVED: u32 = 4;
/// Up to so many weights in a bracket, its ends are made weights: ties may leave nothing between them.
const FEW: u32 = 6;

/// Two magnitudes, as bits, and how many weights are at least as large. Of the smallest kept weight's magnitude, the
/// first one is not above it, and the second one is.
struct Bracket {
    low: u32,
    high: u32,
    at_low: u32,
    at_high: u32,
}

/// The result, if guesses find it soon. The weights may be anything.
pub(in crate::formula::group) fn find(group: &Group<'_>, search: &Search<'_>) -> Option<Found> {
    let Members::Gathered(bits) = group.members else { return None };
    if search.purpose != Purpose::Prox || !(LEAST..PARALLEL).contains(&bits.len()) {
        return None;
    }
    let kept = search.bound().in_units(1, 0);
    given(kept, bits.len()).or_else(|| smallest(group, bits, kept as u32))
}

fn smallest(group: &Group<'_>, bits: &[u32], kept: u32) -> Option<Found> {
    let (set, len) = (group.set, bits.len() as u32);
    let range = set.run(
        #[inline(always)]
        || range(bits),
    );
    if !range.is_clean(false) {
        return None;
    }
    let mut bracket = Bracket { low: 0, high: range.largest() + 1, at_low: len, at_high: 0 };
    for step in 0..STEPS {
        let Bracket { low, high, at_low, at_high } = bracket;
        if at_low == kept || at_low - at_high <= FEW || high - low == 1 {
            let (least, greatest) = set.run(
                #[inline(always)]
                || ends(bits, low, high),
            );
            if at_low == kept {
                // All weights of this magnitude are kept.
                return Some(Found::kept(least, len - 1));
            }
            if least == greatest {
                let mut ties = (0..).zip(bits).filter(|(_, b)| *b & MAGNITUDE == least);
                return ties.nth((kept - at_high) as usize - 1).map(|(last, _)| Found::kept(least, last));
            }
            (bracket.low, bracket.high) = (least, greatest + 1);
        }
        let guesses = bracket.guesses(kept, step % HALVED == HALVED - 1);
        let counts = set.run(
            #[inline(always)]
            || counts(bits, guesses),
        );
        guesses.into_iter().zip(counts).for_each(|(guess, count)| bracket.narrow(kept, guess, count));
    }
    None
}

impl Bracket {
    /// A magnitude that is likely a bit too low, and one that is likely a bit too high.
    fn guesses(&self, kept: u32, halves: bool) -> [u32; 2] {
        let [low, high] = [self.low, self.high].map(f32::from_bits);
        let all = (self.at_low - self.at_high) as f32;
        let wrong = if all > 8.0 { 0.75 * all.sqrt() } else { 0.5 };
        // Between the smallest kept weight and the next one, if weights are as dense everywhere in the bracket.
        let middle = (kept - self.at_high) as f32 + 0.5;
        let guess = |rank: f32| (high - (high - low) * (rank / all)).to_bits().clamp(self.low + 1, self.high - 1);
        let halfway = self.low + (self.high - self.low) / 2;
        [guess((middle + wrong).min(all)), if halves { halfway } else { guess((middle - wrong).max(0.0)) }]
    }

    /// Takes a magnitude, and how many weights are at least as large, as an end.
    fn narrow(&mut self, kept: u32, magnitude: u32, count: u32) {
        if count >= kept {
            if magnitude > self.low {
                (self.low, self.at_low) = (magnitude, count);
            }
        } else if magnitude < self.high {
            (self.high, self.at_high) = (magnitude, count);
        }
    }
}

/// How many weights are at least as large as each of two magnitudes.
#[inline(always)]
fn counts(bits: &[u32], guesses: [u32; 2]) -> [u32; 2] {
    let [first, second] = guesses.map(|guess| guess as i32 - 1);
    let [mut of_first, mut of_second] = [[0; WIDTH]; 2];
    let (rows, rest) = bits.as_chunks::<WIDTH>();
    let mut last = [0; WIDTH];
    last[..rest.len()].copy_from_slice(rest);
    for row in rows.iter().chain([&last]) {
        for i in 0..WIDTH {
            // Signed numbers take one instruction less.
            let magnitude = (row[i] & MAGNITUDE) as i32;
            of_first[i] += u32::from(magnitude > first);
            of_second[i] += u32::from(magnitude > second);
        }
    }
    [of_first.iter().sum(), of_second.iter().sum()]
}

/// The smallest magnitude that is not below `low`, and the largest one below `high`.
#[inline(always)]
fn ends(bits: &[u32], low: u32, high: u32) -> (u32, u32) {
    let (mut least, mut greatest) = ([u32::MAX; WIDTH], [0; WIDTH]);
    let (rows, rest) = bits.as_chunks::<WIDTH>();
    let mut last = [MAGNITUDE; WIDTH];
    last[..rest.len()].copy_from_slice(rest);
    for row in rows.iter().chain([&last]) {
        for i in 0..WIDTH {
            let magnitude = row[i] & MAGNITUDE;
            least[i] = least[i].min(if magnitude as i32 >= low as i32 { magnitude } else { MAGNITUDE });
            greatest[i] = greatest[i].max(if (magnitude as i32) < high as i32 { magnitude } else { 0 });
        }
    }
    (least.into_iter().fold(MAGNITUDE, u32::min), greatest.into_iter().fold(0, u32::max))
}
