//! The values of options.

use std::path::{Path, PathBuf};

use penalty::{Budget, Penalty};
use regex::Regex;

use crate::named;

pub(crate) fn lambda(text: &str) -> Result<f64, String> {
    let lambda = named::number(text)?;
    Penalty::l1(lambda).map(|_| lambda).map_err(|error| error.to_string())
}

pub(crate) fn alpha(text: &str) -> Result<f64, String> {
    let alpha = named::number(text)?;
    Penalty::elastic_net(1.0, alpha).map(|_| alpha).map_err(|error| error.to_string())
}

pub(crate) fn step(text: &str) -> Result<f64, String> {
    let step = named::number(text)?;
    let valid = step >= 0.0 && step.is_finite();
    if valid { Ok(step) } else { Err(format!("step must be a finite number ≥ 0, found {text}")) }
}

pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    let fraction = named::number(text)?;
    Budget::prune(fraction).map(|_| fraction).map_err(|error| error.to_string())
}

/// Rejects `-`, which would ask for standard output.
pub(crate) fn file(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path == Path::new("-") {
        true => Err("standard output takes no checkpoint: give a file (./- is one called -)"),
        false => Ok(path),
    }
}

pub(crate) fn regex(text: &str) -> Result<Regex, String> {
    // The last line of the error says what is wrong; the lines before it draw an arrow.
    Regex::new(text).map_err(|error| {
        let text = error.to_string();
        format!("not a regular expression: {}", text.lines().last().unwrap_or_default().trim_start_matches("error: "))
    })
}
