//! A group's reduction by ‖θ‖₂: how far the group is shrunk, or scaled down to a ball.
//!
//! Twin of `shaders/formula/group/norm.wgsl`.

use super::between::{Between, Limit, is_ordinary, units};
use super::{Found, Group, Search, with_group};
use crate::formula::Formula;
use crate::formula::rule::{Purpose, Rule};
use crate::numeric::arithmetic::{quotient, root};
use crate::numeric::bits::bounded;
use crate::numeric::fixed::{Bound, COARSE, exponent, nearest, significand, wide_factor, wide_float};
use crate::numeric::wgsl::Constant;

/// How often a factor is lowered, by twice as much each time, until the result is inside the ball.
pub(crate) const ATTEMPTS: u32 = 25;

/// The constants of the WGSL twin.
pub(crate) const CONSTANTS: &[Constant] = &[Constant::U32("ATTEMPTS", ATTEMPTS)];

pub(super) fn find<F: Formula>(group: &Group<'_>, search: &Search<'_>) -> Found {
    let &Search { rule, purpose, c, .. } = search;
    let sized = rule == Rule::Shrink { sized: true };
    let size = if sized { group.len() as u32 } else { 1 };
    let size_float = nearest(size.into());
    let (largest, sum) = sum(group, search.bound(), size);
    let Some(Sum { squared, inside, above, bound_nearest }) = sum else {
        let coefficients = if purpose == Purpose::Gradient { [0.0, limit(c[1], size_float)] } else { [1.0, 0.0] };
        return Found { coefficients, ..Found::default() };
    };
    let e = exponent(largest);
    match (purpose, rule) {
        (Purpose::Value, Rule::Scale) => Found { share: if inside { 0.0 } else { 1.0 }, ..Found::default() },
        (Purpose::Value, _) => {
            let share = root(squared) * root(size_float);
            Found { share, exponent: e - COARSE, ..Found::default() }
        }
        (Purpose::Gradient, _) => {
            // λ√n/‖θ‖. Both λ√n and the quotient can leave the range of `f32`.
            let relative = significand(c[1]) * root(quotient(size_float, squared));
            let factor = if c[1] == 0.0 { 0 } else { wide_factor(relative, exponent(c[1].to_bits()) + COARSE - e) };
            Found { coefficients: [wide_float(factor), limit(c[1], size_float)], ..Found::default() }
        }
        (Purpose::Prox, Rule::Scale) => {
            let coefficients = if inside { [1.0, 0.0] } else { scale::<F>(group, search, (largest, squared)) };
            Found { coefficients, ..Found::default() }
        }
        (Purpose::Prox, _) => {
            // 1 − t/‖v‖, computed as (‖v‖² − t²)/(‖v‖² + t‖v‖), which loses no precision if both norms are close.
            let divisor = squared + root(squared) * root(bound_nearest);
            let factor = if inside { 0.0 } else { quotient(above, divisor) };
            Found { coefficients: [factor, 0.0], ..Found::default() }
        }
    }
}

/// ‖v‖² beside the bound's square.
#[derive(Debug, PartialEq)]
struct Sum {
    squared: f32,
    inside: bool,
    /// The difference, if it is not inside.
    above: f32,
    bound_nearest: f32,
}

/// The bits of the largest magnitude, and the sum unless that is 0.
fn sum(group: &Group<'_>, bound: Bound, size: u32) -> (u32, Option<Sum>) {
    if group.is_large() {
        let (largest, squares) = group.squares();
        return (largest, (largest > 0).then(|| exact(squares, largest, bound, size)));
    }
    let largest = group.largest();
    let sum = || near(group, largest, bound, size).unwrap_or_else(|| exact(group.squares().1, largest, bound, size));
    (largest, (largest > 0).then(sum))
}

/// From the sum of squares in the coarse unit.
fn exact(squares: u128, largest: u32, bound: Bound, size: u32) -> Sum {
    let bound = bound.in_units(size, 2 * (COARSE - exponent(largest)));
    let above = nearest(squares.saturating_sub(bound));
    Sum { squared: nearest(squares), inside: squares <= bound, above, bound_nearest: nearest(bound) }
}

