//! A sharded checkpoint's index: which tensor is in which safetensors file beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Component, Path};

use serde::Deserialize;

use super::mistaken::Expected;
use super::{Checkpoint, Source, safetensors};
use crate::error::{Error, Result};

/// As the libraries that write `model.safetensors.index.json` lay it out; the total size they add is of no use here.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

pub(super) fn open(path: &Path) -> Result<Checkpoint> {
    let source = Source::open(path)?;
    let index: Index =
        serde_json::from_reader(std::io::BufReader::new(&source.file)).map_err(|error| not_one(&source, error))?;
    let mut shards: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, shard) in index.weight_map {
        shards.entry(shard).or_default().insert(name);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut checkpoint = Checkpoint::default();
    for (shard, mut names) in shards {
        let inside = Path::new(&shard).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || shard.is_empty() {
            return Err(source.error(format!("its shard {shard:?} must be a file beside it")));
        }
        let file = folder.join(&shard);
        if !file.exists() {
            return Err(source.error(format!("its shard {shard} is missing")));
        }
        let held = safetensors::open(Source::open(&file)?)?;
        checkpoint.tensors.extend(held.tensors.into_iter().filter(|tensor| names.remove(&tensor.name)));
        checkpoint.skipped.extend(held.skipped.into_iter().filter(|skipped| names.remove(&skipped.name)));
        if let Some(name) = names.first() {
            return Err(Error::file(path, format!("its tensor {name:?} is not in its shard {shard}")));
        }
    }
    Ok(checkpoint)
}

/// Why a file is no index.
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
