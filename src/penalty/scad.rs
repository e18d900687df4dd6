//! The smoothly clipped absolute deviation, SCAD.

use super::Penalty;
use super::named::Named;
use super::validate::{factor, shape};
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::float::Float;

pub(super) static FORMULA: Descriptor = Descriptor::separable::<Scad>(include_str!("../../shaders/penalty/scad.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "scad",
    parameters: &["lambda", "a"],
    lambdas: 1,
    formula: "Σ λ|θ| up to λ, then (2aλ|θ| − θ² − λ²)/(2(a−1)) up to aλ, then λ²(a+1)/2",
    new: |p| Penalty::scad(p[0], p[1]),
};

pub(super) struct Scad;

impl Penalty {
    /// SCAD (Fan and Li 2001): λ|θ| up to λ, then (2aλ|θ| − θ² − λ²)/(2(a−1)) up to aλ, then λ²(a+1)/2, summed over θ.
    /// It is like L1 near 0 and does not shrink large weights. Fan and Li suggest a = 3.7.
    ///
    /// If η < a − 1, prox(v) is v − clamp(v, −ηλ, ηλ) up to λ(1+η), then ((a−1)v − aηλ·sign v)/(a−1−η) up to aλ, then
    /// v. If η ≥ a − 1, the middle is not a minimum. Then the prox is the soft threshold or v, whichever has the lower
    /// objective; that changes at |v| = λ(a+1+η)/2, or at λ√(η(a+1)) if that is below ηλ. The gradient is λ·sign θ up
    /// to λ, then (aλ − |θ|)/(a−1)·sign θ up to aλ, then 0. a → ∞ is L1. Not convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let scad = Penalty::scad(1.0, 3.0)?;
    /// assert_eq!(Backend::cpu().prox(&scad, &[0.5f32, 1.5, -2.5, 4.0], 1.0)?, [0.0, 0.5, -2.0, 4.0]);
    /// assert_eq!(Backend::cpu().evaluate(&scad, &[1.0f32, 9.0])?.value, 1.0 + 2.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2 and 1 < a ≤ 2^100.
    pub fn scad(lambda: f64, a: f64) -> Result<Penalty> {
        Ok(Penalty::of(&FORMULA, [factor("lambda", lambda)?, shape("a", a, 1.0)?], NAMED.given([lambda, a])))
    }
}

impl Formula for Scad {
    const NAME: &'static str = "scad";

    fn factors([lambda, _]: Parameters) -> [f64; 3] {
        [0.0, 0.0, lambda]
    }

    /// λ, aλ, 1/(2(a−1)λ).
    fn term_coefficients([lambda, a]: Parameters) -> [f64; 3] {
        [lambda, a * lambda, 0.5 / ((a - 1.0) * lambda)]
    }

    /// λ, aλ, 1/(a−1).
    fn gradient_coefficients([lambda, a]: Parameters) -> [f64; 5] {
        [lambda, a * lambda, 1.0 / (a - 1.0), 0.0, 0.0]
    }

    /// The inner threshold and where its range ends; the outer threshold, its factor, and where their range ends.
    fn prox_coefficients([lambda, a]: Parameters, step: f64) -> Result<[f64; 5]> {
        let rest = a - 1.0 - step;
        if rest > 0.0 {
            let outer = a * step * lambda / (a - 1.0);
            return Ok([step * lambda, lambda * (1.0 + step), outer, (a - 1.0) / rest, a * lambda]);
        }
        let equal = if step < a + 1.0 { 0.5 * lambda * (a + 1.0 + step) } else { lambda * (step * (a + 1.0)).sqrt() };
        Ok([step * lambda, equal, 0.0, 1.0, equal])
    }

    /// step, λ, a, a − 1, aλ.
    fn metric_coefficients([lambda, a]: Parameters, step: f64) -> Result<[f64; 5]> {
        Ok([step, lambda, a, a - 1.0, a * lambda])
    }
}

impl<F: Float> PerWeight<F> for Scad {
    /// |θ| up to λ, then |θ| − (|θ| − λ)²/(2(a−1)λ); beyond aλ, its value at aλ.
    #[inline(always)]
    fn term(theta: F, t: &TermCoefficients<F>) -> F {
        let a = theta.abs();
        let w = F::select(F::less(a, t[1]), a, t[1]);
        let u = F::select(F::less(t[0], w), w - t[0], F::ZERO);
        w - (u * t[2]) * u
    }

    #[inline(always)]
    fn gradient(theta: F, c: &Coefficients<F>) -> F {
        let a = theta.abs();
        let left = c[1] - a;
        let sloped = F::select(F::less(F::ZERO, left), left, F::ZERO) * c[2];
        let slope = F::select(F::at_most(a, c[0]), c[0], sloped);
        F::select(F::less(F::ZERO, a) & F::less(F::ZERO, slope), F::signed(slope, theta), F::ZERO)
    }

    #[inline(always)]
    fn gradient_limits(_: &Coefficients<F>) -> [F; 2] {
        [F::ZERO; 2]
    }

    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        let a = v.abs();
        let inner = F::threshold(v, c[0]);
        let outer = F::threshold(v, c[2]) * c[3];
        F::select(F::at_most(a, c[1]), inner, F::select(F::at_most(a, c[4]), outer, v))
    }

    #[inline(always)]
    fn metric_prox(v: F, d: F, c: &Coefficients<F>) -> F {
        let a = v.abs();
        let step = F::quotient(c[0], d);
        let rest = c[3] - step;
        let inner = F::threshold(v, step * c[1]);
        let smooth = F::less(F::ZERO, rest);
        let factor = F::quotient(c[3], F::select(smooth, rest, c[3]));
        let outer = F::threshold(v, step * F::quotient(c[4], c[3])) * factor;
        let soft = F::of(0.5) * (c[4] + (c[1] + step * c[1]));
        let hard = c[1] * F::root(step * (c[2] + F::ONE));
        let equal = F::select(F::less(step, c[2] + F::ONE), soft, hard);
        let first = F::select(smooth, c[1] + step * c[1], equal);
        let second = F::select(smooth, c[4], equal);
        F::select(F::at_most(a, first), inner, F::select(F::at_most(a, second), outer, v))
    }
}
