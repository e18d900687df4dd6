//! The fixed-point accumulators above the tiles.
//!
//! Twin of `shaders/numeric/accumulator.wgsl`. A tile's sum is an `f32`, and every finite `f32` is an integer times a
//! power of two. Adding it, shifted, to a wide integer rounds nothing. So the order of tiles, threads, chunks and
//! devices cannot matter.

use super::wgsl::Constant;

/// Limbs of the accumulator of Σ|θ|; its lowest bit is 2^-149, the smallest `f32`.
pub(crate) const L1_LIMBS: usize = 12;
/// Limbs of the accumulator of Σθ²; its lowest bit is 2^-298, the square of the smallest `f32`.
pub(crate) const L2_LIMBS: usize = 20;
const L1_LOWEST: i32 = -149;
/// The biased exponent of the least `f64` whose 24 upper bits are multiples of that.
const LOWEST_PLACE: u64 = (1023 + L1_LOWEST + 23) as u64;
const L2_LOWEST: i32 = -298;

/// The layout of one segment's result on a device, in words: the limbs of Σ|θ| and of Σθ², three 64-bit counts, the
/// maximum, an unused word, and the limbs of the term sum.
const L1: usize = 0;
const L2_SQUARED: usize = L1 + L1_LIMBS;
const NONZERO: usize = L2_SQUARED + L2_LIMBS;
const NANS: usize = NONZERO + 2;
const INFINITIES: usize = NANS + 2;
const LARGEST: usize = INFINITIES + 2;
const TERMS: usize = LARGEST + 2;
pub(crate) const WORDS: usize = TERMS + L1_LIMBS;

/// The constants of the WGSL twin.
pub(crate) const CONSTANTS: &[Constant] = &[
    Constant::U32("L1", L1 as u32),
    Constant::U32("L2_SQUARED", L2_SQUARED as u32),
    Constant::U32("NONZERO", NONZERO as u32),
    Constant::U32("NANS", NANS as u32),
    Constant::U32("INFINITIES", INFINITIES as u32),
    Constant::U32("LARGEST", LARGEST as u32),
    Constant::U32("TERMS", TERMS as u32),
    Constant::U32("WORDS", WORDS as u32),
];

/// The exact sums and counts of a set of weights.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) l1: [u32; L1_LIMBS],
    pub(crate) l2_squared: [u32; L2_LIMBS],
    pub(crate) len: u64,
    pub(crate) nonzero: u64,
    pub(crate) nan: u64,
    pub(crate) inf: u64,
    pub(crate) max_bits: u32,
    /// The term sum, Σterm(θ).
    pub(crate) terms: [u32; L1_LIMBS],
}

/// How many weights are non-zero, NaN and infinite: the counts that a tile adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) nonzero: u64,
    pub(crate) nan: u64,
    pub(crate) inf: u64,
}

/// How many words of 64 bits hold the sums and counts, each limb in a word of its own.
pub(crate) const WIDE: usize = 2 * L1_LIMBS + L2_LIMBS + 4;

impl Sums {
    /// The limbs and counts without the maximum. Those of up to 2^32 ranks can be added word by word.
    pub(crate) fn widened(&self) -> [u64; WIDE] {
        let limbs = self.l1.iter().chain(&self.l2_squared).chain(&self.terms).map(|limb| u64::from(*limb));
        let mut words = [0; WIDE];
        let all = limbs.chain([self.len, self.nonzero, self.nan, self.inf]);
        words.iter_mut().zip(all).for_each(|(word, value)| *word = value);
        words
    }

    /// The sums whose widened words add up to these, and the maximum.
    pub(crate) fn carried(words: &[u64; WIDE], max_bits: u32) -> Sums {
        let mut sums = Sums { max_bits, ..Sums::default() };
        let (limbs, counts) = words.split_at(WIDE - 4);
        let (l1, limbs) = limbs.split_at(L1_LIMBS);
        let (l2_squared, terms) = limbs.split_at(L2_LIMBS);
        carry_into(&mut sums.l1, l1);
        carry_into(&mut sums.l2_squared, l2_squared);
        carry_into(&mut sums.terms, terms);
        for (to, count) in [&mut sums.len, &mut sums.nonzero, &mut sums.nan, &mut sums.inf].into_iter().zip(counts) {
            *to = *count;
        }
        sums
    }

