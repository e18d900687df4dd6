//! The self-check of a device: compares its bits with the CPU's on a built-in probe.

use half::{bf16, f16};

use super::determinism::{Check, Determinism};
use super::device::Gpu;
use super::slices::Waited;
use super::wait::WaitMode;
use crate::cpu::Cpu;
use crate::numeric::element::Element;
use crate::numeric::tile::TILE;
use crate::plan::operation::Operation;
use crate::slices::{Slices, Tensor, Update};
use crate::{Penalty, Result};

/// What was computed, as bytes.
type Found = (&'static str, Vec<u8>);

/// The probe: an ordinary tile, tiles that must be scaled up and down, a tile of all decades, and a tile with zeros,
/// NaN and infinities, which is not full.
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

/// What the promise covers, as bits: sums and counts, gradients and proxes of `f32`, quotients and roots, and decoding
/// and encoding of the 16-bit types. Compiling is most of the cost of opening a device, so each rule is probed in one
/// kernel, not in all that share it.
async fn results(backend: &impl Slices) -> Result<[Found; 6]> {
    let penalty = Penalty::keras(0.0625, 0.3)?;
    let probe = probe();
    let mut gradient = probe.clone();
    gradient.reverse();
    let update = Update::new(Operation::AddGradient, (&penalty).into());
    backend.update(&update, Some(probe[..].into()), gradient[..].as_mut().into()).await?;
    let partials = backend.partials(&[Tensor::new((&Penalty::none()).into(), probe[..].into())]).await?;
    let half = probe.iter().map(|&x| f16::from_f32(x)).collect();
    let brain = probe.iter().map(|&x| bf16::from_f32(x)).collect();
    Ok([
        ("value and statistics", partials.iter().flat_map(|partial| partial.to_bytes()).collect()),
        ("gradient", bytemuck::cast_slice(&gradient).to_vec()),
        ("prox", prox(backend, &penalty, probe.clone()).await?),
        ("prox with quotients and roots", prox(backend, &Penalty::log_sum(0.3, 0.5)?, probe).await?),
        ("prox of f16", prox::<f16>(backend, &penalty, half).await?),
        ("prox of bf16", prox::<bf16>(backend, &penalty, brain).await?),
    ])
}

async fn prox<E: Element>(backend: &impl Slices, penalty: &Penalty, mut weights: Vec<E>) -> Result<Vec<u8>> {
    let update = Update { step: 0.7, ..Update::new(Operation::Prox, penalty.into()) };
    backend.update(&update, None, weights[..].as_mut().into()).await?;
    Ok(bytemuck::cast_slice(&weights).to_vec())
}

/// Runs the probe, and once more if its bits are not the CPU's.
pub(super) async fn checks(gpu: &Gpu, wait: WaitMode) -> Result<[Check; 6]> {
    let device = Waited { gpu, wait };
    let (first, expected) = (results(&device).await?, results(&Cpu::new()).await?);
    let second = if first == expected { first.clone() } else { results(&device).await? };
    Ok(std::array::from_fn(|at| {
        let determinism = match (first[at] == second[at], first[at] == expected[at]) {
            (true, true) => Determinism::GpuToGpu,
            (true, false) => Determinism::RunToRun,
            (false, _) => Determinism::NotGuaranteed,
        };
        Check { name: first[at].0, determinism }
    }))
}
