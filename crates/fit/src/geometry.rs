//! The picture of a penalty: the set of two coefficients that it allows, and where a contour of the loss first touches it.

use std::f64::consts::TAU;

use penalty::Penalty;

use crate::design::Design;
use crate::fitter::fit;
use crate::lambda::{Grid, lambda_max};
use crate::options::Options;
use crate::path::path;
use crate::sample::Sample;
use crate::solution::Solution;
use crate::{Error, Problem, Result, Squared};

/// How many directions the boundary and the contours have between two axes.
const DIRECTIONS: usize = 90;
/// How many λ a picture's coefficients have.
const STEPS: usize = 120;

/// Two coefficients under the squared loss and a penalty: min over w of loss(w) + λR(w) is also the least loss where
/// R(w) ≤ c, if R is convex. A contour of the loss touches that set in the solution.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, geometry};
///
/// let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-2.5, 1.5, -1.5, 2.5]); // y = 2x₀ + ½x₁
/// let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
/// let diamond = geometry(&problem, &Penalty::l1(1.0)?, 1.0, &Options::default())?;
/// assert_eq!(diamond.optimum, [2.0, 0.5]);
/// assert_eq!(diamond.solution.coef, [1.0, 0.0]); // a corner: the second coefficient is exactly 0
/// assert_eq!(diamond.radius, 1.0);
/// assert!(diamond.boundary.contains(&[0.0, 1.0]));
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// The coefficients of the least loss, without a penalty.
    pub optimum: [f64; 2],
    /// The fit with the penalty.
    pub solution: Solution,
    /// c: the penalty's value over λ, such as Σ|w|.
    pub radius: f64,
    /// The boundary of {w : R(w) ≤ c}, in the order of the angle. Where the set has no boundary, as that of a penalty that
    /// is flat for large weights, the points are 1000 times as far away as the optimum.
    pub boundary: Vec<[f64; 2]>,
    /// The loss's second derivatives: it is the least one + ½(w − optimum)ᵀH(w − optimum).
    pub curvature: [[f64; 2]; 2],
    least: f64,
    /// L⁻ᵀ of the loss's curvature LLᵀ: L⁻ᵀu for a unit vector u is on the contour half a unit above the least loss.
    inverse: [[f64; 2]; 2],
}

/// The geometry of a problem with two features, at one λ. Give the penalty with λ = 1.
///
/// # Errors
///
/// [`Error::Setting`] unless there are two features, which are not multiples of each other. Otherwise as
/// [`fit`](crate::fit()).
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, geometry};
///
/// let problem = Problem::new(Matrix::dense(3, 1, &[1.0, 2.0, 3.0])?, &[1.0, 2.0, 3.5])?;
/// let error = geometry(&problem, &Penalty::l1(1.0)?, 0.1, &Options::default()).unwrap_err();
/// assert_eq!(error.to_string(), "the features of a geometry must be two, found 1");
/// # Ok::<(), penalty_fit::Error>(())
/// ```
pub fn geometry(problem: &Problem<'_>, penalty: &Penalty, lambda: f64, options: &Options<'_>) -> Result<Geometry> {
    let features = problem.x.cols();
    if features != 2 {
        let (expected, found) = ("two".into(), features.to_string());
        return Err(Error::Setting { name: "the features of a geometry", expected, found });
    }
    // A penalty that is not a multiple of λ, such as MCP, has another shape at each.
    let penalty = &penalty.scaled(lambda)?;
    let solution = fit(problem, &Squared, penalty, options)?;
    let sample = Sample::of(problem, None, None);
    let n = sample.rows() as f64;
    let column = |j: usize| column(&sample.design, j, |row| sample.weight(row));
    let target: Vec<f64> = sample.y.iter().enumerate().map(|(row, y)| sample.weight(row) * y).collect();
    let products = |u: &[f64]| [0, 1].map(|j| sample.design.dot(j, u, u.iter().sum()) / n);
    let [[a, b], [_, d]] = [column(0), column(1)].map(|u| products(&u));
    let [p, q] = products(&target);
    let determinant = a * d - b * b;
    if determinant <= 1e-12 * a * d {
        let (expected, found) = ("no multiples of each other".into(), "two that are".into());
        return Err(Error::Setting { name: "the features of a geometry", expected, found });
    }
    let optimum = [(d * p - b * q) / determinant, (a * q - b * p) / determinant];
    let (l00, l10) = (a.sqrt(), b / a.sqrt());
    let l11 = (d - l10 * l10).sqrt();
    let inverse = [[1.0 / l00, -l10 / (l00 * l11)], [0.0, 1.0 / l11]];
    let value = penalty.value_of(&solution.coef)?;
    let far = 1000.0 * optimum[0].hypot(optimum[1]).max(f64::MIN_POSITIVE);
    let boundary = directions().map(|u| boundary(penalty, u, value, far)).collect::<Result<_>>()?;
    let radius = if lambda > 0.0 { value / lambda } else { 0.0 };
    let [x, y] = [solution.coef[0] - optimum[0], solution.coef[1] - optimum[1]];
    let least = solution.loss - 0.5 * (a * x * x + 2.0 * b * x * y + d * y * y);
    Ok(Geometry { optimum, solution, radius, boundary, curvature: [[a, b], [b, d]], least, inverse })
}

/// The λ of a picture of coefficients: from a largest one down to a thousandth of it.
///
/// ```
/// let penalty_fit::Grid::Given(lambdas) = penalty_fit::picture_grid(5.0) else { unreachable!() };
/// assert_eq!((lambdas.len(), lambdas[0]), (120, 5.0));
/// ```
pub fn picture_grid(most: f64) -> Grid {
    Grid::Given((0..STEPS).map(|k| most * 1e-3f64.powf(k as f64 / (STEPS - 1) as f64)).collect())
}

