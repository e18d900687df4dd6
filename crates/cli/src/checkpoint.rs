//! Lists the tensors of a checkpoint, each with its file and its place in that file.

mod file;
mod format;
mod index;
mod json;
mod mistaken;
mod npy;
mod safetensors;
mod source;
mod tensor;

use std::path::Path;
use std::sync::Arc;

pub(crate) use source::{Source, plain};
pub(crate) use tensor::{Checkpoint, Skipped, Tensor};

use crate::error::Result;

impl Checkpoint {
    /// Whether a path names the index of a sharded checkpoint.
    pub(crate) fn is_sharded(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "json")
    }

    /// Reads the headers; the weights stay in the files.
    pub(crate) fn open(path: &Path) -> Result<Checkpoint> {
        if Checkpoint::is_sharded(path) { index::open(path) } else { Checkpoint::of(Source::open(path)?) }
    }

    /// The same for a single file, which must not be an index.
    pub(crate) fn of(source: Arc<Source>) -> Result<Checkpoint> {
        file::open(source)
    }
}
