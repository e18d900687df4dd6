//! What a device promises.

use std::fmt;

/// What a device promises, in the words of CUDA's core libraries. A self-check finds it when the device is opened.
///
/// ```
/// use penalty::Determinism;
///
/// assert!(Determinism::GpuToGpu > Determinism::RunToRun); // the strongest promise is the largest
/// assert_eq!(Determinism::GpuToGpu.to_string(), "gpu_to_gpu");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Determinism {
    /// Two runs of the probe differed.
    NotGuaranteed,
    /// The same bits from every run on this device, but not the CPU's.
    RunToRun,
    /// The same bits as the CPU and as every other device of this level.
    GpuToGpu,
}

impl fmt::Display for Determinism {
    /// `not_guaranteed`, `run_to_run` or `gpu_to_gpu`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Determinism::NotGuaranteed => "not_guaranteed",
            Determinism::RunToRun => "run_to_run",
            Determinism::GpuToGpu => "gpu_to_gpu",
        })
    }
}

/// A part of the self-check of a device.
///
/// ```no_run
/// use penalty::Determinism;
///
/// # fn f(gpu: &penalty::Gpu) {
/// for check in gpu.checks().iter().filter(|check| check.determinism < Determinism::GpuToGpu) {
///     eprintln!("{} differs from the CPU's", check.name); // such as "gradient"
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// What was computed.
    pub name: &'static str,
    /// What the device promises of it.
    pub determinism: Determinism,
}
