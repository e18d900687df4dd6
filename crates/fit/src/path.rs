//! Fits along λ.

use penalty::Penalty;

use crate::degrees::degrees_of_freedom;
use crate::fitter::{Fitter, check};
use crate::lambda::{Grid, largest};
use crate::loss::Loss;
use crate::options::Options;
use crate::sample::Sample;
use crate::solution::Solution;
use crate::{Problem, Result};

/// The fit at one λ of a path, and what helps to choose among them.
///
/// With n rows, deviance D and degrees of freedom d: AIC = D′ + 2d, BIC = D′ + d·ln n, EBIC = BIC + 2d·ln p (Chen and Chen
/// 2008, γ = 1), where D′ is n·ln(D/n) for the squared loss, whose variance is unknown, and D otherwise. Only
/// differences of them mean something.
///
/// ```
/// # use penalty::Penalty;
/// # use penalty_fit::{Grid, Matrix, Options, Problem, Squared, path};
/// # let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.5, 5.0]);
/// # let problem = Problem::new(Matrix::dense(5, 1, &x)?, &y)?;
/// let fits = path(&problem, &Squared, &Penalty::l1(1.0)?, &Grid::default(), &Options::default())?;
/// let best = fits.points.iter().min_by(|a, b| a.bic.total_cmp(&b.bic)).expect("there are points");
/// assert!(best.deviance_explained > 0.9 && best.degrees_of_freedom == 1.0);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Point {
    /// The fit.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub solution: Solution,
    /// 1 − deviance/deviance of the model without penalized coefficients.
    pub deviance_explained: f64,
    /// Degrees of freedom of the coefficients, without intercepts: of the lasso the rank of X_A, whose columns have
    /// coefficients (Tibshirani and Taylor 2012); of the elastic net tr X_A(X_AᵀX_A + 2nλ(1−α)I)⁻¹X_Aᵀ (Zou 2005); for
    /// other penalties and losses approximately the number of coefficients that are not 0.
    pub degrees_of_freedom: f64,
    /// Whether the degrees of freedom are approximate.
    pub approximate: bool,
    /// Akaike's criterion.
    pub aic: f64,
    /// The Bayesian one.
    pub bic: f64,
    /// The extended Bayesian one, for many features.
    pub ebic: f64,
}

/// Fits along λ, from [`path`].
///
/// ```
/// # use penalty::Penalty;
/// # use penalty_fit::{Grid, Matrix, Options, Problem, Squared, path};
/// # let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.5, 5.0]);
/// # let problem = Problem::new(Matrix::dense(5, 1, &x)?, &y)?;
/// let grid = Grid::Geometric { count: 10, ratio: 0.01 };
/// let fits = path(&problem, &Squared, &Penalty::l1(1.0)?, &grid, &Options::default())?;
/// assert_eq!(fits.points[0].solution.nonzero, 0);
/// assert!((fits.points[9].solution.lambda - 0.01 * fits.points[0].solution.lambda).abs() < 1e-12);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Path {
    /// The fits, in the order of the grid.
    pub points: Vec<Point>,
}

/// Fits a penalty [scaled](Penalty::scaled) by each λ of a grid, each from the solution before: give it with λ = 1.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Grid, Matrix, Options, Problem, Squared, path};
///
/// let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-3.0, 1.0, -1.0, 3.0]); // y = 2x₀ + x₁
/// let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
/// let grid = Grid::Given(vec![3.0, 1.5, 0.5]);
/// let fits = path(&problem, &Squared, &Penalty::l1(1.0)?, &grid, &Options::default())?;
/// let coef: Vec<&[f64]> = fits.points.iter().map(|point| &point.solution.coef[..]).collect();
/// assert_eq!(coef, [[0.0, 0.0], [0.5, 0.0], [1.5, 0.5]]);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Setting`](crate::Error::Setting) if the grid is none; otherwise as [`fit`](crate::fit()), and as
/// [`lambda_max`](crate::lambda_max) for a geometric grid.
pub fn path(
    problem: &Problem<'_>,
    loss: &dyn Loss,
    penalty: &Penalty,
    grid: &Grid,
    options: &Options<'_>,
) -> Result<Path> {
    options.check()?;
    let (template, outputs) = check(problem, loss, penalty)?;
    let sample = Sample::of(problem, None, None);
    let mut fitter = Fitter::new(&sample, &template, loss, outputs, None, options)?;
    let lambdas = grid.lambdas(|| largest(&mut fitter, &template))?;
    let mut points = Vec::with_capacity(lambdas.len());
    for lambda in lambdas {
        let solution = fitter.fit(lambda, options)?;
        let independent = solution.nonzero > 0 && fitter.is_independent();
        let (degrees, approximate) =
            degrees_of_freedom(|active| fitter.products(active), independent, &template.at(lambda)?, &solution);
        let (n, p) = (sample.rows() as f64, sample.design.cols() as f64);
        let deviance = fitter.deviance(solution.loss);
        let fitted = if loss.is_quadratic() { n * (deviance / n).ln() } else { deviance };
        let bic = fitted + degrees * n.ln();
        points.push(Point {
            deviance_explained: fitter.explained(solution.loss),
            degrees_of_freedom: degrees,
            approximate,
            aic: fitted + 2.0 * degrees,
            bic,
            ebic: bic + 2.0 * degrees * p.ln(),
            solution,
        });
    }
    Ok(Path { points })
}
