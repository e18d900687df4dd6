//! Do ranks whose parts are on a GPU and ranks on the CPU give the bits of one rank?
//!
//! PENALTY_ADAPTER names the adapter. Without an adapter, the trial is ignored and says so; with
//! PENALTY_REQUIRE_ADAPTER=1 it fails. PENALTY_TRIALS=cpu leaves it out.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::*;
use libtest_mimic::{Arguments, Failed, Trial};
use penalty::exact::Transport;
use penalty::gpu::{Choice, Operand, Operands, SetAcross};
use penalty::{
    Backend, Budget, Cpu, Dtype, Error, Gpu, Groups, HostSet, Momentum, Parameter, Penalty, Reports, Result, Sgd, wgpu,
};
use penalty_mpi::{Layout, Tensor, Threads};
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
        trial("groups_that_are_spread_over_devices_and_cpus", spread_groups),
        trial("many_steps_without_a_report", many_steps),
        trial("a_call_after_an_error", after_an_error),
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

/// A rank's parts on a device: the same lists of operands, each in buffers of its own.
struct OnDevice<'a> {
    gpu: &'a Gpu,
    buffers: Vec<Vec<wgpu::Buffer>>,
}

impl OnDevice<'_> {
    fn new<'a>(gpu: &'a Gpu, operands: &[Vec<Weights>]) -> Result<OnDevice<'a>> {
        let buffer = |weights: &Weights| {
            let (bytes, usage) = (weights.bytes(), wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
            let (size, usage) = ((bytes.len() as u64).max(16), usage | wgpu::BufferUsages::COPY_DST);
            let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
            let buffer = gpu.create_buffer(&descriptor)?;
            gpu.queue().write_buffer(&buffer, 0, &bytes);
            Ok(buffer)
        };
        let list = |operands: &Vec<Weights>| operands.iter().map(buffer).collect();
        Ok(OnDevice { gpu, buffers: operands.iter().map(list).collect::<Result<_>>()? })
    }

    fn operands<'b>(&'b self, list: usize, of: &[Weights]) -> Vec<Operand<'b>> {
        let Some(buffers) = self.buffers.get(list) else { return Vec::new() };
        let operand = |(buffer, weights): (&'b wgpu::Buffer, &Weights)| Operand {
            buffer,
            offset: 0,
            len: weights.slice().len() as u64,
            dtype: weights.dtype(),
        };
        buffers.iter().zip(of).map(operand).collect()
    }

    /// Copies all operands back.
    fn read(&self, operands: &mut [Vec<Weights>]) -> Result<()> {
        for (buffer, weights) in self.buffers.iter().flatten().zip(operands.iter_mut().flatten()) {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let descriptor =
                wgpu::BufferDescriptor { label: None, size: buffer.size(), usage, mapped_at_creation: false };
            let staging = self.gpu.create_buffer(&descriptor)?;
            let mut encoder = self.gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
            self.gpu.queue().submit([encoder.finish()]);
            let (sender, receiver) = std::sync::mpsc::channel();
            staging.map_async(wgpu::MapMode::Read, .., move |mapped| drop(sender.send(mapped)));
            let mapped = loop {
                self.gpu.device().poll(wgpu::PollType::Poll).expect("the device lives");
                match receiver.try_recv() {
                    Ok(mapped) => break mapped,
                    Err(_) => std::thread::yield_now(),
                }
            };
            mapped.expect("it can be mapped");
            weights.set_bytes(&staging.get_mapped_range(..).expect("it is mapped"));
        }
        Ok(())
    }
}

