//! The minimax concave penalty, MCP.

use super::Penalty;
use super::named::Named;
use super::validate::{factor, shape};
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::float::Float;

pub(super) static FORMULA: Descriptor = Descriptor::separable::<Mcp>(include_str!("../../shaders/penalty/mcp.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "mcp",
    parameters: &["lambda", "gamma"],
    lambdas: 1,
    formula: "Σ λ|θ| − θ²/(2γ) where |θ| ≤ γλ, else γλ²/2",
    new: |p| Penalty::mcp(p[0], p[1]),
};

pub(super) struct Mcp;

impl Penalty {
    /// R(θ) = Σ λ|θ| − θ²/(2γ) where |θ| ≤ γλ, else γλ²/2: the minimax concave penalty (Zhang 2010). It does not shrink
    /// large weights.
    ///
    /// If η < γ, prox(v) is the firm threshold: (v − clamp(v, −ηλ, ηλ))·γ/(γ − η) where |v| ≤ γλ, else v. If η ≥ γ, it
    /// is the hard threshold at λ√(γη). The gradient is (λ − |θ|/γ)·sign θ where |θ| ≤ γλ, else 0. γ → ∞ is L1. Not
    /// convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let mcp = Penalty::mcp(1.0, 2.0)?;
    /// assert_eq!(Backend::cpu().prox(&mcp, &[1.5f32, -3.0, 0.5], 1.0)?, [1.0, -3.0, 0.0]);
    /// assert_eq!(Backend::cpu().evaluate(&mcp, &[1.0f32, 3.0])?.value, 0.75 + 1.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2 and 2^-100 ≤ γ ≤ 2^100.
    pub fn mcp(lambda: f64, gamma: f64) -> Result<Penalty> {
        Ok(Penalty::of(
            &FORMULA,
            [factor("lambda", lambda)?, shape("gamma", gamma, 0.0)?],
            NAMED.given([lambda, gamma]),
        ))
    }
}

impl Formula for Mcp {
    const NAME: &'static str = "mcp";

    fn factors([lambda, _]: Parameters) -> [f64; 3] {
        [0.0, 0.0, lambda]
    }

    /// γλ, 1/(2γλ).
    fn term_coefficients([lambda, gamma]: Parameters) -> [f64; 3] {
        [gamma * lambda, 0.5 / (gamma * lambda), 0.0]
    }

    /// λ, 1/γ, γλ.
    fn gradient_coefficients([lambda, gamma]: Parameters) -> [f64; 5] {
        [lambda, 1.0 / gamma, gamma * lambda, 0.0, 0.0]
    }

    /// The threshold, the factor beyond the threshold, and the magnitude where the factor's range ends.
    fn prox_coefficients([lambda, gamma]: Parameters, step: f64) -> Result<[f64; 5]> {
        if step < gamma {
            return Ok([step * lambda, gamma / (gamma - step), gamma * lambda, 0.0, 0.0]);
        }
        let hard = lambda * (gamma * step).sqrt();
        Ok([hard, 0.0, hard, 0.0, 0.0])
    }

    /// step·λ, step/γ, γλ, λ√(γ·step).
    fn metric_coefficients([lambda, gamma]: Parameters, step: f64) -> Result<[f64; 5]> {
        Ok([step * lambda, step / gamma, gamma * lambda, lambda * (gamma * step).sqrt(), 0.0])
    }
}

impl<F: Float> PerWeight<F> for Mcp {
    /// |θ| − θ²/(2γλ); beyond γλ, its value at γλ.
    #[inline(always)]
    fn term(theta: F, t: &TermCoefficients<F>) -> F {
        let a = theta.abs();
        let w = F::select(F::less(a, t[0]), a, t[0]);
        w - (w * t[1]) * w
    }

    #[inline(always)]
    fn gradient(theta: F, c: &Coefficients<F>) -> F {
        let a = theta.abs();
        let slope = c[0] - a * c[1];
        let inside = F::less(F::ZERO, a) & F::less(a, c[2]) & F::less(F::ZERO, slope);
        F::select(inside, F::signed(slope, theta), F::ZERO)
    }

    #[inline(always)]
    fn gradient_limits(_: &Coefficients<F>) -> [F; 2] {
        [F::ZERO; 2]
    }

    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        F::select(F::at_most(v.abs(), c[2]), F::threshold(v, c[0]) * c[1], v)
    }

    #[inline(always)]
    fn metric_prox(v: F, d: F, c: &Coefficients<F>) -> F {
        // The step over γ, both over d.
        let share = F::quotient(c[1], d);
        let firm = F::less(share, F::ONE);
        let factor = F::quotient(F::ONE, F::select(firm, F::ONE - share, F::ONE));
        let inner = F::threshold(v, F::quotient(c[0], d)) * factor;
        let hard = F::quotient(c[3], F::root(d));
        let inner = F::select(firm, inner, F::ZERO);
        F::select(F::at_most(v.abs(), F::select(firm, c[2], hard)), inner, v)
    }
}
