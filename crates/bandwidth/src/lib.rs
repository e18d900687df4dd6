//! Measures the memory bandwidth that a machine reaches: the yardstick for kernels that memory bounds.
//!
//! [`cpu`] and [`gpu`] each have kernels that only move memory, as fast as we could make them: one reads, one copies,
//! one scales in place. `bandwidth` times them. They are public so that a benchmark can run them between its own
//! kernels. A fourth exists only for that: it updates some arrays and reads another, as an optimizer's step does.

pub mod cpu;
pub mod gpu;

/// Bytes moved per second, in GB/s (10⁹ bytes). Copying and scaling count both the bytes read and the bytes written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bandwidth {
    /// Reading every word once.
    pub read: f64,
    /// Reading one array and writing another.
    pub copy: f64,
    /// Reading and writing the same array.
    pub scale: f64,
}

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernels do not take this size.
    #[error("the size must be a positive multiple of 16 bytes within the buffers, found {found}")]
    Size {
        /// The size in bytes.
        found: u64,
    },
    /// No kernel updates this many buffers.
    #[error("an update has 1 to 3 targets, found {found}")]
    Targets {
        /// How many there were.
        found: usize,
    },
    /// The device rejected a call.
    #[error("the device failed: {0}")]
    Device(String),
    /// The device did not finish.
    #[error("the device did not finish: {0}")]
    Poll(#[from] wgpu::PollError),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// The number of times that each kernel is timed; the median counts.
const ROUNDS: usize = 5;

/// The median of the times; of an even number of them, the upper one.
fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
