//! Projections in exact integers, at any scale.

use num_bigint::{BigInt, Sign};

/// Every number here is an integer in units of 2^-PLACES.
const PLACES: i32 = 300;

/// The components of a projection. Each is a numerator over the one denominator, in units of 2^-PLACES.
pub(crate) struct Projection {
    numerators: Vec<BigInt>,
    denominator: BigInt,
}

impl Projection {
    /// The first component that is too far from the exact one: further than `of_radius` billionths of the radius plus
    /// `of_itself` billionths of itself.
    pub(crate) fn first_off(&self, found: &[f64], radius: f64, [of_radius, of_itself]: [u32; 2]) -> Option<usize> {
        let bound = |x: f64| integer(radius) * of_radius + magnitude(&integer(x)) * of_itself;
        let off = |numerator: &BigInt, x: f64| magnitude(&(integer(x) * &self.denominator - numerator)) * 1_000_000_000;
        let mut each = self.numerators.iter().zip(found);
        each.position(|(numerator, &x)| off(numerator, x) > bound(x) * &self.denominator)
    }
}

/// A finite number as an integer. It must be a multiple of the unit.
fn integer(x: f64) -> BigInt {
    let exponent = (x.to_bits() >> 52 & 0x7ff) as i32;
    let fraction = x.to_bits() & ((1 << 52) - 1);
    let (significand, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    let shift = exponent + PLACES;
    let places = significand.trailing_zeros() as i32;
    assert!(x == 0.0 || (x.is_finite() && shift + places >= 0), "{x:e} is no multiple of 2^-{PLACES}");
    let magnitude = BigInt::from(significand);
    let scaled = if shift < 0 { magnitude >> -shift } else { magnitude << shift };
    if x < 0.0 { -scaled } else { scaled }
}

fn magnitude(x: &BigInt) -> BigInt {
    BigInt::from_biguint(Sign::Plus, x.magnitude().clone())
}

/// max(v − τ, 0), where τ makes the sum r. The k largest weights are above τ; k is the largest possible.
fn above_threshold(v: &[BigInt], r: &BigInt) -> Projection {
    let mut sorted: Vec<&BigInt> = v.iter().collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let (mut kept, mut excess, mut sum) = (1u64, sorted[0] - r, BigInt::ZERO);
    for (k, u) in (1u64..).zip(sorted) {
        sum += u;
        if u * k > &sum - r {
            (kept, excess) = (k, &sum - r);
        }
    }
    let numerators = v.iter().map(|v| (v * kept - &excess).max(BigInt::ZERO)).collect();
    Projection { numerators, denominator: kept.into() }
}

/// The projection onto θ ≥ 0 with Σθ = r.
pub(crate) fn simplex(v: &[f64], r: f64) -> Projection {
    let v: Vec<BigInt> = v.iter().map(|&v| integer(v)).collect();
    above_threshold(&v, &integer(r))
}

/// The projection onto Σ|θ| ≤ r.
pub(crate) fn l1_ball(v: &[f64], r: f64) -> Projection {
    let v: Vec<BigInt> = v.iter().map(|&v| integer(v)).collect();
    let magnitudes: Vec<BigInt> = v.iter().map(magnitude).collect();
    if magnitudes.iter().sum::<BigInt>() <= integer(r) {
        return Projection { numerators: v, denominator: 1.into() };
    }
    let mut projection = above_threshold(&magnitudes, &integer(r));
    for (x, v) in projection.numerators.iter_mut().zip(&v) {
        if v.sign() == Sign::Minus {
            *x = -&*x;
        }
    }
    projection
}

/// The projection onto ‖θ‖₂ ≤ r. The norm is a root, so it has 64 binary places below the unit.
pub(crate) fn l2_ball(v: &[f64], r: f64) -> Projection {
    let v: Vec<BigInt> = v.iter().map(|&v| integer(v)).collect();
    let (squares, r) = (v.iter().map(|v| v * v).sum::<BigInt>(), integer(r));
    if squares <= &r * &r {
        return Projection { numerators: v, denominator: 1.into() };
    }
    Projection { numerators: v.iter().map(|v| (v * &r) << 64u32).collect(), denominator: (squares << 128u32).sqrt() }
}
