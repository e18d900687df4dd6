//! The CPU with each instruction set, and with a given number of threads.

use penalty::cpu::InstructionSet;
use penalty::{Backend, Cpu};

pub(crate) fn reference() -> Backend {
    Backend::Cpu(Cpu::with_instructions(InstructionSet::Baseline).expect("every processor has these"))
}

/// What the reference computes on one thread.
pub(crate) fn on_one_thread<R: Send>(compute: impl FnOnce(&Backend) -> R + Send) -> R {
    on_threads(1, || compute(&reference()))
}

pub(crate) fn on_threads<R: Send>(threads: usize, compute: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("the system gives threads");
    pool.install(compute)
}

/// The CPU with each instruction set that the processor has.
pub(crate) fn every_cpu() -> Vec<Backend> {
    let with = |set| Backend::Cpu(Cpu::with_instructions(set).expect("the processor has them"));
    InstructionSet::available().into_iter().map(with).collect()
}
