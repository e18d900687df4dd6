//! NumPy's .npy format: a file holds one array, and its tensor takes the file's name.

use std::sync::Arc;

use py_literal::Value;
use regex::{Captures, Regex};

use super::source::Source;
use super::tensor::{Checkpoint, Skipped, Tensor, elements};
use crate::error::Result;
use crate::number::Type;

/// Limits on a header's length and depth. No numeric array needs more, and the parser's time grows with both.
const LONGEST_HEADER: u64 = 1 << 16;
const DEEPEST_HEADER: usize = 8;
/// If a header cannot be read, the error shows this much of it.
const SHOWN: usize = 200;

/// The contents of a header.
struct Header {
    descr: Value,
    column_major: bool,
    shape: Vec<u64>,
}

pub(super) fn open(source: Arc<Source>) -> Result<Checkpoint> {
    let name = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (text, offset) = header(&source)?;
    let Header { descr, column_major, shape } =
        parse(&text).map_err(|reason| source.error(format!("its .npy header: {reason}")))?;
    let (dtype, swapped) = match read_as(&descr) {
        Ok(stored) => stored,
        Err((dtype, reason)) => {
            let range = offset..source.len;
            let skipped = vec![Skipped { source, range, name, tied: Vec::new(), dtype, reason }];
            return Ok(Checkpoint { skipped, ..Checkpoint::default() });
        }
    };
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
    // With at most one dimension longer than 1, row-major and column-major order are the same.
    let row_major = !column_major || shape.iter().filter(|&&side| side != 1).count() < 2;
    let tensors =
        vec![Tensor { source, name, tied: Vec::new(), dtype, float8: None, swapped, shape, len, offset, row_major }];
    Ok(Checkpoint { tensors, ..Checkpoint::default() })
}

/// The type that a descr stands for, and whether this machine must swap its bytes. Otherwise the error has the type's
/// name and the reason why we cannot read it. As in NumPy, `=`, `|` and a missing order mean the machine's byte order.
fn read_as(descr: &Value) -> Result<(Type, bool), (String, String)> {
    let text = descr.as_string().cloned().unwrap_or_else(|| descr.to_string());
    let code = text.trim_start_matches(['<', '>', '=', '|']);
    let dtype = match (code, text.len() - code.len()) {
        ("f8" | "d", 0 | 1) | ("float64" | "double", 0) => Type::F64,
        ("f4" | "f", 0 | 1) | ("float32" | "single", 0) => Type::F32,
        ("f2" | "e", 0 | 1) | ("float16" | "half", 0) => Type::F16,
        ("V2" | "bfloat16", _) => {
            let reason = format!("{text} is not f8, f4 or f2; bfloat16 is read from safetensors, which name it");
            return Err((text, reason));
        }
        _ => {
            let reason = format!("{text} is not f8, f4 or f2");
            return Err((text, reason));
        }
    };
    let swapped = match text.as_bytes()[0] {
        b'<' => cfg!(target_endian = "big"),
        b'>' => cfg!(target_endian = "little"),
        _ => false,
    };
    Ok((dtype, swapped))
}

/// The text of the header, and the offset of the array.
fn header(source: &Source) -> Result<(String, u64)> {
    let mut start = [0; 12];
    let read = source.len.min(start.len() as u64) as usize;
    source.read_at(&mut start[..read], 0)?;
    let [.., major, minor, a, b, c, d] = start;
    let (before, length) = match (major, minor) {
        (1, 0) => (10, u64::from(u16::from_le_bytes([a, b]))),
        (2 | 3, 0) => (12, u64::from(u32::from_le_bytes([a, b, c, d]))),
        _ => {
            return Err(
                source.error(format!("its .npy header: its version must be 1.0, 2.0 or 3.0, found {major}.{minor}"))
            );
        }
    };
    let end = before + length;
    if end > source.len.min(LONGEST_HEADER) {
        let found = source.len;
        return Err(source.error(format!(
            "its .npy header: is to end at byte {end}; the file has {found}, and {LONGEST_HEADER} are allowed"
        )));
    }
    let mut text = vec![0; length as usize];
    source.read_at(&mut text, before)?;
    let text = match major {
        3 => String::from_utf8(text).map_err(|error| source.error(format!("its .npy header: {error}")))?,
        // Latin-1: each byte is the character's code.
        _ => text.into_iter().map(char::from).collect(),
    };
    Ok((text, end))
}

/// Reads a header. Like NumPy, it accepts exactly three keys.
fn parse(text: &str) -> Result<Header, String> {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > DEEPEST_HEADER {
        return Err(format!("nests {deepest} deep, at most {DEEPEST_HEADER} are allowed"));
    }
    let Ok(Value::Dict(pairs)) = in_python_3(text).parse() else {
        let found: String = text.trim().chars().take(SHOWN).collect();
        return Err(format!("expected {{'descr': …, 'fortran_order': …, 'shape': …}}, found {found}"));
    };
    let value = |key: &str| {
        let mut found = pairs.iter().filter(|(name, _)| name.as_string().is_some_and(|name| name == key));
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(format!("has no {key}")),
            _ => Err(format!("has {key} twice")),
        }
    };
    let (descr, order, shape) = (value("descr")?, value("fortran_order")?, value("shape")?);
    if pairs.len() > 3 {
        let keys: Vec<String> = pairs.iter().map(|(key, _)| key.to_string()).collect();
        return Err(format!("expected descr, fortran_order and shape, found {}", keys.join(", ")));
    }
    let Value::Boolean(column_major) = *order else {
        return Err(format!("fortran_order must be True or False, found {order}"));
    };
    let (Value::Tuple(sides) | Value::List(sides)) = shape else {
        return Err(format!("shape must be a tuple, found {shape}"));
    };
    let side = |side: &Value| side.as_integer().and_then(|side| u64::try_from(side).ok());
    let Some(shape) = sides.iter().map(side).collect() else {
        return Err(format!("shape must have whole numbers from 0 to 2^64 − 1, found {shape}"));
    };
    Ok(Header { descr: descr.clone(), column_major, shape })
}

/// Turns a header written by Python 2 into one that the parser can read: it removes the L of 3L and the u of u'descr',
/// and replaces line breaks by spaces.
fn in_python_3(text: &str) -> String {
    let tokens = r#"(?s)(?:\b[uU])?('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|\b([0-9]\w*?)L\b|[\r\n]"#;
    let tokens = Regex::new(tokens).expect("it is a regular expression");
    let kept = |token: &Captures<'_>| token.get(1).or(token.get(2)).map_or(" ", |kept| kept.as_str()).to_owned();
    tokens.replace_all(text, kept).into_owned()
}