/// The same as one rank, where the even ranks have their parts on a device.
fn same_on_devices<R: PartialEq + std::fmt::Debug + Send>(
    gpu: &Gpu,
    (tensors, operands, what): (&[Tensor], &[Vec<Weights>], &str),
    on_cpu: impl Fn(&HostSet<'_>, &mut [Vec<Weights>]) -> Result<R> + Sync,
    on_device: impl Fn(&mut SetAcross) -> Result<R> + Sync,
) {
    let run = |rank: Threads, layout: &Layout, parts: &mut [Vec<Weights>]| {
        over(gpu, Arc::new(rank), layout, parts, &on_cpu, &on_device)
    };
    same_as_one((tensors, operands, what), &[1, 2, 3, 7], &on_cpu, run);
}

/// What a rank does, on a CPU or on a device.
fn over<R>(
    gpu: &Gpu,
    rank: Arc<dyn Transport>,
    layout: &Layout,
    parts: &mut [Vec<Weights>],
    on_cpu: impl Fn(&HostSet<'_>, &mut [Vec<Weights>]) -> Result<R>,
    on_device: impl Fn(&mut SetAcross) -> Result<R>,
) -> Result<R> {
    let at = rank.rank();
    if at % 2 == 1 {
        return on_cpu(&layout.set(cpu_of(at), rank)?, parts);
    }
    let device = OnDevice::new(gpu, parts)?;
    let lists: Vec<Vec<Operand<'_>>> = (0..4).map(|list| device.operands(list, &parts[0])).collect();
    let operands = Operands {
        weights: &lists[0],
        gradients: &lists[1],
        first: &lists[2],
        second: &lists[3],
        element_weights: &[],
    };
    let result = on_device(&mut layout.set_on(gpu, &operands, rank)?)?;
    device.read(parts)?;
    Ok(result)
}

/// Without a report nobody waits for a call, so the next one may come while the device is still at it.
fn many_steps(gpu: &Gpu) -> std::result::Result<(), Failed> {
    let tensors = [
        tensor("l1", 300_001, Dtype::F32, Penalty::l1(0.3)),
        tensor("mcp", 20_000, Dtype::F16, Penalty::mcp(0.1, 3.0)),
    ];
    let operands = [1, 2].map(|seed| of(&tensors, seed, true));
    let sgd = Sgd { step: 0.001, momentum: Momentum::None };
    same_on_devices(
        gpu,
        (&tensors, &operands, "many steps"),
        |set, operands| {
            let [weights, gradients] = operands else { panic!("there are two operands") };
            for _ in 0..20 {
                set.prox_in_place(&mut slices_mut(weights), 0.001)?;
                set.sgd(&mut slices_mut(weights), &slices(gradients), &mut [], &sgd)?;
            }
            Ok(())
        },
        |set| {
            for _ in 0..20 {
                set.prox_in_place(0.001)?;
                set.sgd(&sgd)?;
            }
            Ok(())
        },
    );
    Ok(())
}

/// A rank whose transport fails once, on all ranks alike, so that later messages match.
#[derive(Debug)]
struct FailsOnce {
    rank: Threads,
    calls: AtomicUsize,
    at: usize,
}

impl FailsOnce {
    fn before(&self) -> Result<()> {
        let (rank, size) = (self.rank.rank(), self.rank.size());
        match self.calls.fetch_add(1, Relaxed) == self.at {
            true => Err(Error::Ranks { rank, size, problem: "planted".into() }),
            false => Ok(()),
        }
    }
}

impl Transport for FailsOnce {
    fn rank(&self) -> usize {
        self.rank.rank()
    }

    fn size(&self) -> usize {
        self.rank.size()
    }

    fn sum_u64(&self, words: &mut [u64]) -> Result<()> {
        self.before()?;
        self.rank.sum_u64(words)
    }

    fn max_u32(&self, words: &mut [u32]) -> Result<()> {
        self.before()?;
        self.rank.max_u32(words)
    }
}

/// An error between the passes of a group's reduction leaves the weights, and the next call works.
fn after_an_error(gpu: &Gpu) -> std::result::Result<(), Failed> {
    let tensors = [tensor("l1_ball", 20_000, Dtype::F32, Penalty::l1_ball(10.0))];
    let operands = [of(&tensors, 1, false)];
    // The first messages compare layouts and calls. Then come the maximum and the sums.
    for at in [2, 3, 4] {
        let is_planted = |found: Result<()>| match found {
            Err(Error::Ranks { problem, .. }) => assert_eq!(problem, "planted"),
            found => panic!("{found:?}"),
        };
        let prox = |set: &HostSet<'_>, operands: &mut [Vec<Weights>]| {
            set.prox_and_evaluate_in_place(&mut slices_mut(&mut operands[0]), 0.7)
        };
        let run = |rank: Threads, layout: &Layout, parts: &mut [Vec<Weights>]| {
            let rank = Arc::new(FailsOnce { rank, calls: AtomicUsize::new(0), at });
            let on_cpu = |set: &HostSet<'_>, parts: &mut [Vec<Weights>]| {
                is_planted(prox(set, parts).map(drop));
                prox(set, parts)
            };
            over(gpu, rank, layout, parts, on_cpu, |set| {
                is_planted(set.prox_and_evaluate_in_place(0.7).map(drop));
                set.prox_and_evaluate_in_place(0.7)
            })
        };
        same_as_one((&tensors, &operands, &format!("a failure of message {at}")), &[2, 3], prox, run);
    }
    Ok(())
}

