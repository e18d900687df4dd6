//! The squared loss.

use super::Loss;

/// ℓ(y, η) = ½(y − η)², for numbers: least squares, 1/(2n)‖y − Xw − b‖² without sample weights.
///
/// ```
/// use penalty_fit::{Loss, Squared};
///
/// assert_eq!(Squared.value(3.0, &[1.0]), 2.0);
/// assert_eq!(Squared.slope(3.0, &[1.0], 0), -2.0);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Squared;

impl Loss for Squared {
    fn name(&self) -> &'static str {
        "squared"
    }

    #[inline]
    fn value(&self, y: f64, eta: &[f64]) -> f64 {
        0.5 * (y - eta[0]) * (y - eta[0])
    }

    #[inline]
    fn slope(&self, y: f64, eta: &[f64], _: usize) -> f64 {
        eta[0] - y
    }

    #[inline]
    fn curvature(&self, _: f64, _: &[f64], _: usize) -> f64 {
        1.0
    }

    fn smoothness(&self) -> Option<f64> {
        Some(1.0)
    }

    fn is_quadratic(&self) -> bool {
        true
    }

    fn conjugate(&self, y: f64, u: f64) -> Option<f64> {
        Some(u * (0.5 * u + y))
    }
}
