//! The options of the commands that fit.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use penalty::Penalty;
use penalty_fit::Grid;
use regex::Regex;

use super::asked::FormulaArgs;
use super::values;
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
  penalty path data.csv --target price --penalty mcp:gamma=3 --lambdas 1,0.3,0.1 --json
  penalty path data.csv --target price --alpha 0 --lambdas 100..0.01 --count 20 --standardize";

const CV_EXAMPLES: &str = "\
Examples:
  penalty cv data.csv --target price --standardize --folds 5 --seed 1 --plot cv.svg
  penalty cv data.csv --target ill --loss logistic --standardize --stratified --one-se --out model.json
  penalty cv data.csv --target price --alpha 1,0.7,0.3 --penalty mcp:gamma=3 --standardize
  penalty cv data.csv --target price --penalty group-lasso --groups 'names:^[^_]+' --penalty-factor '^size=0' --json";

const GEOMETRY_EXAMPLES: &str = "\
Examples:
  penalty geometry --out geometry.svg
  penalty geometry --out geometry.svg --penalty elastic-net:alpha=0.5 --penalty mcp:gamma=3
  penalty geometry --out geometry.svg --data data.csv --target price --include '^(size|age)$' --lambda 2";

/// The help after the options: the penalties' names, and examples.
fn help(examples: &str) -> String {
    [&named::fitted_help(), examples].join("\n")
}

#[derive(Debug, Args)]
#[command(after_help = help(FIT_EXAMPLES))]
pub(crate) struct Fit {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) formula: FormulaArgs,
    #[command(flatten)]
    pub(crate) coefficients: CoefficientArgs,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    /// Print one JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = help(PATH_EXAMPLES))]
pub(crate) struct Path {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The elastic net λ(αΣ|w| + (1−α)Σw²), with α from 0 to 1; the default is 1, the lasso
    #[arg(long, value_name = "α", value_parser = values::alpha, allow_negative_numbers = true,
          help_heading = "Penalty")]
    pub(crate) alpha: Option<f64>,
    /// A penalty by name, NAME:key=value,… without λ: one of those listed below
    #[arg(long, value_name = "PENALTY", value_parser = family, conflicts_with = "alpha", help_heading = "Penalty")]
    pub(crate) penalty: Option<Asked>,
    #[command(flatten)]
    pub(crate) coefficients: CoefficientArgs,
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
#[command(after_help = help(CV_EXAMPLES))]
pub(crate) struct Cv {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The elastic net λ(αΣ|w| + (1−α)Σw²), with α from 0 to 1; the default is 1, the lasso. Of several α, and of several
    /// --penalty, the one with the least error is taken
    #[arg(long, value_name = "α", value_parser = values::alpha, value_delimiter = ',', allow_negative_numbers = true,
          help_heading = "Penalty")]
    alpha: Vec<f64>,
    /// A penalty by name, NAME:key=value,… without λ: one of those listed below; may be repeated
    #[arg(long = "penalty", value_name = "PENALTY", value_parser = family, help_heading = "Penalty")]
    penalties: Vec<Asked>,
    #[command(flatten)]
    pub(crate) coefficients: CoefficientArgs,
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
    /// The data: a CSV file, with names in the first row or none, a .npy matrix, or a .parquet file (if built with the
    /// feature parquet). Columns without names are 1, 2, …
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,
    /// The column to predict
    #[arg(long, value_name = "COLUMN")]
    pub(crate) target: String,
    /// A column with a weight ≥ 0 for each row: how much the row counts
    #[arg(long, value_name = "COLUMN")]
    pub(crate) sample_weights: Option<String>,
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

/// What a penalty is of.
#[derive(Debug, Args)]
#[command(next_help_heading = "Penalty")]
pub(crate) struct CoefficientArgs {
    /// The groups of a group penalty: names:REGEX for columns in whose names REGEX matches the same text, runs:N for N
    /// consecutive columns each, or whole
    #[arg(long, value_name = "GROUPS", value_parser = column_groups)]
    pub(crate) groups: Option<ColumnGroups>,
    /// Multiply λ by F for columns whose name matches; 0 penalizes them not at all. May be repeated; the last match counts
    #[arg(long, value_name = "REGEX=F", value_parser = factor)]
    pub(crate) penalty_factor: Vec<(Regex, f64)>,
}

