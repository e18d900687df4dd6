//! How the files of each format begin.

/// The first bytes of a `.npy` file.
pub(super) const NPY: [u8; 6] = *b"\x93NUMPY";

/// The longest header that the safetensors format allows.
pub(super) const LONGEST_SAFETENSORS_HEADER: u64 = 100_000_000;
