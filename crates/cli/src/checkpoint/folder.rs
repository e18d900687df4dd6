//! Finds the checkpoint in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::source::plain;
use crate::error::{Error, Result};

/// A path itself or, if it is a folder, that of its index or else of its only safetensors file.
pub(super) fn checkpoint_in(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| Error::file(path, plain(&error)))? {
        names.push(entry.map_err(|error| Error::file(path, plain(&error)))?.file_name());
    }
    names.sort();
    for ending in [".safetensors.index.json", ".safetensors"] {
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
    let reason =
        "is a directory without a .safetensors.index.json or a .safetensors file: name the checkpoint file in it";
    Err(Error::file(path, reason))
}
