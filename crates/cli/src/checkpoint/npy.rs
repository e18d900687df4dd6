//! NumPy's .npy: one array, which takes the file's name.

use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use npyz::{DType, NpyHeader};
use penalty::Dtype;

use super::{Checkpoint, Skipped, Source, Tensor, elements};
use crate::error::Result;

pub(super) const MAGIC: [u8; 6] = *b"\x93NUMPY";

pub(super) fn open(source: Arc<Source>) -> Result<Checkpoint> {
    let name = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut file = &source.file;
    let header = file
        .seek(SeekFrom::Start(0))
        .and_then(|_| NpyHeader::from_reader(file))
        .map_err(|error| source.error(format!("its .npy header: {error}")))?;
    let offset = file.stream_position().map_err(|error| source.error(error))?;
    let descr = header.dtype().descr();
    let dtype = match (header.dtype(), descr.trim_matches('\'')) {
        (DType::Plain(_), "<f4") => Dtype::F32,
        (DType::Plain(_), "<f2") => Dtype::F16,
        (_, other) => {
            let reason = format!("{other} is not <f4 or <f2");
            let skipped = vec![Skipped { name, dtype: other.to_owned(), reason }];
            return Ok(Checkpoint { skipped, ..Checkpoint::default() });
        }
    };
    let shape = header.shape().to_vec();
    let bytes = elements(&shape).and_then(|len| len.checked_mul(dtype.size() as u64));
    let expected = bytes.and_then(|bytes| bytes.checked_add(offset));
    let Some(expected) = expected else {
        return Err(source.error(format!("its shape {shape:?} has more bytes than 2^64")));
    };
    if expected != source.len {
        let what = if expected > source.len { "is truncated" } else { "has bytes behind its array" };
        return Err(source.error(format!("{what}: its header says {expected} bytes, found {}", source.len)));
    }
    let len = (expected - offset) / dtype.size() as u64;
    let tensors = vec![Tensor { source, name, dtype, shape, len, offset }];
    Ok(Checkpoint { tensors, ..Checkpoint::default() })
}
