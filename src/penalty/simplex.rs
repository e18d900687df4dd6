//! The simplex: 0 where θ ≥ 0 and Σθ is a radius, else ∞.

use super::named::Named;
use super::validate::radius;
use super::{Penalty, constraint};
use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Rule;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight};
use crate::numeric::bits::toward_zero;
use crate::{Dtype, Groups, Result};

pub(super) static FORMULA: Descriptor = Descriptor::of::<Simplex>(include_str!("../../shaders/penalty/simplex.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "simplex",
    parameters: &["radius"],
    lambdas: 0,
    formula: "0 where every θ ≥ 0 and Σθ = radius, else ∞",
    new: |p| Penalty::simplex(p[0]),
};

pub(super) struct Simplex;

impl Penalty {
    /// R(θ) = 0 where every θ ≥ 0 and Σθ = radius, else ∞: the scaled probability simplex (Held, Wolfe and Crowder
    /// 1974). [`over`](Penalty::over) groups, each group has a simplex of this radius.
    ///
    /// prox(v) is the projection, whatever the step: max(v − τ, 0), with the τ, of any sign, for which the sum is the
    /// radius. After rounding to the weights' type, the sum is never above the radius. Beside that rounding, each
    /// weight is within 1e-6 of the radius of the exact projection, however different the scales of weights and radius
    /// are.
    ///
    /// In the value, a sum counts as equal to the radius if it is not above it, and below it by at most 2^-20 of the
    /// radius (2^-8 for f16, 2^-5 for bf16) plus 2^-120 for each weight. It has [no gradient](Penalty::has_gradient).
    /// Convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let simplex = Penalty::simplex(1.0)?;
    /// assert_eq!(Backend::cpu().prox(&simplex, &[0.75f32, 0.5, -1.0], 1.0)?, [0.625, 0.375, 0.0]);
    /// assert_eq!(Backend::cpu().prox(&simplex, &[0.0f32, 0.0], 1.0)?, [0.5, 0.5]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ radius ≤ `f32::MAX`.
    pub fn simplex(radius: f64) -> Result<Penalty> {
        Ok(Penalty::of_groups(&FORMULA, [self::radius(radius)?, 0.0], NAMED.given([radius]), Groups::whole()))
    }
}

impl Formula for Simplex {
    const NAME: &'static str = "simplex";
    const RULE: Option<Rule> = Some(Rule::Simplex);

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

impl PerWeight<f32> for Simplex {
    /// As the prox of the L1 ball, for signed weights.
    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        let rest = toward_zero((v - c[3]) - c[4], c[0], c[4].to_bits() & 1 == 1);
        if rest > 0.0 { rest } else { 0.0 }
    }
}
