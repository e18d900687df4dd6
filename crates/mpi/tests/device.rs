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
use penalty::{Backend, Cpu, Dtype, Gpu, HostSet, Parameter, Penalty, Reports, Result};
use penalty_mpi::{Layout, Tensor};

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
    let run = move || mixed_ranks(&opened.map_err(|error| Failed::from(error.to_string()))?);
    let trial = Trial::test("ranks_on_a_gpu_and_on_the_cpu", run).with_kind(kind).with_ignored_flag(missing);
    libtest_mimic::run(&arguments, vec![trial]).exit();
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
            let backend = Backend::Gpu(gpu.clone());
            let mut partials = Vec::new();
            for (i, (part, Tensor { penalty, .. })) in parts.iter_mut().zip(&tensors).enumerate() {
                let Weights::F32(part) = part else { continue };
                backend.prox_in_place(penalty, part, 0.5)?;
                let start = if part.is_empty() { 0 } else { layout.part(i, at).start };
                partials.push(backend.partial_for(penalty, start, part)?);
            }
            let reports = Reports::across(&rank, partials.iter().zip(tensors.iter().map(|tensor| &tensor.penalty)))?;
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
