//! The index of a sharded checkpoint: it names the safetensors file, in the same folder or below it, that holds each
//! tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::mistaken::Expected;
use super::source::Source;
use super::tensor::{Checkpoint, Part};
use super::{format, json, safetensors};
use crate::error::{Error, Result};

/// The layout of `model.safetensors.index.json`, as libraries write it. We ignore the total size that they add.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

pub(super) fn open(path: &Path) -> Result<Checkpoint> {
    let source = Source::open(path)?;
    if source.len > format::LONGEST_SAFETENSORS_HEADER {
        let (longest, found) = (format::LONGEST_SAFETENSORS_HEADER, source.len);
        return Err(not_one(&source, format!("at most {longest} bytes are allowed, found {found}")));
    }
    let mut text = vec![0; source.len as usize];
    source.read_at(&mut text, 0)?;
    let index: Index = json::parse(&text).map_err(|error| not_one(&source, error))?;
    let mut shards: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for (name, shard) in index.weight_map {
        // `./FILE` and `FILE` are the same file.
        let parts = Path::new(&shard).components().filter(|part| *part != Component::CurDir);
        shards.entry(parts.collect()).or_default().insert(name);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut checkpoint = Checkpoint::default();
    for (shard, mut names) in shards {
        let inside = shard.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || shard.as_os_str().is_empty() {
            return Err(source.error(format!("its shard {shard:?} must be a file beside it")));
        }
        let file = folder.join(&shard);
        if !file.exists() {
            return Err(source.error(format!("its shard {} is missing", shard.display())));
        }
        let opened = Source::open(&file)?;
        let held = safetensors::open(opened.clone())?;
        checkpoint.files.push(Part { source: opened, place: shard.clone() });
        checkpoint.tensors.extend(held.tensors.into_iter().filter(|tensor| names.remove(&tensor.name)));
        checkpoint.skipped.extend(held.skipped.into_iter().filter(|skipped| names.remove(&skipped.name)));
        if let Some(name) = names.first() {
            return Err(Error::file(path, format!("its tensor {name:?} is not in its shard {}", shard.display())));
        }
    }
    let place = path.file_name().unwrap_or_default().into();
    checkpoint.index = Some(Part { source, place });
    Ok(checkpoint)
}

/// The error that says why a file is not an index.
fn not_one(source: &Source, error: impl Display) -> Error {
    let reason = error.to_string();
    if reason.starts_with("missing field `weight_map`") {
        return source.error(
            "is no index of a sharded checkpoint but other JSON, without a weight_map: name the checkpoint, a .safetensors file \
             or its .safetensors.index.json",
        );
    }
    let unknown = || source.error(format!("is no index of a sharded checkpoint: {reason}"));
    source.mistaken(Expected::Index).unwrap_or_else(unknown)
}
