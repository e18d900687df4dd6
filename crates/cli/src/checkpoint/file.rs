//! Opens a single checkpoint file, and tells its format by its first bytes and its name.

use std::io::Read;
use std::sync::Arc;

use super::mistaken::Expected;
use super::source::Source;
use super::tensor::{Checkpoint, Part};
use super::{format, npy, safetensors, torch};
use crate::error::Result;

/// Reads the file's header.
pub(super) fn open(source: Arc<Source>) -> Result<Checkpoint> {
    let place = source.path.file_name().unwrap_or_default().into();
    let checkpoint = tensors(source.clone())?;
    if !checkpoint.files.is_empty() {
        return Ok(checkpoint);
    }
    Ok(Checkpoint { files: vec![Part::as_it_is(source, place)], ..checkpoint })
}

/// A file's tensors. The file is written as it is, unless there is a part that says how.
pub(super) fn tensors(source: Arc<Source>) -> Result<Checkpoint> {
    let mut magic = [0; format::NPY.len()];
    let is_npy = (&source.file).read_exact(&mut magic).is_ok() && magic == format::NPY;
    match source.path.extension().is_some_and(|extension| extension == "npy") {
        _ if is_npy => npy::open(source),
        true => {
            let unknown = || source.error("is no .npy file: its first bytes are not those of a NumPy array");
            Err(source.mistaken(Expected::Npy).unwrap_or_else(unknown))
        }
        false => torch::open(&source).unwrap_or_else(|| safetensors::open(source)),
    }
}
