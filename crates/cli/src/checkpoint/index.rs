//! The index of a sharded checkpoint: it names the safetensors or PyTorch file, in the same folder or below it, that holds each
//! tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mistaken::Expected;
use super::source::Source;
use super::tensor::{Checkpoint, Layout, Part};
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
        shards.entry(place(shard)).or_default().insert(name.clone());
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
        held.tensors.retain(|tensor| take(&mut names, tensor.names()));
        held.skipped.retain(|skipped| take(&mut names, skipped.names()));
        if let Some(name) = names.first() {
            return Err(Error::file(path, format!("its tensor {name:?} is not in its shard {}", shard.display())));
        }
        match held.files.pop() {
            None => checkpoint.files.push(Part::as_it_is(opened, shard.clone())),
            Some(part) => {
                let to = torch::written_as(&shard);
                let of_tensors = held.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.tied.as_slice()));
                let of_skipped = held.skipped.iter().map(|skipped| (skipped.name.as_str(), skipped.tied.as_slice()));
                rename(&mut index.weight_map, of_tensors.chain(of_skipped), &shard, &to)
                    .map_err(|error| source.error(error))?;
                is_renamed = true;
                checkpoint.files.push(Part { place: to, ..part });
            }
        }
        checkpoint.tensors.extend(held.tensors);
        checkpoint.skipped.extend(held.skipped);
    }
    let mut part = Part::as_it_is(source, path.file_name().unwrap_or_default().into());
    if is_renamed {
        part.place = torch::written_as(&part.place);
        part.layout = Layout { head: serde_json::to_vec_pretty(&index).unwrap_or_default(), ranges: Vec::new() };
    }
    checkpoint.index = Some(part);
    Ok(checkpoint)
}

/// The shard that an index names: `./FILE` and `FILE` are the same.
fn place(shard: &str) -> PathBuf {
    Path::new(shard).components().filter(|part| *part != Component::CurDir).collect()
}

/// Takes a tensor's names, of which a tied one has several, out of these. Whether any was there.
fn take<'a>(names: &mut BTreeSet<String>, of_tensor: impl Iterator<Item = &'a str>) -> bool {
    of_tensor.filter(|name| names.remove(*name)).count() > 0
}

/// Says in which file tensors are written, and only those names that are written: of tied ones the first.
fn rename<'a>(
    map: &mut BTreeMap<String, String>,
    names: impl Iterator<Item = (&'a str, &'a [String])>,
    from: &Path,
    to: &Path,
) -> Result<(), String> {
    let to = to.to_string_lossy().into_owned();
    map.values_mut().filter(|shard| place(shard) == from).for_each(|shard| shard.clone_from(&to));
    for (kept, tied) in names {
        for name in tied {
            if map.get(name) == Some(&to) {
                map.remove(name);
            }
        }
        let shard = map.entry(kept.to_owned()).or_insert_with(|| to.clone());
        if *shard != to {
            let from = from.display();
            return Err(format!("its tensor {kept:?} is in {shard}, and in {from} with the other names {tied:?}"));
        }
    }
    Ok(())
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
