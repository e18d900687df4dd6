//! A penalty's value from sums, and the coefficients that kernels need of it.

use super::Penalty;
use super::validate::finite_step;
use crate::formula::rule::Rule;
use crate::formula::scalars::Metric;
use crate::numeric::bits::coefficient;
use crate::numeric::element::Dtype;
use crate::numeric::fixed::Bound;
use crate::{Error, Result};

impl Penalty {
    /// R(θ) from the sums over finite weights: Σ|θ|, Σθ² and Σterm(θ).
    pub(crate) fn value(&self, sums: [f64; 3]) -> f64 {
        // A summand whose λ or whose sum is 0 is left out, so that it is never 0·∞.
        let term = |(factor, sum): (f64, f64)| if factor == 0.0 || sum == 0.0 { 0.0 } else { factor * sum };
        self.factors().into_iter().zip(sums).map(term).fold(0.0, |value, term| value + term)
    }

    /// The factors of the three sums, with which a device computes the value.
    pub(crate) fn value_factors(&self) -> [f32; 3] {
        // A constraint's factor stays infinite.
        self.factors().map(|factor| if factor == f64::INFINITY { f32::INFINITY } else { coefficient(factor) })
    }

    /// The coefficients of the kernels that compute the term sum; `None` if the value has no such sum.
    pub(crate) fn term_coefficients(&self, dtype: Dtype) -> Option<[f32; 3]> {
        let formula = self.formula;
        if let Some(rule) = formula.rule {
            return Some(bound(rule, (formula.bound)(self.parameters, 0.0)));
        }
        self.sums_terms().then(|| (formula.term_coefficients)((formula.on)(self.parameters, dtype)).map(coefficient))
    }

    pub(crate) fn gradient_coefficients(&self) -> [f32; 5] {
        (self.formula.gradient_coefficients)(self.parameters).map(coefficient)
    }

    /// The coefficients of the prox's kernels, in the plain metric or in Adam's.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the step is not a number ≥ 0, or is so large that a coefficient would leave its range.
    pub(crate) fn prox_coefficients(&self, step: f64, metric: Metric, dtype: Dtype) -> Result<[f32; 5]> {
        finite_step(step)?;
        let (step, formula) = (self.own_step(step)?, self.formula);
        let of = match metric {
            Metric::Plain => formula.prox_coefficients,
            Metric::Adam => formula.metric_coefficients,
        };
        let coefficients = of((formula.on)(self.parameters, dtype), step).map_err(|mut error| {
            // A formula knows only its own name, not the caller's.
            if let Error::NoMetricProx { penalty, .. } = &mut error {
                *penalty = self.name();
            }
            error
        });
        let mut coefficients = coefficients?.map(coefficient);
        if let Some(rule) = formula.rule {
            // The group's coefficients take the places of the last two.
            coefficients[2..].copy_from_slice(&bound(rule, (formula.bound)(self.parameters, step)));
        }
        Ok(coefficients)
    }
}

/// A bound as kernels read it; squared if the rule compares squares.
fn bound(rule: Rule, bound: f64) -> [f32; 3] {
    let bound = if rule.squares() { Bound::square_of(bound) } else { Bound::of(bound) };
    bound.words().map(f32::from_bits)
}
