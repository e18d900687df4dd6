//! L½: λΣ√|θ|.

use super::Penalty;
use super::named::Named;
use super::validate::factor;
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::float::Float;

/// (2/3)^(3/2): from this p on, the prox is 0.
const LARGEST: f64 = 0.544_331_053_951_817_4;

pub(super) static FORMULA: Descriptor =
    Descriptor::separable::<LHalf>(include_str!("../../shaders/penalty/l_half.wgsl"));

pub(super) static NAMED: Named =
    Named {
        name: "l_half", parameters: &["lambda"], lambdas: 1, formula: "λΣ√|θ|", new: |p| Penalty::l_half(p[0])
    };

pub(super) struct LHalf;

impl Penalty {
    /// R(θ) = λΣ√|θ| (Xu, Chang, Xu and Zhang 2012). It gives more zeros than L1 and shrinks large weights less.
    ///
    /// prox(v) is 0 where |v| ≤ 3/2·(ηλ)^(2/3). Elsewhere it is the larger root of x − |v| + ηλ/(2√x) = 0, with v's
    /// sign. That is their "half threshold" ⅔v(1 + cos(⅔π − ⅔acos(ηλ/4·(|v|/3)^(−3/2)))), computed without an arc
    /// cosine. The gradient is λ/(2√|θ|)·sign θ, 0 at 0. Not convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let l_half = Penalty::l_half(1.0)?;
    /// assert_eq!(Backend::cpu().prox(&l_half, &[1.0f32, -4.0], 1.0)?, [0.0, -3.7415082]);
    /// assert_eq!(Backend::cpu().evaluate(&l_half, &[4.0f32, -9.0])?.value, 5.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn l_half(lambda: f64) -> Result<Penalty> {
        Ok(Penalty::of(&FORMULA, [factor("lambda", lambda)?, 0.0], NAMED.given([lambda])))
    }
}

impl Formula for LHalf {
    const NAME: &'static str = "l_half";

    fn factors([lambda, _]: Parameters) -> [f64; 3] {
        [0.0, 0.0, lambda]
    }

    fn term_coefficients(_: Parameters) -> [f64; 3] {
        [0.0; 3]
    }

    /// λ/2.
    fn gradient_coefficients([lambda, _]: Parameters) -> [f64; 5] {
        [0.5 * lambda, 0.0, 0.0, 0.0, 0.0]
    }

    /// step·λ.
    fn prox_coefficients([lambda, _]: Parameters, step: f64) -> Result<[f64; 5]> {
        Ok([step * lambda, 0.0, 0.0, 0.0, 0.0])
    }

    /// step·λ.
    fn metric_coefficients(p: Parameters, step: f64) -> Result<[f64; 5]> {
        LHalf::prox_coefficients(p, step)
    }
}

impl<F: Float> PerWeight<F> for LHalf {
    #[inline(always)]
    fn term(theta: F, _: &TermCoefficients<F>) -> F {
        F::root(theta.abs())
    }

    #[inline(always)]
    fn gradient(theta: F, c: &Coefficients<F>) -> F {
        let slope = F::signed(F::quotient(c[0], F::root(theta.abs())), theta);
        F::select(F::equal(theta, F::ZERO), F::ZERO, slope)
    }

    #[inline(always)]
    fn gradient_limits(_: &Coefficients<F>) -> [F; 2] {
        [F::ZERO; 2]
    }

    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        half_threshold(v, c[0])
    }

    #[inline(always)]
    fn metric_prox(v: F, d: F, c: &Coefficients<F>) -> F {
        half_threshold(v, F::quotient(c[0], d))
    }
}

/// With p = k·|v|^(−3/2), the prox is v·q(p), where q is the larger root of q − 1 + p/(2√q) = 0. Up to the p where the
/// prox jumps, (1 − q)/p is smooth. Here it is a polynomial whose error is within 2e-8, relative to q.
#[inline(always)]
fn half_threshold<F: Float>(v: F, k: F) -> F {
    let a = v.abs();
    let p = F::quotient(F::quotient(k, a), F::root(a));
    let mut h = F::of(10.478_734);
    h = h * p + F::of(-22.558_804);
    h = h * p + F::of(21.633_81);
    h = h * p + F::of(-11.491_652);
    h = h * p + F::of(3.822_508_8);
    h = h * p + F::of(-0.708_529_7);
    h = h * p + F::of(0.150_615_89);
    h = h * p + F::of(0.055_830_32);
    h = h * p + F::of(0.078_363_8);
    h = h * p + F::of(0.124_996_71);
    h = h * p + F::of(0.5);
    let mut lost = p * h;
    if F::DOUBLE {
        // One step of Newton's method for 1 − q squares the polynomial's error.
        let q = F::ONE - lost;
        let half_slope = F::quotient(F::of(0.5) * p, F::root(q));
        lost = lost + F::quotient(half_slope - lost, F::ONE - F::quotient(F::of(0.5) * half_slope, q));
    }
    let x = v - v * lost;
    // At v = 0 the quotients are meaningless.
    F::select(F::less(p, F::of(LARGEST)) & F::less(F::ZERO, a), x, F::ZERO)
}
