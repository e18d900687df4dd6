//! The mathematics of one weight or of one group: what a formula gives, and the loops that run it over slices.

pub(crate) mod adam;
pub(crate) mod descriptor;
pub(crate) mod group;
pub(crate) mod loops;
pub(crate) mod pointwise;
pub(crate) mod rule;
pub(crate) mod scalars;
pub(crate) mod sgd;

use rule::Rule;

use crate::numeric::element::Dtype;
use crate::{Error, Result};

/// What a kernel needs to know of a penalty, each rounded once to `f32`; what a formula has no use for is 0. A weighted formula finds an
/// element's weight in the last.
pub(crate) type Coefficients = [f32; 5];
/// What the kernel of the value's own sum needs to know; the last again the weight.
pub(crate) type TermCoefficients = [f32; 3];
/// A penalty's parameters, in the order of its constructor.
pub(crate) type Parameters = [f64; 2];

/// A penalty of each weight, or what a group's penalty does with each of its weights. Its functions on `f32` see finite numbers only,
/// below 2^-120 none but +0.
pub(crate) trait Formula {
    /// Whether the value has a sum of its own, of [`term`](Formula::term) or of the groups' shares.
    const SUMS_TERMS: bool = true;
    /// How a group's numbers are found, which its weights have in place of the last two of theirs; none of what stands alone.
    const RULE: Option<Rule> = None;
    /// Whether every element has a weight of its own, ≥ 0: the last of its numbers and term numbers.
    const WEIGHTED: bool = false;
    /// What errors and serialized partials call it: the name of the most general of its penalties.
    const NAME: &'static str;

    /// The factors of Σ|θ|, Σθ² and Σterm in the value. An infinite one makes a constraint of its sum.
    fn factors(p: Parameters) -> [f64; 3];
    /// What the rule compares a group's sum with in a prox at this step; in the value as at step 0.
    fn bound(_p: Parameters, _step: f64) -> f64 {
        0.0
    }
    /// The parameters as weights of this type can meet them.
    fn on(p: Parameters, _dtype: Dtype) -> Parameters {
        p
    }
    fn term_coefficients(_p: Parameters) -> [f64; 3] {
        [0.0; 3]
    }
    fn gradient_coefficients(_p: Parameters) -> [f64; 5] {
        [0.0; 5]
    }
    /// At a finite step ≥ 0.
    fn prox_coefficients(_p: Parameters, _step: f64) -> Result<[f64; 5]> {
        Ok([0.0; 5])
    }
    /// At a finite step ≥ 0. A group's prox in a metric that differs from weight to weight has no closed form.
    fn metric_coefficients(_p: Parameters, _step: f64) -> Result<[f64; 5]> {
        Err(Error::NoMetricProx { penalty: Self::NAME })
    }

    /// A share ≥ 0 of the value, 0 at 0 unless 0 is forbidden: finite, and at most 2^115 where |θ| < 2^57, so that the 4096 of a tile
    /// can be summed.
    fn term(_theta: f32, _t: &TermCoefficients) -> f32 {
        0.0
    }
    /// Whether there is a gradient. A constraint, whose factor in the value is infinite, has none.
    fn has_gradient(p: Parameters) -> bool {
        Self::factors(p).iter().all(|weight| weight.is_finite())
    }
    /// ∂R/∂θ, 0 at a kink; never asked for where there is none.
    fn gradient(_theta: f32, _c: &Coefficients) -> f32 {
        0.0
    }
    /// The limits of the gradient as θ → −∞ and as θ → +∞; never asked for where there is none.
    fn gradient_limits(_c: &Coefficients) -> [f32; 2] {
        [0.0; 2]
    }
    /// argmin over x of step·R(x) + ½(x − v)².
    fn prox(v: f32, c: &Coefficients) -> f32;
    /// argmin over x of step·R(x) + d/2·(x − v)², with d > 0.
    fn metric_prox(v: f32, _d: f32, _c: &Coefficients) -> f32 {
        v
    }
}
