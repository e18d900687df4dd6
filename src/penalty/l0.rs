//! L0: λ·#{θ ≠ 0}; its prox is the hard threshold.

use super::Penalty;
use super::named::Named;
use super::validate::factor;
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::float::Float;

pub(super) static FORMULA: Descriptor = Descriptor::separable::<L0>(include_str!("../../shaders/penalty/l0.wgsl"));

pub(super) static NAMED: Named =
    Named { name: "l0", parameters: &["lambda"], lambdas: 1, formula: "λ·#{θ ≠ 0}", new: |p| Penalty::l0(p[0]) };

pub(super) struct L0;

impl Penalty {
    /// R(θ) = λ·#{θ ≠ 0}: λ times the number of non-zero weights.
    ///
    /// The prox is the hard threshold (Blumensath and Davies 2008): v where |v| > √(2ηλ), else 0, also at a tie. It has
    /// [no gradient](Penalty::has_gradient). Not convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let l0 = Penalty::l0(0.5)?;
    /// assert_eq!(Backend::cpu().prox(&l0, &[1.5f32, 1.0, -0.25], 1.0)?, [1.5, 0.0, 0.0]);
    /// assert_eq!(Backend::cpu().evaluate(&l0, &[1.5f32, 0.0, -0.25])?.value, 1.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn l0(lambda: f64) -> Result<Penalty> {
        Ok(Penalty::of(&FORMULA, [factor("lambda", lambda)?, 0.0], NAMED.given([lambda])))
    }
}

impl Formula for L0 {
    const NAME: &'static str = "l0";

    fn factors([lambda, _]: Parameters) -> [f64; 3] {
        [0.0, 0.0, lambda]
    }

    fn term_coefficients(_: Parameters) -> [f64; 3] {
        [0.0; 3]
    }

    /// A count is flat except where it jumps.
    fn has_gradient(_: Parameters) -> bool {
        false
    }

    /// √(2·step·λ).
    fn prox_coefficients([lambda, _]: Parameters, step: f64) -> Result<[f64; 5]> {
        Ok([(2.0 * step * lambda).sqrt(), 0.0, 0.0, 0.0, 0.0])
    }

    /// 2·step·λ.
    fn metric_coefficients([lambda, _]: Parameters, step: f64) -> Result<[f64; 5]> {
        Ok([2.0 * step * lambda, 0.0, 0.0, 0.0, 0.0])
    }
}

impl<F: Float> PerWeight<F> for L0 {
    #[inline(always)]
    fn term(theta: F, _: &TermCoefficients<F>) -> F {
        F::select(F::equal(theta, F::ZERO), F::ZERO, F::ONE)
    }

    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        F::select(F::less(c[0], v.abs()), v, F::ZERO)
    }

    #[inline(always)]
    fn metric_prox(v: F, d: F, c: &Coefficients<F>) -> F {
        F::select(F::less(F::root(F::quotient(c[0], d)), v.abs()), v, F::ZERO)
    }
}
