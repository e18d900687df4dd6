//! What a fit gives.

use crate::{Error, Matrix, Result};

/// A fitted model, and how it was found.
///
/// Of several outputs (classes), all coefficients of the first come first, then those of the second.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, Squared, fit};
///
/// let (x, y) = ([1.0, 2.0, 3.0, 4.0, 1.0, -1.0, -1.0, 1.0], [3.0, 5.0, 7.0, 9.0]);
/// let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?.standardize(true);
/// let lasso = fit(&problem, &Squared, &Penalty::l1(0.5)?, &Options::default())?;
/// assert!(lasso.converged && lasso.nonzero == 1);
/// let predicted = lasso.predict(&Matrix::dense(1, 2, &[5.0, 0.0])?)?;
/// assert!((predicted[0] - 9.88).abs() < 0.01, "{predicted:?}");
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Solution {
    /// The penalty's λ, as a multiple of the penalty given: its λ, if that was given with λ = 1.
    pub lambda: f64,
    /// How many linear predictors there are: the classes of the multinomial loss, otherwise 1.
    pub outputs: usize,
    /// The coefficients that are penalized: of the standardized columns, if the problem says so.
    pub coef: Vec<f64>,
    /// The intercepts that go with them.
    pub intercept: Vec<f64>,
    /// The coefficients of the columns as they were given.
    pub coef_raw: Vec<f64>,
    /// The intercepts that go with them.
    pub intercept_raw: Vec<f64>,
    /// Loss plus penalty.
    pub objective: f64,
    /// The mean loss of the rows.
    pub loss: f64,
    /// How many coefficients are not 0.
    pub nonzero: usize,
    /// Epochs of coordinate descent, or steps of FISTA.
    pub iterations: usize,
    /// Whether it reached the tolerance.
    pub converged: bool,
    /// How far the objective is above the least one at most; `None` if no bound is known.
    pub gap: Option<f64>,
    /// The most that a prox step of one block would change: 0 at an optimum.
    pub residual: f64,
    /// What a user should know, such as constant columns, one sentence each.
    pub notes: Vec<String>,
}

impl Solution {
    /// The linear predictors of the rows of a design: the expected target under the squared loss, its logarithm under
    /// the Poisson loss, log-odds under the logistic loss. Of several outputs, the numbers of a row are consecutive.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the design has another number of columns.
    ///
    /// ```
    /// # use penalty::Penalty;
    /// # use penalty_fit::{Matrix, Options, Problem, Squared, fit};
    /// # let (x, y) = ([1.0, 2.0, 3.0], [3.0, 5.0, 7.0]);
    /// # let line = fit(&Problem::new(Matrix::dense(3, 1, &x)?, &y)?, &Squared, &Penalty::none(), &Options::default())?;
    /// let predicted = line.predict(&Matrix::dense(2, 1, &[4.0, 5.0])?)?;
    /// assert!((predicted[0] - 9.0).abs() < 1e-9 && (predicted[1] - 11.0).abs() < 1e-9);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn predict(&self, x: &Matrix<'_>) -> Result<Vec<f64>> {
        // A solution that was read from a file may be anything.
        let features = self.coef_raw.len().checked_div(self.outputs).unwrap_or(0);
        if features == 0 || self.coef_raw.len() != features * self.outputs || self.intercept_raw.len() != self.outputs {
            let (expected, found) = (self.outputs, self.intercept_raw.len());
            return Err(Error::Length { what: "the intercepts of a model with coefficients", expected, found });
        }
        if x.cols() != features {
            return Err(Error::Length { what: "a row of the design", expected: features, found: x.cols() });
        }
        let mut predicted = vec![0.0; x.rows() * self.outputs];
        let mut column = vec![0.0; x.rows()];
        for (output, w) in self.coef_raw.chunks(features).enumerate() {
            x.times(w, &mut column);
            let out = predicted.iter_mut().skip(output).step_by(self.outputs);
            out.zip(&column).for_each(|(out, x)| *out = x + self.intercept_raw[output]);
        }
        Ok(predicted)
    }
}