    /// Adds the sums and counts of other weights.
    pub(crate) fn merge(&mut self, other: &Sums) {
        add_limbs(&mut self.terms, &other.terms);
        add_limbs(&mut self.l1, &other.l1);
        add_limbs(&mut self.l2_squared, &other.l2_squared);
        // Deserialized bytes can claim more weights than exist, so we saturate.
        self.len = self.len.saturating_add(other.len);
        self.nonzero = self.nonzero.saturating_add(other.nonzero);
        self.nan = self.nan.saturating_add(other.nan);
        self.inf = self.inf.saturating_add(other.inf);
        self.max_bits = self.max_bits.max(other.max_bits);
    }

    /// Adds a tile of `len` weights. Its sums are `sums`: Σ|θ| scaled by 2^-`exponent`, and Σθ² scaled by the square of
    /// that.
    #[inline(always)]
    pub(crate) fn add_tile(&mut self, len: usize, sums: [f32; 2], exponent: i32, counts: Counts, max_bits: u32) {
        add_f32(&mut self.l1, sums[0], exponent - 149 - L1_LOWEST);
        add_f32(&mut self.l2_squared, sums[1], 2 * exponent - 149 - L2_LOWEST);
        self.len += len as u64;
        self.nonzero += counts.nonzero;
        self.nan += counts.nan;
        self.inf += counts.inf;
        self.max_bits = self.max_bits.max(max_bits);
    }

    /// Adds a tile's term sum, scaled by 2^-`exponent`.
    #[inline]
    pub(crate) fn add_terms(&mut self, sum: f32, exponent: i32) {
        add_f32(&mut self.terms, sum, exponent - 149 - L1_LOWEST);
    }

    /// Adds the term sums of several tiles or groups, each a float times 2^exponent: as adding one by one does. At most
    /// 64 of them.
    #[inline(always)]
    pub(crate) fn add_many_terms(&mut self, sums: &[f32], exponents: &[i32]) {
        // Where all sums are multiples of one unit, and no more than 2^53 of it together, `f64` adds them without rounding.
        let (mut total, mut greatest, mut least) = (0.0, 0u64, u64::MAX);
        for (sum, exponent) in sums.iter().zip(exponents) {
            let scaled = f64::from(*sum) * f64::from_bits(((exponent + 1023) as u64) << 52);
            total += scaled;
            greatest = greatest.max(scaled.to_bits());
            // A zero is the largest.
            least = least.min(scaled.to_bits().wrapping_sub(1));
        }
        // 64 numbers below twice the greatest, in the last place of the least: 7 bits, 23 bits, and those between.
        const BETWEEN: u64 = 53 - 7 - 23;
        let lowest = least.wrapping_add(1) >> 52;
        if sums.len() <= 64 && greatest >> 52 <= lowest + BETWEEN && lowest >= LOWEST_PLACE {
            return add_f64(&mut self.terms, total, L1_LOWEST);
        }
        for (sum, exponent) in sums.iter().zip(exponents) {
            self.add_terms(*sum, *exponent);
        }
    }

    /// The sums that a device wrote for `len` weights.
    pub(crate) fn from_words(words: &[u32; WORDS], len: u64) -> Sums {
        let count = |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
        let mut sums = Sums { len, ..Sums::default() };
        sums.l1.copy_from_slice(&words[L1..L2_SQUARED]);
        sums.l2_squared.copy_from_slice(&words[L2_SQUARED..NONZERO]);
        sums.nonzero = count(NONZERO);
        sums.nan = count(NANS);
        sums.inf = count(INFINITIES);
        sums.max_bits = words[LARGEST];
        sums.terms.copy_from_slice(&words[TERMS..]);
        sums
    }

    /// Σ|θ| over finite weights, rounded once.
    pub(crate) fn l1(&self) -> f64 {
        to_f64(&self.l1, L1_LOWEST)
    }

    /// Σθ² over finite weights, rounded once.
    pub(crate) fn l2_squared(&self) -> f64 {
        to_f64(&self.l2_squared, L2_LOWEST)
    }

    /// The term sum, rounded once.
    pub(crate) fn terms(&self) -> f64 {
        to_f64(&self.terms, L1_LOWEST)
    }
}

/// Adds a non-negative `f32` whose lowest subnormal bit is bit `at` of the accumulator.
#[inline]
fn add_f32(limbs: &mut [u32], x: f32, at: i32) {
    let bits = x.to_bits();
    if bits == 0 {
        return;
    }
    let exponent = (bits >> 23).max(1) as i32;
    let mut significand = if bits < 0x80_0000 { bits } else { (bits & 0x7f_ffff) | 0x80_0000 };
    let mut position = exponent - 1 + at;
    if position < 0 {
        // This shifts out zeros only: a scaled tile's sum is a multiple of the accumulator's lowest bit.
        significand >>= -position as u32;
        position = 0;
    }
    add_shifted(limbs, significand, position);
}

