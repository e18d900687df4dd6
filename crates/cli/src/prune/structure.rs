//! `--structure`: which weights are pruned together, and which groups of a tensor keep only so many.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use penalty::Groups;

use crate::checkpoint::{Checkpoint, Skipped, Tensor};
use crate::error::{Error, Result};
use crate::groups::{self, Grouping};

/// The help text on `--structure`.
pub(crate) const HELP: &str = "\
--structure takes:
  none       single weights; the default
  n:m        of each m consecutive weights along a dimension, the n largest stay, such as 2:4. It takes no --sparsity
  rows       each row of a matrix
  columns    each column of a matrix
  filters    each filter of a convolution: the weights of one output channel, as rows
  tiles:RxC  each block of R rows and C columns of a matrix; R must divide the rows, C the columns
A tensor of shape [a, b, c, …] is a matrix of a rows and b·c·… columns. With a structure, tensors of fewer than two dimensions
stay as they are, and the budget does not count them.
n:m goes along the dimension 1, the inputs of PyTorch's linear and convolution layers, as sparse tensor cores need it.
--dim 0 is for layers that store them transposed, such as GPT-2's.
";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Structure {
    None,
    NOfM { n: u64, m: u64 },
    Rows,
    Columns,
    Filters,
    Tiles { height: u64, width: u64 },
}

impl Display for Structure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Structure::None => write!(f, "none"),
            Structure::NOfM { n, m } => write!(f, "{n}:{m}"),
            Structure::Rows => write!(f, "rows"),
            Structure::Columns => write!(f, "columns"),
            Structure::Filters => write!(f, "filters"),
            Structure::Tiles { height, width } => write!(f, "tiles:{height}x{width}"),
        }
    }
}

/// Parses the value of `--structure`.
pub(crate) fn parse(text: &str) -> Result<Structure, String> {
    let found = match text.trim() {
        "none" => Some(Structure::None),
        "rows" => Some(Structure::Rows),
        "columns" => Some(Structure::Columns),
        "filters" => Some(Structure::Filters),
        tiles if tiles.starts_with("tiles") => match groups::parse(tiles) {
            Ok(Grouping::Tiles { height, width }) => Some(Structure::Tiles { height, width }),
            _ => None,
        },
        pattern => n_of_m(pattern),
    };
    let expected =
        "expected none, n:m with 0 < n < m, rows, columns, filters or tiles:RxC, with whole numbers from 1 on";
    found.ok_or_else(|| format!("{expected}; found {text:?}"))
}

/// Parses a structure that single groups have or lack, such as 2:4.
pub(crate) fn pattern(text: &str) -> Result<Structure, String> {
    n_of_m(text.trim()).ok_or_else(|| format!("expected n:m with 0 < n < m, such as 2:4; found {text:?}"))
}

fn n_of_m(text: &str) -> Option<Structure> {
    let (n, m) = text.split_once(':')?;
    let (n, m) = (n.trim().parse().ok()?, m.trim().parse().ok()?);
    // Groups are small; a row of 2^20 weights is a matter of --scope row.
    (0 < n && n < m && m <= 1 << 20).then_some(Structure::NOfM { n, m })
}

impl Structure {
    /// The groups of n:m along a dimension of a tensor; `None` for another structure.
    pub(crate) fn layers(self, tensor: &Tensor, dim: usize, pad: bool) -> Result<Option<Layers>, String> {
        match self {
            Structure::NOfM { n, m } => Layers::of(tensor, (n, m), dim, pad).map(Some),
            _ => Ok(None),
        }
    }

    /// The groups of a tensor that are pruned as a whole; `None` if weights are pruned one by one.
    pub(crate) fn groups(self, tensor: &Tensor) -> Result<Option<Groups>, String> {
        let grouping = match self {
            Structure::None | Structure::NOfM { .. } => return Ok(None),
            Structure::Rows | Structure::Filters => Grouping::Rows,
            Structure::Columns => Grouping::Columns,
            Structure::Tiles { height, width } => Grouping::Tiles { height, width },
        };
        let groups = grouping.of(tensor).map_err(|reason| reason.replace("--groups", "--structure"))?;
        // So that an error comes before anything is read.
        penalty::GroupSearch::new(&[(tensor.len, Some(&groups))]).map_err(|error| error.to_string())?;
        Ok(Some(groups))
    }

