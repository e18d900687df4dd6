//! L½: λΣ√|θ|.

use super::Penalty;
use super::named::Named;
use super::validate::factor;
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, TermCoefficients};
use crate::numeric::arithmetic::{quotient, root};
use crate::numeric::bits::signed;

/// (2/3)^(3/2): from this p on, the prox is 0.
const LARGEST: f32 = 0.544_331_1;

pub(super) static FORMULA: Descriptor = Descriptor::of::<LHalf>(include_str!("../../shaders/penalty/l_half.wgsl"));

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

    #[inline(always)]
    fn term(theta: f32, _: &TermCoefficients) -> f32 {
        root(theta.abs())
    }

    #[inline(always)]
    fn gradient(theta: f32, c: &Coefficients) -> f32 {
        let slope = signed(quotient(c[0], root(theta.abs())), theta);
        if theta == 0.0 { 0.0 } else { slope }
    }

    #[inline(always)]
    fn gradient_limits(_: &Coefficients) -> [f32; 2] {
        [0.0; 2]
    }

    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        half_threshold(v, c[0])
    }

    #[inline(always)]
    fn metric_prox(v: f32, d: f32, c: &Coefficients) -> f32 {
        half_threshold(v, quotient(c[0], d))
    }
}

/// With p = k·|v|^(−3/2), the prox is v·q(p), where q is the larger root of q − 1 + p/(2√q) = 0. Up to the p where the
/// prox jumps, (1 − q)/p is smooth. Here it is a polynomial whose error is within 2e-8, relative to q.
#[inline(always)]
fn half_threshold(v: f32, k: f32) -> f32 {
    let a = v.abs();
    let p = quotient(quotient(k, a), root(a));
    let mut h = 10.478_734_f32;
    h = h * p + -22.558_804;
    h = h * p + 21.633_81;
    h = h * p + -11.491_652;
    h = h * p + 3.822_508_8;
    h = h * p + -0.708_529_7;
    h = h * p + 0.150_615_89;
    h = h * p + 0.055_830_32;
    h = h * p + 0.078_363_8;
    h = h * p + 0.124_996_71;
    h = h * p + 0.5;
    let x = v - v * (p * h);
    // At v = 0 the quotients are meaningless.
    if p < LARGEST && a > 0.0 { x } else { 0.0 }
}