/// Adds a non-negative `f64` that is a multiple of the accumulator's lowest bit, 2^`lowest`.
fn add_f64(limbs: &mut [u32], x: f64, lowest: i32) {
    if x == 0.0 {
        return;
    }
    let mut significand = x.to_bits() & ((1 << 52) - 1) | 1 << 52;
    let mut position = (x.to_bits() >> 52) as i32 - 1023 - 52 - lowest;
    if position < 0 {
        significand >>= -position as u32;
        position = 0;
    }
    add_shifted(limbs, significand as u32, position);
    add_shifted(limbs, (significand >> 32) as u32, position + 32);
}

/// Adds an integer times 2^`position`.
#[inline]
fn add_shifted(limbs: &mut [u32], significand: u32, position: i32) {
    let carry = u64::from(significand) << (position % 32);
    // Adds two limbs at once. A carry beyond them is so rare that processors predict the branch well.
    let above = limbs.get_mut(position as usize / 32..).and_then(|limbs| limbs.split_first_chunk_mut::<2>());
    // Only a negative sum can lie above all limbs: that of a custom penalty whose terms break its rules.
    let Some((pair, rest)) = above else { return };
    let (sum, over) = (u64::from(pair[0]) | u64::from(pair[1]) << 32).overflowing_add(carry);
    *pair = [sum as u32, (sum >> 32) as u32];
    if over {
        for limb in rest {
            let (sum, over) = limb.overflowing_add(1);
            *limb = sum;
            if !over {
                break;
            }
        }
    }
}

/// Turns sums of limbs into limbs.
fn carry_into(to: &mut [u32], words: &[u64]) {
    let mut carry = 0;
    for (limb, word) in to.iter_mut().zip(words) {
        let sum = u128::from(*word) + carry;
        *limb = sum as u32;
        carry = sum >> 32;
    }
}

fn add_limbs(to: &mut [u32], from: &[u32]) {
    let mut carry = 0;
    for (t, f) in to.iter_mut().zip(from) {
        let sum = u64::from(*t) + u64::from(*f) + carry;
        *t = sum as u32;
        carry = sum >> 32;
    }
}

