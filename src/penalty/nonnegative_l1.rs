//! Non-negative L1: λΣθ where every θ ≥ 0, else ∞.

use super::Penalty;
use super::named::Named;
use super::validate::factor;
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::float::Float;

pub(super) static FORMULA: Descriptor =
    Descriptor::separable::<NonnegativeL1>(include_str!("../../shaders/penalty/nonnegative_l1.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "nonnegative_l1",
    parameters: &["lambda"],
    lambdas: 1,
    formula: "λΣθ where every θ ≥ 0, else ∞",
    new: |p| Penalty::nonnegative_l1(p[0]),
};

pub(super) struct NonnegativeL1;

impl Penalty {
    /// R(θ) = λΣθ where every θ ≥ 0, else ∞: the non-negative lasso (Wu, Yang and Liu 2014). With λ = 0, only the
    /// constraint is left.
    ///
    /// prox(v) is max(v − ηλ, 0). It has [no gradient](Penalty::has_gradient), since it is a constraint below 0.
    /// Convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let penalty = Penalty::nonnegative_l1(0.5)?;
    /// assert_eq!(Backend::cpu().prox(&penalty, &[1.5f32, 0.25, -2.0], 1.0)?, [1.0, 0.0, 0.0]);
    /// assert_eq!(Backend::cpu().evaluate(&penalty, &[1.0f32, 3.0])?.value, 2.0);
    /// assert_eq!(Backend::cpu().evaluate(&penalty, &[1.0f32, -3.0])?.value, f64::INFINITY);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn nonnegative_l1(lambda: f64) -> Result<Penalty> {
        Ok(Penalty::of(&FORMULA, [factor("lambda", lambda)?, 0.0], NAMED.given([lambda])))
    }
}

impl Formula for NonnegativeL1 {
    const NAME: &'static str = "nonnegative_l1";

    fn factors([lambda, _]: Parameters) -> [f64; 3] {
        [lambda, 0.0, f64::INFINITY]
    }

    fn term_coefficients(_: Parameters) -> [f64; 3] {
        [0.0; 3]
    }

    /// step·λ.
    fn prox_coefficients([lambda, _]: Parameters, step: f64) -> Result<[f64; 5]> {
        Ok([step * lambda, 0.0, 0.0, 0.0, 0.0])
    }

    /// step·λ.
    fn metric_coefficients(p: Parameters, step: f64) -> Result<[f64; 5]> {
        NonnegativeL1::prox_coefficients(p, step)
    }
}

impl<F: Float> PerWeight<F> for NonnegativeL1 {
    /// 1 if θ is forbidden, else 0.
    #[inline(always)]
    fn term(theta: F, _: &TermCoefficients<F>) -> F {
        F::select(F::less(theta, F::ZERO), F::ONE, F::ZERO)
    }

    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        F::select(F::less(c[0], v), v - c[0], F::ZERO)
    }

    #[inline(always)]
    fn metric_prox(v: F, d: F, c: &Coefficients<F>) -> F {
        let t = F::quotient(c[0], d);
        F::select(F::less(t, v), v - t, F::ZERO)
    }
}
