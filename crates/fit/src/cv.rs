//! Cross-validation: the loss on rows that a fit has not seen, for each λ.

use penalty::Penalty;
use rayon::prelude::*;

use crate::fitter::{Fitter, check};
use crate::fold_products::FoldProducts;
use crate::folds::{Fold, Folds};
use crate::lambda::{Grid, largest};
use crate::loss::Loss;
use crate::options::Options;
use crate::path::path;
use crate::regularizer::Template;
use crate::sample::Sample;
use crate::solution::Solution;
use crate::{Error, Problem, Result};

/// The loss on held-out rows, for each λ and each fold.
///
/// ```
/// # use penalty::Penalty;
/// # use penalty_fit::{Folds, Grid, Matrix, Options, Problem, Scaling, Squared, cross_validate};
/// # let x: Vec<f64> = (0..20).map(f64::from).collect();
/// # let y: Vec<f64> = x.iter().map(|x| 2.0 * x + (x * 5.0).sin()).collect();
/// # let problem = Problem::new(Matrix::dense(20, 1, &x)?, &y)?;
/// let folds = Folds::shuffled(20, 5, 0)?;
/// let (l1, grid) = (Penalty::l1(1.0)?, Grid::default());
/// let cv = cross_validate(&problem, &Squared, &l1, &grid, &folds, Scaling::PerFold, &Options::default())?;
/// assert!(cv.lambda_1se >= cv.lambda_min);
/// let chosen = cv.refit(&problem, &Squared, &l1, cv.lambda_1se, &Options::default())?;
/// assert_eq!(chosen.lambda, cv.lambda_1se);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CrossValidation {
    /// The λ, in the order of the grid.
    pub lambdas: Vec<f64>,
    /// For each λ, the loss of each fold: the mean squared error, or the mean deviance of other losses.
    pub losses: Vec<Vec<f64>>,
    /// The mean over the folds, for each λ.
    pub mean: Vec<f64>,
    /// The standard error of that mean: the folds' standard deviation (with k − 1) over √k.
    pub standard_error: Vec<f64>,
    /// The λ with the least mean; of several, the largest.
    pub lambda_min: f64,
    /// The largest λ whose mean is at most one standard error above the least one.
    pub lambda_1se: f64,
    /// Whether every fit reached its tolerance.
    pub converged: bool,
}

/// When columns are standardized, if the [problem](Problem::standardize) says that they are.
///
/// ```
/// assert_eq!(penalty_fit::Scaling::default(), penalty_fit::Scaling::PerFold);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// In each fold, by the rows that it trains on: the rows held out stay unseen.
    #[default]
    PerFold,
    /// Once, by all rows, as a program does that standardizes before it cross-validates.
    Once,
}

impl CrossValidation {
    fn new(lambdas: Vec<f64>, losses: Vec<Vec<f64>>, converged: bool) -> CrossValidation {
        let k = losses[0].len() as f64;
        let mean: Vec<f64> = losses.iter().map(|of| of.iter().sum::<f64>() / k).collect();
        let error = |(of, mean): (&Vec<f64>, &f64)| {
            let square: f64 = of.iter().map(|x| (x - mean) * (x - mean)).sum();
            (square / (k - 1.0) / k).sqrt()
        };
        let standard_error: Vec<f64> = losses.iter().zip(&mean).map(error).collect();
        let least = (0..mean.len())
            .min_by(|a, b| mean[*a].total_cmp(&mean[*b]).then(lambdas[*b].total_cmp(&lambdas[*a])))
            .unwrap_or(0);
        let bound = mean[least] + standard_error[least];
        let within = lambdas.iter().zip(&mean).filter(|(_, mean)| **mean <= bound).map(|(lambda, _)| *lambda);
        let lambda_1se = within.fold(lambdas[least], f64::max);
        let lambda_min = lambdas[least];
        CrossValidation { lambdas, losses, mean, standard_error, lambda_min, lambda_1se, converged }
    }

