//! The options of the commands that fit.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use penalty::{Groups, Penalty};
use regex::Regex;

use super::asked::PenaltyArgs;
use super::values;
use crate::groups::{self, Grouping};
use crate::named::{self, Asked};

const FIT_EXAMPLES: &str = "\
Examples:
  penalty fit data.csv --target price --loss squared --l1 0.1 --standardize
  penalty fit data.csv --target ill --loss logistic --lambda 0.02 --alpha 0.5 --standardize --out model.json
  penalty fit data.csv --target price --penalty mcp:lambda=0.1,gamma=3 --json
  penalty predict model.json new.csv";

const PATH_EXAMPLES: &str = "\
Examples:
  penalty path data.csv --target price --standardize
  penalty path data.csv --target price --alpha 0.5 --standardize --plot path.svg
  penalty path data.csv --target price --penalty mcp:gamma=3 --lambdas 1,0.3,0.1 --json";

const CV_EXAMPLES: &str = "\
Examples:
  penalty cv data.csv --target price --standardize --folds 5 --seed 1 --plot cv.svg
  penalty cv data.csv --target ill --loss logistic --standardize --stratified --one-se --out model.json
  penalty cv data.csv --target price --alpha 1,0.7,0.3 --standardize --json";

const GEOMETRY_EXAMPLES: &str = "\
Examples:
  penalty geometry --out geometry.svg
  penalty geometry --out geometry.svg --penalty elastic-net:alpha=0.5 --penalty mcp:gamma=3
  penalty geometry --out geometry.svg --data data.csv --target price --include '^(size|age)$' --lambda 2";

#[derive(Debug, Args)]
#[command(after_help = FIT_EXAMPLES)]
pub(crate) struct Fit {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) penalty: PenaltyArgs,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = PATH_EXAMPLES)]
pub(crate) struct Path {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    #[command(flatten)]
    pub(crate) grid: GridArgs,
    /// Draw the coefficients against λ: .svg or .png
    #[arg(long, value_name = "PICTURE")]
    pub(crate) plot: Option<PathBuf>,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = CV_EXAMPLES)]
