//! anofox-regression: paths and cross-validation of the squared loss by glmnet's algorithm on one thread, and logistic
//! regression with Laplace priors, each fit from the start. It has no sparse designs. It stops on the change of
//! coefficients.

use anofox_regression::solvers::cv::{CvMetric, cv_path_splits, splits_from_fold_ids};
use anofox_regression::solvers::path::{PathOptions, RegPath, fit_path};
use anofox_regression::solvers::penalized_glm::{PenalizedGlmFamily, PenalizedGlmRegressor, PriorSpec};
use faer::{Col, Mat};

use crate::{Answer, Result, Task};

fn numbers(path: &RegPath, at: usize) -> Vec<f64> {
    let coefficients = (0..path.coefficients.nrows()).map(|j| path.coefficients[(j, at)]);
    std::iter::once(path.intercepts[at]).chain(coefficients).collect()
}

pub(crate) fn contender(task: &Task) -> Result<Box<dyn FnMut() -> Result<Answer> + '_>> {
    let x = Mat::from_fn(task.rows, task.cols, |row, column| task.x[column * task.rows + row]);
    let y = Col::from_fn(task.rows, |row| task.y[row]);
    let options = PathOptions::default().tol(task.tolerance);
    let lambdas = &task.lambdas;
    Ok(match task.case.as_str() {
        "cv" => Box::new(move || {
            let ids: Vec<usize> = (0..task.rows).map(|row| row * 5 / task.rows).collect();
            let cv = cv_path_splits(&x, &y, lambdas, &splits_from_fold_ids(&ids), &options, CvMetric::Mse)?;
            let values = cv.cv_mean.iter().copied().chain(numbers(&cv.path, cv.index_min)).collect();
            Ok(Answer { values, fitted: lambdas.len() })
        }),
        "logistic" => Box::new(move || {
            task.each(|lambda| {
                let mut priors = vec![PriorSpec::laplace(0.0, 1.0 / (lambda * task.rows as f64)); task.cols + 1];
                priors[0] = PriorSpec::flat();
                let fitted = PenalizedGlmRegressor::builder()
                    .family(PenalizedGlmFamily::binomial())
                    .priors(priors)
                    .tolerance(task.tolerance)
                    .build()
                    .fit(&x, &y)?;
                Ok(fitted.intercept().into_iter().chain(fitted.coefficients().iter().copied()).collect())
            })
        }),
        _ => Box::new(move || {
            let path = fit_path(&x, &y, lambdas, &options)?;
            let values = (0..path.len()).flat_map(|at| numbers(&path, at)).collect();
            Ok(Answer { values, fitted: path.len() })
        }),
    })
}