    /// Fits all rows with one of the λ, along the path from the first one to it.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if λ is not one of them; otherwise as [`path`].
    ///
    /// ```
    /// # use penalty::Penalty;
    /// # use penalty_fit::{Folds, Grid, Matrix, Options, Problem, Scaling, Squared, cross_validate};
    /// # let (x, y) = ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.5]);
    /// # let problem = Problem::new(Matrix::dense(4, 1, &x)?, &y)?;
    /// # let (l1, grid, folds) = (Penalty::l1(1.0)?, Grid::Given(vec![0.1, 0.01]), Folds::contiguous(4, 2)?);
    /// # let cv = cross_validate(&problem, &Squared, &l1, &grid, &folds, Scaling::PerFold, &Options::default())?;
    /// let best = cv.refit(&problem, &Squared, &l1, cv.lambda_min, &Options::default())?;
    /// assert_eq!(best.lambda, cv.lambda_min);
    /// # Ok::<(), penalty_fit::Error>(())
    /// ```
    pub fn refit(
        &self,
        problem: &Problem<'_>,
        loss: &dyn Loss,
        penalty: &Penalty,
        lambda: f64,
        options: &Options<'_>,
    ) -> Result<Solution> {
        let not_one = || {
            let expected = "one of those that were cross-validated".into();
            Error::Setting { name: "λ", expected, found: lambda.to_string() }
        };
        let at = self.lambdas.iter().position(|of| *of == lambda).ok_or_else(not_one)?;
        let fits = path(problem, loss, penalty, &Grid::Given(self.lambdas[..=at].to_vec()), options)?;
        fits.points.into_iter().last().map(|point| point.solution).ok_or_else(not_one)
    }
}

/// Fits a path without each fold in turn, and takes the loss on the fold. Folds run in parallel; the result does not
/// depend on how many threads there are.
///
/// The λ of a geometric grid are those of all rows, so they are the same in each fold.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Folds, Grid, Matrix, Options, Problem, Scaling, Squared, cross_validate};
///
/// let x: Vec<f64> = (0..40).map(|i| f64::from(i % 10)).collect();
/// let y: Vec<f64> = x[..20].iter().map(|x| 2.0 * x + (x * 5.0).sin()).collect();
/// let problem = Problem::new(Matrix::dense(20, 2, &x)?, &y)?;
/// let (l1, grid, folds) = (Penalty::l1(1.0)?, Grid::default(), Folds::contiguous(20, 4)?);
/// let cv = cross_validate(&problem, &Squared, &l1, &grid, &folds, Scaling::PerFold, &Options::default())?;
/// assert_eq!((cv.losses.len(), cv.losses[0].len()), (100, 4));
/// assert!(cv.mean[0] > cv.mean[99]);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Setting`] if the folds are of another number of rows, [`Error::OneValue`] if a fold trains on one class
/// only, otherwise as [`path`].
pub fn cross_validate(
    problem: &Problem<'_>,
    loss: &dyn Loss,
    penalty: &Penalty,
    grid: &Grid,
    folds: &Folds,
    scaling: Scaling,
    options: &Options<'_>,
) -> Result<CrossValidation> {
    options.check()?;
    let (template, outputs) = check(problem, loss, penalty)?;
    if folds.rows() != problem.y.len() {
        let (expected, found) = (format!("of the problem's {} rows", problem.y.len()), folds.rows().to_string());
        return Err(Error::Setting { name: "the folds", expected, found });
    }
    let sample = Sample::of(problem, None, None);
    let lambdas = {
        let mut fitter = Fitter::new(&sample, &template, loss, outputs, None, options)?;
        grid.lambdas(|| largest(&mut fitter, &template))?
    };
    let scales = (scaling == Scaling::Once).then_some(&sample.design.scales[..]);
    let products = if loss.is_quadratic() { FoldProducts::new(&sample, folds) } else { None };
    let products = products.as_ref();
    let curves: Vec<(Vec<f64>, bool)> = (0..folds.count())
        .into_par_iter()
        .map(|fold| curve(problem, loss, &template, outputs, &lambdas, &folds.fold(fold), scales, products, options))
        .collect::<Result<_>>()?;
    let losses = (0..lambdas.len()).map(|at| curves.iter().map(|(curve, _)| curve[at]).collect()).collect();
    Ok(CrossValidation::new(lambdas, losses, curves.iter().all(|(_, converged)| *converged)))
}

/// The losses of one fold, for each λ.
#[allow(clippy::too_many_arguments, reason = "they are those of the caller, and a fold")]
fn curve(
    problem: &Problem<'_>,
    loss: &dyn Loss,
    template: &Template,
    outputs: usize,
    lambdas: &[f64],
    fold: &Fold,
    scales: Option<&[f64]>,
    products: Option<&FoldProducts<'_>>,
    options: &Options<'_>,
) -> Result<(Vec<f64>, bool)> {
    if let Some(weights) = problem.weights {
        for rows in [&fold.train, &fold.test] {
            if rows.iter().all(|row| weights[*row] == 0.0) {
                let (what, expected) =
                    ("the sample weights", "above 0 in some row of each fold, and in some row outside of it");
                return Err(Error::Number { what, expected, found: 0.0, index: rows.first().copied().unwrap_or(0) });
            }
        }
    }
    let sample = Sample::of(problem, Some(&fold.train), scales);
    loss.outputs(&sample.y)?;
    let products = products.map(|products| products.without(fold.index, &sample.design));
    let mut fitter = Fitter::new(&sample, template, loss, outputs, products, options)?;
    let held_out = problem.x.picked(&fold.test);
    let (mut curve, mut converged) = (Vec::with_capacity(lambdas.len()), true);
    for lambda in lambdas {
        let solution = fitter.fit(*lambda, options)?;
        converged &= solution.converged;
        let predicted = solution.predict(&held_out.matrix())?;
        let (mut sum, mut weight) = (0.0, 0.0);
        for (row, eta) in fold.test.iter().zip(predicted.chunks(outputs)) {
            let (v, y) = (problem.weights.map_or(1.0, |weights| weights[*row]), problem.y[*row]);
            sum += 2.0 * v * (loss.value(y, eta) - loss.least(y));
            weight += v;
        }
        curve.push(sum / weight);
    }
    Ok((curve, converged))
}