/// The accumulator's integer times 2^`lowest`, rounded once, ties to even.
fn to_f64(limbs: &[u32], lowest: i32) -> f64 {
    let limb = |i: usize| limbs.get(i).copied().unwrap_or(0);
    let Some(top) = limbs.iter().rposition(|&l| l != 0) else { return 0.0 };
    let bits = 32 * top as i32 + 32 - limbs[top].leading_zeros() as i32;
    // The upper 64 bits, with a sticky last bit: `as f64` then rounds to nearest even as if it saw all bits.
    let shift = (bits - 64).max(0);
    let (word, offset) = (shift as usize / 32, shift as u32 % 32);
    let window = u128::from(limb(word)) | u128::from(limb(word + 1)) << 32 | u128::from(limb(word + 2)) << 64;
    let lost = limbs[..word].iter().any(|&l| l != 0) || limb(word) & ((1 << offset) - 1) != 0;
    let significand = (window >> offset) as u64 | u64::from(lost);
    significand as f64 * f64::from_bits(((shift + lowest + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::noise::Noise;

    /// The sums of these numbers, each added as a tile of one weight.
    fn accumulate(xs: &[f32]) -> Sums {
        let mut p = Sums::default();
        for &x in xs {
            p.add_tile(1, [x, x], 0, Counts::default(), x.to_bits());
        }
        p
    }

    #[test]
    fn every_power_of_two_comes_back() {
        for e in -149..=127 {
            let x = 2f64.powi(e) as f32;
            assert_eq!(to_f64(&accumulate(&[x]).l1, L1_LOWEST), 2f64.powi(e));
            assert_eq!(to_f64(&accumulate(&[x, x, x]).l2_squared, L2_LOWEST), 3.0 * 2f64.powi(e));
        }
    }

    #[test]
    fn a_scaled_sum_lands_at_its_exponent() {
        for e in -149..=127 {
            let mut p = Sums::default();
            p.add_tile(1, [1.5, 1.25], e, Counts::default(), 0);
            assert_eq!(to_f64(&p.l1, L1_LOWEST), if e == -149 { 1.0 } else { 1.5 } * 2f64.powi(e));
            let squares = if e == -149 { 1.0 } else { 1.25 } * 2f64.powi(2 * e);
            assert_eq!(to_f64(&p.l2_squared, L2_LOWEST), squares);
        }
    }

    #[test]
    fn many_terms_are_added_as_one_by_one() {
        let mut noise = Noise(1);
        // Up to and beyond what `f64` adds without rounding, and down to and below the accumulator's lowest bit.
        for (top, spread, len) in (-103..=130).step_by(3).flat_map(|top| {
            [0, 1, 20, 22, 23, 24, 25, 40]
                .into_iter()
                .flat_map(move |spread| [1, 2, 63, 64].map(|len| (top, spread, len)))
        }) {
            let (mut sums, mut exponents) = (vec![], vec![]);
            for i in 0..len {
                let word = (noise.next() >> 32) as u32;
                let below = [0, spread, word as i32 & 0xff][i.min(2)].min(spread);
                let significand = [0x7f_ffff, 1, word & 0x7f_ffff, 0][word as usize % 4];
                // Part of the exponent is in the float, which may be subnormal.
                let exponent = (word >> 8) as i32 % 150 - 75;
                let of_float = (top - below - exponent).clamp(-127, 127);
                let zero = word.is_multiple_of(16);
                sums.push(f32::from_bits(if zero { 0 } else { ((of_float + 127) as u32) << 23 | significand }));
                exponents.push(exponent);
            }
            let [mut found, mut want] = [(); 2].map(|()| Sums { terms: [u32::MAX; L1_LIMBS], ..Sums::default() });
            found.add_many_terms(&sums, &exponents);
            sums.iter().zip(&exponents).for_each(|(sum, exponent)| want.add_terms(*sum, *exponent));
            assert_eq!(found, want, "{len} from 2^{top} down by 2^{spread}: {sums:?} {exponents:?}");
        }
    }

    #[test]
    fn carries_ripple_through_every_limb() {
        let ones = Sums { l1: [u32::MAX; L1_LIMBS], ..Sums::default() };
        let mut p = Sums { l1: [u32::MAX, u32::MAX, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0], ..Sums::default() };
        p.add_tile(1, [f32::from_bits(1), 0.0], 0, Counts::default(), 0);
        assert_eq!(p.l1[..4], [0, 0, 8, 0]);
        let mut q = p.clone();
        q.merge(&ones);
        assert_eq!(q.l1[..4], [u32::MAX, u32::MAX, 7, 0]);
    }

    #[test]
    fn words_that_are_added_and_carried_are_merged_sums() {
        let xs = [f32::MAX, 1.0, f32::from_bits(1), 1e-20, f32::MAX, 0.1];
        for ranks in [1, 2, 3, 7, 64] {
            let of_ranks: Vec<Sums> = (0..ranks)
                .map(|rank| {
                    let mut sums = accumulate(&xs[rank % xs.len()..]);
                    // Limbs that carry through all others, wherever they are added.
                    sums.terms = [u32::MAX; L1_LIMBS];
                    (sums.nonzero, sums.nan, sums.inf) = (3, rank as u64, 1);
                    sums
                })
                .collect();
            let mut merged = Sums::default();
            of_ranks.iter().for_each(|sums| merged.merge(sums));
            let mut words = [0; WIDE];
            for sums in &of_ranks {
                words.iter_mut().zip(sums.widened()).for_each(|(sum, word)| *sum += word);
            }
            let largest = of_ranks.iter().map(|sums| sums.max_bits).fold(0, u32::max);
            assert_eq!(Sums::carried(&words, largest), merged, "{ranks} ranks");
        }
    }

    #[test]
    fn rounding_to_f64_is_to_nearest_even_with_a_sticky_bit() {
        let at = |lo: u32, mid: u32, hi: u32| {
            let mut l = [0; 6];
            (l[0], l[2], l[3]) = (lo, mid, hi);
            to_f64(&l, 0) / 2f64.powi(64)
        };
        // 2^53 + 1 in units of 2^64 is a tie, which goes to even. One more bit at the lowest position decides it.
        assert_eq!(at(0, 1, 1 << 21), 2f64.powi(53));
        assert_eq!(at(1, 1, 1 << 21), 2f64.powi(53) + 2.0);
        assert_eq!(at(0, 3, 1 << 21), 2f64.powi(53) + 4.0);
    }
}