/// A λ to begin a picture with: in the middle of those at which L1 has one coefficient that is not 0.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, Squared, fit, picture_lambda};
///
/// let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-2.5, 1.5, -1.5, 2.5]); // y = 2x₀ + ½x₁
/// let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
/// let lambda = picture_lambda(&problem, &Options::default())?;
/// let solution = fit(&problem, &Squared, &Penalty::l1(lambda)?, &Options::default())?;
/// assert_eq!(solution.nonzero, 1);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// As [`path`].
pub fn picture_lambda(problem: &Problem<'_>, options: &Options<'_>) -> Result<f64> {
    let l1 = Penalty::l1(1.0)?;
    let most = lambda_max(problem, &Squared, &l1, options)?;
    let fits = path(problem, &Squared, &l1, &picture_grid(most), options)?;
    let with_one = fits.points.iter().filter(|point| point.solution.nonzero == 1).map(|point| point.solution.lambda);
    let with_one: Vec<f64> = with_one.collect();
    let ends = with_one.first().zip(with_one.last());
    Ok(ends.map_or(0.5 * most, |(first, last)| (first * last).sqrt()))
}

/// The λ at which the solution has this loss, within what a picture shows: penalties that touch the same contour can be
/// compared.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, Squared, fit, lambda_at_loss};
///
/// let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-2.5, 1.5, -1.5, 2.5]);
/// let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
/// let lambda = lambda_at_loss(&problem, &Penalty::l2_squared(1.0)?, 0.5, &Options::default())?;
/// let ridge = fit(&problem, &Squared, &Penalty::l2_squared(lambda)?, &Options::default())?;
/// assert!((ridge.loss - 0.5).abs() < 1e-9);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// As [`fit`](crate::fit()).
pub fn lambda_at_loss(problem: &Problem<'_>, penalty: &Penalty, loss: f64, options: &Options<'_>) -> Result<f64> {
    let (mut low, mut high) = (1e-12f64, 1e12f64);
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        let found = fit(problem, &Squared, &penalty.scaled(middle)?, options)?.loss;
        if found < loss { low = middle } else { high = middle }
    }
    Ok(low)
}

impl Geometry {
    /// The contour on which the loss has this value; only the optimum if it is the least one, and none below.
    ///
    /// ```
    /// # use penalty::Penalty;
    /// # use penalty_fit::{Matrix, Options, Problem, geometry};
    /// # let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-2.5, 1.5, -1.5, 2.5]);
    /// # let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
    /// let circle = geometry(&problem, &Penalty::l2_squared(1.0)?, 1.0, &Options::default())?;
    /// let [x, y] = [circle.solution.coef[0], circle.solution.coef[1]];
    /// let nearest = circle.contour(circle.solution.loss).into_iter().map(|[a, b]| (a - x).hypot(b - y));
    /// assert!(nearest.fold(f64::INFINITY, f64::min) < 0.02); // it touches the circle in the solution
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn contour(&self, loss: f64) -> Vec<[f64; 2]> {
        if loss < self.least {
            return Vec::new();
        }
        let r = (2.0 * (loss - self.least)).sqrt();
        let point = |[u, v]: [f64; 2]| {
            let along = |row: usize| self.optimum[row] + r * (self.inverse[row][0] * u + self.inverse[row][1] * v);
            [along(0), along(1)]
        };
        directions().map(point).collect()
    }

    /// The loss at the optimum.
    ///
    /// ```
    /// # use penalty::Penalty;
    /// # use penalty_fit::{Matrix, Options, Problem, geometry};
    /// # let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-2.5, 1.5, -1.5, 2.5]);
    /// # let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
    /// let picture = geometry(&problem, &Penalty::l1(1.0)?, 1.0, &Options::default())?;
    /// assert!(picture.least_loss().abs() < 1e-12); // the target is a sum of the features
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn least_loss(&self) -> f64 {
        self.least
    }
}

/// A column times the sample weights.
fn column(design: &Design, j: usize, weight: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut column = vec![0.0; design.rows()];
    design.add_columns(std::iter::once((j, 1.0)), &mut column);
    column.iter_mut().enumerate().for_each(|(row, x)| *x *= weight(row));
    column
}

/// Unit vectors all around; those along the axes are exact, since corners lie on them.
fn directions() -> impl Iterator<Item = [f64; 2]> {
    let axes = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];
    (0..4 * DIRECTIONS).map(move |at| {
        if at % DIRECTIONS == 0 {
            return axes[at / DIRECTIONS];
        }
        let angle = TAU * at as f64 / (4 * DIRECTIONS) as f64;
        [angle.cos(), angle.sin()]
    })
}

/// The point in a direction where R is c; it never falls along a direction.
fn boundary(penalty: &Penalty, [u, v]: [f64; 2], c: f64, far: f64) -> Result<[f64; 2]> {
    let value = |r: f64| penalty.value_of(&[r * u, r * v]);
    let (mut low, mut high) = (0.0, far);
    if value(high)? > c {
        loop {
            let middle = 0.5 * (low + high);
            // No point of a direction that the penalty forbids is allowed: the smallest float would be found after
            // a thousand halvings.
            if middle <= low || middle >= high || middle < far * f64::EPSILON * f64::EPSILON {
                break;
            }
            if value(middle)? <= c { low = middle } else { high = middle }
        }
        high = low;
    }
    Ok([high * u, high * v])
}
