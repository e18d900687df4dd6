//! What can go wrong, and the exit code that says so.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// A failure, with its text of one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that cannot be read, written or understood.
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    /// A pattern that matches no tensor.
    #[error("{option} {pattern:?} matches no tensor")]
    NoMatch { option: &'static str, pattern: String },
    /// Tensors, all of them of types that have no penalties.
    #[error(
        "{files}: nothing to do: expected tensors of the types F32, F16 or BF16 (f4 or f2 in .npy), found only {found}"
    )]
    NoWeights { files: String, found: String },
    /// The library rejected, or its device failed.
    #[error(transparent)]
    Penalty(#[from] penalty::Error),
    /// A measurement of the machine's own bandwidth failed.
    #[error(transparent)]
    Bandwidth(#[from] penalty_bandwidth::Error),
    /// A benchmark's answer is wrong; its time would mean nothing.
    #[error("{operation} of {len} weights gave a wrong answer: expected {expected}, found {found}")]
    Wrong { operation: &'static str, len: usize, expected: String, found: String },
    /// Standard output cannot be written to.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn file(path: &Path, reason: impl Display) -> Error {
        // A library's text may draw an arrow over several lines.
        let reason = reason.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Error::File { path: path.display().to_string(), reason }
    }

    /// 1 where something failed, 3 where no adapter answers; 2, usage, where options are in range alone but not together. All other
    /// usage errors are found before anything runs.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Penalty(penalty::Error::Parameter { .. }) => 2,
            Error::Penalty(penalty::Error::NoAdapter { .. }) => 3,
            _ => 1,
        }
    }
}
