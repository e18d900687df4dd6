//! Finds the checkpoint in a folder, and what else is there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::source::{Source, plain};
use super::tensor::Part;
use crate::error::{Error, Result};

/// How the names of files with weights end.
const WEIGHTS: [&str; 11] =
    [".safetensors", ".index.json", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf", ".npy"];

/// The files in a folder that have no weights, without hidden ones and those in folders below.
pub(super) fn others_in(folder: &Path, files: &[Part]) -> Result<Vec<Part>> {
    let mut others = Vec::new();
    for name in names(folder)? {
        let text = name.to_string_lossy();
        let is_other = !text.starts_with('.') && !WEIGHTS.iter().any(|ending| text.ends_with(ending));
        let path = folder.join(&name);
        let is_taken = files.iter().any(|part| part.place.as_os_str() == name);
        if is_other && !is_taken && path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
            others.push(Part::as_it_is(Source::open(&path)?, name.into()));
        }
    }
    Ok(others)
}

fn names(folder: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| Error::file(folder, plain(&error)))? {
        names.push(entry.map_err(|error| Error::file(folder, plain(&error)))?.file_name());
    }
    names.sort();
    Ok(names)
}

/// A path itself or, if it is a folder, that of its index or else of its only checkpoint file.
pub(super) fn checkpoint_in(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let names = names(path)?;
    for ending in [".safetensors.index.json", ".safetensors", "pytorch_model.bin.index.json", "pytorch_model.bin"] {
        let found: Vec<_> = names.iter().filter(|name| name.to_string_lossy().ends_with(ending)).collect();
        match found.as_slice() {
            [] => {}
            [name] => return Ok(path.join(name)),
            [first, second, ..] => {
                let two = format!("{} and {}", first.display(), second.display());
                return Err(Error::file(
                    path,
                    format!("is a directory with several checkpoints, such as {two}: name one"),
                ));
            }
        }
    }
    let reason = "is a directory without a .safetensors.index.json, a .safetensors file or a pytorch_model.bin: name the \
                  checkpoint file in it";
    Err(Error::file(path, reason))
}
