//! What is to be fitted: columns, a target and a loss, as the options say.

use penalty_fit::{Logistic, Loss, Matrix, Multinomial, Options, Poisson, Problem, Squared};
use serde_json::{Map, Value, json};

use super::data::{Features, SHOWN, Table};
use crate::args::fit::{ColumnArgs, DataArgs, LossName, ModelArgs};
use crate::error::{Error, Result};
use crate::named::Asked;
use crate::select::Patterns;

/// Columns and a target.
pub(super) struct Task {
    pub(super) features: Features,
    pub(super) target: Vec<f64>,
    /// The labels of the classes 0, 1, …; empty if the target is a number.
    pub(super) classes: Vec<String>,
    pub(super) loss: LossName,
    standardize: bool,
    tolerance: f64,
}

impl Task {
    pub(super) fn new(data: &DataArgs, model: &ModelArgs) -> Result<Task> {
        let is_class = matches!(model.loss, LossName::Logistic | LossName::Multinomial);
        let table = Table::open(&data.data, is_class.then_some(data.target.as_str()))?;
        let (target, classes) = if is_class {
            let classes = table.classes(&data.target)?;
            if classes.labels.len() < 2 {
                let found = classes.labels.join(", ");
                return Err(
                    table.error(format!("column {:?}: expected at least two classes, found only {found}", data.target))
                );
            }
            if model.loss == LossName::Logistic && classes.labels.len() > 2 {
                let (found, shown) = (classes.labels.len(), classes.labels.len().min(SHOWN));
                let labels = classes.labels[..shown].join(", ") + if found > shown { ", …" } else { "" };
                return Err(table.error(format!(
                    "column {:?}: expected two classes, found {found}: {labels} (--loss multinomial takes several)",
                    data.target
                )));
            }
            (classes.of.iter().map(|class| *class as f64).collect(), classes.labels)
        } else {
            (table.numbers(&data.target)?.to_vec(), Vec::new())
        };
        let features = table.features(&data.target, &data.columns.patterns())?;
        if let Some(copy) = features.columns().position(|column| column == target) {
            let name = &features.names[copy];
            return Err(table.error(format!("column {name:?} is the target {:?} itself: --exclude it", data.target)));
        }
        Ok(Task {
            features,
            target,
            classes,
            loss: model.loss,
            standardize: model.standardize,
            tolerance: model.tolerance,
        })
    }

    pub(super) fn problem(&self) -> Result<Problem<'_>> {
        let x = Matrix::dense(self.features.rows, self.features.names.len(), &self.features.values)?;
        Ok(Problem::new(x, &self.target)?.standardize(self.standardize))
    }

    pub(super) fn loss(&self) -> &'static dyn Loss {
        match self.loss {
            LossName::Squared => &Squared,
            LossName::Logistic => &Logistic,
            LossName::Multinomial => &Multinomial,
            LossName::Poisson => &Poisson,
        }
    }

    pub(super) fn options(&self) -> Options<'static> {
        Options { tolerance: self.tolerance, ..Options::default() }
    }

    pub(super) fn is_standardized(&self) -> bool {
        self.standardize
    }

    /// What the task is, as JSON.
    pub(super) fn head(&self, penalty: &Asked) -> Map<String, Value> {
        let pairs = [
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("loss", json!(self.loss.name())),
            ("penalty", penalty.json.clone()),
            ("rows", json!(self.features.rows)),
            ("features", json!(self.features.names)),
            ("classes", json!(self.classes)),
            ("standardize", json!(self.standardize)),
        ];
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

impl LossName {
    pub(super) fn name(self) -> &'static str {
        match self {
            LossName::Squared => "squared",
            LossName::Logistic => "logistic",
            LossName::Multinomial => "multinomial",
            LossName::Poisson => "poisson",
        }
    }

    /// What cross-validation measures.
    pub(super) fn measure(self) -> (&'static str, &'static str) {
        match self {
            LossName::Squared => ("mse", "mean squared error"),
            _ => ("deviance", "mean deviance"),
        }
    }
}

impl ColumnArgs {
    pub(super) fn patterns(&self) -> Patterns<'_> {
        Patterns { include: &self.include, exclude: &self.exclude }
    }
}

/// A message of ours about options, as a usage error.
pub(super) fn usage(message: String) -> Error {
    Error::Usage(message)
}