pub(crate) struct Cv {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) family: FamilyArgs,
    #[command(flatten)]
    pub(crate) grid: GridArgs,
    /// How many folds
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub(crate) folds: usize,
    /// Shuffle the rows by this seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Take consecutive rows, without shuffling
    #[arg(long, conflicts_with_all = ["seed", "stratified"])]
    pub(crate) contiguous: bool,
    /// Spread each class, or the range of the target, evenly over the folds
    #[arg(long)]
    pub(crate) stratified: bool,
    /// Standardize once by all rows, not in each fold by the rows that it trains on
    #[arg(long, requires = "standardize")]
    pub(crate) standardize_once: bool,
    /// Fit all rows with the largest λ whose error is within one standard error of the least, not with that of the least
    #[arg(long)]
    pub(crate) one_se: bool,
    /// Draw the error against λ: .svg or .png
    #[arg(long, value_name = "PICTURE")]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// A model, as fit and cv write it with --out
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// The data: columns are found by name, others are ignored
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// Print one JSON object instead of CSV
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = GEOMETRY_EXAMPLES)]
pub(crate) struct Geometry {
    /// The picture: .svg or .png
    #[arg(long, value_name = "PICTURE")]
    pub(crate) out: PathBuf,
    /// A penalty to show beside L1 and L2, NAME:key=value,… without λ; may be repeated
    #[arg(long = "penalty", value_name = "PENALTY", value_parser = family)]
    pub(crate) penalties: Vec<Asked>,
    /// The λ; the default is one at which L1 has one coefficient
    #[arg(long, value_name = "λ", value_parser = values::lambda, allow_negative_numbers = true)]
    pub(crate) lambda: Option<f64>,
    /// Data with two columns besides the target; the default is bmi and bp of the diabetes data
    #[arg(long, value_name = "DATA", requires = "target")]
    pub(crate) data: Option<PathBuf>,
    /// The column to predict
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
    /// Print the numbers as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct DataArgs {
    /// The data: a CSV file, with names in the first row or none, or a .npy matrix. Columns without names are 1, 2, …
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// The column to predict
    #[arg(long, value_name = "COLUMN")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) columns: ColumnArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ColumnArgs {
    /// Only columns whose name matches; may be repeated
    #[arg(long, value_name = "REGEX", value_parser = values::regex)]
    pub(crate) include: Vec<Regex>,
    /// Skip columns whose name matches; may be repeated
    #[arg(long, value_name = "REGEX", value_parser = values::regex)]
    pub(crate) exclude: Vec<Regex>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// What a wrong prediction costs. The target of logistic is a class of two, that of multinomial one of several, and
    /// that of poisson a count
    #[arg(long, value_enum, default_value = "squared")]
    pub(crate) loss: LossName,
    /// Penalize the coefficients of columns with mean 0 and standard deviation 1
    #[arg(long)]
    pub(crate) standardize: bool,
    /// Stop when the duality gap is at most this times the loss without coefficients
    #[arg(long, value_name = "ε", default_value_t = 1e-9)]
    pub(crate) tolerance: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LossName {
    Squared,
    Logistic,
    Multinomial,
    Poisson,
}

/// A penalty that λ multiplies.
#[derive(Debug, Args)]
#[command(next_help_heading = "Penalty")]
pub(crate) struct FamilyArgs {
    /// The elastic net λ(αΣ|w| + (1−α)Σw²), with α from 0 to 1; several for cv, which chooses among them. The default is 1,
    /// the lasso
    #[arg(long, value_name = "α", value_parser = values::alpha, value_delimiter = ',', allow_negative_numbers = true)]
    alpha: Vec<f64>,
    /// A penalty by name, NAME:key=value,… without λ: those of `penalty eval --help`
    #[arg(long = "penalty", value_name = "PENALTY", value_parser = family, conflicts_with = "alpha")]
    named: Option<Asked>,
    /// The groups of a group penalty: runs:N for N consecutive columns each, or whole
    #[arg(long, value_name = "GROUPS", value_parser = groups::parse, requires = "named")]
    groups: Option<Grouping>,
}

impl FamilyArgs {
    /// The penalties at λ = 1, with what to call them.
    pub(crate) fn penalties(&self) -> Result<Vec<Asked>, String> {
        if let Some(named) = &self.named {
            return Ok(vec![named.clone().over(self.groups)]);
        }
        let alphas = if self.alpha.is_empty() { &[1.0][..] } else { &self.alpha };
        let net = |alpha: &f64| Penalty::elastic_net(1.0, *alpha).map(Asked::from).map_err(|error| error.to_string());
        alphas.iter().map(net).collect()
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "λ")]
pub(crate) struct GridArgs {
    /// These λ, separated by commas
    #[arg(long, value_name = "λ", value_parser = values::lambda, value_delimiter = ',', conflicts_with_all = ["count", "ratio"])]
    pub(crate) lambdas: Vec<f64>,
    /// How many λ, from the least at which all coefficients are 0 downwards
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) count: usize,
    /// The last λ over the first
    #[arg(long, value_name = "RATIO", default_value_t = 1e-3)]
    pub(crate) ratio: f64,
}

impl GridArgs {
    pub(crate) fn grid(&self) -> penalty_fit::Grid {
        if self.lambdas.is_empty() {
            penalty_fit::Grid::Geometric { count: self.count, ratio: self.ratio }
        } else {
            penalty_fit::Grid::Given(self.lambdas.clone())
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct OutArgs {
    /// Write the model as JSON, for predict
    #[arg(long, value_name = "MODEL")]
    pub(crate) out: Option<PathBuf>,
    /// Overwrite MODEL
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

/// A penalty by name whose λ is 1 if none is given.
fn family(text: &str) -> Result<Asked, String> {
    let with = if text.contains(':') { format!("{text},lambda=1") } else { format!("{text}:lambda=1") };
    named::penalty(&with).or_else(|error| named::penalty(text).map_err(|_| error))
}

/// The penalty of a vector of coefficients, with its groups.
pub(crate) fn of_coefficients(asked: &Asked) -> Result<Penalty, String> {
    let groups = match asked.grouping() {
        None => return Ok(asked.penalty.clone()),
        Some(Grouping::Whole) => Ok(Groups::whole()),
        Some(Grouping::Runs(len)) => Groups::runs(len),
        Some(other) => return Err(format!("--groups of coefficients are whole or runs:N, found {other}")),
    };
    groups.and_then(|groups| asked.penalty.over(groups)).map_err(|error| error.to_string())
}
