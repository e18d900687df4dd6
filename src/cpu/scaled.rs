//! Sums of squares of `f64`, whose squares can be too large or too small for `f64`.

/// From here on, and below the inverse, a number is scaled before it is squared.
const LARGE: f64 = f64::from_bits((1023 + 480) << 52);
/// The power of two that they are scaled by.
const SCALE: u64 = 600;
const UP: f64 = f64::from_bits((1023 + SCALE) << 52);
const DOWN: f64 = f64::from_bits((1023 - SCALE) << 52);

/// A sum of squares, scaled by a power of two. What is not scaled is added as `sum + x * x`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scaled {
    sum: f64,
    range: Range,
}

/// How the largest number so far is scaled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Range {
    /// Up. A sum without numbers is here.
    #[default]
    Small,
    /// Not at all.
    Middle,
    /// Down.
    Large,
}

impl Range {
    fn of(x: f64) -> Range {
        match x.abs() {
            x if x >= LARGE => Range::Large,
            x if x < LARGE.recip() => Range::Small,
            _ => Range::Middle,
        }
    }

    fn scale(self) -> f64 {
        match self {
            Range::Small => UP,
            Range::Middle => 1.0,
            Range::Large => DOWN,
        }
    }
}

impl Scaled {
    /// The sum with the square of one more number.
    pub(super) fn plus(self, x: &f64) -> Scaled {
        let Scaled { sum, range } = self.at_least(Range::of(*x));
        let x = x * range.scale();
        Scaled { sum: sum + x * x, range }
    }

    /// The sum of both.
    pub(super) fn and(self, other: Scaled) -> Scaled {
        let range = self.range.max(other.range);
        let [a, b] = [self, other].map(|of| of.at_least(range).sum);
        Scaled { sum: a + b, range }
    }

    /// The same sum in this range, or in its own if that is larger.
    fn at_least(self, range: Range) -> Scaled {
        let mut of = self;
        while of.range < range {
            // In two steps, as the square of the scale is no f64. What vanishes is too small to count.
            of.sum = of.sum * DOWN * DOWN;
            of.range = if of.range == Range::Small { Range::Middle } else { Range::Large };
        }
        of
    }

    /// A number that orders the sums by their means. All zeros are the same, as are all infinite ones; all NaN are the same
    /// and above.
    pub(super) fn mean_key(self, numbers: u64) -> i128 {
        let mean = self.sum / numbers as f64;
        // A positive f64 times a power of two has that power added to its exponent, from bit 52 on.
        let scaled = |powers: i128| i128::from(mean.to_bits()) + (powers << 52);
        let squared = 2 * i128::from(SCALE);
        match self.range {
            _ if mean.is_nan() => i128::MAX,
            _ if mean == f64::INFINITY => i128::MAX - 1,
            _ if mean == 0.0 => i128::MIN,
            Range::Small => scaled(-squared),
            Range::Middle => scaled(0),
            Range::Large => scaled(squared),
        }
    }
}

impl From<f64> for Scaled {
    /// A sum that was not scaled.
    fn from(sum: f64) -> Scaled {
        let range = if sum == 0.0 { Range::Small } else { Range::Middle };
        Scaled { sum, range }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(numbers: &[f64]) -> Scaled {
        numbers.iter().fold(Scaled::default(), Scaled::plus)
    }

    #[test]
    fn means_are_ordered_where_squares_are_no_f64() {
        let ascending: [&[f64]; 16] = [
            &[f64::from_bits(1), 0.0],
            &[f64::from_bits(1)],
            &[1e-200],
            &[1e-200, 2e-200],
            &[2e-200],
            // Among 16 numbers, one that is not scaled has a mean square between those of two numbers that are.
            &[LARGE.recip() * 0.24],
            &[LARGE.recip(), 0.0, 1e-300, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            &[LARGE.recip() * 0.26],
            &[1.0],
            &[1.0, 1e-200, 2.0],
            &[LARGE * 0.99],
            &[LARGE, LARGE * 0.995],
            &[1e200, 1.0],
            &[1e200],
            &[f64::MAX, f64::MAX],
            &[f64::INFINITY, 1.0],
        ];
        let key = |numbers: &&[f64]| sum(numbers).mean_key(numbers.len() as u64);
        let keys: Vec<i128> = ascending.iter().map(key).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        for numbers in ascending {
            let turned: Vec<f64> = numbers.iter().rev().map(|x| -x).collect();
            assert_eq!(key(&numbers), key(&turned.as_slice()), "{numbers:?}");
            let mut nan = numbers.to_vec();
            nan.push(f64::NAN);
            assert_eq!(key(&nan.as_slice()), i128::MAX);
            nan.reverse();
            assert_eq!(key(&nan.as_slice()), i128::MAX);
        }
        assert!(key(&&[0.0, -0.0][..]) == i128::MIN && Scaled::from(0.0).mean_key(1) == i128::MIN);
    }

    #[test]
    fn ordinary_numbers_have_the_sum_of_their_squares() {
        let numbers: Vec<f64> = (0..1000).map(|i| (f64::from(i) * 0.7 - 350.0).powi(5)).collect();
        let plain = numbers.iter().fold(0.0, |sum, x| sum + x * x);
        let key = Scaled::from(plain).mean_key(1000);
        assert_eq!(sum(&numbers).mean_key(1000), key);
        assert_eq!(key, i128::from((plain / 1000.0).to_bits()));
        // One of another tensor's is added as it is.
        assert_eq!(Scaled::from(plain).and(sum(&[])).mean_key(1000), key);
        assert_eq!(Scaled::from(9.0).and(sum(&[4.0])).mean_key(1), i128::from(25f64.to_bits()));
    }
}
