//! Times one problem of the comparison with other libraries: `speed CASE DIRECTORY`, where the directory has the data
//! that `scripts/compare_fit.py` writes, in binary. It prints the seconds and writes the objectives.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use penalty::Penalty;
use penalty_fit::{Folds, Grid, Logistic, Loss, Matrix, Options, Problem, Scaling, Squared, cross_validate, path};

fn numbers(folder: &Path, name: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let bytes = std::fs::read(folder.join(name))?;
    Ok(bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap_or_default())).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().ok_or("which case?")?;
    let folder = std::path::PathBuf::from(arguments.next().ok_or("which folder?")?);
    let tolerance = arguments.next().map_or(Ok(1e-6), |x| x.parse())?;
    let integers = |name: &str| -> Result<Vec<usize>, Box<dyn Error>> {
        Ok(numbers(&folder, name)?.into_iter().map(|x| x as usize).collect())
    };
    let shape = integers("shape")?;
    let (n, p) = (shape[0], shape[1]);
    let (values, y, lambdas) = (numbers(&folder, "x")?, numbers(&folder, "y")?, numbers(&folder, "lambdas")?);
    let (starts, rows) = if case == "sparse" { (integers("starts")?, integers("rows")?) } else { Default::default() };
    let x =
        if case == "sparse" { Matrix::sparse(n, p, &starts, &rows, &values)? } else { Matrix::dense(n, p, &values)? };
    let (l1, grid) = (Penalty::l1(1.0)?, Grid::Given(lambdas));
    let options = Options { tolerance, ..Options::default() };
    let loss: &dyn Loss = if case == "logistic" { &Logistic } else { &Squared };
    for _ in 0..2 {
        let start = Instant::now();
        let problem = Problem::new(x, &y)?;
        if case == "cv" {
            let folds = Folds::contiguous(n, 5)?;
            let cv = cross_validate(&problem, loss, &l1, &grid, &folds, Scaling::PerFold, &options)?;
            println!(
                "{:.3} s, lambda_min {}, converged {}",
                start.elapsed().as_secs_f64(),
                cv.lambda_min,
                cv.converged
            );
        } else {
            let fits = path(&problem, loss, &l1, &grid, &options)?;
            let seconds = start.elapsed().as_secs_f64();
            let last = &fits.points[fits.points.len() - 1].solution;
            let epochs: usize = fits.points.iter().map(|point| point.solution.iterations).sum();
            let converged = fits.points.iter().all(|point| point.solution.converged);
            println!(
                "{seconds:.3} s, last objective {:.12e}, {} nonzero, gap {:?}, {epochs} epochs, converged {converged}",
                last.objective, last.nonzero, last.gap
            );
            let objectives = fits.points.iter().flat_map(|point| point.solution.objective.to_le_bytes());
            std::fs::write(folder.join("objectives"), objectives.collect::<Vec<u8>>())?;
        }
    }
    Ok(())
}
