//! An exact sum of `f64`s or of their squares: an integer of many words, in units of a power of two (Kulisch's accumulator).

/// Adding 2^64 of the largest numbers does not overflow it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wide<const WORDS: usize>([u64; WORDS]);

/// For Σ|θ|: from 2^-1074, the smallest `f64`, to 2^1024, and 64 bits more.
pub(super) type OfMagnitudes = Wide<34>;
/// The exponent of its lowest bit.
pub(super) const LOWEST: i32 = -1074;
/// For Σθ²: the same for squares.
pub(super) type OfSquares = Wide<68>;
pub(super) const LOWEST_SQUARE: i32 = 2 * LOWEST;

impl<const WORDS: usize> Default for Wide<WORDS> {
    fn default() -> Wide<WORDS> {
        Wide([0; WORDS])
    }
}

impl<const WORDS: usize> Wide<WORDS> {
    /// Adds x·2^`place`, for x below 2^107.
    #[inline]
    pub(super) fn add(&mut self, x: u128, place: u32) {
        let shift = place % 64;
        let mut rest = u128::from(x as u64) << shift;
        let mut above = x >> 64 << shift;
        let words = self.0.get_mut(place as usize / 64..).unwrap_or_default();
        for word in words {
            if rest | above == 0 {
                break;
            }
            let sum = u128::from(*word) + u128::from(rest as u64);
            *word = sum as u64;
            rest = (rest >> 64) + (sum >> 64) + above;
            above = 0;
        }
    }

    pub(super) fn merge(&mut self, other: &Wide<WORDS>) {
        for (i, word) in (0..).zip(other.0) {
            self.add(word.into(), 64 * i);
        }
    }

    /// The integer in units of 2^`lowest`, rounded once, to the nearest, ties to even.
    pub(super) fn nearest(&self, lowest: i32) -> f64 {
        let Some(top) = self.0.iter().rposition(|word| *word != 0) else { return 0.0 };
        let highest = 64 * top as i32 + 63 - self.0[top].leading_zeros() as i32;
        // The place of the result's last bit: that of 53 bits, or of the smallest number.
        let last = (highest - 52).max(LOWEST - lowest).max(0) as usize;
        let word = |i: usize| self.0.get(i).copied().unwrap_or(0);
        let (at, shift) = (last / 64, last as u32 % 64);
        let kept = ((u128::from(word(at + 1)) << 64 | u128::from(word(at))) >> shift) as u64;
        let half = last > 0 && word((last - 1) / 64) >> ((last - 1) % 64) & 1 == 1;
        let is_set = |bit: usize| {
            let below = word(bit / 64) & ((1 << (bit % 64)) - 1);
            below != 0 || self.0[..(bit / 64).min(WORDS)].iter().any(|word| *word != 0)
        };
        let up = half && (kept & 1 == 1 || is_set(last - 1));
        let exponent = last as i32 + lowest;
        let unit = match exponent {
            972.. => return f64::INFINITY,
            -1022.. => f64::from_bits(((exponent + 1023) as u64) << 52),
            _ => f64::from_bits(1 << (exponent - LOWEST)),
        };
        // Both factors and the product are exact, or the product is too large.
        (kept + u64::from(up)) as f64 * unit
    }
}

/// The integer and the place of a finite number's magnitude, in units of the smallest number.
#[inline]
pub(super) fn parts(x: f64) -> (u64, u32) {
    let bits = x.to_bits() & !(1 << 63);
    let (exponent, fraction) = ((bits >> 52) as u32, bits & ((1 << 52) - 1));
    if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(numbers: &[f64]) -> f64 {
        let mut wide = OfMagnitudes::default();
        for x in numbers {
            let (integer, place) = parts(*x);
            wide.add(integer.into(), place);
        }
        wide.nearest(LOWEST)
    }

    fn squares(numbers: &[f64]) -> f64 {
        let mut wide = OfSquares::default();
        for x in numbers {
            let (integer, place) = parts(*x);
            wide.add(u128::from(integer) * u128::from(integer), 2 * place);
        }
        wide.nearest(LOWEST_SQUARE)
    }

    #[test]
    fn one_number_is_itself() {
        for x in [0.0, 5e-324, 1e-310, f64::MIN_POSITIVE, 0.1, 1.0, 1e300, f64::MAX] {
            assert_eq!([sum(&[x]), sum(&[-x])], [x, x]);
        }
    }

    #[test]
    fn squares_are_rounded_once() {
        // What a multiplication rounds correctly, also where the square is subnormal or too large.
        for x in [0.1, 1e-5, 3.3e-162, 1.1e-161, 2e-155, 1.5e-154, 7e153, 1.3e154, 1.4e154, 1e-170, 5e-324, f64::MAX] {
            assert_eq!(squares(&[x]), x * x, "{x:e}");
        }
    }

    #[test]
    fn ties_go_to_even_and_what_is_below_decides() {
        let tie = f64::EPSILON / 2.0;
        assert_eq!(sum(&[1.0, tie]), 1.0);
        assert_eq!(sum(&[1.0 + f64::EPSILON, tie]), 1.0 + 2.0 * f64::EPSILON);
        assert_eq!(sum(&[1.0, tie, 5e-324]), 1.0 + f64::EPSILON);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[f64::MAX, 2f64.powi(969)]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, 2f64.powi(970)]), f64::INFINITY);
        // 2^1000 ones in the last place carry through all words.
        assert_eq!(sum(&[2f64.powi(1000), 2f64.powi(1000)]), 2f64.powi(1001));
    }

    #[test]
    fn merged_sums_are_sums() {
        let numbers = [1e300, 1e-300, 0.1, 0.2, 0.3, 5e-324];
        let mut halves = [OfMagnitudes::default(); 2];
        for (i, x) in numbers.iter().enumerate() {
            let (integer, place) = parts(*x);
            halves[i % 2].add(integer.into(), place);
        }
        let [mut a, b] = halves;
        a.merge(&b);
        assert_eq!(a.nearest(LOWEST), sum(&numbers));
    }
}
