//! The threshold that a sum of magnitudes, or of what is above it, meets an amount at: by Michelot's iteration, without sorting.
//!
//! Twin of `shaders/structure/threshold.wgsl`. Where τ solves Σ max(|v| − τ, 0) = r, every τ from a set that holds the weights above it
//! is too low; so the weights that are not above it are dropped, and the set shrinks until it is right (Michelot 1986; Condat 2016).

use super::{Found, Group, Purpose, Rule, Sum, slack, with_own};
use crate::arithmetic::quotient;
use crate::elementwise::MAGNITUDE;
use crate::fixed::{Amount, FINE, exponent, fine, nearest, two_floats, whole};
use crate::formula::{Formula, Numbers};

/// How often a threshold is raised, by twice as much each time, until the result is inside.
const ATTEMPTS: u32 = 40;
/// Added to signed numbers, so that none is negative.
const BIAS: u64 = 1 << 57;
/// No threshold is higher.
const HIGHEST: u64 = BIAS + (1 << 56);

pub(super) fn find<F: Formula>(group: &Group<'_>, rule: Rule, purpose: Purpose, c: &Numbers, value: [u32; 3]) -> Found {
    let largest = group.largest();
    match (rule, purpose) {
        (Rule::Clamp, Purpose::Value) => return Found { share: f32::from_bits(largest), ..Found::default() },
        (Rule::Clamp, Purpose::Gradient) => {
            // Where several weights are the largest, they share the slope.
            let ties = group.sum(
                #[inline(always)]
                |b| u64::from(b & MAGNITUDE == largest),
            );
            let slope = quotient(c[0], nearest(ties.total.max(1)));
            return Found { numbers: [f32::from_bits(largest), slope], ..Found::default() };
        }
        (_, Purpose::Gradient) => return Found::default(),
        _ => {}
    }
    let words = if purpose == Purpose::Value { value } else { [c[2], c[3], c[4]].map(f32::to_bits) };
    let amount = Amount::from_words(words);
    let simplex = rule == Rule::Simplex;
    let own = if largest == 0 { i32::MIN } else { exponent(largest) };
    let e = if simplex { own.max(amount.log2()) } else { own };
    if e == i32::MIN {
        return Found::default();
    }
    let r = amount.in_units(1, FINE - e);
    let all = group.sum(
        #[inline(always)]
        |b| units(b, e, simplex),
    );
    let inside = if simplex {
        let negative = group.sum(
            #[inline(always)]
            |b| u64::from(b > MAGNITUDE),
        );
        let total = all.total.saturating_sub(u128::from(all.count) * u128::from(BIAS));
        negative.count == 0 && total <= r && total >= r - (r >> slack(group.dtype))
    } else {
        all.total <= r
    };
    if purpose == Purpose::Value {
        return Found { share: if inside { 0.0 } else { 1.0 }, ..Found::default() };
    }
    if inside {
        return Found::default();
    }
    let (mut threshold, mut above) = (0, all);
    loop {
        threshold = share(above.total.saturating_sub(r), above.count).max(threshold);
        let left = group.sum(
            #[inline(always)]
            |b| {
                let units = units(b, e, simplex);
                if units > threshold { units } else { 0 }
            },
        );
        if left.count == above.count || left.count == 0 {
            break;
        }
        above = left;
    }
    let floats = |threshold: u64| {
        let bias = if simplex { BIAS } else { 0 };
        let size = two_floats(threshold.abs_diff(bias), e - FINE);
        if threshold < bias { size.map(|x| 0.0 - x) } else { size }
    };
    if rule == Rule::Clamp {
        return Found { numbers: floats(threshold), ..Found::default() };
    }
    for attempt in 0..ATTEMPTS {
        let numbers = floats(threshold);
        let c = with_own(c, numbers);
        let Sum { total, count } = group.sum(
            #[inline(always)]
            |b| fine(group.stored::<F>(b, &c), e),
        );
        if total <= r {
            return Found { numbers, ..Found::default() };
        }
        let step = u128::from(share(total - r, count.max(1)).max(1)) << attempt;
        threshold = (u128::from(threshold) + step).min(HIGHEST.into()) as u64;
    }
    Found { numbers: [f32::MAX, 0.0], ..Found::default() }
}

/// What a weight is in units of 2^(e − 55), rounded up; signed ones are biased.
#[inline(always)]
fn units(b: u32, e: i32, signed: bool) -> u64 {
    match (signed, b > MAGNITUDE) {
        (true, true) => BIAS - whole(b, e),
        (true, false) => BIAS + fine(b, e),
        _ => fine(b, e),
    }
}

/// An excess divided among so many, rounded up.
fn share(excess: u128, count: u64) -> u64 {
    excess.div_ceil(count.into()).min(HIGHEST.into()) as u64
}
