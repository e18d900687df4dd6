//! The CPU: runs a plan over slices, on the calling thread and its rayon pool.

mod groups;
mod pass;
mod run;
pub(crate) mod set;
mod slices;
mod task;

pub use crate::numeric::simd::InstructionSet;
use crate::{Error, Result};

/// Computes on the calling thread and its rayon pool, with the best vector instructions that the processor has.
///
/// The bits depend neither on the number of threads nor on the instructions. To bound the threads, call from inside
/// [`rayon::ThreadPool::install`](https://docs.rs/rayon/latest/rayon/struct.ThreadPool.html#method.install).
#[derive(Debug, Clone)]
pub struct Cpu {
    set: InstructionSet,
}

impl Default for Cpu {
    fn default() -> Cpu {
        Cpu { set: InstructionSet::available().pop().unwrap_or(InstructionSet::Baseline) }
    }
}

impl Cpu {
    /// Uses the best instructions that the processor has.
    pub fn new() -> Cpu {
        Cpu::default()
    }

    /// Uses these instructions; for tests and measurements.
    ///
    /// # Errors
    ///
    /// [`Error::InstructionSet`] if the processor does not have them.
    pub fn with_instructions(set: InstructionSet) -> Result<Cpu> {
        if InstructionSet::available().contains(&set) { Ok(Cpu { set }) } else { Err(Error::InstructionSet(set)) }
    }

    /// The vector instructions in use.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }
}
