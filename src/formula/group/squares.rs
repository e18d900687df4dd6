//! Exact sums of squares of weights, in the coarse unit of `src/numeric/fixed.rs`.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::chunks::CHUNKS_PER_TASK;
use super::rows::{Range, Row, WIDTH, scan};
use super::{CHUNK, Group, Halves, Members};
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::fixed::{COARSE, coarse, exponent};

/// The exponents of units for which squares of `f32` neither overflow nor lose what matters.
const ORDINARY: std::ops::RangeInclusive<i32> = -50..=50;

impl Group<'_> {
    /// The bits of the largest magnitude, and the sum of squares in its coarse unit.
    ///
    /// The weights of a large group are read once: each chunk takes the unit of the largest weight so far. Chunks whose
    /// unit turns out too small are summed once more.
    pub(super) fn squares(&self) -> (u32, u128) {
        // The largest weight so far would be that of one rank.
        if !self.is_large() || matches!(self.members, Members::Shard(..)) {
            let largest = self.largest();
            return (largest, if largest == 0 { 0 } else { self.sum_squares(exponent(largest), same) });
        }
        let so_far = AtomicU32::new(self.largest_of(0));
        let sum = |chunk, e| self.squares_of(chunk, e, same);
        let sums: Vec<(i32, u128)> = self
            .chunk_numbers()
            .map(|chunk| {
                let e = exponent(so_far.load(Relaxed));
                let (found, range) = sum(chunk, e);
                // A larger weight with the same unit counts too: what is made of the largest one has its own unit.
                let before = so_far.fetch_max(range.largest(), Relaxed);
                let e_of_chunk = exponent(range.largest());
                if e_of_chunk <= e {
                    return (e, found);
                }
                let e = exponent(before).max(e_of_chunk);
                (e, sum(chunk, e).0)
            })
            .collect();
        let largest = so_far.into_inner();
        let e = exponent(largest);
        let sums = sums.into_par_iter().with_min_len(CHUNKS_PER_TASK).enumerate();
        let again = |(chunk, (unit, found))| if unit == e || found == 0 { found } else { sum(chunk, e).0 };
        (largest, sums.map(again).sum())
    }

    /// The sum of squares of a chunk, and its range.
    fn squares_of(&self, chunk: usize, e: i32, f: impl Fn(u32) -> u32) -> (u128, Range) {
        self.scan_chunk(
            chunk,
            false,
            #[inline(always)]
            |bits| of_chunk(bits, e, &f),
        )
    }

    /// Σ coarse(f(b), e)², where every f(b) is below 2^(e + 1).
    pub(super) fn sum_squares(&self, e: i32, f: impl Fn(u32) -> u32 + Sync) -> u128 {
        if self.is_large() {
            return self.total_of_ranks(self.chunk_numbers().map(|chunk| self.squares_of(chunk, e, &f).0).sum());
        }
        self.total_of_ranks(self.fold(
            #[inline(always)]
            |bits| {
                let mut total = 0;
                for bits in bits.chunks(CHUNK) {
                    total += of_chunk(bits, e, &f).0;
                }
                total
            },
            |a, b| a + b,
        ))
    }
}

#[inline(always)]
pub(super) fn same(b: u32) -> u32 {
    b
}

/// The sum over at most a chunk, and the range of the weights.
#[inline(always)]
fn of_chunk(bits: &[u32], e: i32, f: impl Fn(u32) -> u32) -> (u128, Range) {
    if ORDINARY.contains(&e) {
        return of_ordinary(bits, e, f);
    }
    let mut halves = Halves::default();
    let range = scan(
        bits,
        #[inline(always)]
        |row, _| {
            for b in row {
                let x = coarse(f(*b), e);
                halves.add(x * x);
            }
        },
    );
    (halves.sum(), range)
}

/// The sum modulo 2^64, and an approximate one that says which of the numbers with that remainder it is. That takes
/// fewer instructions than adding both halves of each square.
///
/// A square is below 2^64, so the sum of a chunk is below 2^76. A lane adds 2^8 squares in `f32`, each within 2^-24, so
/// it is within 2^-15 of what it adds. Units are rounded up, which adds less than 2^33 to each square. So the
/// approximate sum is wrong by less than 2^62, and the nearest number with the remainder is the sum.
#[inline(always)]
fn of_ordinary(bits: &[u32], e: i32, f: impl Fn(u32) -> u32) -> (u128, Range) {
    let mut lanes = Lanes { remainders: [[0; WIDTH / 2]; 2], near: [0.0; WIDTH] };
    let range = scan(
        bits,
        #[inline(always)]
        |row, _| lanes.add(row, e, &f),
    );
    let remainder = lanes.remainders.as_flattened().iter().fold(0u64, |a, b| a.wrapping_add(*b));
    let near: f64 = lanes.near.iter().map(|x| f64::from(*x)).sum();
    let near = (near * f64::from_bits(((1023 + 2 * (COARSE - e)) as u64) << 52)) as u128;
    // The upper bits, rounded: where the remainder is added, the result is within 2^63 of the approximate sum.
    let high = near.saturating_add(1 << 63).saturating_sub(remainder.into()) >> 64;
    ((high << 64) + u128::from(remainder), range)
}

