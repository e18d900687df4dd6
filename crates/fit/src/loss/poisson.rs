//! The loss of counts.

use super::Loss;
use crate::problem::all;
use crate::{Error, Result};

/// ℓ(y, η) = e^η − yη, for counts y ≥ 0: the expected count is e^η (without the constant ln y!).
///
/// ```
/// use penalty_fit::{Loss, Poisson};
///
/// assert_eq!(Poisson.value(2.0, &[0.0]), 1.0);
/// assert_eq!(Poisson.slope(2.0, &[0.0], 0), -1.0);
/// assert!(Poisson.outputs(&[0.0, -1.0]).is_err());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Poisson;

impl Loss for Poisson {
    fn name(&self) -> &'static str {
        "poisson"
    }

    fn outputs(&self, y: &[f64]) -> Result<usize> {
        all("the target", y, "a number ≥ 0", |y| y >= 0.0)?;
        // Its best intercept would be −∞.
        if y.iter().all(|y| *y == 0.0) {
            let (what, expected) = ("the target of poisson", "above 0 in some row");
            return Err(Error::Number { what, expected, found: 0.0, index: 0 });
        }
        Ok(1)
    }

    #[inline]
    fn value(&self, y: f64, eta: &[f64]) -> f64 {
        eta[0].exp() - y * eta[0]
    }

    #[inline]
    fn slope(&self, y: f64, eta: &[f64], _: usize) -> f64 {
        eta[0].exp() - y
    }

    #[inline]
    fn curvature(&self, _: f64, eta: &[f64], _: usize) -> f64 {
        eta[0].exp()
    }

    fn conjugate(&self, y: f64, u: f64) -> Option<f64> {
        let t = u + y;
        Some(if t > 0.0 {
            t * t.ln() - t
        } else if t == 0.0 {
            0.0
        } else {
            f64::INFINITY
        })
    }

    fn least(&self, y: f64) -> f64 {
        if y > 0.0 { y - y * y.ln() } else { 0.0 }
    }
}
