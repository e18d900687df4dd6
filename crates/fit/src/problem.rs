//! What is to be fitted: data, weights, and what the model may be.

use crate::{Error, Matrix, Result};

/// Which sign a coefficient may have.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, Sign, Squared, fit};
///
/// let (x, y) = ([-1.0, 0.0, 1.0], [2.0, 0.0, -2.0]);
/// let problem = Problem::new(Matrix::dense(3, 1, &x)?, &y)?.signs(&[Sign::NonNegative])?;
/// assert_eq!(fit(&problem, &Squared, &Penalty::none(), &Options::default())?.coef, [0.0]);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sign {
    /// Any sign.
    #[default]
    Any,
    /// ≥ 0.
    NonNegative,
    /// ≤ 0.
    NonPositive,
}

/// A design, a target, and what the model may be: minimize (1/Σv) Σ vᵢ ℓ(yᵢ, xᵢw + b) + R(w).
///
/// The intercept b is not penalized. A fit works on a copy of a dense design, centred and scaled, so it needs as much memory
/// again. With [`standardize`](Problem::standardize) the penalty is on the coefficients of
/// standardized columns.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, Squared, fit};
///
/// let (x, y) = ([1.0, 2.0, 3.0, 4.0], [3.0, 5.0, 7.0, 9.0]); // y = 2x + 1
/// let problem = Problem::new(Matrix::dense(4, 1, &x)?, &y)?;
/// let line = fit(&problem, &Squared, &Penalty::none(), &Options::default())?;
/// assert!((line.coef[0] - 2.0).abs() < 1e-12 && (line.intercept[0] - 1.0).abs() < 1e-12);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    pub(crate) x: Matrix<'a>,
    pub(crate) y: &'a [f64],
    pub(crate) weights: Option<&'a [f64]>,
    pub(crate) intercept: bool,
    pub(crate) standardize: bool,
    pub(crate) factors: Option<&'a [f64]>,
    pub(crate) signs: Option<&'a [Sign]>,
}

impl<'a> Problem<'a> {
    /// A design and a target for each of its rows. The model has an intercept, and columns are not standardized.
    ///
    /// ```
    /// use penalty_fit::{Matrix, Problem};
    ///
    /// let error = Problem::new(Matrix::dense(2, 1, &[1.0, 2.0])?, &[1.0]).unwrap_err();
    /// assert_eq!(error.to_string(), "the target must have 2 numbers, found 1");
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless there is a target for each row, [`Error::Number`] if one is not finite.
    pub fn new(x: Matrix<'a>, y: &'a [f64]) -> Result<Problem<'a>> {
        has_length("the target", y, x.rows())?;
        all("the target", y, "a finite number", f64::is_finite)?;
        Ok(Problem { x, y, weights: None, intercept: true, standardize: false, factors: None, signs: None })
    }

    /// Whether the model has an intercept.
    ///
    /// ```
    /// use penalty_fit::{Matrix, Problem};
    ///
    /// let through_zero = Problem::new(Matrix::dense(2, 1, &[1.0, 2.0])?, &[2.0, 4.0])?.intercept(false);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn intercept(self, intercept: bool) -> Problem<'a> {
        Problem { intercept, ..self }
    }

    /// Whether columns are standardized: (x − m)/s with the weighted mean m and the weighted population standard
    /// deviation s. Without an intercept m is 0, and s is the root of the mean square. A sparse design stays sparse. A
    /// constant column keeps the coefficient 0.
    ///
    /// ```
    /// use penalty_fit::{Matrix, Problem};
    ///
    /// let problem = Problem::new(Matrix::dense(2, 1, &[1.0, 2.0])?, &[2.0, 4.0])?.standardize(true);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn standardize(self, standardize: bool) -> Problem<'a> {
        Problem { standardize, ..self }
    }

    /// A weight ≥ 0 for each row. Only their ratios count: the loss is divided by their sum.
    ///
    /// ```
    /// use penalty_fit::{Matrix, Problem};
    ///
    /// let problem = Problem::new(Matrix::dense(2, 1, &[1.0, 2.0])?, &[2.0, 4.0])?.weights(&[1.0, 3.0])?;
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless there is one for each row, [`Error::Number`] if one is negative or not finite, or all
    /// are 0.
    pub fn weights(self, weights: &'a [f64]) -> Result<Problem<'a>> {
        has_length("the sample weights", weights, self.x.rows())?;
        all("the sample weights", weights, "a finite number ≥ 0", |w| w.is_finite() && w >= 0.0)?;
        if weights.iter().all(|w| *w == 0.0) {
            return Err(Error::Number {
                what: "the sample weights",
                expected: "above 0 in some row",
                found: 0.0,
                index: 0,
            });
        }
        Ok(Problem { weights: Some(weights), ..self })
    }

    /// A penalty factor ≥ 0 for each column: column j is penalized by the penalty
    /// [scaled](penalty::Penalty::scaled) by its factor. A factor of 0 means no penalty. In a group all must be equal.
    ///
    /// ```
    /// use penalty_fit::{Matrix, Problem};
    ///
    /// let problem = Problem::new(Matrix::dense(2, 1, &[1.0, 2.0])?, &[2.0, 4.0])?.factors(&[0.5])?;
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless there is one for each column, [`Error::Number`] if one is negative or not finite.
    pub fn factors(self, factors: &'a [f64]) -> Result<Problem<'a>> {
        has_length("the penalty factors", factors, self.x.cols())?;
        all("the penalty factors", factors, "a finite number ≥ 0", |f| f.is_finite() && f >= 0.0)?;
        Ok(Problem { factors: Some(factors), ..self })
    }

    /// Which sign the coefficient of each column may have.
    ///
    /// ```
    /// use penalty_fit::{Matrix, Problem, Sign};
    ///
    /// let problem = Problem::new(Matrix::dense(2, 1, &[1.0, 2.0])?, &[2.0, 4.0])?.signs(&[Sign::NonNegative])?;
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless there is one for each column.
    pub fn signs(self, signs: &'a [Sign]) -> Result<Problem<'a>> {
        has_length("the signs", signs, self.x.cols())?;
        Ok(Problem { signs: Some(signs), ..self })
    }
}

fn has_length<T>(what: &'static str, slice: &[T], expected: usize) -> Result<()> {
    let found = slice.len();
    if found == expected { Ok(()) } else { Err(Error::Length { what, expected, found }) }
}

/// Rejects the first number that is not `allowed`.
pub(crate) fn all(what: &'static str, x: &[f64], expected: &'static str, allowed: impl Fn(f64) -> bool) -> Result<()> {
    match x.iter().position(|x| !allowed(*x)) {
        None => Ok(()),
        Some(index) => Err(Error::Number { what, expected, found: x[index], index }),
    }
}
