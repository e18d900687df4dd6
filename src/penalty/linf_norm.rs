//! The norm ‖θ‖∞.

use super::Penalty;
use super::named::Named;
use super::validate::factor;
use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Rule;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight};
use crate::numeric::bits::signed;
use crate::{Groups, Result};

pub(super) static FORMULA: Descriptor =
    Descriptor::of::<LInfNorm>(include_str!("../../shaders/penalty/linf_norm.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "linf_norm",
    parameters: &["lambda"],
    lambdas: 1,
    formula: "λ max|θ|, or λΣ max|θ_g| over groups",
    new: |p| Penalty::linf_norm(p[0]),
};

pub(super) struct LInfNorm;

impl Penalty {
    /// R(θ) = λ‖θ‖∞, the largest magnitude (Parikh and Boyd 2014), or λΣ‖θ_g‖∞ [`over`](Penalty::over) groups. It makes
    /// weights equal in magnitude.
    ///
    /// prox(v) is v minus its projection on the L1 ball of radius ηλ: 0 where Σ|v| ≤ ηλ, else clamp(v, −τ, τ) with Σ
    /// max(|v| − τ, 0) = ηλ. The gradient is λ·sign θ at the largest weight and 0 elsewhere. If k weights share the
    /// largest magnitude, each gets λ/k. Convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let norm = Penalty::linf_norm(1.0)?;
    /// assert_eq!(Backend::cpu().evaluate(&norm, &[3.0f32, -4.0])?.value, 4.0);
    /// assert_eq!(Backend::cpu().prox(&norm, &[3.0f32, -4.0, 1.0], 2.0)?, [2.5, -2.5, 1.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn linf_norm(lambda: f64) -> Result<Penalty> {
        Ok(Penalty::of_groups(&FORMULA, [factor("lambda", lambda)?, 0.0], NAMED.given([lambda]), Groups::whole()))
    }
}

impl Formula for LInfNorm {
    const NAME: &'static str = "linf_norm";
    const RULE: Option<Rule> = Some(Rule::Clamp);

    fn factors([lambda, _]: Parameters) -> [f64; 3] {
        [0.0, 0.0, lambda]
    }

    fn bound([lambda, _]: Parameters, step: f64) -> f64 {
        step * lambda
    }

    /// λ.
    fn gradient_coefficients([lambda, _]: Parameters) -> [f64; 5] {
        [lambda, 0.0, 0.0, 0.0, 0.0]
    }
}

impl PerWeight<f32> for LInfNorm {
    #[inline(always)]
    fn gradient(theta: f32, c: &Coefficients) -> f32 {
        let a = theta.abs();
        if a > 0.0 && a == c[3] { signed(c[4], theta) } else { 0.0 }
    }

    #[inline(always)]
    fn gradient_limits(c: &Coefficients) -> [f32; 2] {
        [-c[0], c[0]]
    }

    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        let (a, most) = (v.abs(), c[3] + c[4]);
        signed(if a < most { a } else { most }, v)
    }
}
