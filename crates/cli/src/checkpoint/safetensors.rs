//! safetensors: a length of 8 bytes, then a JSON header, then the tensors.

use std::collections::BTreeMap;
use std::sync::Arc;

use safetensors::tensor::{Dtype as Stored, Metadata};

use super::mistaken::Expected;
use super::source::Source;
use super::tensor::{Checkpoint, Skipped, Tensor};
use super::{format, json};
use crate::error::Result;
use crate::float8::Float8;
use crate::number::Type;

/// The formats that are read.
const KNOWN: &str = "known are safetensors and PyTorch's zip files, the .index.json of either, and .npy";

pub(super) fn open(source: Arc<Source>) -> Result<Checkpoint> {
    // If the file is of another kind, saying so helps more than naming the first fault in its header.
    let wrong = |reason: String| source.mistaken(Expected::Safetensors).unwrap_or_else(|| source.error(reason));
    let mut length = [0; 8];
    if source.len < 8 {
        return Err(wrong(format!(
            "is no checkpoint: a safetensors file has at least 8 bytes, found {}; {KNOWN}",
            source.len
        )));
    }
    source.read_at(&mut length, 0)?;
    let length = u64::from_le_bytes(length);
    if length > format::LONGEST_SAFETENSORS_HEADER || length > source.len - 8 {
        return Err(wrong(format!(
            "is no safetensors file, or is truncated: its first bytes say a header of {length} bytes, and {} follow; \
             {KNOWN}",
            source.len - 8
        )));
    }
    let mut header = vec![0; length as usize];
    source.read_at(&mut header, 8)?;
    let metadata: Metadata = json::parse(&header).map_err(|error| wrong(format!("its safetensors header: {error}")))?;
    let data = 8 + length;
    let Some(expected) = data.checked_add(metadata.data_len() as u64) else {
        return Err(source.error("its header says more bytes than 2^64"));
    };
    if expected != source.len {
        let what = if expected > source.len { "is truncated" } else { "has bytes behind its last tensor" };
        return Err(source.error(format!("{what}: its header says {expected} bytes, found {}", source.len)));
    }
    let mut checkpoint = Checkpoint::default();
    // An empty tensor can begin at the same offset as another tensor, so the name breaks ties.
    let mut tensors: Vec<_> = metadata.tensors().into_iter().collect();
    tensors.sort_by(|(a, left), (b, right)| (left.data_offsets.0, a).cmp(&(right.data_offsets.0, b)));
    // save_model of Python's safetensors keeps one of several names of the same weights, and says here which.
    let mut tied: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (dropped, kept) in metadata.metadata().iter().flatten() {
        if metadata.info(dropped).is_none() {
            tied.entry(kept.clone()).or_default().push(dropped.clone());
        }
    }
    tied.values_mut().for_each(|names| names.sort());
    for (name, info) in tensors {
        let tied = tied.remove(&name).unwrap_or_default();
        let (dtype, float8) = match info.dtype {
            Stored::F32 => (Type::F32, None),
            Stored::F16 => (Type::F16, None),
            Stored::BF16 => (Type::BF16, None),
            Stored::F64 => (Type::F64, None),
            Stored::F8_E4M3 => (Type::F32, Some(Float8::E4M3)),
            Stored::F8_E5M2 => (Type::F32, Some(Float8::E5M2)),
            other => {
                let reason = format!("{other} is not F64, F32, F16, BF16, F8_E4M3 or F8_E5M2");
                let (source, dtype) = (source.clone(), other.to_string());
                let range = data + info.data_offsets.0 as u64..data + info.data_offsets.1 as u64;
                checkpoint.skipped.push(Skipped { source, range, name, tied, dtype, reason });
                continue;
            }
        };
        let (start, end) = info.data_offsets;
        checkpoint.tensors.push(Tensor {
            source: source.clone(),
            name,
            tied,
            dtype,
            float8,
            swapped: cfg!(target_endian = "big"),
            shape: info.shape.iter().map(|&n| n as u64).collect(),
            len: (end - start) as u64 / if float8.is_some() { 1 } else { dtype.size() as u64 },
            offset: data + start as u64,
            row_major: true,
        });
    }
    Ok(checkpoint)
}
