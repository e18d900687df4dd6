//! The L2 ball: 0 where ‖θ‖₂ is at most a radius, else ∞.

use super::named::Named;
use super::validate::radius;
use super::{Penalty, constraint};
use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Rule;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight};
use crate::numeric::arithmetic::times_wide;
use crate::numeric::bits::toward_zero;
use crate::{Dtype, Groups, Result};

pub(super) static FORMULA: Descriptor = Descriptor::of::<L2Ball>(include_str!("../../shaders/penalty/l2_ball.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "l2_ball",
    parameters: &["radius"],
    lambdas: 0,
    formula: "0 where ‖θ‖₂ ≤ radius, else ∞",
    new: |p| Penalty::l2_ball(p[0]),
};

pub(super) struct L2Ball;

impl Penalty {
    /// R(θ) = 0 where ‖θ‖₂ ≤ radius, else ∞: the L2 ball (Parikh and Boyd 2014). [`over`](Penalty::over) groups, each
    /// group has a ball of this radius, as in max-norm regularization.
    ///
    /// prox(v) is v·min(radius/‖v‖₂, 1), whatever the step. The result is certainly inside, also after rounding to its
    /// type. Beside that rounding, each weight is within 1e-6 of the radius of the exact projection, however different
    /// the scales of weights and radius are. It has [no gradient](Penalty::has_gradient). Convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let ball = Penalty::l2_ball(2.5)?;
    /// assert_eq!(Backend::cpu().prox(&ball, &[3.0f32, -4.0], 1.0)?, [1.5, -2.0]);
    /// assert_eq!(Backend::cpu().evaluate(&ball, &[1.5f32, -2.0])?.value, 0.0);
    /// assert_eq!(Backend::cpu().evaluate(&ball, &[3.0f32, -4.0])?.value, f64::INFINITY);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ radius ≤ `f32::MAX`.
    pub fn l2_ball(radius: f64) -> Result<Penalty> {
        Ok(Penalty::of_groups(&FORMULA, [self::radius(radius)?, 0.0], NAMED.given([radius]), Groups::whole()))
    }
}

impl Formula for L2Ball {
    const NAME: &'static str = "l2_ball";
    const RULE: Option<Rule> = Some(Rule::Scale);

    fn factors(_: Parameters) -> [f64; 3] {
        constraint::FACTORS
    }

    fn bound([radius, _]: Parameters, _step: f64) -> f64 {
        radius
    }

    fn on(p: Parameters, dtype: Dtype) -> Parameters {
        constraint::radius_on(p, dtype)
    }

    /// The radius, and how many bits the type lacks.
    fn prox_coefficients([radius, lost_bits]: Parameters, _step: f64) -> Result<[f64; 5]> {
        Ok([radius, lost_bits, 0.0, 0.0, 0.0])
    }
}

impl PerWeight<f32> for L2Ball {
    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        toward_zero(times_wide(v, c[3]), c[1], c[4] != 0.0)
    }
}
