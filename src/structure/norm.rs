//! ‖θ‖₂ of a group: how far it is shrunk, or scaled down to a ball.
//!
//! Twin of `shaders/structure/norm.wgsl`.

use super::{Found, Group, Purpose, Rule, with_own};
use crate::arithmetic::{quotient, root};
use crate::elementwise::flush;
use crate::fixed::{Amount, COARSE, coarse, exponent, nearest, scaled};
use crate::formula::{Formula, Numbers};

/// How often a factor is lowered, by twice as much each time, until the result is inside the ball.
const ATTEMPTS: u32 = 25;

/// Those of the largest weight and of squares, then one for each certificate.
pub(super) fn sums(rule: Rule, purpose: Purpose) -> [u32; 2] {
    match (rule, purpose) {
        (Rule::Scale, Purpose::Prox) => [2 + 2, 2 + ATTEMPTS],
        _ => [2, 2],
    }
}

pub(super) fn find<F: Formula>(group: &Group<'_>, rule: Rule, purpose: Purpose, c: &Numbers, value: [u32; 3]) -> Found {
    let sized = rule == Rule::Shrink { sized: true };
    let size = if sized { group.len() as u32 } else { 1 };
    let weight = root(nearest(size.into()));
    // What the gradient tends to as one weight grows.
    let slope = flush(c[1] * weight);
    let largest = group.largest();
    if largest == 0 {
        let numbers = if purpose == Purpose::Gradient { [0.0, slope] } else { [1.0, 0.0] };
        return Found { numbers, ..Found::default() };
    }
    let e = exponent(largest);
    let sum = group.sum_squares(
        #[inline(always)]
        |b| coarse(b, e),
    );
    let norm = root(nearest(sum));
    match (purpose, rule) {
        (Purpose::Value, Rule::Scale) => {
            let inside = sum <= Amount::from_words(value).in_units(1, 2 * (COARSE - e));
            Found { share: if inside { 0.0 } else { 1.0 }, ..Found::default() }
        }
        (Purpose::Value, _) => Found { share: norm * weight, exponent: e - COARSE, ..Found::default() },
        (Purpose::Gradient, _) => {
            Found { numbers: [quotient(scaled(slope, COARSE - e), norm), slope], ..Found::default() }
        }
        (Purpose::Prox, Rule::Scale) => {
            Found { numbers: [scale::<F>(group, c, (largest, sum, norm)), 0.0], ..Found::default() }
        }
        (Purpose::Prox, _) => {
            let amount = Amount::from_words([c[2], c[3], c[4]].map(f32::to_bits)).in_units(size, 2 * (COARSE - e));
            // 1 − t/‖v‖ as (‖v‖² − t²)/(‖v‖² + t‖v‖), which loses nothing where both are near each other.
            let factor = if sum <= amount {
                0.0
            } else {
                quotient(nearest(sum - amount), nearest(sum) + norm * root(nearest(amount)))
            };
            Found { numbers: [factor, 0.0], ..Found::default() }
        }
    }
}

/// r/‖v‖, lowered until the result is certainly inside the ball; 1 where v is.
fn scale<F: Formula>(group: &Group<'_>, c: &Numbers, (largest, sum, norm): (u32, u128, f32)) -> f32 {
    let amount = Amount::from_words([c[2], c[3], c[4]].map(f32::to_bits));
    let e = exponent(largest);
    if sum <= amount.in_units(1, 2 * (COARSE - e)) {
        return 1.0;
    }
    let mut factor = quotient(scaled(c[0], COARSE - e), norm);
    for attempt in 0..ATTEMPTS {
        let c = with_own(c, [factor, 0.0]);
        let largest = group.stored::<F>(largest, &c);
        if largest == 0 {
            return 0.0;
        }
        let e = exponent(largest);
        let sum = group.sum_stored_squares::<F>(
            &c,
            #[inline(always)]
            |b| coarse(b, e),
        );
        if sum <= amount.in_units(1, 2 * (COARSE - e)) {
            return factor;
        }
        factor = f32::from_bits(factor.to_bits().saturating_sub(1 << attempt));
    }
    0.0
}
