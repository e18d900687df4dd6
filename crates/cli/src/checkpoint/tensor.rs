//! The tensors of a checkpoint.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::source::Source;
use crate::float8::Float8;
use crate::number::Type;

/// A tensor whose type has penalties.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) source: Arc<Source>,
    pub(crate) name: String,
    /// The other names of the same weights.
    pub(crate) tied: Vec<String>,
    /// The type that its weights are read as.
    pub(crate) dtype: Type,
    /// The type that the file has them in, if that is another one.
    pub(crate) float8: Option<Float8>,
    /// Whether the file's byte order differs from this machine's.
    pub(crate) swapped: bool,
    pub(crate) shape: Vec<u64>,
    /// The number of weights.
    pub(crate) len: u64,
    /// The offset of the weights in the file, in bytes.
    pub(crate) offset: u64,
    /// Whether the file is row-major: weights along the last dimension are adjacent. In a column-major file those along
    /// the first dimension are.
    pub(crate) row_major: bool,
}

impl Tensor {
    /// How many bytes the file has of it.
    pub(crate) fn bytes(&self) -> u64 {
        self.len * self.weight_bytes()
    }

    /// How many bytes a weight has in the file.
    pub(crate) fn weight_bytes(&self) -> u64 {
        if self.float8.is_some() { 1 } else { self.dtype.size() as u64 }
    }

    /// The name of the file's type.
    pub(crate) fn type_name(&self) -> String {
        self.float8.map_or_else(|| self.dtype.to_string(), |float8| float8.to_string())
    }
}

/// A tensor whose type has no penalties.
#[derive(Debug, Clone)]
pub(crate) struct Skipped {
    pub(crate) source: Arc<Source>,
    /// Where the file has it, in bytes.
    pub(crate) range: Range<u64>,
    pub(crate) name: String,
    /// The other names of the same bytes.
    pub(crate) tied: Vec<String>,
    pub(crate) dtype: String,
    pub(crate) reason: String,
}

/// A file of a checkpoint, and where it lies in the checkpoint's folder.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) source: Arc<Source>,
    pub(crate) place: PathBuf,
    pub(crate) layout: Layout,
}

/// What a file has once it is written anew: its beginning, then what these ranges have, with the tensors in them replaced.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) head: Vec<u8>,
    pub(crate) ranges: Vec<(Arc<Source>, Range<u64>)>,
}

impl Part {
    /// A file that keeps its bytes, but for its tensors.
    pub(super) fn as_it_is(source: Arc<Source>, place: PathBuf) -> Part {
        let ranges = vec![(source.clone(), 0..source.len)];
        Part { source, place, layout: Layout { head: Vec::new(), ranges } }
    }

    /// How many bytes are read for it.
    pub(crate) fn bytes(&self) -> u64 {
        self.layout.ranges.iter().map(|(_, range)| range.end - range.start).sum()
    }
}

/// The tensors of one file, or of all files of a sharded checkpoint, in the order of the files.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    /// The files that have weights. A checkpoint without an index has one.
    pub(crate) files: Vec<Part>,
    /// What says which file has which tensor, if the checkpoint is sharded.
    pub(crate) index: Option<Part>,
    /// Other files of the folder, which are copied beside them.
    pub(crate) others: Vec<Part>,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Tensor {
    /// All its names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        names(&self.name, &self.tied)
    }
}

impl Skipped {
    /// All its names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        names(&self.name, &self.tied)
    }
}

fn names<'a>(name: &'a str, tied: &'a [String]) -> impl Iterator<Item = &'a str> + Clone {
    std::iter::once(name).chain(tied.iter().map(String::as_str))
}

impl Checkpoint {
    /// All files that are written.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.files.iter().chain(&self.index).chain(&self.others)
    }

    /// The names of all tensors, skipped ones included.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.tensors.iter().flat_map(Tensor::names).chain(self.skipped.iter().flat_map(Skipped::names))
    }
}

/// The number of elements of a shape; `None` if it overflows.
pub(super) fn elements(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n))
}
