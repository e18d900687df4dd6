//! Huber's penalty: quadratic near 0, linear beyond δ.

use super::Penalty;
use super::named::Named;
use super::validate::{factor, shape, shrink};
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::float::Float;

pub(super) static FORMULA: Descriptor =
    Descriptor::separable::<Huber>(include_str!("../../shaders/penalty/huber.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "huber",
    parameters: &["lambda", "delta"],
    lambdas: 1,
    formula: "λΣ θ²/2 where |θ| ≤ δ, else δ(|θ| − δ/2)",
    new: |p| Penalty::huber(p[0], p[1]),
};

pub(super) struct Huber;

impl Penalty {
    /// R(θ) = λΣ θ²/2 where |θ| ≤ δ, else δ(|θ| − δ/2) (Huber 1964): ridge whose pull on large weights is bounded. It
    /// has **a ½**, as Huber's definition has.
    ///
    /// prox(v) is v/(1 + ηλ) where |v| ≤ δ(1 + ηλ), else v − ηλδ·sign v. The gradient is λ·clamp(θ, −δ, δ). Convex; it
    /// makes no zeros.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let huber = Penalty::huber(1.0, 1.0)?;
    /// assert_eq!(Backend::cpu().prox(&huber, &[1.0f32, 2.0, -5.0], 1.0)?, [0.5, 1.0, -4.0]);
    /// assert_eq!(Backend::cpu().evaluate(&huber, &[1.0f32, 3.0])?.value, 0.5 + 2.5);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2, 2^-100 ≤ δ ≤ 2^100 and λδ ≤
    /// `f32::MAX`/2.
    pub fn huber(lambda: f64, delta: f64) -> Result<Penalty> {
        let (lambda, delta) = (factor("lambda", lambda)?, shape("delta", delta, 0.0)?);
        factor("lambda·delta", lambda * delta)?;
        Ok(Penalty::of(&FORMULA, [lambda, delta], NAMED.given([lambda, delta])))
    }
}

impl Formula for Huber {
    const NAME: &'static str = "huber";

    fn factors([lambda, delta]: Parameters) -> [f64; 3] {
        [0.0, 0.0, lambda * delta]
    }

    /// δ, 1/(2δ).
    fn term_coefficients([_, delta]: Parameters) -> [f64; 3] {
        [delta, 0.5 / delta, 0.0]
    }

    /// λ, δ.
    fn gradient_coefficients([lambda, delta]: Parameters) -> [f64; 5] {
        [lambda, delta, 0.0, 0.0, 0.0]
    }

    /// δ(1 + step·λ), 1/(1 + step·λ), step·λ·δ.
    fn prox_coefficients([lambda, delta]: Parameters, step: f64) -> Result<[f64; 5]> {
        let shrink = shrink("step·lambda", step * lambda)?;
        Ok([delta * (1.0 + shrink), 1.0 / (1.0 + shrink), shrink * delta, 0.0, 0.0])
    }

    /// step·λ, δ, step·λ·δ.
    fn metric_coefficients([lambda, delta]: Parameters, step: f64) -> Result<[f64; 5]> {
        let shrink = shrink("step·lambda", step * lambda)?;
        Ok([shrink, delta, shrink * delta, 0.0, 0.0])
    }
}

impl<F: Float> PerWeight<F> for Huber {
    /// θ²/(2δ) up to δ; beyond it, |θ| − δ/2.
    #[inline(always)]
    fn term(theta: F, t: &TermCoefficients<F>) -> F {
        let a = theta.abs();
        let w = F::select(F::less(a, t[0]), a, t[0]);
        (w * t[1]) * w + (a - w)
    }

    #[inline(always)]
    fn gradient(theta: F, c: &Coefficients<F>) -> F {
        let a = theta.abs();
        F::signed(c[0] * F::select(F::less(a, c[1]), a, c[1]), theta)
    }

    #[inline(always)]
    fn gradient_limits(c: &Coefficients<F>) -> [F; 2] {
        [-(c[0] * c[1]), c[0] * c[1]]
    }

    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        F::select(F::at_most(v.abs(), c[0]), v * c[1], F::threshold(v, c[2]))
    }

    #[inline(always)]
    fn metric_prox(v: F, d: F, c: &Coefficients<F>) -> F {
        let t = F::quotient(c[2], d);
        F::select(F::at_most(v.abs(), c[1] + t), v * F::quotient(d, d + c[0]), F::threshold(v, t))
    }
}
