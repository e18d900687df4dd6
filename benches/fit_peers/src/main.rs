//! Libraries of Rust that fit one case of `scripts/compare_fit.py`, which writes the data and asks for turns.
//!
//! `penalty-fit-peers CONTENDER CASE FOLDER TOLERANCE SECONDS` fits once for each line that it reads. It answers with the
//! seconds that took and how many λ it fitted: a contender that fits one λ after the other begins none after SECONDS.
//! The answers of the last turn are written to FOLDER/CONTENDER.CASE: intercept and coefficients of each λ, or for
//! cross-validation the mean loss of each λ, then intercept and coefficients of the best.

mod anofox;
mod linfa_net;
mod ours;

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A problem, and how far to go.
struct Task {
    case: String,
    rows: usize,
    cols: usize,
    /// One column after the other; of a sparse design, those that are not 0.
    x: Vec<f64>,
    /// Where columns start, and rows; empty for a dense design.
    starts: Vec<usize>,
    of_rows: Vec<usize>,
    y: Vec<f64>,
    lambdas: Vec<f64>,
    tolerance: f64,
    limit: Duration,
}

fn numbers(folder: &Path, name: &str) -> Result<Vec<f64>> {
    let bytes = std::fs::read(folder.join(name))?;
    Ok(bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap_or_default())).collect())
}

impl Task {
    fn read(case: &str, folder: &Path, tolerance: f64, seconds: f64) -> Result<Task> {
        let integers =
            |name: &str| -> Result<Vec<usize>> { Ok(numbers(folder, name)?.into_iter().map(|x| x as usize).collect()) };
        let shape = integers("shape")?;
        let (starts, of_rows) =
            if case == "sparse" { (integers("starts")?, integers("rows")?) } else { Default::default() };
        Ok(Task {
            case: case.into(),
            rows: shape[0],
            cols: shape[1],
            x: numbers(folder, "x")?,
            starts,
            of_rows,
            y: numbers(folder, "y")?,
            lambdas: numbers(folder, "lambdas")?,
            tolerance,
            limit: Duration::from_secs_f64(seconds),
        })
    }

    /// Fits λ after λ, until the time is over: `one` gives an intercept and coefficients.
    fn each(&self, mut one: impl FnMut(f64) -> Result<Vec<f64>>) -> Result<Answer> {
        let (start, mut values, mut fitted) = (Instant::now(), Vec::new(), 0);
        for lambda in &self.lambdas {
            if start.elapsed() > self.limit {
                break;
            }
            values.extend(one(*lambda)?);
            fitted += 1;
        }
        Ok(Answer { values, fitted })
    }
}

/// What a contender found.
struct Answer {
    values: Vec<f64>,
    /// The number of λ.
    fitted: usize,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [contender, case, folder, tolerance, seconds] = &arguments[..] else {
        return Err("usage: penalty-fit-peers CONTENDER CASE FOLDER TOLERANCE SECONDS".into());
    };
    let folder = PathBuf::from(folder);
    let task = Task::read(case, &folder, tolerance.parse()?, seconds.parse()?)?;
    let mut fit: Box<dyn FnMut() -> Result<Answer> + '_> = match contender.as_str() {
        "penalty-fit" => Box::new(|| ours::fit(&task)),
        "anofox-regression" => anofox::contender(&task)?,
        "linfa-elasticnet" => linfa_net::contender(&task)?,
        other => return Err(format!("no contender {other}").into()),
    };
    let mut found = Answer { values: Vec::new(), fitted: 0 };
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        found = fit()?;
        println!("{} {}", start.elapsed().as_secs_f64(), found.fitted);
        std::io::stdout().flush()?;
    }
    let bytes: Vec<u8> = found.values.iter().flat_map(|x| x.to_le_bytes()).collect();
    Ok(std::fs::write(folder.join(format!("{contender}.{case}")), bytes)?)
}
