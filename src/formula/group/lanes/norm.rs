//! The reduction of each lane's group by ‖θ‖₂. `src/formula/group/norm.rs` explains it.
//!
//! Where a sum in `f64` leaves a result open, the group is unknown.

use super::super::between::{Between, Limit, is_ordinary};
use super::super::norm::{ATTEMPTS, limit};
use super::super::{Search, with_group};
use super::{AT_ONCE, Lane, Lanes, Results, any};
use crate::formula::Formula;
use crate::formula::rule::{Purpose, Rule};
use crate::numeric::arithmetic::{quotient, root};
use crate::numeric::fixed::{COARSE, exponent, significand, wide_factor, wide_float};

#[inline(always)]
pub(super) fn find<F: Formula, const W: usize>(group: Lanes<'_, W>, search: &Search<'_>, found: Results<'_, W>) {
    let &Search { rule, purpose, c, .. } = search;
    let size = if rule == (Rule::Shrink { sized: true }) { group.size() as u32 } else { 1 };
    let size_float = size as f32;
    let largest = group.largest();
    let mut sums = [0.0; W];
    sum_squares(
        group,
        &mut sums,
        #[inline(always)]
        |_, b| f32::from_bits(b),
    );
    let len = group.size();
    let limits = Limit::of(search.bound(), size);
    match (purpose, rule) {
        (Purpose::Value | Purpose::Prox, Rule::Scale) => {
            let mut outside = [false; W];
            for l in 0..W {
                let sum = Between::of_squares(sums[l], largest[l], len);
                let bound = limits.in_units(2 * (COARSE - exponent(largest[l])));
                outside[l] = sum.is_above(bound) & (largest[l] != 0);
                found.unknown[l] = !(outside[l] | sum.is_at_most(bound) & is_ordinary(largest[l]) | (largest[l] == 0));
                (found.share[l], found.exponent[l]) = (if outside[l] { 1.0 } else { 0.0 }, 0);
            }
            if purpose == Purpose::Prox {
                scale::<F, W>(group, search, (&largest, &mut sums), &outside, found);
            }
        }
        (Purpose::Value, _) => {
            for l in 0..W {
                let squared = Between::of_squares(sums[l], largest[l], len).nearest();
                // The least sum of a group of zeros is negative.
                found.share[l] = if largest[l] == 0 { 0.0 } else { root(squared.float) * root(size_float) };
                found.exponent[l] = exponent(largest[l]) - COARSE;
                found.unknown[l] = !(squared.known & is_ordinary(largest[l]) | (largest[l] == 0));
            }
        }
        (Purpose::Gradient, _) => {
            let (lambda, places) = (significand(c[1]), exponent(c[1].to_bits()) + COARSE);
            *found.coefficients[1] = [limit(c[1], size_float); W];
            for l in 0..W {
                let squared = Between::of_squares(sums[l], largest[l], len).nearest();
                let relative = lambda * root(quotient(size_float, squared.float));
                let factor = wide_float(wide_factor(relative, places - exponent(largest[l])));
                found.coefficients[0][l] = if (c[1] == 0.0) | (largest[l] == 0) { 0.0 } else { factor };
                found.unknown[l] = !(squared.known & is_ordinary(largest[l]) | (largest[l] == 0));
            }
        }
        (Purpose::Prox, _) => {
            *found.coefficients[1] = [0.0; W];
            for l in 0..W {
                let sum = Between::of_squares(sums[l], largest[l], len);
                let bound = limits.in_units(2 * (COARSE - exponent(largest[l])));
                let (inside, outside) = (sum.is_at_most(bound), sum.is_above(bound));
                let [above, squared, bound] = [sum.minus(bound), sum, bound].map(Between::nearest);
                let divisor = squared.float + root(squared.float) * root(bound.float);
                let factor = quotient(above.float, divisor);
                // A group of zeros keeps its weights.
                let kept = if largest[l] == 0 { 1.0 } else { factor };
                found.coefficients[0][l] = if inside & (largest[l] != 0) { 0.0 } else { kept };
                let known = inside | outside & above.known & squared.known & bound.known;
                found.unknown[l] = !(known & is_ordinary(largest[l]) | (largest[l] == 0));
            }
        }
    }
}

/// Σx² of the numbers that `f` gives. Squares of `f32`s are exact in `f64`.
#[inline(always)]
fn sum_squares<const W: usize>(group: Lanes<'_, W>, sums: &mut Lane<f64, W>, f: impl Fn(usize, u32) -> f32) {
    let (some, rest) = group.members.as_chunks::<AT_ONCE>();
    for rows in some {
        for l in 0..W {
            sums[l] += (square(&f, l, rows[0][l]) + square(&f, l, rows[1][l]))
                + (square(&f, l, rows[2][l]) + square(&f, l, rows[3][l]));
        }
    }
    for row in rest {
        for l in 0..W {
            sums[l] += square(&f, l, row[l]);
        }
    }
}

#[inline(always)]
fn square(f: &impl Fn(usize, u32) -> f32, l: usize, b: u32) -> f64 {
    let x = f64::from(f(l, b));
    x * x
}

/// The factors of groups outside a ball. Only `f32` is reduced in lanes, so no product loses bits.
#[inline(always)]
fn scale<F: Formula, const W: usize>(
    group: Lanes<'_, W>,
    search: &Search<'_>,
    (largest, sums): (&Lane<u32, W>, &mut Lane<f64, W>),
    outside: &Lane<bool, W>,
    found: Results<'_, W>,
) {
    let c = search.c;
    let limits = Limit::of(search.bound(), 1);
    *found.coefficients[1] = [0.0; W];
    let (radius, places) = (significand(c[0]), exponent(c[0].to_bits()) + COARSE);
    let (mut factor, mut first, mut stored) = ([0; W], [0.0; W], [0; W]);
    let len = group.size();
    let mut left = [false; W];
    for l in 0..W {
        let squared = Between::of_squares(sums[l], largest[l], len).nearest();
        let relative = quotient(radius, root(squared.float));
        factor[l] = wide_factor(relative, places - exponent(largest[l]));
        found.unknown[l] |= outside[l] & !(squared.known & is_ordinary(largest[l]));
        left[l] = outside[l] & !found.unknown[l] & (c[0] != 0.0);
    }
    let mut attempt = 0;
    while attempt < ATTEMPTS && any(&left) {
        for l in 0..W {
            sums[l] = 0.0;
            first[l] = wide_float(factor[l]);
            stored[l] = F::prox(f32::from_bits(largest[l]), &with_group(c, [first[l], 0.0])).to_bits();
        }
        sum_squares(
            group,
            sums,
            #[inline(always)]
            |l, b| F::prox(f32::from_bits(b), &with_group(c, [first[l], 0.0])),
        );
        for l in 0..W {
            let sum = Between::of_squares(sums[l], stored[l], len);
            let bound = limits.in_units(2 * (COARSE - exponent(stored[l])));
            // Products of 0 need no sum, but hardly any group has them.
            let known = is_ordinary(stored[l]) & (sum.is_at_most(bound) | sum.is_above(bound));
            found.unknown[l] |= left[l] & !known;
            left[l] &= known & sum.is_above(bound);
            factor[l] = factor[l].saturating_sub(if left[l] { 1 << attempt } else { 0 });
        }
        attempt += 1;
    }
    for l in 0..W {
        found.unknown[l] |= left[l];
        let reduced = if c[0] == 0.0 { 0.0 } else { wide_float(factor[l]) };
        found.coefficients[0][l] = if outside[l] { reduced } else { 1.0 };
    }
}
