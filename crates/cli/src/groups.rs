//! `--groups`: which weights a penalty groups. A tensor's shape determines its groups.

use std::fmt::{self, Display, Formatter};

use penalty::{Groups, Penalty};

use crate::checkpoint::Tensor;
use crate::error::{Error, Result};

/// The help text on `--groups`.
pub(crate) const HELP: &str = "\
--groups takes, for each tensor:
  whole      all its weights, as without --groups
  rows       each row of a matrix
  columns    each column of a matrix
  tiles:RxC  each block of R rows and C columns of a matrix; R must divide the rows, C the columns
  runs:N     each N consecutive weights, across rows too; N must divide the number of weights
  dim:0      all weights with the same index of the first dimension: output rows of linear layers, filters of convolutions
  dim:1      the same of the second dimension: inputs of linear layers, input channels of convolutions
  dim:0,1    the same of both: the kernels of convolutions
A tensor of shape [a, b, c, …] is a matrix of a rows and b·c·… columns; one of fewer than two dimensions is none.
Each group then has its own norm, radius or k. --groups is for norms, group lassos, balls, the simplex and top-k, unless a
parameter gives the groups: group-size is runs:N.
n-of-m takes each m consecutive weights of a row, and m must divide the rows: [a, b, c, …] has a rows of b·c·… weights, a
tensor of fewer than two dimensions is one row.
Group penalties read weights in row-major (C) order, also from a .npy file in column-major (Fortran) order; of equal weights,
the first is kept. Separable penalties sum them in the file's order.
";

/// How the weights of every tensor are grouped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Grouping {
    Whole,
    Rows,
    Columns,
    Tiles {
        height: u64,
        width: u64,
    },
    Runs(u64),
    /// All weights with the same index of the first dimension, of the second, or of both.
    Dims(Dims),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dims {
    First,
    Second,
    Both,
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Grouping::Whole => write!(f, "whole"),
            Grouping::Rows => write!(f, "rows"),
            Grouping::Columns => write!(f, "columns"),
            Grouping::Tiles { height, width } => write!(f, "tiles:{height}x{width}"),
            Grouping::Runs(len) => write!(f, "runs:{len}"),
            Grouping::Dims(Dims::First) => write!(f, "dim:0"),
            Grouping::Dims(Dims::Second) => write!(f, "dim:1"),
            Grouping::Dims(Dims::Both) => write!(f, "dim:0,1"),
        }
    }
}

/// Parses the value of `--groups`.
pub(crate) fn parse(text: &str) -> Result<Grouping, String> {
    let side = |text: &str| text.trim().parse().ok().filter(|&side: &u64| side > 0);
    let found = match text.split_once(':').map(|(name, sides)| (name.trim(), sides)) {
        None => match text.trim() {
            "whole" => Some(Grouping::Whole),
            "rows" => Some(Grouping::Rows),
            "columns" => Some(Grouping::Columns),
            _ => None,
        },
        Some(("tiles", sides)) => sides
            .split_once('x')
            .and_then(|(height, width)| Some(Grouping::Tiles { height: side(height)?, width: side(width)? })),
        Some(("runs", len)) => side(len).map(Grouping::Runs),
        Some(("dim", dims)) => match dims.split(',').map(str::trim).collect::<Vec<_>>().as_slice() {
            ["0"] => Some(Grouping::Dims(Dims::First)),
            ["1"] => Some(Grouping::Dims(Dims::Second)),
            ["0", "1"] => Some(Grouping::Dims(Dims::Both)),
            _ => None,
        },
        Some(_) => None,
    };
    let expected =
        "expected whole, rows, columns, tiles:RxC, runs:N, dim:0, dim:1 or dim:0,1, with whole numbers from 1 on";
    found.ok_or_else(|| format!("{expected}; found {text:?}"))
}

/// Whether a penalty is non-separable. Its tensors must then be read whole.
pub(crate) fn are_taken_by(penalty: &Penalty) -> bool {
    penalty.groups().is_some()
}

/// Whether a penalty is non-separable and leaves the choice of groups open.
pub(crate) fn are_open_in(penalty: &Penalty) -> bool {
    penalty.groups() == Some(&Groups::whole())
}

/// The penalty for each of the tensors, with its groups. Checks that the groups cover the tensor, and that `in_rows`,
/// if given, divides the length of the tensor's rows.
pub(crate) fn of_tensors(
    penalty: &Penalty,
    grouping: Option<Grouping>,
    in_rows: Option<u64>,
    tensors: &[Tensor],
) -> Result<Vec<Penalty>> {
    tensors
        .iter()
        .map(|tensor| {
            of_tensor(penalty, grouping, in_rows, tensor).map_err(|reason| {
                let reason = format!("its tensor {:?} of shape {:?}: {reason}", tensor.name, tensor.shape);
                Error::file(&tensor.source.path, reason)
            })
        })
        .collect()
}

fn of_tensor(
    penalty: &Penalty,
    grouping: Option<Grouping>,
    in_rows: Option<u64>,
    tensor: &Tensor,
) -> Result<Penalty, String> {
    if let Some(m) = in_rows.filter(|m| !row(tensor).is_multiple_of(*m)) {
        let found = row(tensor);
        return Err(format!(
            "n-of-m: m must divide the weights of a row: {m} does not divide {found} (--include and --exclude choose tensors)"
        ));
    }
    let text = |error: penalty::Error| error.to_string();
    let penalty = match grouping {
        None => penalty.clone(),
        Some(grouping) => penalty.over(grouping.of(tensor)?).map_err(text)?,
    };
    penalty.check_len(tensor.len).map_err(text)?;
    Ok(penalty)
}

impl Grouping {
    /// The groups of a tensor, or why it has none.
    pub(crate) fn of(self, tensor: &Tensor) -> Result<Groups, String> {
        let columns = || columns(tensor).map_err(|reason| format!("--groups {self}: {reason}"));
        let groups = match self {
            // An empty tensor has no groups, even if its rows have no columns.
            _ if tensor.len == 0 => Ok(Groups::whole()),
            Grouping::Whole => Ok(Groups::whole()),
            Grouping::Rows => Groups::rows(columns()?),
            Grouping::Columns => Groups::columns(columns()?),
            Grouping::Tiles { height, width } => Groups::tiles(columns()?, height, width),
            Grouping::Runs(len) => Groups::runs(len),
            Grouping::Dims(dims) => {
                let (columns, rows) = (columns()?, tensor.shape[0]);
                let inner = columns / tensor.shape[1];
                match dims {
                    Dims::First => Groups::rows(columns),
                    Dims::Second => Groups::tiles(columns, rows, inner),
                    Dims::Both => Groups::tiles(columns, 1, inner),
                }
            }
        };
        groups.map_err(|error| error.to_string())
    }
}

/// The number of weights in a row of a tensor; 0 if the tensor is empty.
pub(crate) fn row(tensor: &Tensor) -> u64 {
    match tensor.shape.as_slice() {
        [rows, _, ..] if tensor.len > 0 => tensor.len / rows,
        _ => tensor.len,
    }
}

/// The number of columns of a tensor seen as a matrix, or why it is not a matrix.
fn columns(tensor: &Tensor) -> Result<u64, String> {
    match tensor.shape.as_slice() {
        few @ ([] | [_]) => Err(format!(
            "expected a matrix, of two dimensions or more, found {} (--include and --exclude choose tensors)",
            few.len()
        )),
        [_, rest @ ..] => Ok(rest.iter().product()),
    }
}
