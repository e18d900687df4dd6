//! What a checkpoint holds.

use std::sync::Arc;

use penalty::Dtype;

use super::source::Source;

/// A tensor of a type that has penalties.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) source: Arc<Source>,
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    /// Whether the file has the bytes of each weight in the other order than this machine.
    pub(crate) swapped: bool,
    pub(crate) shape: Vec<u64>,
    /// How many weights.
    pub(crate) len: u64,
    /// Where they begin in the file, in bytes.
    pub(crate) offset: u64,
    /// Whether the last dimension's weights are consecutive there; else the first one's are.
    pub(crate) row_major: bool,
}

impl Tensor {
    pub(crate) fn bytes(&self) -> u64 {
        self.len * self.dtype.size() as u64
    }
}

/// A tensor that has none.
#[derive(Debug, Clone)]
pub(crate) struct Skipped {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) reason: String,
}

/// What a file, or a sharded checkpoint's files, hold; in the files' order.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Checkpoint {
    /// The names of all tensors, skipped ones among them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.tensors.iter().map(|t| t.name.as_str()).chain(self.skipped.iter().map(|s| s.name.as_str()))
    }
}

/// How many elements a shape has.
pub(super) fn elements(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n))
}
