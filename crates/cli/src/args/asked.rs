//! The options that ask for a penalty and its λ.

use std::path::PathBuf;

use clap::Args;
use penalty::Penalty;

use super::values::{alpha, lambda};
use crate::checkpoint::Tensor;
use crate::groups::{self, Grouping};
use crate::named::{self, Asked};
use crate::{error, weights};

/// A penalty with its λ.
#[derive(Debug, Args)]
#[command(next_help_heading = "Penalty")]
pub(crate) struct FormulaArgs {
    /// Adds λΣ|θ|
    #[arg(long, value_name = "λ", value_parser = lambda, allow_negative_numbers = true)]
    l1: Option<f64>,
    /// Adds λΣθ², with no ½
    #[arg(long, value_name = "λ", value_parser = lambda, allow_negative_numbers = true)]
    l2: Option<f64>,
    /// The elastic net λ(αΣ|θ| + (1−α)Σθ²); needs --alpha
    #[arg(long, value_name = "λ", value_parser = lambda, allow_negative_numbers = true,
          requires = "alpha", conflicts_with_all = ["l1", "l2"])]
    lambda: Option<f64>,
    /// The elastic net's α, from 0 to 1; needs --lambda
    #[arg(long, value_name = "α", value_parser = alpha, allow_negative_numbers = true,
          requires = "lambda", conflicts_with_all = ["l1", "l2"])]
    alpha: Option<f64>,
    /// A penalty by name, NAME:key=value,…: one of those listed below
    #[arg(long = "penalty", value_name = "PENALTY", value_parser = named::penalty,
          conflicts_with_all = ["l1", "l2", "lambda", "alpha"])]
    named: Option<Asked>,
}

impl FormulaArgs {
    /// The requested penalty; zero if no option was given.
    pub(crate) fn asked(&self) -> penalty::Result<Asked> {
        match (&self.named, self.lambda, self.alpha) {
            (Some(asked), ..) => Ok(asked.clone()),
            (None, Some(lambda), Some(alpha)) => Ok(Penalty::elastic_net(lambda, alpha)?.into()),
            _ => Ok(Penalty::keras(self.l1.unwrap_or(0.0), self.l2.unwrap_or(0.0))?.into()),
        }
    }
}

/// A penalty of the tensors of a checkpoint.
#[derive(Debug, Args)]
#[command(next_help_heading = "Penalty")]
pub(crate) struct PenaltyArgs {
    #[command(flatten)]
    formula: FormulaArgs,
    /// The element weights w ≥ 0 of a weighted penalty: a checkpoint that has, for each penalised tensor, a tensor of
    /// the same name and shape. Its values are converted to the penalised tensor's type; other tensors in it are
    /// ignored
    #[arg(long, value_name = "FILE", requires = "named")]
    weights: Option<PathBuf>,
    /// How a non-separable penalty groups the weights: whole, rows, columns, tiles:RxC, runs:N or dim:D, as explained below
    #[arg(long, value_name = "GROUPS", value_parser = groups::parse)]
    pub(super) groups: Option<Grouping>,
}

impl PenaltyArgs {
    /// The requested penalty; zero if no option was given.
    pub(crate) fn asked(&self) -> penalty::Result<Asked> {
        Ok(self.formula.asked()?.weighted(self.weights.as_deref()).over(self.groups))
    }

    /// The element weights of each of these tensors; empty if the penalty takes none.
    pub(crate) fn element_weights(&self, tensors: &[Tensor]) -> error::Result<Vec<Tensor>> {
        self.weights.as_ref().map_or(Ok(Vec::new()), |path| weights::matching(path, tensors))
    }

    /// Rejects `--weights` for a penalty that takes no element weights, and a weighted penalty without `--weights`.
    pub(super) fn validate(&self) -> Result<(), String> {
        let weighted = self.formula.named.as_ref().is_some_and(|asked| asked.penalty.is_weighted());
        match (weighted, &self.weights) {
            (true, None) => Err("a weighted penalty needs --weights FILE, the weights of the elements".into()),
            (false, Some(_)) => {
                Err("--weights is for a weighted penalty, and --penalty asks for one that takes none".into())
            }
            _ => Ok(()),
        }
    }
}
