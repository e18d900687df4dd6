//! The command's errors and their exit codes.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// An error whose text is one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that cannot be read, written or understood.
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    /// A pattern that matches no name.
    #[error("{option} {pattern:?} matches no {what}")]
    NoMatch { option: &'static str, pattern: String, what: &'static str },
    /// None of the tensors has a type with penalties.
    #[error(
        "{files}: nothing to do: expected tensors of the types F64, F32, F16, BF16, F8_E4M3 or F8_E5M2 (f8, f4 or f2 in .npy), found only \
         {found}"
    )]
    NoWeights { files: String, found: String },
    /// The library rejected its input, or its device failed.
    #[error(transparent)]
    Penalty(#[from] penalty::Error),
    /// Measuring the machine's bandwidth failed.
    #[error(transparent)]
    Bandwidth(#[from] penalty_bandwidth::Error),
    /// A benchmark gave a wrong answer, so its time would mean nothing.
    #[error("wrong answer of {case}: expected {expected}, found {found}")]
    Wrong { case: String, expected: String, found: String },
    /// A benchmark's weights do not fit into memory.
    #[error("needs {needed} bytes of memory, and {available} are available")]
    Memory { needed: u64, available: u64 },
    /// A pattern that matches no row of the benchmark.
    #[error("--include {0:?} matches no row")]
    NoRow(String),
    /// Some rows of a benchmark have errors instead of times.
    #[error("{failed} of {all} rows failed")]
    Rows { failed: usize, all: usize },
    /// Data that cannot be fitted.
    #[error(transparent)]
    Fit(#[from] penalty_fit::Error),
    /// Options that contradict each other, found only now.
    #[error("{0}")]
    Usage(String),
    /// Writing to standard output failed.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn file(path: &Path, reason: impl Display) -> Error {
        // A library's message may span several lines, to draw an arrow.
        let reason = reason.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Error::File { path: path.display().to_string(), reason }
    }

    /// 1 for a failure, 3 if no adapter answers, 2 (usage) for options that are each in range but not in combination.
    /// All other usage errors are found before anything runs.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Penalty(penalty::Error::Parameter { .. }) | Error::Usage(_) => 2,
            Error::Penalty(penalty::Error::NoAdapter { .. }) => 3,
            _ => 1,
        }
    }
}
