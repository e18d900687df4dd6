//! Exact sums of weights in the fine unit of `src/numeric/fixed.rs`.

use rayon::prelude::*;

use super::rows::{Range, Row, WIDTH, each, scan};
use super::{CHUNK, Group, Halves, PartialSum};
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::fixed::{FINE, fine};

/// The exponents of units for which a product of a weight and a unit's inverse loses nothing.
const ORDINARY: std::ops::RangeInclusive<i32> = -100..=6;
/// Below this, sums of integers in `f64` are exact.
const EXACT: f64 = (1u64 << 53) as f64;

impl Group<'_> {
    /// Σ fine(f(b), e), and how many weights count in it.
    pub(super) fn sum_fine(&self, e: i32, f: impl Fn(u32) -> u32 + Sync) -> PartialSum {
        if self.is_large() {
            let sum = |chunk| {
                self.scan_chunk(
                    chunk,
                    false,
                    #[inline(always)]
                    |bits| of_chunk(bits, e, &f),
                )
                .0
            };
            return self.sum_of_ranks(self.chunk_numbers().map(sum).reduce(PartialSum::default, PartialSum::add));
        }
        self.sum_of_ranks(self.fold(
            #[inline(always)]
            |bits| {
                let mut total = PartialSum::default();
                for bits in bits.chunks(CHUNK) {
                    total = total.add(of_part(bits, e, &f));
                }
                total
            },
            PartialSum::add,
        ))
    }
}

/// The sum over at most a chunk, and the range of the weights.
#[inline(always)]
fn of_chunk(bits: &[u32], e: i32, f: impl Fn(u32) -> u32) -> (PartialSum, Range) {
    let mut found = None;
    if let Some(mut lanes) = Lanes::of_unit(e - FINE) {
        let range = scan(
            bits,
            #[inline(always)]
            |row, len| lanes.add_each(row, len, &f),
        );
        found = lanes.sum().map(|sum| (sum, range));
    }
    found.unwrap_or_else(
        #[inline(always)]
        || any_of_chunk(bits, e, f),
    )
}

/// The sum alone.
#[inline(always)]
fn of_part(bits: &[u32], e: i32, f: impl Fn(u32) -> u32) -> PartialSum {
    let mut found = None;
    if let Some(mut lanes) = Lanes::of_unit(e - FINE) {
        each(
            bits,
            #[inline(always)]
            |row, len| lanes.add_each(row, len, &f),
        );
        found = lanes.sum();
    }
    found.unwrap_or_else(
        #[inline(always)]
        || any_of_chunk(bits, e, f).0,
    )
}

/// The same whatever the weights and the unit are.
#[inline(always)]
pub(super) fn any_of_chunk(bits: &[u32], e: i32, f: impl Fn(u32) -> u32) -> (PartialSum, Range) {
    let (mut total, mut count) = (Halves::default(), 0);
    let range = scan(
        bits,
        #[inline(always)]
        |row, len| {
            for b in &row[..len] {
                let x = fine(f(*b), e);
                total.add(x);
                count += u64::from(x > 0);
            }
        },
    );
    (PartialSum { total: total.sum(), count }, range)
}

/// Sums and counts of magnitudes in units of a power of two, rounded up. Sums of integers in `f64` are exact up to 2^53.
#[derive(Clone, Copy)]
pub(super) struct Lanes {
    sums: [f64; WIDTH],
    counts: Row,
    /// The inverse of the unit.
    scale: f32,
}

impl Lanes {
    /// In units of 2^e, if a magnitude times the unit's inverse loses nothing.
    #[inline(always)]
    pub(super) fn of_unit(e: i32) -> Option<Lanes> {
        let scale = f32::from_bits(((127 - e) as u32) << 23);
        ORDINARY.contains(&e).then_some(Lanes { sums: [0.0; WIDTH], counts: [0; WIDTH], scale })
    }

    /// Adds what `f` makes of the weights that count. It may make a weight of padding.
    #[inline(always)]
    fn add_each(&mut self, row: &Row, len: usize, f: impl Fn(u32) -> u32) {
        let mut magnitudes = [0; WIDTH];
        for i in 0..WIDTH {
            magnitudes[i] = if i < len { f(row[i]) & MAGNITUDE } else { 0 };
        }
        self.add(&magnitudes);
    }

    #[inline(always)]
    pub(super) fn add(&mut self, magnitudes: &Row) {
        let mut units = [0.0; WIDTH];
        for i in 0..WIDTH {
            units[i] = (f32::from_bits(magnitudes[i]) * self.scale).ceil();
            self.counts[i] += u32::from(magnitudes[i] > 0);
        }
        for (sum, units) in self.sums.iter_mut().zip(units) {
            *sum += f64::from(units);
        }
    }

    /// The sum, if it is exact.
    #[inline(always)]
    pub(super) fn sum(&self) -> Option<PartialSum> {
        let (mut total, mut count) = (0, 0);
        for (sum, counted) in self.sums.iter().zip(self.counts) {
            // A sum that was rounded reached 2^53, and sums only grow. A NaN is in no range.
            if !(0.0..EXACT).contains(sum) {
                return None;
            }
            total += *sum as u128;
            count += u64::from(counted);
        }
        Some(PartialSum { total, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::bits::SMALLEST;
    use crate::numeric::noise::Noise;

    #[test]
    fn ordinary_sums_are_those_of_any_weights() {
        let mut noise = Noise(1);
        let mut next = || (noise.next() >> 32) as u32;
        // The ends of the ordinary units, and the exponents at which sums of `f64` stop being exact.
        for e in [-46, -45, -1, 0, 1, 61, 62] {
            for above in [-60, -20, -12, -11, -10, -5, 0] {
                for len in [0, 1, 15, 16, 17, 63, 65, CHUNK - 1, CHUNK] {
                    let highest = (e + 127 + above).max(8) as u32;
                    let mut weight = || {
                        let exponent = highest - next() % (highest - 7).clamp(1, 40);
                        if next() % 9 == 0 { 0 } else { exponent << 23 | (next() & 0x807f_ffff) }
                    };
                    let mut bits: Vec<u32> = (0..len).map(|_| weight()).collect();
                    let ends = [highest << 23 | 0x7f_ffff, SMALLEST.to_bits(), 0];
                    bits.iter_mut().zip(ends).for_each(|(b, end)| *b = end);
                    // The second one makes a weight of a zero.
                    for f in [|b: u32| b, |b: u32| b | SMALLEST.to_bits()] {
                        let (found, want) = (of_chunk(&bits, e, f).0, any_of_chunk(&bits, e, f).0);
                        let exact = bits.iter().map(|b| u128::from(fine(f(*b), e)));
                        let (total, count) = (exact.clone().sum(), exact.filter(|x| *x > 0).count() as u64);
                        assert_eq!((found.total, found.count), (total, count), "{len} weights of {e} + {above}");
                        assert_eq!((want.total, want.count), (total, count), "{len} weights of {e} + {above}");
                        let part = of_part(&bits, e, f);
                        assert_eq!((part.total, part.count), (total, count), "{len} weights of {e} + {above}");
                    }
                }
            }
        }
    }
}
