//! Losses of one row: what a model's prediction costs.

pub(crate) mod logistic;
pub(crate) mod multinomial;
pub(crate) mod poisson;
pub(crate) mod squared;

use crate::{Error, Result};

/// A smooth convex loss ℓ(y, η) of a row's target y and its linear predictor η = xw + b. A fit minimizes
/// (1/Σv) Σ vᵢ ℓ(yᵢ, ηᵢ) + R(w) with sample weights v.
///
/// [`Squared`](crate::Squared), [`Logistic`](crate::Logistic), [`Multinomial`](crate::Multinomial) and
/// [`Poisson`](crate::Poisson) are here. A user implements three functions for another:
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Loss, Matrix, Options, Problem, fit};
///
/// /// The loss of a robust regression: √(1 + (η − y)²) − 1.
/// struct PseudoHuber;
///
/// impl Loss for PseudoHuber {
///     fn name(&self) -> &'static str {
///         "pseudo-huber"
///     }
///     fn value(&self, y: f64, eta: &[f64]) -> f64 {
///         (1.0 + (eta[0] - y).powi(2)).sqrt() - 1.0
///     }
///     fn slope(&self, y: f64, eta: &[f64], _output: usize) -> f64 {
///         (eta[0] - y) / (1.0 + (eta[0] - y).powi(2)).sqrt()
///     }
///     fn curvature(&self, y: f64, eta: &[f64], _output: usize) -> f64 {
///         (1.0 + (eta[0] - y).powi(2)).powf(-1.5)
///     }
/// }
///
/// let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 400.0, 5.0]); // one row is wrong
/// let problem = Problem::new(Matrix::dense(5, 1, &x)?, &y)?;
/// let robust = fit(&problem, &PseudoHuber, &Penalty::l1(0.01)?, &Options::default())?;
/// assert!((robust.coef[0] - 1.0).abs() < 0.2, "{robust:?}");
/// # Ok::<(), penalty_fit::Error>(())
/// ```
pub trait Loss: Sync {
    /// What errors call it.
    fn name(&self) -> &'static str;

    /// How many linear predictors a row has; rejects targets that the loss is not for. By default one, for any finite
    /// target.
    ///
    /// # Errors
    ///
    /// [`Error::Number`] or [`Error::OneValue`] for such targets.
    fn outputs(&self, _y: &[f64]) -> Result<usize> {
        Ok(1)
    }

    /// ℓ(y, η), with one η for each output.
    fn value(&self, y: f64, eta: &[f64]) -> f64;

    /// ∂ℓ/∂η of an output.
    fn slope(&self, y: f64, eta: &[f64], output: usize) -> f64;

    /// ∂²ℓ/∂η² of an output, ≥ 0.
    fn curvature(&self, y: f64, eta: &[f64], output: usize) -> f64;

    /// The largest curvature there is; `None` if there is no bound. With it, features can be screened.
    fn smoothness(&self) -> Option<f64> {
        None
    }

    /// Whether the curvature is 1 everywhere, so that one Newton step is exact.
    fn is_quadratic(&self) -> bool {
        false
    }

    /// The convex conjugate sup over η of uη − ℓ(y, η), for one output; `None` if it is not known. With it, a fit knows
    /// its duality gap.
    fn conjugate(&self, _y: f64, _u: f64) -> Option<f64> {
        None
    }

    /// The least value that ℓ(y, ·) has: the deviance is twice what the loss is above it. By default 0.
    fn least(&self, _y: f64) -> f64 {
        0.0
    }
}

/// Rejects a target that is the same in every row.
fn differs(loss: &'static str, y: &[f64]) -> Result<()> {
    if y.iter().any(|other| *other != y[0]) { Ok(()) } else { Err(Error::OneValue { loss, found: y[0] }) }
}
