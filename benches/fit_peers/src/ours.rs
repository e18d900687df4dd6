//! penalty-fit.

use penalty::Penalty;
use penalty_fit::{
    Folds, Grid, Logistic, Loss, Matrix, Options, Problem, Scaling, Solution, Squared, cross_validate, path,
};

use crate::{Answer, Result, Task};

fn numbers(solution: &Solution) -> impl Iterator<Item = f64> + '_ {
    solution.intercept_raw.iter().chain(&solution.coef_raw).copied()
}

pub(crate) fn fit(task: &Task) -> Result<Answer> {
    let x = if task.starts.is_empty() {
        Matrix::dense(task.rows, task.cols, &task.x)?
    } else {
        Matrix::sparse(task.rows, task.cols, &task.starts, &task.of_rows, &task.x)?
    };
    let (problem, grid) = (Problem::new(x, &task.y)?, Grid::Given(task.lambdas.clone()));
    let options = Options { tolerance: task.tolerance, ..Options::default() };
    let penalty = match task.case.as_str() {
        "mcp" => Penalty::mcp(1.0, 3.0)?,
        "scad" => Penalty::scad(1.0, 3.7)?,
        _ => Penalty::l1(1.0)?,
    };
    if task.case == "cv" {
        let folds = Folds::contiguous(task.rows, 5)?;
        let cv = cross_validate(&problem, &Squared, &penalty, &grid, &folds, Scaling::PerFold, &options)?;
        let best = cv.refit(&problem, &Squared, &penalty, cv.lambda_min, &options)?;
        let values = cv.mean.iter().copied().chain(numbers(&best)).collect();
        return Ok(Answer { values, fitted: task.lambdas.len() });
    }
    let loss: &dyn Loss = if task.case == "logistic" { &Logistic } else { &Squared };
    let fits = path(&problem, loss, &penalty, &grid, &options)?;
    let values = fits.points.iter().flat_map(|point| numbers(&point.solution)).collect();
    let converged = fits.points.iter().filter(|point| point.solution.converged).count();
    Ok(Answer { values, fitted: converged })
}
