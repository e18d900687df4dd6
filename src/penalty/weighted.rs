//! Weighted L1 and the weighted elastic net: the elastic net with an element weight w ≥ 0 for each θ.

use super::Penalty;
use super::elastic_net::ElasticNet;
use super::named::Named;
use super::validate::{factor, ratio, shrink};
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::float::Float;

pub(super) static FORMULA: Descriptor =
    Descriptor::separable::<Weighted>(include_str!("../../shaders/penalty/weighted.wgsl"));

pub(super) static WEIGHTED_L1: Named = Named {
    name: "weighted_l1",
    parameters: &["lambda"],
    lambdas: 1,
    formula: "λΣw|θ|, a weight w ≥ 0 for each θ",
    new: |p| Penalty::weighted_l1(p[0]),
};

pub(super) static WEIGHTED_ELASTIC_NET: Named = Named {
    name: "weighted_elastic_net",
    parameters: &["lambda", "alpha"],
    lambdas: 1,
    formula: "λΣw(α|θ| + (1−α)θ²)",
    new: |p| Penalty::weighted_elastic_net(p[0], p[1]),
};

pub(super) struct Weighted;

/// 2^57: from here on, |θ| makes its tile one of large weights.
const LARGE_FROM: f64 = (1u64 << 57) as f64;
/// 2^115: 4096 numbers that are no larger can be summed.
const LARGEST_SHARE: f64 = (1u128 << 115) as f64;

impl Penalty {
    /// R(θ) = λΣwᵢ|θᵢ|, the adaptive lasso's penalty (Zou 2006). Each θᵢ has an element weight wᵢ ≥ 0; where it is 0,
    /// θᵢ is not penalized.
    ///
    /// The element weights come with each call: [`with_element_weights`](Penalty::with_element_weights) has their
    /// rules. For sets, see [`HostSet::with_element_weights`](crate::HostSet::with_element_weights) and
    /// [`gpu::Operands::element_weights`](crate::gpu::Operands::element_weights).
    ///
    /// prox(v) is v − clamp(v, −ηλw, ηλw). The gradient is λw·sign θ. Convex. With w = 1/|θ̂|^γ from a first estimate
    /// θ̂, large weights are hardly shrunk and small ones vanish. A θ whose element weight is infinite, as where θ̂ =
    /// 0, becomes 0.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let (theta, weights) = ([1.5f32, -1.5, 1.5, 1.5], [1.0f32, 2.0, 0.0, f32::INFINITY]);
    /// let penalty = Penalty::weighted_l1(0.5)?;
    /// let weighted = penalty.with_element_weights(&weights)?;
    /// assert_eq!(Backend::cpu().prox(weighted, &theta, 1.0)?, [1.0, -0.5, 1.5, 0.0]);
    /// assert_eq!(Backend::cpu().evaluate(penalty.with_element_weights(&weights[..3])?, &theta[..3])?.value, 0.5 * (1.5 + 3.0));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn weighted_l1(lambda: f64) -> Result<Penalty> {
        Ok(Penalty::of(&FORMULA, [factor("lambda", lambda)?, 1.0], WEIGHTED_L1.given([lambda])))
    }

    /// R(θ) = λΣwᵢ(α|θᵢ| + (1−α)θᵢ²), the elastic net with an element weight wᵢ ≥ 0 for each θᵢ, without a ½ (Zou and
    /// Zhang 2009 weight its L1 part).
    ///
    /// With α = 1 it is exactly [`weighted_l1`](Penalty::weighted_l1), which says where element weights come from.
    /// prox(v) is (v − clamp(v, −ηλαw, ηλαw))/(1 + 2ηλ(1−α)w). The gradient is λαw·sign θ + 2λ(1−α)w·θ. Convex.
    ///
    /// A product of an element weight with λ and the step is at most `f32::MAX`. In the value, w(α|θ| + (1−α)θ²) counts
    /// at most 2^115 (4e34), or at most `f32::MAX` where |θ| ≥ 2^57.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let penalty = Penalty::weighted_elastic_net(1.0, 0.5)?;
    /// let weighted = penalty.with_element_weights(&[1.0f32, 3.0, 0.0])?;
    /// assert_eq!(Backend::cpu().prox(weighted, &[2.5f32, -2.5, 2.5], 1.0)?, [1.0, -0.25, 2.5]);
    /// assert_eq!(Backend::cpu().evaluate(weighted, &[1.0f32, 1.0, 1.0])?.value, 4.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2 and 0 ≤ α ≤ 1.
    pub fn weighted_elastic_net(lambda: f64, alpha: f64) -> Result<Penalty> {
        let parameters = [factor("lambda", lambda)?, ratio("alpha", alpha)?];
        Ok(Penalty::of(&FORMULA, parameters, WEIGHTED_ELASTIC_NET.given([lambda, alpha])))
    }
}

