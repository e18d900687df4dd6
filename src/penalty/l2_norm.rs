//! The norm ‖θ‖₂, not squared.

use super::Penalty;
use super::named::Named;
use super::validate::factor;
use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Rule;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight};
use crate::numeric::arithmetic::times_wide;
use crate::{Groups, Result};

pub(super) static FORMULA: Descriptor = Descriptor::of::<L2Norm>(include_str!("../../shaders/penalty/l2_norm.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "l2_norm",
    parameters: &["lambda"],
    lambdas: 1,
    formula: "λ‖θ‖₂, or λΣ‖θ_g‖₂ over groups",
    new: |p| Penalty::l2_norm(p[0]),
};

pub(super) struct L2Norm;

impl Penalty {
    /// R(θ) = λ‖θ‖₂, the norm that is not squared (Yuan and Lin 2006): either all weights become zero, or none does.
    /// [`over`](Penalty::over) groups it is λΣ‖θ_g‖₂. [`group_lasso`](Penalty::group_lasso) also takes the sizes of the
    /// groups into account.
    ///
    /// prox(v) is v·max(1 − ηλ/‖v‖₂, 0). The gradient is λθ/‖θ‖₂, 0 at 0. Convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let norm = Penalty::l2_norm(1.0)?;
    /// assert_eq!(Backend::cpu().evaluate(&norm, &[3.0f32, -4.0])?.value, 5.0);
    /// assert_eq!(Backend::cpu().prox(&norm, &[3.0f32, -4.0], 2.5)?, [1.5, -2.0]);
    /// assert_eq!(Backend::cpu().prox(&norm, &[3.0f32, -4.0], 5.0)?, [0.0, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn l2_norm(lambda: f64) -> Result<Penalty> {
        Ok(Penalty::of_groups(&FORMULA, [factor("lambda", lambda)?, 0.0], NAMED.given([lambda]), Groups::whole()))
    }
}

impl Formula for L2Norm {
    const NAME: &'static str = "l2_norm";
    const RULE: Option<Rule> = Some(Rule::Shrink { sized: false });

    fn factors([lambda, _]: Parameters) -> [f64; 3] {
        [0.0, 0.0, lambda]
    }

    fn bound([lambda, _]: Parameters, step: f64) -> f64 {
        step * lambda
    }

    /// −, λ.
    fn gradient_coefficients([lambda, _]: Parameters) -> [f64; 5] {
        [0.0, lambda, 0.0, 0.0, 0.0]
    }
}

impl PerWeight<f32> for L2Norm {
    #[inline(always)]
    fn gradient(theta: f32, c: &Coefficients) -> f32 {
        times_wide(theta, c[3])
    }

    #[inline(always)]
    fn gradient_limits(c: &Coefficients) -> [f32; 2] {
        [-c[4], c[4]]
    }

    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        v * c[3]
    }
}