fn spread_groups(gpu: &Gpu) -> std::result::Result<(), Failed> {
    let is_top_k = |tensor: &Tensor| tensor.name.contains("top_k");
    let mut all: Vec<Tensor> = whole(20_000, Dtype::F32).into_iter().filter(|tensor| !is_top_k(tensor)).collect();
    all.extend(whole(12_001, Dtype::F16).into_iter().filter(|tensor| tensor.name.contains("ball")));
    all.extend([
        tensor("a simplex of bf16", 9000, Dtype::BF16, Penalty::simplex(1.0)),
        tensor("l1 and a norm", 20_000, Dtype::F32, Penalty::sum([Penalty::l1(0.1)?, Penalty::l2_norm(0.5)?])),
        tensor("zeros", 20_000, Dtype::F32, Penalty::simplex(1.0)),
        tensor("l1", 30_001, Dtype::F32, Penalty::l1(0.3)),
        tensor("rows", 36_000, Dtype::F32, Penalty::group_lasso(0.05, Groups::rows(48)?)),
        tensor("empty", 0, Dtype::F32, Penalty::l2_norm(1.0)),
    ]);
    let mut weights = of(&all, 1, true);
    let zeros = all.iter().position(|tensor| tensor.name == "zeros").expect("it is there");
    weights[zeros] = Weights::F32(vec![0.0; 20_000]);
    let states = [2, 3, 4].map(|seed| of(&all, 100 * seed, false));
    let [gradients, first, _] = states.clone();
    same_on_devices(
        gpu,
        (&all, std::slice::from_ref(&weights), "evaluating"),
        |set, operands| set.evaluate(&slices(&operands[0])),
        SetAcross::evaluate,
    );
    same_on_devices(
        gpu,
        (&all, std::slice::from_ref(&weights), "the prox"),
        |set, operands| set.prox_in_place(&mut slices_mut(&mut operands[0]), 0.7),
        |set| set.prox_in_place(0.7),
    );
    // Twice, the second time with other penalties.
    let changed = Penalty::l1_ball(7.0)?;
    same_on_devices(
        gpu,
        (&all, std::slice::from_ref(&weights), "two proxes"),
        |set, operands| {
            let before = set.prox_and_evaluate_in_place(&mut slices_mut(&mut operands[0]), 0.7)?;
            let mut set = set.clone();
            set.penalties_mut().for_each(|(name, penalty)| {
                if name.contains("tight") {
                    *penalty = changed.clone();
                }
            });
            Ok((before, set.prox_and_evaluate_in_place(&mut slices_mut(&mut operands[0]), 0.3)?))
        },
        |set| {
            let before = set.prox_and_evaluate_in_place(0.7)?;
            set.penalties_mut().for_each(|(name, penalty)| {
                if name.contains("tight") {
                    *penalty = changed.clone();
                }
            });
            Ok((before, set.prox_and_evaluate_in_place(0.3)?))
        },
    );
    let sgd = Sgd { step: 0.3, momentum: Momentum::heavy_ball(0.9) };
    same_on_devices(
        gpu,
        (&all, &[weights.clone(), gradients, first], "a step of sgd"),
        |set, operands| {
            let [weights, gradients, first] = operands else { panic!("there are three operands") };
            set.sgd_and_evaluate(&mut slices_mut(weights), &slices(gradients), &mut slices_mut(first), &sgd)
        },
        |set| set.sgd_and_evaluate(&sgd),
    );
    for budget in [Budget::prune(0.7)?, Budget::keep(4096), Budget::prune(0.5)?.within(vec![0.2..=0.6; all.len()])?] {
        same_on_devices(
            gpu,
            (&all, std::slice::from_ref(&weights), &format!("{budget:?}")),
            |set, operands| set.prune_in_place(&budget, &mut slices_mut(&mut operands[0])),
            |set| set.prune_in_place(&budget),
        );
    }
    // All weights tie, within each rank and between ranks.
    let equal: Vec<Weights> =
        all.iter().map(|tensor| Weights::new(tensor.dtype, vec![-0.5; tensor.len as usize])).collect();
    for pruned in [1, 19_999, 100_001] {
        let len: u64 = all.iter().map(|tensor| tensor.len).sum();
        let budget = Budget::keep(len - pruned);
        same_on_devices(
            gpu,
            (&all, std::slice::from_ref(&equal), &format!("{budget:?} of equal weights")),
            |set, operands| set.prune_in_place(&budget, &mut slices_mut(&mut operands[0])),
            |set| set.prune_in_place(&budget),
        );
    }
    let has_gradient: Vec<Tensor> = all.into_iter().filter(|tensor| tensor.penalty.has_gradient()).collect();
    let operands = [of(&has_gradient, 1, true), of(&has_gradient, 2, false)];
    same_on_devices(
        gpu,
        (&has_gradient, &operands, "the gradient"),
        |set, operands| {
            let [weights, gradients] = operands else { panic!("there are two operands") };
            set.evaluate_and_gradient_add(&slices(weights), &mut slices_mut(gradients))
        },
        SetAcross::evaluate_and_gradient_add,
    );
    Ok(())
}