/// The same by floats, if they leave nothing open. If the sum is inside, only that and the square are right.
fn near(group: &Group<'_>, largest: u32, bound: Bound, size: u32) -> Option<Sum> {
    if !is_ordinary(largest) {
        return None;
    }
    let sum = Between::near(group.sum_near(units(largest)));
    let bound = Limit::of(bound, size).in_units(2 * (COARSE - exponent(largest)));
    let inside = sum.is_at_most(bound);
    let [squared, above, bound_nearest] = [sum, sum.minus(bound), bound].map(Between::nearest);
    let known = inside || sum.is_above(bound) && above.known && bound_nearest.known;
    (known && squared.known).then_some(Sum {
        squared: squared.float,
        inside,
        above: above.float,
        bound_nearest: bound_nearest.float,
    })
}

/// λ√n, the limit of the gradient as one weight grows.
pub(super) fn limit(lambda: f32, size: f32) -> f32 {
    bounded(lambda * root(size))
}

/// r/‖v‖ as a wide factor, and whether products are rounded toward 0, for v outside. Until the result is
/// certainly inside the ball, we first round toward 0 the products of weights that lose bits, then lower the factor.
fn scale<F: Formula>(group: &Group<'_>, search: &Search<'_>, (largest, squared): (u32, f32)) -> [f32; 2] {
    let (c, bound) = (search.c, search.bound());
    let e = exponent(largest);
    if c[0] == 0.0 {
        return [0.0; 2];
    }
    let relative = quotient(significand(c[0]), root(squared));
    let mut factor = wide_factor(relative, exponent(c[0].to_bits()) + COARSE - e);
    let loses = c[1] != 0.0;
    for attempt in 0..ATTEMPTS {
        let coefficients = [wide_float(factor), if loses && attempt > 0 { 1.0 } else { 0.0 }];
        let c = with_group(c, coefficients);
        let largest = group.stored::<F>(largest, &c);
        if largest == 0 {
            return [0.0; 2];
        }
        let e = exponent(largest);
        let sum = group.sum_stored_squares::<F>(&c, e);
        if sum <= bound.in_units(1, 2 * (COARSE - e)) {
            return coefficients;
        }
        if loses && attempt == 0 {
            continue;
        }
        factor = factor.saturating_sub(1 << attempt);
    }
    [0.0; 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::group::Members;
    use crate::numeric::element::Dtype;
    use crate::numeric::noise::Noise;
    use crate::numeric::simd::InstructionSet;

    #[test]
    fn floats_lead_to_what_the_exact_sum_leads_to() {
        let mut noise = Noise(5);
        let (mut known, mut all) = (0, 0);
        for len in [1, 2, 15, 16, 17, 1000, 1024, 5000] {
            for e in [-118, -91, -90, -60, -1, 0, 30, 126] {
                for narrow in [true, false] {
                    let mut weight = || {
                        let state = noise.next();
                        let below = (state >> 40) as i32 % if narrow { 1 } else { 50 };
                        ((127 + e - below).max(7) as u32) << 23 | (state >> 32) as u32 & 0x807f_ffff
                    };
                    let bits: Vec<u32> = (0..len).map(|_| weight()).collect();
                    let norm = bits.iter().map(|b| f64::from(f32::from_bits(*b)).powi(2)).sum::<f64>().sqrt();
                    for times in [0.0, 1e-30, 1e-9, 0.3, 1.0 - 1e-7, 1.0, 1.0 + 1e-7, 3.0, 1e30] {
                        for set in InstructionSet::available() {
                            let group = Group { members: Members::Gathered(&bits), dtype: Dtype::F32, set };
                            let (largest, bound) = (group.largest(), Bound::square_of(norm * times));
                            let want = exact(group.squares().1, largest, bound, 1);
                            all += 1;
                            if let Some(found) = near(&group, largest, bound, 1) {
                                known += 1;
                                let same = (found.squared, found.inside) == (want.squared, want.inside);
                                assert!(same && (found.inside || found == want), "{found:?} {len} 2^{e} {times}");
                            }
                        }
                    }
                }
            }
        }
        assert!(known > all / 2, "{known} of {all}");
    }
}
