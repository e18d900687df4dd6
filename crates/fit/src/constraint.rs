//! The constraint form: minimize the loss where the penalty's value is at most a radius.

use penalty::Penalty;

use crate::fitter::{Fitter, check};
use crate::lambda::largest;
use crate::loss::Loss;
use crate::options::Options;
use crate::regularizer::{Regularizer, Template};
use crate::sample::Sample;
use crate::solution::Solution;
use crate::{Error, Problem, Result};

/// The radius that a solution attains: R(w) of the penalty given with λ = 1, such as Σ|w|. For a convex penalty the
/// solution is also that of the constraint form: it minimizes the loss where R(w) is at most this.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, Squared, fit, radius};
///
/// let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-3.0, 1.0, -1.0, 3.0]);
/// let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
/// let l1 = Penalty::l1(1.0)?;
/// let solution = fit(&problem, &Squared, &l1.scaled(0.5)?, &Options::default())?;
/// assert_eq!(radius(&problem, &l1, &solution)?, 1.5 + 0.5);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// As [`fit`](crate::fit()), and [`Error::Length`] if the solution is of another problem.
pub fn radius(problem: &Problem<'_>, penalty: &Penalty, solution: &Solution) -> Result<f64> {
    let template = Template::new(problem, penalty)?;
    let (expected, found) = (problem.x.cols() * solution.outputs, solution.coef.len());
    if expected != found {
        return Err(Error::Length { what: "the coefficients", expected, found });
    }
    value(&template.at(1.0)?, &solution.coef, problem.x.cols())
}

/// R of the coefficients of all outputs, each of which has so many.
fn value(regularizer: &Regularizer<'_>, coef: &[f64], features: usize) -> Result<f64> {
    coef.chunks(features).try_fold(0.0, |sum, w| Ok(sum + regularizer.value(w)?))
}

/// The solution whose [`radius`] is this, within a relative error of 1e-10: its λ is that of the constraint form. If the
/// fit without penalty has a smaller radius, the constraint does not bind, and λ is 0.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, Squared, at_radius};
///
/// let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-3.0, 1.0, -1.0, 3.0]);
/// let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
/// let solution = at_radius(&problem, &Squared, &Penalty::l1(1.0)?, 2.0, &Options::default())?;
/// assert!((solution.lambda - 0.5).abs() < 1e-9);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Setting`] if the radius is not a finite number ≥ 0. Otherwise as [`fit`](crate::fit()) and
/// [`lambda_max`](crate::lambda_max).
pub fn at_radius(
    problem: &Problem<'_>,
    loss: &dyn Loss,
    penalty: &Penalty,
    radius: f64,
    options: &Options<'_>,
) -> Result<Solution> {
    options.check()?;
    if !(radius.is_finite() && radius >= 0.0) {
        let expected = "a finite number ≥ 0".into();
        return Err(Error::Setting { name: "the radius", expected, found: radius.to_string() });
    }
    let (template, outputs) = check(problem, loss, penalty)?;
    let sample = Sample::of(problem, None, None);
    let mut fitter = Fitter::new(&sample, &template, loss, outputs, None, options)?;
    // Of the ridge, the radius falls to 0 as λ grows without end.
    let mut high = match largest(&mut fitter, &template) {
        Ok(lambda) => lambda,
        Err(Error::NoLargest { .. }) => 1.0,
        Err(error) => return Err(error),
    };
    let regularizer = template.at(1.0)?;
    let of = |solution: &Solution| value(&regularizer, &solution.coef, problem.x.cols());
    let mut solution = fitter.fit(high, options)?;
    while of(&solution)? > radius && high < 1e30 {
        high *= 2.0;
        solution = fitter.fit(high, options)?;
    }
    let mut low = 0.0;
    for step in 0..200 {
        let found = of(&solution)?;
        if (found - radius).abs() <= 1e-10 * radius {
            break;
        }
        if step > 0 {
            if found > radius { low = solution.lambda } else { high = solution.lambda }
        }
        // Towards 0 by large steps first.
        let middle = if low == 0.0 { 0.1 * high } else { 0.5 * (low + high) };
        if middle <= low || middle >= high {
            break;
        }
        if low == 0.0 && middle < 1e-12 {
            return fitter.fit(0.0, options);
        }
        solution = fitter.fit(middle, options)?;
    }
    Ok(solution)
}