    /// Whether it is n:m.
    pub(crate) fn is_pattern(self) -> bool {
        matches!(self, Structure::NOfM { .. })
    }

    /// Whether a tensor has too few dimensions for the structure.
    pub(crate) fn leaves(self, tensor: &Tensor) -> bool {
        self != Structure::None && tensor.shape.len() < 2
    }
}

/// Moves the tensors that a structure leaves as they are to the skipped ones.
pub(crate) fn leave(checkpoint: &mut Checkpoint, model: &Path, structure: Structure) -> Result<()> {
    let (left, kept): (Vec<Tensor>, Vec<Tensor>) =
        checkpoint.tensors.drain(..).partition(|tensor| structure.leaves(tensor));
    if kept.is_empty() && !left.is_empty() {
        let reason = format!("nothing to do: {structure} needs tensors of two dimensions or more");
        return Err(Error::file(model, reason));
    }
    checkpoint.tensors = kept;
    checkpoint.skipped.extend(left.into_iter().map(|tensor| Skipped {
        range: tensor.offset..tensor.offset + tensor.bytes(),
        dtype: tensor.type_name(),
        reason: format!("{structure} needs two dimensions or more, found the shape {:?}", tensor.shape),
        name: tensor.name,
        tied: tensor.tied,
        source: tensor.source,
    }));
    Ok(())
}

/// The error that a structure does not fit a tensor.
pub(crate) fn named(tensor: &Tensor, reason: String) -> Error {
    let reason = format!("its tensor {:?} of shape {:?}: {reason}", tensor.name, tensor.shape);
    Error::file(&tensor.source.path, reason)
}

/// A tensor seen as slabs, each of `side` layers of `inner` weights: the groups of n:m are in each slab `m` layers, one
/// weight of each. The last group is shorter if m does not divide the side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layers {
    pub(crate) n: u64,
    pub(crate) m: u64,
    side: u64,
    pub(crate) inner: u64,
}

impl Layers {
    fn of(tensor: &Tensor, (n, m): (u64, u64), dim: usize, pad: bool) -> Result<Layers, String> {
        let Some(&side) = tensor.shape.get(dim) else {
            return Err(format!("--dim {dim}: it has {} dimensions, counted from 0", tensor.shape.len()));
        };
        if !side.is_multiple_of(m) && !pad {
            return Err(format!(
                "{n}:{m} along dimension {dim}: {m} does not divide {side} (--pad lets the last group be shorter, --dim gives \
                 another dimension, --include and --exclude choose tensors)"
            ));
        }
        Ok(Layers { n, m, side, inner: tensor.shape[dim + 1..].iter().product() })
    }

    /// Cuts a range that begins at a group into parts of about this many weights that groups do not cross.
    pub(crate) fn parts(self, from: u64, to: u64, size: u64) -> Vec<std::ops::Range<u64>> {
        let (slab, block) = (self.side * self.inner, self.m * self.inner);
        let (mut parts, mut at) = (Vec::new(), from);
        while at < to {
            let end = if at.is_multiple_of(slab) && slab <= size {
                at + size / slab * slab
            } else {
                (at + (size / block).max(1) * block).min(at / slab * slab + slab)
            };
            parts.push(at..end.min(to));
            at = end;
        }
        parts
    }

    /// Whether all groups have `m` weights.
    pub(crate) fn are_even(self) -> bool {
        self.side.is_multiple_of(self.m)
    }

    /// The blocks of a part, each of `m` layers or of what is left of a slab: how many weights from an index on.
    pub(crate) fn block(self, at: u64) -> u64 {
        let slab = self.side * self.inner;
        (self.m * self.inner).min(slab - at % slab)
    }
}
