//! NumPy's .npy: one array, which takes the file's name.

use std::sync::Arc;

use npyz::{DType, NpyHeader, Order};
use penalty::Dtype;

use super::{Checkpoint, Skipped, Source, Tensor, elements};
use crate::error::Result;

pub(super) const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// No array of numbers needs a longer header, or a deeper one; the parser takes a time that grows with both.
const LONGEST_HEADER: u64 = 1 << 16;
const DEEPEST_HEADER: usize = 8;

pub(super) fn open(source: Arc<Source>) -> Result<Checkpoint> {
    let name = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = header(&source)?;
    let offset = text.len() as u64;
    let header =
        NpyHeader::from_reader(&text[..]).map_err(|error| source.error(format!("its .npy header: {error}")))?;
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
    // The order of one dimension is either.
    let row_major = header.order() == Order::C || shape.len() < 2;
    let tensors = vec![Tensor { source, name, dtype, shape, len, offset, row_major }];
    Ok(Checkpoint { tensors, ..Checkpoint::default() })
}

/// The magic, the version, the length and the text of the header, as the parser takes them.
fn header(source: &Source) -> Result<Vec<u8>> {
    let mut start = [0; 12];
    let read = source.len.min(start.len() as u64) as usize;
    source.read_at(&mut start[..read], 0)?;
    // Version 1 has a length of two bytes, the later ones of four.
    let [.., major, _, a, b, c, d] = start;
    let length = match major {
        1 => 10 + u64::from(u16::from_le_bytes([a, b])),
        _ => 12 + u64::from(u32::from_le_bytes([a, b, c, d])),
    };
    if length > source.len.min(LONGEST_HEADER) {
        let found = source.len;
        return Err(source.error(format!(
            "its .npy header: is to end at byte {length}; the file has {found}, and {LONGEST_HEADER} are allowed"
        )));
    }
    let mut text = vec![0; length as usize];
    source.read_at(&mut text, 0)?;
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in &text {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > DEEPEST_HEADER {
        return Err(
            source.error(format!("its .npy header: nests {deepest} deep, at most {DEEPEST_HEADER} are allowed"))
        );
    }
    Ok(text)
}
