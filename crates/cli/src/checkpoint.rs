//! Lists the tensors of a checkpoint, each with its file and its place in that file.

mod file;
mod folder;
mod format;
mod index;
mod json;
mod mistaken;
mod npy;
mod safetensors;
mod source;
mod tensor;
mod torch;

use std::path::{Path, PathBuf};

pub(crate) use source::{Source, plain};
pub(crate) use tensor::{Checkpoint, Part, Skipped, Tensor};

use crate::error::Result;

impl Checkpoint {
    /// The file that a path means: itself, or the checkpoint in a folder.
    pub(crate) fn find(path: &Path) -> Result<PathBuf> {
        folder::checkpoint_in(path)
    }

    /// Adds the files of a folder that are no weights, such as a configuration and a tokenizer: whoever loads the result
    /// needs them.
    pub(crate) fn add_others(&mut self, folder: &Path) -> Result<()> {
        self.others = folder::others_in(folder, &self.files)?;
        Ok(())
    }

    /// Whether the result of a checkpoint is a folder: that of a sharded one, and that of a folder's if `out` is one or ends
    /// as one.
    pub(crate) fn goes_to_folder(model: &Path, file: &Path, out: &Path) -> bool {
        let names_folder = out.is_dir() || out.to_string_lossy().ends_with(std::path::is_separator);
        Checkpoint::is_sharded(file) || (model.is_dir() && names_folder)
    }

    /// Whether a file is the index of a sharded checkpoint.
    pub(crate) fn is_sharded(file: &Path) -> bool {
        file.extension().is_some_and(|extension| extension == "json")
    }

    /// Reads the headers; the weights stay in the files. The path names a file, the index of a sharded checkpoint, or a
    /// folder that holds either.
    pub(crate) fn open(path: &Path) -> Result<Checkpoint> {
        let file = Checkpoint::find(path)?;
        if Checkpoint::is_sharded(&file) { index::open(&file) } else { file::open(Source::open(&file)?) }
    }
}
