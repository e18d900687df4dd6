//! Which λ a path visits: from where all coefficients are 0 downwards.

use penalty::Penalty;

use crate::fitter::{Fitter, check};
use crate::loss::Loss;
use crate::options::Options;
use crate::regularizer::{Kind, Template};
use crate::sample::Sample;
use crate::{Error, Problem, Result};

/// The λ of a path.
///
/// ```
/// use penalty_fit::Grid;
///
/// assert_eq!(Grid::default(), Grid::Geometric { count: 100, ratio: 1e-3 });
/// let given = Grid::Given(vec![1.0, 0.5, 0.25]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Grid {
    /// This many λ from [`lambda_max`](crate::lambda_max) down to it times the ratio, each the same fraction of the one before.
    Geometric {
        /// How many there are.
        count: usize,
        /// The last over the first, above 0 and below 1.
        ratio: f64,
    },
    /// These, in the order in which they are fitted: from large to small is fastest.
    Given(Vec<f64>),
}

impl Default for Grid {
    fn default() -> Grid {
        Grid::Geometric { count: 100, ratio: 1e-3 }
    }
}

/// More λ than anybody looks at.
const MOST: usize = 1 << 20;

/// How many λ a grid may have.
fn check_count(count: usize) -> Result<()> {
    match count {
        1..=MOST => Ok(()),
        _ => Err(Error::Setting { name: "the grid", expected: "of 1 to 2^20 λ".into(), found: format!("{count} λ") }),
    }
}

impl Grid {
    /// This many λ from one number to another, each the same fraction of the one before: what a penalty needs that has no
    /// largest λ.
    ///
    /// ```
    /// use penalty_fit::Grid;
    ///
    /// assert_eq!(Grid::between(100.0, 1.0, 3)?, Grid::Given(vec![100.0, 10.0, 1.0]));
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] unless both are finite and above 0, and there are 1 to 2^20 λ.
    pub fn between(from: f64, to: f64, count: usize) -> Result<Grid> {
        check_count(count)?;
        if ![from, to].iter().all(|end| end.is_finite() && *end > 0.0) {
            let expected = "from and to a finite number above 0".into();
            return Err(Error::Setting { name: "the grid", expected, found: format!("{from} to {to}") });
        }
        let steps = (count - 1).max(1) as f64;
        Ok(Grid::Given((0..count).map(|k| from * (to / from).powf(k as f64 / steps)).collect()))
    }

    /// The λ, with the least one for which all coefficients are 0.
    pub(crate) fn lambdas(&self, largest: impl FnOnce() -> Result<f64>) -> Result<Vec<f64>> {
        match self {
            Grid::Given(lambdas) => match lambdas.iter().find(|lambda| !(lambda.is_finite() && **lambda >= 0.0)) {
                None if !lambdas.is_empty() => Ok(lambdas.clone()),
                found => {
                    let found = found.map_or("none".into(), f64::to_string);
                    Err(Error::Setting { name: "the λ of a grid", expected: "finite numbers ≥ 0".into(), found })
                }
            },
            Grid::Geometric { count, ratio } => {
                check_count(*count)?;
                if !(*ratio > 0.0 && *ratio < 1.0) {
                    let expected = "of a ratio above 0 and below 1".into();
                    return Err(Error::Setting { name: "the grid", expected, found: format!("the ratio {ratio}") });
                }
                let (first, steps) = (largest()?, (*count - 1).max(1) as f64);
                Ok((0..*count).map(|k| first * ratio.powf(k as f64 / steps)).collect())
            }
        }
    }
}

/// The least λ for which every penalized coefficient is 0: the factor for [`Penalty::scaled`].
///
/// For the lasso it is max|xⱼ'(y − ȳ)|/n on (standardized) columns, for the elastic net that over α, for other losses the
/// largest slope of the model that has only intercepts and the coefficients without penalty. Of a penalty that is not
/// convex, no coordinate's prox leaves 0.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, Squared, lambda_max};
///
/// let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-3.0, 1.0, -1.0, 3.0]); // y = 2x₀ + x₁
/// let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
/// assert_eq!(lambda_max(&problem, &Squared, &Penalty::l1(1.0)?, &Options::default())?, 2.0);
/// assert_eq!(lambda_max(&problem, &Squared, &Penalty::elastic_net(1.0, 0.5)?, &Options::default())?, 4.0);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::NoLargest`] if no λ makes all coefficients 0, as for L2², or the penalty has no λ. Otherwise as
/// [`fit`](crate::fit()).
pub fn lambda_max(problem: &Problem<'_>, loss: &dyn Loss, penalty: &Penalty, options: &Options<'_>) -> Result<f64> {
    let (template, outputs) = check(problem, loss, penalty)?;
    let sample = Sample::of(problem, None, None);
    let mut fitter = Fitter::new(&sample, &template, loss, outputs, None, options)?;
    largest(&mut fitter, &template)
}

/// The same for a fitter that has not fitted yet.
pub(crate) fn largest(fitter: &mut Fitter<'_>, template: &Template) -> Result<f64> {
    let penalty = template.penalty();
    if penalty.scaled(2.0)? == *penalty {
        let reason = "λ does not change it, so it needs a given grid";
        return Err(Error::NoLargest { penalty: penalty.name(), reason });
    }
    let curvatures = fitter.curvatures();
    let mut found = 0.0f64;
    for slopes in fitter.slopes() {
        for block in (0..template.blocks()).filter(|block| !template.is_free(*block)) {
            let c: Vec<f64> = template.members(block).map(|j| slopes[j]).collect();
            let l = template.members(block).map(|j| curvatures[j]).sum();
            found = of_block(template, block, &c, l, found)?;
        }
    }
    Ok(found)
}

/// The least λ ≥ `least` for which a block stays 0.
fn of_block(template: &Template, block: usize, c: &[f64], l: f64, least: f64) -> Result<f64> {
    let zeros = vec![0.0; c.len()];
    let stays = |lambda: f64| -> Result<bool> { Ok(template.at(lambda)?.residual(block, &zeros, c, l)? == 0.0) };
    if least > 0.0 && stays(least)? {
        return Ok(least);
    }
    let none = |reason| Error::NoLargest { penalty: template.penalty().name(), reason };
    let reason = "no λ makes every coefficient 0, so it needs a given grid";
    let unit = template.at(1.0)?.kind(block);
    // The slopes of a group lasso are no multiple of a number.
    let (mut low, mut high) = match unit {
        Kind::ElasticNet { l1: 0.0, .. } => return if l == 0.0 { Ok(least) } else { Err(none(reason)) },
        Kind::ElasticNet { l1, .. } => {
            let lambda = template.sign(template.members(block).next().unwrap_or(0)).clamp(c[0]).abs() / l1;
            (lambda, lambda)
        }
        _ => (least, least.max(1e-3)),
    };
    while !stays(high)? {
        // A quotient that was rounded down is just below.
        low = high;
        high = if matches!(unit, Kind::ElasticNet { .. }) { high.next_up() } else { 2.0 * high };
        if high > 1e30 {
            return Err(none(reason));
        }
    }
    if !matches!(unit, Kind::ElasticNet { .. }) {
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if stays(middle)? { high = middle } else { low = middle }
        }
    }
    Ok(high.max(least))
}
