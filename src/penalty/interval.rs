//! The box: 0 where every weight is in an interval, else ∞.

use super::named::Named;
use super::{Penalty, constraint};
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::float::Float;
use crate::{Dtype, Error, Result};
use half::{bf16, f16};

pub(super) static FORMULA: Descriptor =
    Descriptor::separable::<Interval>(include_str!("../../shaders/penalty/interval.wgsl"));

pub(super) static BOX: Named = Named {
    name: "box",
    parameters: &["lower", "upper"],
    lambdas: 0,
    formula: "0 where lower ≤ θ ≤ upper for every θ, else ∞",
    new: |p| Ok(Penalty { origin: BOX.given([p[0], p[1]]), ..Penalty::interval(p[0], p[1])? }),
};

/// By the name of its constructor, since `box` is a keyword of Rust.
pub(super) static INTERVAL: Named = Named { name: "interval", new: |p| Penalty::interval(p[0], p[1]), ..BOX };

pub(super) struct Interval;

impl Penalty {
    /// R(θ) = 0 where lower ≤ θ ≤ upper for every θ, else ∞: the box (Parikh and Boyd 2014). A bound may be infinite.
    ///
    /// prox(v) is min(max(v, lower), upper), whatever the step. It has [no gradient](Penalty::has_gradient). Each bound
    /// is rounded once, to the nearest number of the weights' type. A weight that equals a bound is inside. Convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let interval = Penalty::interval(-1.0, 0.5)?;
    /// assert_eq!(Backend::cpu().prox(&interval, &[1.5f32, 0.25, -2.0], 1.0)?, [0.5, 0.25, -1.0]);
    /// assert_eq!(Backend::cpu().evaluate(&interval, &[0.5f32, -1.0])?.value, 0.0);
    /// assert_eq!(Backend::cpu().evaluate(&interval, &[0.75f32])?.value, f64::INFINITY);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if a bound is NaN, or lower > upper.
    pub fn interval(lower: f64, upper: f64) -> Result<Penalty> {
        if lower.is_nan() {
            return Err(Error::Parameter { name: "lower", expected: "a number", found: lower });
        }
        if lower <= upper {
            return Ok(Penalty::of(&FORMULA, [lower, upper], INTERVAL.given([lower, upper])));
        }
        Err(Error::Parameter { name: "upper", expected: "a number that is not below lower", found: upper })
    }
}

impl Formula for Interval {
    const NAME: &'static str = "box";

    fn factors(_: Parameters) -> [f64; 3] {
        constraint::FACTORS
    }

    fn on(p: Parameters, dtype: Dtype) -> Parameters {
        p.map(|bound| match dtype {
            Dtype::F32 => (bound as f32).into(),
            Dtype::F16 => f16::from_f64(bound).into(),
            Dtype::BF16 => bf16::from_f64(bound).into(),
        })
    }

    fn term_coefficients([lower, upper]: Parameters) -> [f64; 3] {
        [lower, upper, 0.0]
    }

    /// Both bounds.
    fn prox_coefficients([lower, upper]: Parameters, _: f64) -> Result<[f64; 5]> {
        Ok([lower, upper, 0.0, 0.0, 0.0])
    }

    /// Both bounds.
    fn metric_coefficients(p: Parameters, step: f64) -> Result<[f64; 5]> {
        Interval::prox_coefficients(p, step)
    }
}

impl<F: Float> PerWeight<F> for Interval {
    /// 1 if θ is forbidden, else 0.
    #[inline(always)]
    fn term(theta: F, t: &TermCoefficients<F>) -> F {
        F::select(F::less(theta, t[0]) | F::less(t[1], theta), F::ONE, F::ZERO)
    }

    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        let raised = F::select(F::less(c[0], v), v, c[0]);
        F::select(F::less(raised, c[1]), raised, c[1])
    }

    #[inline(always)]
    fn metric_prox(v: F, _: F, c: &Coefficients<F>) -> F {
        Interval::prox(v, c)
    }
}
