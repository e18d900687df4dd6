//! The L1 ball: 0 where Σ|θ| is at most a radius, else ∞.

use super::named::Named;
use super::validate::radius;
use super::{Penalty, constraint};
use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Rule;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight};
use crate::numeric::bits::{signed, toward_zero};
use crate::{Dtype, Groups, Result};

pub(super) static FORMULA: Descriptor = Descriptor::of::<L1Ball>(include_str!("../../shaders/penalty/l1_ball.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "l1_ball",
    parameters: &["radius"],
    lambdas: 0,
    formula: "0 where Σ|θ| ≤ radius, else ∞",
    new: |p| Penalty::l1_ball(p[0]),
};

pub(super) struct L1Ball;

impl Penalty {
    /// R(θ) = 0 where Σ|θ| ≤ radius, else ∞: the lasso as a constraint (Duchi et al. 2008). [`over`](Penalty::over)
    /// groups, each group has a ball of this radius.
    ///
    /// prox(v) is the projection, whatever the step: sign v·max(|v| − τ, 0), with the τ for which the sum of magnitudes
    /// is the radius, or v if it is inside already. The result is certainly inside, also after rounding to its type.
    /// Beside that rounding, each weight is within 1e-6 of the radius of the exact projection, however different the
    /// scales of weights and radius are. It has [no gradient](Penalty::has_gradient). Convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let ball = Penalty::l1_ball(2.0)?;
    /// assert_eq!(Backend::cpu().prox(&ball, &[3.0f32, -2.0, 0.5], 1.0)?, [1.5, -0.5, 0.0]);
    /// assert_eq!(Backend::cpu().evaluate(&ball, &[1.5f32, -0.5, 0.0])?.value, 0.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ radius ≤ `f32::MAX`.
    pub fn l1_ball(radius: f64) -> Result<Penalty> {
        Ok(Penalty::of_groups(&FORMULA, [self::radius(radius)?, 0.0], NAMED.given([radius]), Groups::whole()))
    }
}

impl Formula for L1Ball {
    const NAME: &'static str = "l1_ball";
    const RULE: Option<Rule> = Some(Rule::Soft);

    fn factors(_: Parameters) -> [f64; 3] {
        constraint::FACTORS
    }

    fn bound([radius, _]: Parameters, _step: f64) -> f64 {
        radius
    }

    fn on(p: Parameters, dtype: Dtype) -> Parameters {
        constraint::radius_on(p, dtype)
    }

    /// How many bits the type lacks.
    fn prox_coefficients([_, lost_bits]: Parameters, _step: f64) -> Result<[f64; 5]> {
        Ok([lost_bits, 0.0, 0.0, 0.0, 0.0])
    }
}

impl PerWeight<f32> for L1Ball {
    /// The threshold has two parts. If the rest is small, the first part is subtracted without rounding. The last bit
    /// of the second part says whether the result is rounded toward 0.
    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        let rest = toward_zero((v.abs() - c[3]) - c[4], c[0], c[4].to_bits() & 1 == 1);
        if rest > 0.0 { signed(rest, v) } else { 0.0 }
    }
}
