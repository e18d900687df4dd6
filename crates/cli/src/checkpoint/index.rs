//! The index of a sharded checkpoint: it names the safetensors or PyTorch file, in the same folder or below it, that holds each
//! tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mistaken::Expected;
use super::source::Source;
use super::tensor::{Checkpoint, Layout, Part, Tensor};
use super::{file, format, json, torch};
use crate::error::{Error, Result};

/// The layout of `model.safetensors.index.json`, as libraries write it. The total size that they add stays as it is.
#[derive(Deserialize, Serialize)]
struct Index {
    #[serde(default, skip_serializing_if = "Value::is_null")]
    metadata: Value,
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
    let mut index: Index = json::parse(&text).map_err(|error| not_one(&source, error))?;
    let mut shards: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for (name, shard) in &index.weight_map {
        // `./FILE` and `FILE` are the same file.
        let parts = Path::new(shard).components().filter(|part| *part != Component::CurDir);
        shards.entry(parts.collect()).or_default().insert(name.clone());
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut checkpoint = Checkpoint::default();
    let mut is_renamed = false;
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
        let mut held = file::tensors(opened.clone())?;
        // A tied tensor has several of these names.
        let mut has = |tensor: &Tensor| {
            let found: Vec<bool> = tensor.names().map(|name| names.remove(name)).collect();
            found.contains(&true)
        };
        held.tensors.retain(&mut has);
        match held.files.pop() {
            None => checkpoint.files.push(Part::as_it_is(opened, shard.clone())),
            Some(part) => {
                let place = torch::written_as(&shard);
                rename(&mut index.weight_map, &held.tensors, &shard, &place);
                is_renamed = true;
                checkpoint.files.push(Part { place, ..part });
            }
        }
        checkpoint.tensors.extend(held.tensors);
        checkpoint.skipped.extend(held.skipped.into_iter().filter(|skipped| names.remove(&skipped.name)));
        if let Some(name) = names.first() {
            return Err(Error::file(path, format!("its tensor {name:?} is not in its shard {}", shard.display())));
        }
    }
    let mut part = Part::as_it_is(source, path.file_name().unwrap_or_default().into());
    if is_renamed {
        part.place = torch::written_as(&part.place);
        part.layout = Layout { head: serde_json::to_vec_pretty(&index).unwrap_or_default(), ranges: Vec::new() };
    }
    checkpoint.index = Some(part);
    Ok(checkpoint)
}

/// Says in which file tensors are written, and only those names that are written.
fn rename(map: &mut BTreeMap<String, String>, tensors: &[Tensor], from: &Path, to: &Path) {
    for tensor in tensors {
        tensor.tied.iter().for_each(|tied| drop(map.remove(tied)));
    }
    for place in map.values_mut().filter(|place| Path::new(place) == from) {
        *place = to.to_string_lossy().into_owned();
    }
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
