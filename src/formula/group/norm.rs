//! A group's reduction by ‖θ‖₂: how far the group is shrunk, or scaled down to a ball.
//!
//! Twin of `shaders/formula/group/norm.wgsl`.

use super::{Found, Group, Search, with_group};
use crate::formula::Formula;
use crate::formula::rule::{Purpose, Rule};
use crate::numeric::arithmetic::{quotient, root};
use crate::numeric::bits::bounded;
use crate::numeric::fixed::{COARSE, exponent, nearest, significand, wide_factor, wide_float};
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
    let (largest, sum) = group.squares();
    if largest == 0 {
        let coefficients = if purpose == Purpose::Gradient { [0.0, limit(c[1], size_float)] } else { [1.0, 0.0] };
        return Found { coefficients, ..Found::default() };
    }
    let e = exponent(largest);
    let squared = nearest(sum);
    match (purpose, rule) {
        (Purpose::Value, Rule::Scale) => {
            let inside = sum <= search.bound().in_units(1, 2 * (COARSE - e));
            Found { share: if inside { 0.0 } else { 1.0 }, ..Found::default() }
        }
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
            Found { coefficients: scale::<F>(group, search, (largest, sum)), ..Found::default() }
        }
        (Purpose::Prox, _) => {
            let bound = search.bound().in_units(size, 2 * (COARSE - e));
            // 1 − t/‖v‖, computed as (‖v‖² − t²)/(‖v‖² + t‖v‖), which loses no precision if both norms are close.
            let factor = if sum <= bound {
                0.0
            } else {
                quotient(nearest(sum - bound), squared + root(squared) * root(nearest(bound)))
            };
            Found { coefficients: [factor, 0.0], ..Found::default() }
        }
    }
}

/// λ√n, the limit of the gradient as one weight grows.
pub(super) fn limit(lambda: f32, size: f32) -> f32 {
    bounded(lambda * root(size))
}

/// r/‖v‖ as a wide factor, and whether products are rounded toward 0; a factor of 1 if v is inside. Until the result is
/// certainly inside the ball, we first round toward 0 the products of weights that lose bits, then lower the factor.
fn scale<F: Formula>(group: &Group<'_>, search: &Search<'_>, (largest, sum): (u32, u128)) -> [f32; 2] {
    let (c, bound) = (search.c, search.bound());
    let e = exponent(largest);
    if sum <= bound.in_units(1, 2 * (COARSE - e)) {
        return [1.0, 0.0];
    }
    if c[0] == 0.0 {
        return [0.0; 2];
    }
    let relative = quotient(significand(c[0]), root(nearest(sum)));
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
