//! The reduction of each lane's group by ‖θ‖₂. `src/formula/group/norm.rs` explains it.

use super::super::Search;
use super::super::norm::{ATTEMPTS, limit};
use super::wide::{Limit, Wide};
use super::{AT_ONCE, FoundLanes, LANES, Lane, Lanes, Left, stored_in};
use crate::formula::Formula;
use crate::formula::rule::{Purpose, Rule};
use crate::numeric::arithmetic::{quotient, root};
use crate::numeric::fixed::{COARSE, coarse, exponent, significand, wide_factor, wide_float};

#[inline(always)]
pub(super) fn find<F: Formula>(
    group: Lanes<'_>,
    search: &Search<'_>,
    spare: &mut [[Lane<u32>; AT_ONCE]],
) -> FoundLanes {
    let &Search { rule, purpose, c, .. } = search;
    let size = if rule == (Rule::Shrink { sized: true }) { group.size as u32 } else { 1 };
    let size_float = size as f32;
    let largest = group.largest();
    let e = group.each(|l| exponent(largest[l]));
    let sum = sum_squares(group, &e, |_, b| b);
    let squared = group.each(|l| sum[l].nearest());
    let limits = Limit::of(search.bound(), size);
    let bound = group.each(|l| limits.in_units(2 * (COARSE - e[l])));
    // A group of zeros is inside.
    let inside = group.each(|l| (largest[l] == 0) | sum[l].is_at_most(bound[l]));
    match (purpose, rule) {
        (Purpose::Value, Rule::Scale) => FoundLanes::of_shares(group.each(|l| if inside[l] { 0.0 } else { 1.0 })),
        (Purpose::Value, _) => {
            let share = group.each(|l| root(squared[l]) * root(size_float));
            FoundLanes { exponent: group.each(|l| e[l] - COARSE), ..FoundLanes::of_shares(share) }
        }
        (Purpose::Gradient, _) => {
            let (lambda, places) = (significand(c[1]), exponent(c[1].to_bits()) + COARSE);
            let factor = group.each(|l| {
                let relative = lambda * root(quotient(size_float, squared[l]));
                let factor = wide_float(wide_factor(relative, places - e[l]));
                if (c[1] == 0.0) | (largest[l] == 0) { 0.0 } else { factor }
            });
            FoundLanes::of_coefficients([factor, [limit(c[1], size_float); LANES]])
        }
        (Purpose::Prox, Rule::Scale) => scale::<F>(group, search, largest, &squared, &inside, spare),
        (Purpose::Prox, _) => {
            let factor = group.each(|l| {
                let bound = bound[l];
                let factor =
                    quotient(sum[l].minus(bound).nearest(), squared[l] + root(squared[l]) * root(bound.nearest()));
                // A group of zeros keeps its weights.
                if largest[l] == 0 {
                    1.0
                } else if inside[l] {
                    0.0
                } else {
                    factor
                }
            });
            FoundLanes::of_coefficients([factor, [0.0; LANES]])
        }
    }
}

/// Σx² of the bits that `f` gives, in units of the square of 2^(e − 31).
#[inline(always)]
fn sum_squares(group: Lanes<'_>, e: &Lane<i32>, f: impl Fn(usize, u32) -> u32) -> Lane<Wide> {
    let [high, low] = group.fold_two([[0u64; LANES]; 2], |l, _, [high, low], b| {
        let x = coarse(f(l, b), e[l]);
        let square = x.wrapping_mul(x);
        [high.wrapping_add(square >> 32), low.wrapping_add(square & 0xffff_ffff)]
    });
    group.each(|l| Wide::carried(high[l], low[l]))
}

/// The factors of groups outside a ball, and whether products are rounded toward 0.
#[inline(always)]
fn scale<F: Formula>(
    group: Lanes<'_>,
    search: &Search<'_>,
    mut largest: Lane<u32>,
    squared: &Lane<f32>,
    inside: &Lane<bool>,
    spare: &mut [[Lane<u32>; AT_ONCE]],
) -> FoundLanes {
    let c = search.c;
    let limits = Limit::of(search.bound(), 1);
    let (radius, places) = (significand(c[0]), exponent(c[0].to_bits()) + COARSE);
    let mut factor = group.each(|l| {
        let relative = quotient(radius, root(squared[l]));
        wide_factor(relative, places - exponent(largest[l]))
    });
    let unchanged = group.each(|l| if inside[l] { 1.0 } else { 0.0 });
    let mut found = FoundLanes::of_coefficients([unchanged, [0.0; LANES]]);
    let mut left = Left::of(group, group.each(|l| !inside[l] & (c[0] != 0.0)), spare);
    let loses = c[1] != 0.0;
    for attempt in 0..ATTEMPTS {
        let any = left.pack(|to, from| (largest[to], factor[to]) = (largest[from], factor[from]));
        if !any {
            break;
        }
        let group = left.lanes();
        let marked = if loses && attempt > 0 { 1.0 } else { 0.0 };
        let first = group.each(|l| wide_float(factor[l]));
        let largest = group.each(|l| stored_in::<F>(largest[l], c, [first[l], marked]));
        let e = group.each(|l| exponent(largest[l]));
        let sum = sum_squares(
            group,
            &e,
            #[inline(always)]
            |l, b| stored_in::<F>(b, c, [first[l], marked]),
        );
        let met = group.each(|l| (largest[l] == 0) | sum[l].is_at_most(limits.in_units(2 * (COARSE - e[l]))));
        let floats = [first, [marked; LANES]].map(|float| group.each(|l| if largest[l] == 0 { 0.0 } else { float[l] }));
        if !(loses && attempt == 0) {
            factor = group.each(|l| factor[l].saturating_sub(1 << attempt));
        }
        left.set(&mut found, &floats, &met);
    }
    found
}