/// The elastic net's coefficients for this element weight.
#[inline(always)]
fn weighed<F: Float>(c: &Coefficients<F>) -> Coefficients<F> {
    [F::bounded(c[0] * c[4]), F::bounded(c[1] * c[4]), F::ZERO, F::ZERO, F::ZERO]
}

impl Formula for Weighted {
    const NAME: &'static str = "weighted_elastic_net";
    const WEIGHTED: bool = true;

    fn factors([lambda, _]: Parameters) -> [f64; 3] {
        [0.0, 0.0, lambda]
    }

    /// α, 1−α.
    fn term_coefficients([_, alpha]: Parameters) -> [f64; 3] {
        [alpha, 1.0 - alpha, 0.0]
    }

    /// λα, 2λ(1−α).
    fn gradient_coefficients([lambda, alpha]: Parameters) -> [f64; 5] {
        [lambda * alpha, 2.0 * lambda * (1.0 - alpha), 0.0, 0.0, 0.0]
    }

    /// step·λα, 2·step·λ(1−α).
    fn prox_coefficients([lambda, alpha]: Parameters, step: f64) -> Result<[f64; 5]> {
        let shrink = shrink("2·step·lambda", 2.0 * step * (lambda * (1.0 - alpha)))?;
        Ok([step * (lambda * alpha), shrink, 0.0, 0.0, 0.0])
    }

    /// step·λα, 2·step·λ(1−α).
    fn metric_coefficients(p: Parameters, step: f64) -> Result<[f64; 5]> {
        Weighted::prox_coefficients(p, step)
    }
}

impl<F: Float> PerWeight<F> for Weighted {
    /// w|θ|(α + (1−α)|θ|), limited to what can be summed in a tile of `f32`.
    #[inline(always)]
    fn term(theta: F, t: &TermCoefficients<F>) -> F {
        let a = theta.abs();
        let share = (t[2] * a) * (t[0] + t[1] * a);
        let most =
            if F::DOUBLE { F::MAX } else { F::select(F::less(a, F::of(LARGE_FROM)), F::of(LARGEST_SHARE), F::MAX) };
        F::select(F::less(share, most), share, most)
    }

    #[inline(always)]
    fn gradient(theta: F, c: &Coefficients<F>) -> F {
        ElasticNet::gradient(theta, &weighed(c))
    }

    #[inline(always)]
    fn gradient_limits(c: &Coefficients<F>) -> [F; 2] {
        ElasticNet::gradient_limits(&weighed(c))
    }

    /// (v − clamp(v, −c₀w, c₀w))/(1 + c₁w).
    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        let n = weighed(c);
        F::threshold(v, n[0]) * F::quotient(F::ONE, F::bounded(F::ONE + n[1]))
    }

    /// (v − clamp(v, −c₀w/d, c₀w/d))·d/(d + c₁w).
    #[inline(always)]
    fn metric_prox(v: F, d: F, c: &Coefficients<F>) -> F {
        let n = weighed(c);
        F::threshold(v, F::quotient(n[0], d)) * F::quotient(d, F::bounded(d + n[1]))
    }
}
