//! A group's reduction by ‖θ‖₂: how far the group is shrunk, or scaled down to a ball.
//!
//! Twin of `shaders/formula/group/norm.wgsl`.

use rayon::prelude::*;

use super::between::{Between, Limit, is_ordinary};
use super::rows::{WIDTH, each};
use super::squares::same;
use super::{Found, Group, Members, PARALLEL, Search, with_group};
use crate::formula::pointwise::finite_prox;
use crate::formula::rule::{Purpose, Rule};
use crate::formula::{Coefficients, Formula};
use crate::numeric::arithmetic::{quotient, root};
use crate::numeric::bits::{INFINITY, MAGNITUDE, bounded};
use crate::numeric::element::Dtype;
use crate::numeric::fixed::{Bound, COARSE, exponent, nearest, significand, wide_factor, wide_float};
use crate::numeric::wgsl::Constant;

/// How often a factor is lowered, by twice as much each time, until the result is inside the ball.
pub(crate) const ATTEMPTS: u32 = 25;

/// The constants of the WGSL twin.
pub(crate) const CONSTANTS: &[Constant] = &[Constant::U32("ATTEMPTS", ATTEMPTS)];

/// The result, from an exact sum.
pub(super) fn find<F: Formula>(group: &Group<'_>, search: &Search<'_>) -> Found {
    let (largest, squares) = group.squares();
    let sum = || exact(squares, largest, search.bound(), size(group, search));
    result::<F>(group, search, largest, (largest > 0).then(sum))
}

/// The same from a sum in floats, if that leaves nothing open. The weights may be anything.
pub(super) fn by_floats<F: Formula>(group: &Group<'_>, search: &Search<'_>) -> Option<Found> {
    let (largest, squares) = match group.members {
        Members::Gathered(bits) if !group.is_large() => group.set.run(
            #[inline(always)]
            || squares(bits, same),
        ),
        _ => {
            let of_chunk = |chunk| {
                group.chunk_until(
                    chunk,
                    #[inline(always)]
                    |bits| {
                        let found = squares(bits, same);
                        (found, found.0 < INFINITY)
                    },
                )
            };
            let parts: Vec<(u32, f64)> = group.chunk_numbers().map(of_chunk).collect();
            (parts.iter().fold(0, |max, part| max.max(part.0)), parts.iter().map(|part| part.1).sum())
        }
    };
    let sum = match largest {
        0 => None,
        INFINITY.. => return None,
        _ => Some(near(squares, largest, group.len(), search.bound(), size(group, search))?),
    };
    Some(result::<F>(group, search, largest, sum))
}

/// How many weights the bound counts for.
fn size(group: &Group<'_>, search: &Search<'_>) -> u32 {
    if search.rule == (Rule::Shrink { sized: true }) { group.whole_len() as u32 } else { 1 }
}

/// The result, from the bits of the largest magnitude, and the sum unless that is 0.
fn result<F: Formula>(group: &Group<'_>, search: &Search<'_>, largest: u32, sum: Option<Sum>) -> Found {
    let &Search { rule, purpose, c, .. } = search;
    let size_float = nearest(size(group, search).into());
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

/// From the sum of squares in the coarse unit.
fn exact(squares: u128, largest: u32, bound: Bound, size: u32) -> Sum {
    let bound = bound.in_units(size, 2 * (COARSE - exponent(largest)));
    let above = nearest(squares.saturating_sub(bound));
    Sum { squared: nearest(squares), inside: squares <= bound, above, bound_nearest: nearest(bound) }
}

/// The same from a sum of so many squares in floats, if it leaves nothing open. If the sum is inside, only that and the
/// square are right.
fn near(squares: f64, largest: u32, len: usize, bound: Bound, size: u32) -> Option<Sum> {
    if !is_ordinary(largest) {
        return None;
    }
    let sum = Between::of_squares(squares, largest, len);
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

/// The bits of the largest magnitude, and Σf(b)². Squares of `f32`s are exact in `f64`.
#[inline(always)]
fn squares(bits: &[u32], f: impl Fn(u32) -> u32) -> (u32, f64) {
    let (mut largest, mut sums) = ([0; WIDTH], [0.0; WIDTH]);
    each(
        bits,
        #[inline(always)]
        |row, _| {
            // In one loop, LLVM makes vectors as short as those of `f64`.
            let mut xs = [0.0; WIDTH];
            for i in 0..WIDTH {
                let b = f(row[i]);
                largest[i] = largest[i].max(b & MAGNITUDE);
                xs[i] = f32::from_bits(b);
            }
            for (sum, x) in sums.iter_mut().zip(xs) {
                *sum += f64::from(x) * f64::from(x);
            }
        },
    );
    (largest.into_iter().fold(0, u32::max), sums.iter().sum())
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
        if is_inside::<F>(group, &c, largest, bound) {
            return coefficients;
        }
        if loses && attempt == 0 {
            continue;
        }
        factor = factor.saturating_sub(1 << attempt);
    }
    [0.0; 2]
}

/// Whether the weights after the prox, the largest of which is given, are inside the ball.
fn is_inside<F: Formula>(group: &Group<'_>, c: &Coefficients, largest: u32, bound: Bound) -> bool {
    let places = 2 * (COARSE - exponent(largest));
    if let (Members::Gathered(bits), Dtype::F32) = (group.members, group.dtype)
        && is_ordinary(largest)
        && bits.len() < PARALLEL
    {
        let squares = group.set.run(
            #[inline(always)]
            || {
                squares(
                    bits,
                    #[inline(always)]
                    |b| finite_prox::<F>(b, c),
                )
                .1
            },
        );
        let (sum, bound) = (Between::of_squares(squares, largest, bits.len()), Limit::of(bound, 1).in_units(places));
        if sum.is_at_most(bound) || sum.is_above(bound) {
            return sum.is_at_most(bound);
        }
    }
    group.sum_stored_squares::<F>(c, exponent(largest)) <= bound.in_units(1, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::noise::Noise;
    use crate::numeric::simd::InstructionSet;

    #[test]
    fn floats_lead_to_what_the_exact_sum_leads_to() {
        let mut noise = Noise(5);
        let (mut known, mut all) = (0, 0);
        for len in [1, 2, 15, 16, 17, 1000, 1024, 5000, (1 << 16) + 5] {
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
                            if let Some(found) = near(squares(&bits, same).1, largest, len, bound, 1) {
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