/// Which coefficients a group penalty groups.
#[derive(Debug, Clone)]
pub(crate) enum ColumnGroups {
    Whole,
    Runs(u64),
    /// Those of columns in whose names this matches the same text.
    Names(Regex),
}

impl Display for ColumnGroups {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ColumnGroups::Whole => write!(f, "whole"),
            ColumnGroups::Runs(len) => write!(f, "runs:{len}"),
            ColumnGroups::Names(regex) => write!(f, "names:{regex}"),
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "λ")]
pub(crate) struct GridArgs {
    /// These λ, separated by commas, or FROM..TO: --count λ from one to the other, each the same fraction of the one before
    #[arg(long, value_name = "λ", value_parser = lambdas, conflicts_with = "ratio")]
    lambdas: Option<Lambdas>,
    /// How many λ, from the least at which all coefficients are 0 downwards; the default is 100
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// The last λ over the first
    #[arg(long, value_name = "RATIO", default_value_t = 1e-3)]
    ratio: f64,
}

#[derive(Debug, Clone)]
enum Lambdas {
    List(Vec<f64>),
    Range { from: f64, to: f64 },
}

/// How many λ a path has if nobody says.
const COUNT: usize = 100;

impl GridArgs {
    pub(crate) fn grid(&self) -> Result<Grid, String> {
        let count = self.count.unwrap_or(COUNT);
        match &self.lambdas {
            None => Ok(Grid::Geometric { count, ratio: self.ratio }),
            Some(Lambdas::List(_)) if self.count.is_some() => {
                Err("--count is for --lambdas FROM..TO, and a list of λ has its own: give one of them".into())
            }
            Some(Lambdas::List(lambdas)) => Ok(Grid::Given(lambdas.clone())),
            Some(Lambdas::Range { from, to }) => {
                Grid::between(*from, *to, count).map_err(|error| format!("--count: {error}"))
            }
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

fn column_groups(text: &str) -> Result<ColumnGroups, String> {
    match text.split_once(':').map(|(kind, value)| (kind.trim(), value)) {
        None if text.trim() == "whole" => Ok(ColumnGroups::Whole),
        Some(("runs", len)) => match len.trim().parse() {
            Ok(len) if len > 0 => Ok(ColumnGroups::Runs(len)),
            _ => Err(format!("runs:N takes a whole number from 1 on, found {len:?}")),
        },
        Some(("names", regex)) => values::regex(regex).map(ColumnGroups::Names),
        _ => Err(format!("expected names:REGEX, runs:N or whole, found {text:?}")),
    }
}

fn factor(text: &str) -> Result<(Regex, f64), String> {
    // The regular expression may have = in it.
    let (regex, factor) = text.rsplit_once('=').ok_or_else(|| format!("expected REGEX=F, found {text:?}"))?;
    let number = named::number(factor)?;
    if number.is_finite() && number >= 0.0 {
        Ok((values::regex(regex)?, number))
    } else {
        Err(format!("F must be a finite number ≥ 0, found {factor}"))
    }
}

fn lambdas(text: &str) -> Result<Lambdas, String> {
    match text.split_once("..") {
        None => text.split(',').map(values::lambda).collect::<Result<_, _>>().map(Lambdas::List),
        Some((from, to)) => match (values::lambda(from)?, values::lambda(to)?) {
            (from, to) if from > 0.0 && to > 0.0 => Ok(Lambdas::Range { from, to }),
            _ => Err(format!("FROM and TO must be above 0, found {text}")),
        },
    }
}

impl Path {
    /// The penalty at λ = 1.
    pub(crate) fn asked(&self) -> Result<Asked, String> {
        match &self.penalty {
            Some(named) => Ok(named.clone()),
            None => net(self.alpha.unwrap_or(1.0)),
        }
    }
}

impl Cv {
    /// The penalties at λ = 1.
    pub(crate) fn asked(&self) -> Result<Vec<Asked>, String> {
        let lasso = self.alpha.is_empty() && self.penalties.is_empty();
        let alphas = if lasso { &[1.0][..] } else { &self.alpha };
        alphas.iter().map(|alpha| net(*alpha)).chain(self.penalties.iter().cloned().map(Ok)).collect()
    }
}

fn net(alpha: f64) -> Result<Asked, String> {
    Penalty::elastic_net(1.0, alpha).map(Asked::from).map_err(|error| error.to_string())
}
