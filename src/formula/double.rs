//! What a formula does with one weight, or with one group, in `f64`.

use super::rule::Rule;
use super::{Coefficients, PerWeight, TermCoefficients};
use crate::numeric::float::Float;

/// The functions of a separable formula in `f64`.
#[derive(Clone, Copy)]
pub(crate) struct Double {
    pub(crate) term: fn(f64, &TermCoefficients<f64>) -> f64,
    pub(crate) gradient: fn(f64, &Coefficients<f64>) -> f64,
    pub(crate) prox: fn(f64, &Coefficients<f64>) -> f64,
}

impl Double {
    pub(crate) const fn of<F: PerWeight<f64>>() -> Double {
        Double { term: F::term, gradient: F::gradient, prox: F::prox }
    }
}

/// How far beyond its bound a group may be for rounding, relative to the bound.
const SLACK: f64 = 1e-12;

/// The reductions of `formula/group/` search for bits of `f32` by exact integers, which `f64` has no use for.
impl Rule {
    /// A group's share of the term sum: its norm, or for a constraint 1 outside of it and 0 inside.
    pub(crate) fn share_in_f64(self, group: &[f64], bound: f64) -> f64 {
        let outside = |excess: f64| if excess > SLACK * bound { 1.0 } else { 0.0 };
        let largest = group.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
        match self {
            Rule::Shrink { sized: false } => norm(group),
            Rule::Shrink { sized: true } => (group.len() as f64).sqrt() * norm(group),
            Rule::Scale => outside(norm(group) - bound),
            Rule::Soft => outside(group.iter().map(|x| x.abs()).sum::<f64>() - bound),
            Rule::Clamp => largest,
            Rule::Simplex if group.iter().any(|x| *x < 0.0) => 1.0,
            Rule::Simplex => outside((group.iter().sum::<f64>() - bound).abs()),
            Rule::Select if group.iter().filter(|x| **x != 0.0).count() as f64 > bound => 1.0,
            Rule::Select => 0.0,
        }
    }

    /// The prox of a group in place, with the rule's bound at a step.
    pub(crate) fn prox_in_f64(self, group: &mut [f64], bound: f64) {
        match self {
            Rule::Shrink { sized } => {
                let bound = if sized { bound * (group.len() as f64).sqrt() } else { bound };
                let norm = norm(group);
                let factor = if norm > bound { 1.0 - bound / norm } else { 0.0 };
                group.iter_mut().for_each(|x| *x *= factor);
            }
            Rule::Scale => {
                let norm = norm(group);
                if norm > bound {
                    group.iter_mut().for_each(|x| *x *= bound / norm);
                }
            }
            Rule::Soft => {
                if group.iter().map(|x| x.abs()).sum::<f64>() > bound {
                    let threshold = excess(group.iter().map(|x| x.abs()), bound);
                    group.iter_mut().for_each(|x| *x = f64::threshold(*x, threshold));
                }
            }
            // What is cut off is the projection onto the L1 ball.
            Rule::Clamp => {
                let sum: f64 = group.iter().map(|x| x.abs()).sum();
                let most = if sum > bound { excess(group.iter().map(|x| x.abs()), bound) } else { 0.0 };
                group.iter_mut().for_each(|x| *x = x.clamp(-most, most));
            }
            Rule::Simplex => {
                let threshold = excess(group.iter().copied(), bound);
                group.iter_mut().for_each(|x| *x = (*x - threshold).max(0.0));
            }
            Rule::Select => {
                let mut order: Vec<usize> = (0..group.len()).collect();
                // Of equal magnitudes, the first are kept.
                order.sort_by(|a, b| group[*b].abs().total_cmp(&group[*a].abs()));
                for dropped in order.into_iter().skip(bound as usize) {
                    group[dropped] = 0.0;
                }
            }
        }
    }
}

/// ‖x‖₂, also where squares would overflow or vanish.
fn norm(x: &[f64]) -> f64 {
    let largest = x.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    largest * x.iter().map(|x| (x / largest) * (x / largest)).sum::<f64>().sqrt()
}

/// The t for which what is above t sums to the bound, Σ max(x − t, 0) = bound.
fn excess(numbers: impl Iterator<Item = f64>, bound: f64) -> f64 {
    let mut descending: Vec<f64> = numbers.collect();
    descending.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut threshold) = (0.0, f64::INFINITY);
    for (count, x) in (1..).zip(descending) {
        if x <= threshold && count > 1 {
            break;
        }
        sum += x;
        threshold = (sum - bound) / f64::from(count);
    }
    // Of no numbers, nothing is above.
    if threshold == f64::INFINITY { 0.0 } else { threshold }
}
