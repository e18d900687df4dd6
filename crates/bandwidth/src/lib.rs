//! The memory bandwidth that a machine reaches, measured on that machine: the yardstick that kernels bound by memory are
//! compared with.
//!
//! [`cpu`] and [`gpu`] each hold three kernels that do nothing but move memory, as fast as could be found: one reads, one
//! copies, one scales in place. `bandwidth` times them; the kernels are public so that a benchmark can run them between
//! its own. [`cpu::add`] is there for that alone.

pub mod cpu;
pub mod gpu;

/// Bytes moved per second, in GB/s (10⁹ bytes); copying and scaling count what they read and what they write.
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
    /// The size is none that the kernels take.
    #[error("the size must be a positive multiple of 16 bytes within the buffers, found {found}")]
    Size {
        /// The size in bytes.
        found: u64,
    },
    /// The device rejected something.
    #[error("the device failed: {0}")]
    Device(String),
    /// The device did not finish.
    #[error("the device did not finish: {0}")]
    Poll(#[from] wgpu::PollError),
}

/// The result of what can fail here.
pub type Result<T> = std::result::Result<T, Error>;

/// How often each kernel is timed; the median counts.
const ROUNDS: usize = 5;

/// The median of some times; the upper one of an even number of them.
fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