struct Lanes {
    /// The sums modulo 2^64, of every other weight and of those between them.
    remainders: [[u64; WIDTH / 2]; 2],
    /// The approximate sums.
    near: [f32; WIDTH],
}

impl Lanes {
    #[inline(always)]
    fn add(&mut self, row: &Row, e: i32, f: impl Fn(u32) -> u32) {
        let mut units = [0; WIDTH];
        for i in 0..WIDTH {
            let magnitude = f(row[i]) & MAGNITUDE;
            // What `coarse` gives: the significand is shifted right by up to 31 places, and rounded up.
            let places = ((e + 127) as u32).wrapping_sub(magnitude >> 23);
            let below = (magnitude << 8 | 1 << 31) - 1;
            units[i] = below.checked_shr(places).unwrap_or(0) + u32::from(magnitude > 0);
            self.near[i] += f32::from_bits(magnitude) * f32::from_bits(magnitude);
        }
        let pairs: [u64; WIDTH / 2] = bytemuck::cast(units);
        let [low, high] = &mut self.remainders;
        for i in 0..WIDTH / 2 {
            let (a, b) = (pairs[i] & 0xffff_ffff, pairs[i] >> 32);
            low[i] = low[i].wrapping_add(a * a);
            high[i] = high[i].wrapping_add(b * b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PARALLEL;
    use super::super::chunks::tests::Clean;
    use super::*;
    use crate::numeric::bits::SMALLEST;
    use crate::numeric::noise::Noise;

    /// Chunks whose largest weights have one unit, or more and more.
    #[test]
    fn the_largest_weight_is_that_of_all_chunks() {
        let len = PARALLEL + 3 * CHUNK;
        for least in [0.0, 0.5] {
            let rising = |i: usize| least + (1.0 - least) * (i as f32 / len as f32);
            let weights = Clean((0..len).map(|i| rising(i).to_bits()).collect());
            let (largest, squares) = weights.group().squares();
            let e = exponent(rising(len - 1).to_bits());
            let want: u128 = weights.0.iter().map(|b| u128::from(coarse(*b, e)).pow(2)).sum();
            assert_eq!((f32::from_bits(largest), squares), (rising(len - 1), want), "from {least}");
        }
    }

    #[test]
    fn ordinary_sums_are_those_of_any_weights() {
        let mut noise = Noise(1);
        let mut next = || (noise.next() >> 32) as u32;
        for e in [-50, -49, -1, 0, 1, 49, 50] {
            for spread in [0, 1, 8, 30, 60, 170] {
                for len in [0, 1, 15, 16, 17, 63, 65, CHUNK - 1, CHUNK] {
                    let lowest = (e + 127 - spread).max(7) as u32;
                    let mut weight = || {
                        let exponent = lowest + next() % ((e + 128) as u32 - lowest);
                        if next() % 9 == 0 { 0 } else { exponent << 23 | (next() & 0x807f_ffff) }
                    };
                    let mut bits: Vec<u32> = (0..len).map(|_| weight()).collect();
                    let largest = ((e + 127) as u32) << 23 | 0x7f_ffff;
                    let ends = [largest, SMALLEST.to_bits(), 0];
                    bits.iter_mut().zip(ends).for_each(|(b, end)| *b = end);
                    let want: u128 = bits.iter().map(|b| u128::from(coarse(*b, e)).pow(2)).sum();
                    assert_eq!(of_chunk(&bits, e, same).0, want, "{len} weights of {e} to {spread} below");
                }
            }
            // The sum is as large as it can be, and all of it is in the approximate one.
            let bits = [((e + 127) as u32) << 23 | 0x7f_ffff; CHUNK];
            let want = u128::from(coarse(bits[0], e)).pow(2) * CHUNK as u128;
            assert_eq!(of_chunk(&bits, e, same).0, want);
        }
    }
}
