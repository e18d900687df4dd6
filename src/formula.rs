//! The mathematics of one weight or of one group: what a formula computes, and the loops that run it over slices.

pub(crate) mod adam;
pub(crate) mod budget;
pub(crate) mod descriptor;
pub(crate) mod double;
pub(crate) mod expression;
pub(crate) mod group;
pub(crate) mod loops;
pub(crate) mod pointwise;
pub(crate) mod rule;
pub(crate) mod scalars;
pub(crate) mod sgd;
pub(crate) mod steps;
pub(crate) mod symbol;
mod visit;

use rule::Rule;

use crate::numeric::element::Dtype;
use crate::numeric::float::Float;
use crate::{Error, Result};

/// A kernel's coefficients for a penalty, each rounded once to `f32`; unused ones are 0. In a weighted formula, the
/// last one is replaced by the element weight.
pub(crate) type Coefficients<F = f32> = [F; 5];
/// The coefficients of the term sum, Σterm(θ). In a weighted formula, the last one is replaced by the element weight.
pub(crate) type TermCoefficients<F = f32> = [F; 3];
/// A penalty's parameters, in the order of its constructor.
pub(crate) type Parameters = [f64; 2];

/// The formula of a separable penalty, or what a group penalty does with each weight: what follows from its parameters,
/// on the host.
pub(crate) trait Formula: PerWeight<f32> {
    /// Whether the value needs a term sum: of [`term`](PerWeight::term), or of the groups' shares.
    const SUMS_TERMS: bool = true;
    /// How a group's two coefficients are found; they replace the last two of the segment's. `None` if the penalty is
    /// separable.
    const RULE: Option<Rule> = None;
    /// Whether every element has an element weight ≥ 0, which replaces the last coefficient and the last term
    /// coefficient.
    const WEIGHTED: bool = false;
    /// Whether one of its functions may return a NaN for finite numbers. A user's function may, though it should not.
    const MAY_RETURN_NAN: bool = false;
    /// Its name in errors and serialized partials: that of the most general of its penalties.
    const NAME: &'static str;

    /// The factors of Σ|θ|, Σθ² and Σterm in the value. An infinite factor makes a constraint of its sum.
    fn factors(p: Parameters) -> [f64; 3];
    /// Whether the penalty has a gradient. A constraint, whose factor in the value is infinite, has none.
    fn has_gradient(p: Parameters) -> bool {
        Self::factors(p).iter().all(|weight| weight.is_finite())
    }
    /// The limit that the rule compares a group's sum with, in a prox at this step. The value uses the limit at step 0.
    fn bound(_p: Parameters, _step: f64) -> f64 {
        0.0
    }
    /// The parameters for weights of this type: bounds rounded to it, or the bits that its significand lacks.
    fn on(p: Parameters, _dtype: Dtype) -> Parameters {
        p
    }
    fn term_coefficients(_p: Parameters) -> [f64; 3] {
        [0.0; 3]
    }
    fn gradient_coefficients(_p: Parameters) -> [f64; 5] {
        [0.0; 5]
    }
    /// The step is finite and ≥ 0.
    fn prox_coefficients(_p: Parameters, _step: f64) -> Result<[f64; 5]> {
        Ok([0.0; 5])
    }
    /// Whether [`short_gradient`](Formula::short_gradient) holds with these coefficients. Its results are then +0 or at
    /// least [`LARGE`](crate::numeric::bits::LARGE) in magnitude.
    fn has_short_gradient(_c: &Coefficients) -> bool {
        false
    }
    /// The gradient at a finite weight, as bits: the same in fewer instructions.
    fn short_gradient(theta: u32, _c: &Coefficients) -> u32 {
        theta
    }
    /// Whether the gradient at a finite θ is c₀·sign θ with these coefficients, and c₀ at least
    /// [`LARGE`](crate::numeric::bits::LARGE).
    fn has_sign_gradient(_c: &Coefficients) -> bool {
        false
    }
    /// Whether [`short_prox`](Formula::short_prox) holds with these coefficients.
    fn has_short_prox(_c: &Coefficients) -> bool {
        false
    }
    /// The prox of a finite weight, as bits: the same in fewer instructions.
    fn short_prox(v: u32, _c: &Coefficients) -> u32 {
        v
    }
    /// Whether [`short_metric_prox`](Formula::short_metric_prox) holds with these coefficients.
    fn has_short_metric_prox(_c: &Coefficients) -> bool {
        false
    }
    /// The variable-metric prox of a finite weight with a finite `d`, as bits: the same in fewer instructions.
    fn short_metric_prox(v: u32, _d: f32, _c: &Coefficients) -> u32 {
        v
    }
    /// The step is finite and ≥ 0. A group's prox in a metric that differs from weight to weight has no closed form.
    fn metric_coefficients(_p: Parameters, _step: f64) -> Result<[f64; 5]> {
        Err(Error::NoMetricProx { penalty: Self::NAME })
    }
}

/// What a formula does with one weight. The formulas of separable penalties have it for every [`Float`]. Those of group
/// penalties have it for `f32` only: their coefficients are the bits that a group reduction makes.
///
/// Weights and coefficients are finite. In `f32` they are +0, or at least 2^-120 in magnitude.
pub(crate) trait PerWeight<F: Float> {
    /// A weight's term in the value: ≥ 0, and 0 at 0 unless 0 is forbidden. It is finite. If |θ| < 2^57, it is at most
    /// 2^115, so that the 4096 terms of a tile can be summed.
    fn term(_theta: F, _t: &TermCoefficients<F>) -> F {
        F::ZERO
    }
    /// ∂R/∂θ, 0 at a kink. Never called if the penalty has no gradient.
    fn gradient(_theta: F, _c: &Coefficients<F>) -> F {
        F::ZERO
    }
    /// The limits of the gradient as θ → −∞ and as θ → +∞. Never called if the penalty has no gradient.
    fn gradient_limits(_c: &Coefficients<F>) -> [F; 2] {
        [F::ZERO; 2]
    }
    /// argmin over x of step·R(x) + ½(x − v)².
    fn prox(v: F, c: &Coefficients<F>) -> F;
    /// argmin over x of step·R(x) + d/2·(x − v)², with d > 0.
    fn metric_prox(v: F, _d: F, _c: &Coefficients<F>) -> F {
        v
    }
}
