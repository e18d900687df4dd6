//! Files given by mistake: recognises them by their first bytes, and says what to do about it.

use std::fmt::{self, Display, Formatter};

use super::format;
use super::source::Source;
use crate::error::Error;

/// The format that a file was read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Safetensors,
    Npy,
    Index,
}

impl Display for Expected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expected::Safetensors => "safetensors file",
            Expected::Npy => ".npy file",
            Expected::Index => "index of a sharded checkpoint",
        })
    }
}

/// The number of bytes at a file's beginning that we look at.
const START: u64 = 512;
/// The number of bytes at a zip's end that we look at; the zip lists its entries there.
const END: u64 = 1 << 16;

const LFS: &str = "a Git LFS pointer: run `git lfs pull` to fetch the file that it stands for";
const PICKLE: &str = "a pickle, such as torch.save writes, which can run code: load it where it is from and save its tensors \
                      with safetensors.torch.save_file";

/// An offset in the file, the bytes expected there, and what the file is if they match.
const MAGIC: [(usize, &[u8], &str); 16] = [
    (0, b"version https://git-lfs.github.com/spec/", LFS),
    (0, b"version https://hawser.github.com/spec/", LFS),
    (0, &format::NPY, "a NumPy array: name it by itself, with the ending .npy"),
    (0, b"GGUF", "GGUF, llama.cpp's format: use the safetensors files that it was converted from"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5, as .h5 files of Keras are: save its weights as safetensors or .npy"),
    (0, b"\x1f\x8b", "gzip: unpack it with gunzip"),
    (0, b"\x28\xb5\x2f\xfd", "zstd: unpack it with unzstd"),
    (0, b"\xfd7zXZ\0", "xz: unpack it with unxz"),
    (0, b"BZh", "bzip2: unpack it with bunzip2"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z: unpack it"),
    (257, b"ustar", "a tar archive: unpack it and name a file of it"),
    (0, b"\x80\x02", PICKLE),
    (0, b"\x80\x03", PICKLE),
    (0, b"\x80\x04", PICKLE),
    (0, b"\x80\x05", PICKLE),
    (4, b"TFL3", "a TensorFlow Lite model: save its weights as safetensors or .npy"),
];

impl Source {
    /// The error that says what a file really is; `None` if we cannot tell, or if it is what we expected.
    pub(super) fn mistaken(&self, expected: Expected) -> Option<Error> {
        let mut start = vec![0; self.len.min(START) as usize];
        self.read_at(&mut start, 0).ok()?;
        let found = if is_safetensors(&start) {
            // A file that begins like safetensors is probably damaged, and the caller's error says more about that. But
            // in place of an index it is the wrong file.
            (expected == Expected::Index)
                .then(|| "a safetensors file: give it a name that does not end in .json".into())
        } else {
            let known =
                MAGIC.iter().find(|(at, magic, _)| start.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
            known
                .map(|(.., kind)| (*kind).to_owned())
                .or_else(|| self.zip(&start, expected))
                .or_else(|| self.other(&start, expected))
        };
        found.map(|found| self.error(format!("is no {expected} but {found}")))
    }

    /// The kind of zip file that this is; `None` if it is no zip file.
    fn zip(&self, start: &[u8], expected: Expected) -> Option<String> {
        if ![b"PK\x03\x04", b"PK\x05\x06"].iter().any(|magic| start.starts_with(*magic)) {
            return None;
        }
        let mut end = vec![0; self.len.min(END) as usize];
        let offset = self.len - end.len() as u64;
        self.read_at(&mut end, offset).ok()?;
        let has = |name: &[u8]| [start, &end].iter().any(|bytes| bytes.windows(name.len()).any(|part| part == name));
        let is_named = |endings: &[&str]| self.ends_in(endings);
        let kind = if has(b"data.pkl") || is_named(&["pt", "pth", "bin", "ckpt"]) {
            // A whole one is read, unless its name says that it is something else.
            match expected {
                Expected::Safetensors => "a PyTorch file that is damaged or cut off: download or save it again",
                Expected::Npy | Expected::Index => "a zip such as torch.save writes: give it a name that ends in .pt",
            }
        } else if has(b".npy") || is_named(&["npz"]) {
            "a .npz archive of NumPy arrays: unzip it and name its .npy files"
        } else if has(b"model.weights.h5") || is_named(&["keras"]) {
            "a Keras archive: save its weights as safetensors or .npy"
        } else {
            "a zip archive: unzip it and name a file of it"
        };
        Some(kind.to_owned())
    }

    /// Recognises formats without fixed first bytes.
    fn other(&self, start: &[u8], expected: Expected) -> Option<String> {
        // An ONNX file begins with the format's version, from 3 on. A field with the producer's name, the graph or
        // similar follows.
        let fields = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];
        if self.ends_in(&["onnx"]) || matches!(start, [8, 3..=63, field, ..] if fields.contains(field)) {
            return Some("an ONNX model: use the checkpoint that it was exported from".to_owned());
        }
        // The last character may be cut off.
        let text = match std::str::from_utf8(start) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() => std::str::from_utf8(&start[..error.valid_up_to()]).ok()?,
            Err(_) => return None,
        };
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let small = text.to_ascii_lowercase();
        if ["<!doctype html", "<html", "<head", "<body", "<script", "<!--"].iter().any(|tag| small.starts_with(tag)) {
            return Some("HTML, a web page such as one to sign in or of an error: download the file itself".to_owned());
        }
        if text.starts_with('<') {
            return Some("XML, such as a server's error: download the file itself".to_owned());
        }
        if text.starts_with(['{', '[']) {
            let kind = match text.contains("\"weight_map\"") {
                true => "the index of a sharded checkpoint: give it a name that ends in .json",
                false => "JSON, such as a model's configuration or a server's error: name the .safetensors file itself",
            };
            return (expected != Expected::Index).then(|| kind.to_owned());
        }
        let is_text = !text.chars().any(|c| c.is_control() && !c.is_whitespace());
        let line: String = text.lines().next()?.chars().take(60).collect();
        (is_text && self.len >= 8).then(|| format!("text, which begins with {line:?}"))
    }

    fn ends_in(&self, endings: &[&str]) -> bool {
        let ending = self.path.extension().unwrap_or_default();
        endings.iter().any(|known| ending.eq_ignore_ascii_case(known))
    }
}

/// Whether a file begins like a safetensors file: with a possible length and a JSON object. The rest does not matter.
fn is_safetensors(start: &[u8]) -> bool {
    let length = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    length.is_some_and(|length| length <= format::LONGEST_SAFETENSORS_HEADER) && start.get(8) == Some(&b'{')
}
