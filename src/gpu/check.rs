//! The self-check of a device: the contract's bits against the CPU's, on a built-in probe.

use std::fmt;

use super::Gpu;
use crate::backend::Backend;
use crate::tile::TILE;
use crate::{Cpu, Penalty, Result};
use half::{bf16, f16};

/// What a backend promises, in the words of CUDA's core libraries; found by a self-check when a device is opened.
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

/// The probe: an ordinary tile, tiles that must be scaled up and down, one of all decades and one with zeros, NaN and
/// infinities; the last one is not full.
fn probe() -> Vec<f32> {
    let decade = |tile: usize, i: usize| match tile {
        0 => 0,
        1 => 100,
        2 => -100,
        3 => i as i32 % 270 - 140,
        _ => 0,
    };
    (0..5 * TILE - 1000)
        .map(|i| {
            let random = (i as u32).wrapping_mul(2_654_435_761) as f64 / 4_294_967_296.0 - 0.5;
            let tile = i / TILE;
            match (tile, i % 7) {
                (4, 0) => 0.0,
                (4, 1) if i % 3 == 0 => f32::INFINITY,
                (4, 2) if i % 5 == 0 => f32::from_bits(0xffc0_1234),
                _ => (random * 2f64.powi(decade(tile, i))) as f32,
            }
        })
        .collect()
}

/// What the promise covers, as bits: sums and counts, gradients and proxes of `f32`, quotients and roots, and the 16-bit types' way
/// there and back. Compiling is what opening a device costs, so each rule is probed in one kernel, not in all that share it.
fn results(backend: &Backend) -> Result<Vec<Vec<u8>>> {
    let penalty = Penalty::keras(0.0625, 0.3)?;
    let probe = probe();
    let mut gradient = probe.clone();
    gradient.reverse();
    backend.gradient_add(&penalty, &probe, &mut gradient)?;
    let half = backend.prox(&penalty, &probe.iter().map(|&x| f16::from_f32(x)).collect::<Vec<_>>(), 0.7)?;
    let brain = backend.prox(&penalty, &probe.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>(), 0.7)?;
    Ok(vec![
        backend.partial(0, &probe)?.to_bytes().to_vec(),
        bytemuck::cast_slice(&gradient).to_vec(),
        bytemuck::cast_slice(&backend.prox(&penalty, &probe, 0.7)?).to_vec(),
        bytemuck::cast_slice(&backend.prox(&Penalty::log_sum(0.3, 0.5)?, &probe, 0.7)?).to_vec(),
        bytemuck::cast_slice(&half).to_vec(),
        bytemuck::cast_slice(&brain).to_vec(),
    ])
}

pub(super) fn determinism(gpu: &Gpu) -> Result<Determinism> {
    let device = Backend::Gpu(gpu.clone());
    let first = results(&device)?;
    Ok(if first == results(&Backend::Cpu(Cpu::new()))? {
        Determinism::GpuToGpu
    } else if first == results(&device)? {
        Determinism::RunToRun
    } else {
        Determinism::NotGuaranteed
    })
}
