//! A fitted model: as JSON, as a table, and read again.

use std::fs;
use std::io::Write;
use std::path::Path;

use penalty_fit::Solution;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::task::Task;
use crate::args::fit::OutArgs;
use crate::destination::{PREFIX, folder};
use crate::error::{Error, Result};
use crate::output::Output;
use crate::report::{Table, short};

/// What `predict` needs of a model.
#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) loss: String,
    pub(super) features: Vec<String>,
    pub(super) classes: Vec<String>,
    /// A list, or one for each class.
    coef_raw: OneOrMore<Vec<f64>>,
    intercept_raw: OneOrMore<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn all(&self) -> &[T] {
        match self {
            OneOrMore::One(one) => std::slice::from_ref(one),
            OneOrMore::More(more) => more,
        }
    }
}

impl Model {
    pub(super) fn read(path: &Path) -> Result<Model> {
        let text = fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
        let model: Model =
            serde_json::from_str(&text).map_err(|error| Error::file(path, format!("not a model: {error}")))?;
        let (coef, intercept) = (model.coef_raw.all(), model.intercept_raw.all());
        let expected = model.features.len();
        if coef.len() != intercept.len() || coef.iter().any(|coef| coef.len() != expected) || coef.is_empty() {
            let reason =
                format!("expected {expected} coefficients, one for each feature, and an intercept, found others");
            return Err(Error::file(path, reason));
        }
        Ok(model)
    }

    /// Each output's coefficients and intercept.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (&[f64], f64)> {
        self.coef_raw.all().iter().map(Vec::as_slice).zip(self.intercept_raw.all().iter().copied())
    }
}

/// The entries of a solution.
pub(super) fn entries(solution: &Solution) -> Map<String, Value> {
    let features = solution.coef.len() / solution.outputs;
    let split = |coef: &[f64]| match solution.outputs {
        1 => json!(coef),
        _ => json!(coef.chunks(features).collect::<Vec<_>>()),
    };
    let single = |intercept: &[f64]| if let [one] = intercept { json!(one) } else { json!(intercept) };
    let pairs = [
        ("coef", split(&solution.coef)),
        ("coef_raw", split(&solution.coef_raw)),
        ("intercept", single(&solution.intercept)),
        ("intercept_raw", single(&solution.intercept_raw)),
        ("objective", json!(solution.objective)),
        ("nonzero", json!(solution.nonzero)),
        ("iterations", json!(solution.iterations)),
        ("converged", json!(solution.converged)),
        ("gap", json!(solution.gap)),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Prints the coefficients that are not 0, then how the fit went.
pub(super) fn print(task: &Task, solution: &Solution, out: &mut Output<impl Write>) -> Result<()> {
    let features = &task.features.names;
    let is_one = solution.outputs == 1;
    let headings = ["class", "column", "coefficient", "on the column as given"];
    let mut table = Table::new(if is_one { 1 } else { 2 }, &headings[usize::from(is_one)..]);
    for output in 0..solution.outputs {
        let class = || task.classes.get(output).cloned().into_iter().filter(|_| !is_one);
        table.row(class().chain([
            "(intercept)".to_owned(),
            short(solution.intercept[output]),
            short(solution.intercept_raw[output]),
        ]));
        for (at, name) in features.iter().enumerate() {
            let at = output * features.len() + at;
            if solution.coef[at] != 0.0 {
                table.row(class().chain([name.clone(), short(solution.coef[at]), short(solution.coef_raw[at])]));
            }
        }
    }
    table.print(out)?;
    out.line(format_args!("{} of {} coefficients are not 0", solution.nonzero, solution.coef.len()))?;
    let gap = solution.gap.map_or(String::new(), |gap| format!(", at most {} above the least", short(gap)));
    out.line(format_args!(
        "loss {}, objective {}{gap}, after {} iterations",
        short(solution.loss),
        short(solution.objective),
        solution.iterations
    ))?;
    notes(solution, out)
}

/// What a user should know of a fit.
pub(super) fn notes(solution: &Solution, out: &mut Output<impl Write>) -> Result<()> {
    if !solution.converged {
        out.line("note: the fit has not converged; the numbers are approximate")?;
    }
    for note in &solution.notes {
        out.line(format_args!("note: {note}"))?;
    }
    Ok(())
}

impl OutArgs {
    /// Rejects a file that must not be written, before the work begins.
    pub(super) fn check(&self) -> Result<()> {
        match &self.out {
            Some(path) if !self.force && fs::symlink_metadata(path).is_ok() => {
                Err(Error::file(path, "exists; --force overwrites it"))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a model, complete or not at all.
pub(super) fn write(out: &OutArgs, model: &Map<String, Value>) -> Result<()> {
    let Some(path) = &out.out else { return Ok(()) };
    let failed = |error: std::io::Error| Error::file(path, error);
    let mut builder = tempfile::Builder::new();
    // As any new file, not only for its owner.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(PREFIX).tempfile_in(folder(path)).map_err(failed)?;
    serde_json::to_writer_pretty(&mut file, model).map_err(|error| Error::file(path, error))?;
    file.write_all(b"\n").map_err(failed)?;
    let persisted = if out.force { file.persist(path) } else { file.persist_noclobber(path) };
    persisted.map_err(|error| failed(error.error))?;
    Ok(())
}
