//! The loss of several classes.

use super::{Loss, differs};
use crate::Result;
use crate::problem::all;

/// ℓ(y, η) = ln Σₖ e^ηₖ − η_y, for targets 0, 1, …, K − 1 (up to 2^16 classes): one linear predictor for each class.
///
/// ```
/// use penalty_fit::{Loss, Multinomial};
///
/// assert_eq!(Multinomial.outputs(&[0.0, 2.0, 1.0]), Ok(3));
/// assert_eq!(Multinomial.value(1.0, &[0.0, 0.0]), 2f64.ln());
/// assert_eq!(Multinomial.slope(1.0, &[0.0, 0.0], 1), -0.5);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Multinomial;

/// The probability of a class.
#[inline]
fn probability(eta: &[f64], class: usize) -> f64 {
    let largest = eta.iter().fold(f64::NEG_INFINITY, |max, eta| max.max(*eta));
    (eta[class] - largest).exp() / eta.iter().map(|eta| (eta - largest).exp()).sum::<f64>()
}

impl Loss for Multinomial {
    fn name(&self) -> &'static str {
        "multinomial"
    }

    fn outputs(&self, y: &[f64]) -> Result<usize> {
        all("the target", y, "a class 0, 1, 2, … below 2^16", |y| (0.0..65536.0).contains(&y) && y.fract() == 0.0)?;
        differs(self.name(), y)?;
        Ok(y.iter().fold(0.0, |max: f64, y| max.max(*y)) as usize + 1)
    }

    #[inline]
    fn value(&self, y: f64, eta: &[f64]) -> f64 {
        let largest = eta.iter().fold(f64::NEG_INFINITY, |max, eta| max.max(*eta));
        largest + eta.iter().map(|eta| (eta - largest).exp()).sum::<f64>().ln() - eta[y as usize]
    }

    #[inline]
    fn slope(&self, y: f64, eta: &[f64], output: usize) -> f64 {
        probability(eta, output) - if y as usize == output { 1.0 } else { 0.0 }
    }

    #[inline]
    fn curvature(&self, _: f64, eta: &[f64], output: usize) -> f64 {
        let p = probability(eta, output);
        p * (1.0 - p)
    }

    fn smoothness(&self) -> Option<f64> {
        // Of one output, the others held.
        Some(0.25)
    }
}
