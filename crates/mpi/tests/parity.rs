//! Do ranks whose parts are on a GPU and ranks on the CPU give the bits of one rank?
//!
//! PENALTY_ADAPTER names the adapter. Without an adapter, the trial is ignored and says so; with
//! PENALTY_REQUIRE_ADAPTER=1 it fails. PENALTY_TRIALS=cpu leaves it out.

mod common;

use std::sync::Arc;

use common::*;
use libtest_mimic::{Arguments, Failed, Trial};
use penalty::exact::Transport;
use penalty::gpu::Choice;
use penalty::{Backend, Budget, Cpu, Dtype, Gpu, HostSet, Parameter, Penalty, Reports, Result};
use penalty_mpi::{Layout, Tensor};
use sha2::{Digest, Sha256};

fn main() {
    let arguments = Arguments::from_args();
    if std::env::var("PENALTY_TRIALS").is_ok_and(|trials| trials == "cpu") {
        libtest_mimic::run(&arguments, Vec::new()).exit();
    }
    let name = std::env::var("PENALTY_ADAPTER").unwrap_or_default();
    let choice = if name.is_empty() { Choice::Any } else { Choice::Named(name) };
    let opened = Gpu::open(&choice);
    let required = std::env::var("PENALTY_REQUIRE_ADAPTER").is_ok_and(|value| value == "1");
    let (kind, missing) = match &opened {
        Ok(gpu) => (gpu.adapter_info().name.clone(), false),
        Err(error) => {
            eprintln!("no adapter: {error}");
            ("no adapter".into(), !required)
        }
    };
    let opened = opened.map_err(|error| error.to_string());
    let trial = |name: &str, test: fn(&Gpu) -> std::result::Result<(), Failed>| {
        let opened = opened.clone();
        let run = move || test(opened.as_ref().map_err(Failed::from)?);
        Trial::test(name, run).with_kind(kind.clone()).with_ignored_flag(missing)
    };
    let trials = vec![
        trial("ranks_on_a_gpu_and_on_the_cpu", mixed_ranks),
        trial("twenty_million_weights_have_one_hash", twenty_million_weights),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// Proxes, then values and statistics, then a pruned set: the hash of all is the same at any number of ranks, the even
/// ones of which have their weights on the GPU.
fn twenty_million_weights(gpu: &Gpu) -> std::result::Result<(), Failed> {
    let tensors = [
        tensor("l1", 12_000_000, Dtype::F32, Penalty::l1(0.3)),
        tensor("mcp", 7_999_900, Dtype::F32, Penalty::mcp(0.1, 3.0)),
        tensor("bias", 100, Dtype::F32, Ok(Penalty::none())),
    ];
    let operands = of(&tensors, 1, false);
    let budget = Budget::prune(0.8)?;
    let mut hashes = Vec::new();
    for size in [1, 2, 3, 4, 7] {
        let layout = Layout::even(tensors.to_vec(), size)?;
        let found = on_ranks(size, TIMEOUT, |rank| -> Result<_> {
            let at = rank.rank();
            let mut parts: Vec<Weights> =
                operands.iter().enumerate().map(|(i, weights)| weights.part(layout.part(i, at))).collect();
            let rank = Arc::new(rank);
            let set = layout.set(Cpu::new(), rank.clone())?;
            let reports = if at % 2 == 1 {
                set.prox_and_evaluate_in_place(&mut slices_mut(&mut parts), 0.5)?
            } else {
                prox_on(gpu, &layout, &*rank, &tensors, &mut parts)?
            };
            let shrunk = parts.clone();
            let pruned = set.prune_in_place(&budget, &mut slices_mut(&mut parts))?;
            Ok((reports, pruned, shrunk, parts))
        });
        let found = found.into_iter().collect::<Result<Vec<_>>>()?;
        let mut hash = Sha256::new();
        for (reports, pruned, ..) in &found {
            assert_eq!((reports, pruned), (&found[0].0, &found[0].1), "at {size} ranks");
        }
        hash.update(format!("{:?}{:?}", found[0].0, found[0].1));
        for tensor in 0..tensors.len() {
            for parts in found.iter().map(|found| &found.2[tensor]).chain(found.iter().map(|found| &found.3[tensor])) {
                hash.update(parts.bits().into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
            }
        }
        hashes.push(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    eprintln!("20 million weights: {}", hashes[0]);
    Ok(())
}

/// The prox of this rank's parts on a GPU, and the reports of all ranks.
fn prox_on(
    gpu: &Gpu,
    layout: &Layout,
    rank: &dyn Transport,
    tensors: &[Tensor],
    parts: &mut [Weights],
) -> Result<Reports> {
    let backend = Backend::Gpu(gpu.clone());
    let mut partials = Vec::new();
    for (i, (part, Tensor { penalty, .. })) in parts.iter_mut().zip(tensors).enumerate() {
        let Weights::F32(part) = part else { continue };
        backend.prox_in_place(penalty, part, 0.5)?;
        let start = if part.is_empty() { 0 } else { layout.part(i, rank.rank()).start };
        partials.push(backend.partial_for(penalty, start, part)?);
    }
    Reports::across(rank, partials.iter().zip(tensors.iter().map(|tensor| &tensor.penalty)))
}

fn mixed_ranks(gpu: &Gpu) -> std::result::Result<(), Failed> {
    let tensors = [
        tensor("l1", 100_001, Dtype::F32, Penalty::l1(0.3)),
        tensor("l_half", 20_000, Dtype::F32, Penalty::l_half(0.2)),
        tensor("bias", 100, Dtype::F32, Ok(Penalty::none())),
    ];
    let mut whole = of(&tensors, 1, false);
    let operands = whole.clone();
    let parameters = tensors.iter().map(|tensor| Parameter::new(&*tensor.name, tensor.penalty.clone()));
    let set = HostSet::new(Cpu::new(), parameters.collect());
    let want = set.prox_and_evaluate_in_place(&mut slices_mut(&mut whole), 0.5)?;
    for size in SIZES {
        let layout = Layout::even(tensors.to_vec(), size)?;
        let found = on_ranks(size, TIMEOUT, |rank| -> Result<(Reports, Vec<Weights>)> {
            let at = rank.rank();
            let mut parts: Vec<Weights> =
                operands.iter().enumerate().map(|(i, weights)| weights.part(layout.part(i, at))).collect();
            if at % 2 == 1 {
                let set = layout.set(Cpu::new(), Arc::new(rank))?;
                let reports = set.prox_and_evaluate_in_place(&mut slices_mut(&mut parts), 0.5)?;
                return Ok((reports, parts));
            }
            layout.agree(&rank)?;
            let reports = prox_on(gpu, &layout, &rank, &tensors, &mut parts)?;
            Ok((reports, parts))
        });
        for (rank, found) in found.into_iter().enumerate() {
            let (reports, parts) = found?;
            assert_eq!(reports, want, "rank {rank} of {size}");
            for (i, (part, whole)) in parts.iter().zip(&whole).enumerate() {
                assert!(part.bits() == whole.part(layout.part(i, rank)).bits(), "tensor {i} of rank {rank} of {size}");
            }
        }
    }
    Ok(())
}