/// The same for several penalties on the same folds, such as elastic nets with several α. Returns the index of the one
/// whose least mean is smallest, and all results.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Folds, Grid, Matrix, Options, Problem, Scaling, Squared, cross_validate_each};
///
/// let x: Vec<f64> = (0..40).map(|i| f64::from(i * i % 11)).collect();
/// let y: Vec<f64> = (0..20).map(|i| x[i] + x[20 + i]).collect();
/// let problem = Problem::new(Matrix::dense(20, 2, &x)?, &y)?;
/// let penalties = [Penalty::elastic_net(1.0, 1.0)?, Penalty::elastic_net(1.0, 0.5)?];
/// let (grid, folds) = (Grid::default(), Folds::contiguous(20, 4)?);
/// let (best, all) =
///     cross_validate_each(&problem, &Squared, &penalties, &grid, &folds, Scaling::PerFold, &Options::default())?;
/// assert!(best < 2 && all.len() == 2);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Setting`] if there are no penalties; otherwise as [`cross_validate`].
pub fn cross_validate_each(
    problem: &Problem<'_>,
    loss: &dyn Loss,
    penalties: &[Penalty],
    grid: &Grid,
    folds: &Folds,
    scaling: Scaling,
    options: &Options<'_>,
) -> Result<(usize, Vec<CrossValidation>)> {
    let of = |penalty| cross_validate(problem, loss, penalty, grid, folds, scaling, options);
    let all: Vec<CrossValidation> = penalties.iter().map(of).collect::<Result<_>>()?;
    let least = |cv: &CrossValidation| cv.mean.iter().copied().fold(f64::INFINITY, f64::min);
    match (0..all.len()).min_by(|a, b| least(&all[*a]).total_cmp(&least(&all[*b]))) {
        Some(best) => Ok((best, all)),
        None => {
            let (expected, found) = ("at least one".into(), "none".into());
            Err(Error::Setting { name: "the penalties", expected, found })
        }
    }
}

/// Cross-validates any training: `train(λ, fold)` trains on the fold's training rows and returns the loss on its test
/// rows. Folds run in parallel, each from the first λ to the last.
///
/// ```
/// use penalty_fit::{Folds, cross_validate_with};
///
/// let y = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// // The mean, shrunk by λ.
/// let cv = cross_validate_with(&[2.0, 1.0, 0.0], &Folds::shuffled(6, 3, 1)?, |lambda, fold| {
///     let mean = fold.train.iter().map(|row| y[*row]).sum::<f64>() / fold.train.len() as f64 / (1.0 + lambda);
///     let errors = fold.test.iter().map(|row| (y[*row] - mean) * (y[*row] - mean));
///     Ok::<f64, penalty_fit::Error>(errors.sum::<f64>() / fold.test.len() as f64)
/// })?;
/// assert_eq!(cv.lambda_min, 0.0);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Setting`] if there are no λ or one is not a finite number ≥ 0; what the closure returns.
pub fn cross_validate_with<E: From<Error> + Send>(
    lambdas: &[f64],
    folds: &Folds,
    train: impl Fn(f64, &Fold) -> Result<f64, E> + Sync,
) -> Result<CrossValidation, E> {
    let lambdas = Grid::Given(lambdas.to_vec()).lambdas(|| Ok(0.0))?;
    let curve = |fold: usize| {
        let fold = folds.fold(fold);
        lambdas.iter().map(|lambda| train(*lambda, &fold)).collect::<Result<Vec<f64>, E>>()
    };
    let curves: Vec<Vec<f64>> = (0..folds.count()).into_par_iter().map(curve).collect::<Result<_, E>>()?;
    let losses = (0..lambdas.len()).map(|at| curves.iter().map(|curve| curve[at]).collect()).collect();
    Ok(CrossValidation::new(lambdas, losses, true))
}
