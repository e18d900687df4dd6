//! The logistic loss.

use super::{Loss, differs};
use crate::Result;
use crate::problem::all;

/// ℓ(y, η) = ln(1 + e^η) − yη, for targets 0 and 1: the probability of 1 is 1/(1 + e^−η).
///
/// ```
/// use penalty_fit::{Loss, Logistic};
///
/// assert_eq!(Logistic.value(1.0, &[0.0]), 2f64.ln());
/// assert_eq!(Logistic.slope(1.0, &[0.0], 0), -0.5);
/// assert!(Logistic.outputs(&[0.0, 2.0]).is_err());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Logistic;

/// 1/(1 + e^−η) without overflow.
#[inline]
fn probability(eta: f64) -> f64 {
    let e = (-eta.abs()).exp();
    if eta >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

impl Loss for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }

    fn outputs(&self, y: &[f64]) -> Result<usize> {
        all("the target", y, "0 or 1", |y| y == 0.0 || y == 1.0)?;
        differs(self.name(), y)?;
        Ok(1)
    }

    #[inline]
    fn value(&self, y: f64, eta: &[f64]) -> f64 {
        (-eta[0].abs()).exp().ln_1p() + eta[0].max(0.0) - y * eta[0]
    }

    #[inline]
    fn slope(&self, y: f64, eta: &[f64], _: usize) -> f64 {
        // Without the difference of two numbers near 1.
        if y == 1.0 { -probability(-eta[0]) } else { probability(eta[0]) }
    }

    #[inline]
    fn curvature(&self, _: f64, eta: &[f64], _: usize) -> f64 {
        let e = (-eta[0].abs()).exp();
        e / ((1.0 + e) * (1.0 + e))
    }

    fn smoothness(&self) -> Option<f64> {
        Some(0.25)
    }

    fn conjugate(&self, y: f64, u: f64) -> Option<f64> {
        let (t, entropy) = (u + y, |t: f64| if t > 0.0 { t * t.ln() } else { 0.0 });
        let inside = (0.0..=1.0).contains(&t);
        Some(if inside { entropy(t) + entropy(1.0 - t) } else { f64::INFINITY })
    }
}
