//! The rows that a fit sees: all rows of a problem, or those of a fold.

use crate::Problem;
use crate::design::Design;

/// A problem's rows, in the form that solvers take.
pub(crate) struct Sample {
    pub(crate) design: Design,
    pub(crate) y: Vec<f64>,
    /// Sample weights whose sum is the number of rows; `None` if all are 1.
    pub(crate) weights: Option<Vec<f64>>,
    pub(crate) intercept: bool,
}

impl Sample {
    /// All rows, or these. `scales` are those to divide columns by, in place of the rows' own.
    pub(crate) fn of(problem: &Problem<'_>, rows: Option<&[usize]>, scales: Option<&[f64]>) -> Sample {
        let picked = |x: &[f64]| match rows {
            None => x.to_vec(),
            Some(rows) => rows.iter().map(|row| x[*row]).collect(),
        };
        let y = picked(problem.y);
        let weights = problem.weights.map(|weights| {
            let weights = picked(weights);
            let factor = y.len() as f64 / weights.iter().sum::<f64>();
            weights.into_iter().map(|w| w * factor).collect::<Vec<f64>>()
        });
        let weights = weights.filter(|weights| weights.iter().any(|w| *w != 1.0));
        let design = Design::new(&problem.x, rows, weights.as_deref(), problem.intercept, problem.standardize, scales);
        Sample { design, y, weights, intercept: problem.intercept }
    }

    pub(crate) fn rows(&self) -> usize {
        self.y.len()
    }

    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }
}
