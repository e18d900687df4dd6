//! Records of a whole module's states, as Burn's `ModuleOptimizer` writes and reads them.

use std::collections::BTreeMap;

use burn_core::store::RecordError;
use burn_core::tensor::TensorData;
use burn_optim::{OptimizerRecord, StateSink, StateSource, join_path};
use burn_pack::{Reader, Scalar, Tensor, Writer};

use crate::optim::state::Stored;

/// Burn's name for a parameter's rank.
const RANK: &str = "__rank";

/// A parameter's state in a record.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// Empty if the record has none.
    pub(super) path: String,
    /// The parameter's shape. If the state has no tensors, only its rank counts.
    pub(super) shape: Vec<usize>,
    /// The tensors as vectors.
    pub(super) stored: Stored,
}

pub(super) fn write(entries: Vec<Entry>) -> Result<OptimizerRecord, RecordError> {
    let (mut tensors, mut scalars, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    for Entry { id, path, shape, stored } in entries {
        let (prefix, mut sink) = (id.to_string(), StateSink::default());
        stored.push(&prefix, &mut sink);
        tensors.extend(sink.tensors.into_iter().map(|(name, data)| {
            let (bytes, _, dtype) = data.into_parts();
            Tensor::new(name, dtype, shape.clone(), Some(id), bytes)
        }));
        scalars.extend(sink.scalars);
        scalars.push((join_path(&prefix, RANK), Scalar::from(shape.len())));
        paths.push((prefix, path));
    }
    let mut writer = Writer::new(tensors);
    for (name, scalar) in scalars {
        writer = writer.with_scalar(&name, scalar);
    }
    for (id, path) in paths {
        writer = writer.with_metadata(&id, &path);
    }
    // A record can only be made of bytes.
    OptimizerRecord::from_bytes(writer.into_bytes()?)
}

pub(super) fn read(record: OptimizerRecord) -> Result<Vec<Entry>, RecordError> {
    let reader = Reader::from_bytes(record.into_bytes()?)?;
    let (scalars, paths) = (reader.scalars().clone(), reader.metadata().clone());
    let suffix = join_path("", RANK);
    let mut shapes: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (name, &rank) in &scalars {
        let id = name.strip_suffix(&suffix).and_then(|id| id.strip_suffix('.')?.parse().ok());
        if let (Some(id), Ok(rank)) = (id, usize::try_from(rank)) {
            shapes.insert(id, vec![0; rank]);
        }
    }
    let mut source = StateSource::new(scalars);
    for tensor in reader.into_tensors()? {
        let (name, dtype, shape, id, bytes) = tensor.into_parts()?;
        let len = shape.num_elements();
        if let Some(id) = id {
            shapes.insert(id, shape.to_vec());
        }
        source.insert_tensor(name, TensorData::from_bytes(bytes, [len], dtype));
    }
    let entry = |(id, shape): (u64, Vec<usize>)| {
        let prefix = id.to_string();
        let path = paths.get(&prefix).cloned().unwrap_or_default();
        Some(Entry { id, path, shape, stored: Stored::take(&prefix, &mut source)? })
    };
    Ok(shapes.into_iter().filter_map(entry).collect())
}
