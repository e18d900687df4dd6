//! What is to be fitted: columns, a target and a loss, as the options say.

use penalty_fit::{Logistic, Loss, Matrix, Multinomial, Options, Poisson, Problem, Squared};
use penalty_table::{Features, Kind};
use serde_json::{Map, Value, json};

use super::data;
use crate::args::fit::{CoefficientArgs, ColumnArgs, DataArgs, LossName, ModelArgs};
use crate::error::{Error, Result};
use crate::memory;
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
    sample_weights: Option<Vec<f64>>,
    factors: Option<Vec<f64>>,
}

impl Task {
    pub(super) fn new(data: &DataArgs, model: &ModelArgs, coefficients: &CoefficientArgs) -> Result<Task> {
        let kind = match model.loss {
            LossName::Squared | LossName::Poisson => Kind::Number,
            LossName::Logistic => Kind::TwoClasses,
            LossName::Multinomial => Kind::Classes,
        };
        let table = data::open(&data.data, kind.is_class().then_some(data.target.as_str()))?;
        let target = table.target(&data.target, kind).map_err(|error| data::failed(&data.data, &error))?;
        if let ([], Some(first)) = (&target.classes[..], target.values.first())
            && target.values.iter().all(|y| y == first)
        {
            let name = &data.target;
            let reason = format!("column {name:?}: expected a target that differs between rows, found only {first}");
            return Err(Error::file(&data.data, reason));
        }
        // The columns chosen, and the fit's copy of them.
        memory::check(16 * (table.rows() * table.columns().len()) as u64)?;
        let weights = data.sample_weights.as_deref();
        if weights == Some(data.target.as_str()) {
            return Err(usage(format!("--sample-weights {:?} is the target: give another column", data.target)));
        }
        let sample_weights = weights.map(|name| table.numbers(name).map(<[f64]>::to_vec)).transpose();
        let sample_weights = sample_weights.map_err(|error| data::failed(&data.data, &error))?;
        let features = data::features(&data.data, &table, &data.columns.patterns(), &data.target, weights, &target)?;
        let factors = coefficients.factors(&features.names)?;
        Ok(Task {
            features,
            target: target.values,
            classes: target.classes,
            loss: model.loss,
            standardize: model.standardize,
            tolerance: model.tolerance,
            sample_weights,
            factors,
        })
    }

    pub(super) fn problem(&self) -> Result<Problem<'_>> {
        let x = Matrix::dense(self.features.rows, self.features.names.len(), &self.features.values)?;
        let mut problem = Problem::new(x, &self.target)?.standardize(self.standardize);
        if let Some(weights) = &self.sample_weights {
            problem = problem.weights(weights)?;
        }
        if let Some(factors) = &self.factors {
            problem = problem.factors(factors)?;
        }
        Ok(problem)
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
        let factors = self.factors.as_ref().map(|factors| ("penalty_factors", json!(factors)));
        pairs.into_iter().chain(factors).map(|(key, value)| (key.to_owned(), value)).collect()
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

/// An error of a fit, with the option that gives the λ of a grid if there is no largest one.
pub(super) fn of_grid(error: penalty_fit::Error) -> Error {
    match error {
        penalty_fit::Error::NoLargest { .. } => usage(format!("{error}: give --lambdas, such as 100..0.01")),
        error => error.into(),
    }
}

/// A message of ours about options, as a usage error.
pub(super) fn usage(message: String) -> Error {
    Error::Usage(message)
}
