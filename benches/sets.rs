//! Compares a parameter set with one call for each tensor, on the CPU and on a device, and times the recording of a
//! step.
//!
//! `cargo bench -p penalty-benches --bench sets`. It checks the answers before timing anything: a set's reports and
//! gradients must equal those of the single calls, bit for bit. Then all contenders take turns, so that a drift in the
//! machine's speed is fair to them. The table has the medians. With `--test`, everything runs once, on few tensors.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use penalty::gpu::{Choice, Operand, Operands, ParameterSet};
use penalty::wgpu::{self, BufferUsages, PollType};
use penalty::{
    Backend, Cpu, Dtype, Gpu, HostSet, Momentum, Parameter, Penalty, Report, Reports, Result, Sgd, Slice, SliceMut,
};
use penalty_bandwidth::cpu as machine;
use penalty_benches::{interleaved, median, weights};
use rayon::prelude::*;

const PATIENCE: Duration = Gpu::TIMEOUT;
/// λ of the elastic net, and the share of L1 in it.
const LAMBDA: f64 = 0.25;
const ALPHA: f64 = 0.5;
/// The numbers of tensors in the sets whose recording is timed, and the length of each tensor.
const RECORDED: [usize; 3] = [10, 100, 1000];
const RECORDED_LEN: usize = 256;

fn main() -> Result<()> {
    let test = std::env::args().any(|argument| argument == "--test");
    let shapes = if test { [(5, 65_536), (50, 16)] } else { [(1_000, 65_536), (10_000, 16)] };
    let rounds = |many| if test { 1 } else { many };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();

    let mut hosts = Vec::new();
    for (count, len) in shapes {
        hosts.push(Host::new(count, len)?);
    }
    for host in &mut hosts {
        host.check()?;
        host.criterion(&mut criterion);
    }
    criterion.final_summary();
    println!("\n{:<52} {:>16} {:>10} {:>16}", "CPU", "machine", "set", "single calls");
    for (host, goal) in hosts.iter_mut().zip(["goal 0.80", ""]) {
        host.ratios(rounds(21), goal)?;
    }
    drop(hosts);

    let gpu = match Gpu::open(&Choice::Any) {
        Ok(gpu) => gpu,
        Err(error) => {
            println!("\nnothing is timed on a device: {error}");
            return Ok(());
        }
    };
    let info = gpu.adapter_info();
    let adapter = format!("{} ({:?}, {})", info.name, info.backend, info.driver);
    println!("\n{adapter:<52} {:>27} {:>16}", "set", "single calls");
    for (count, len) in shapes {
        let mut device = OnDevice::new(&gpu, count, len)?;
        device.check()?;
        device.ratios(rounds(5))?;
    }
    recording(&gpu, rounds(301))
}

fn penalty() -> Result<Penalty> {
    Penalty::elastic_net(LAMBDA, ALPHA)
}

fn parameters(count: usize) -> Result<Vec<Parameter>> {
    let penalty = penalty()?;
    Ok((0..count).map(|i| Parameter::new(i.to_string(), penalty.clone())).collect())
}

/// Tensors in host memory, one after the other.
struct Host {
    len: usize,
    set: HostSet<'static>,
    backend: Backend,
    penalty: Penalty,
    weights: Vec<f32>,
    gradients: Vec<f32>,
}

impl Host {
    fn new(count: usize, len: usize) -> Result<Host> {
        Ok(Host {
            len,
            set: HostSet::new(Cpu::new(), parameters(count)?),
            backend: Backend::cpu(),
            penalty: penalty()?,
            weights: weights(count * len),
            // These pages exist before anything is timed.
            gradients: weights(count * len),
        })
    }

    fn evaluate_set(&self) -> Result<Reports> {
        let weights: Vec<Slice<'_>> = self.weights.chunks(self.len).map(Slice::from).collect();
        self.set.evaluate(&weights)
    }

    fn evaluate_singly(&self) -> Result<Vec<Report>> {
        self.weights.chunks(self.len).map(|weights| self.backend.evaluate(&self.penalty, weights)).collect()
    }

    fn add_set(&mut self) -> Result<Reports> {
        let weights: Vec<Slice<'_>> = self.weights.chunks(self.len).map(Slice::from).collect();
        let mut gradients: Vec<SliceMut<'_>> = self.gradients.chunks_mut(self.len).map(SliceMut::from).collect();
        self.set.evaluate_and_gradient_add(&weights, &mut gradients)
    }

    fn add_singly(&mut self) -> Result<Vec<Report>> {
        let tensors = self.weights.chunks(self.len).zip(self.gradients.chunks_mut(self.len));
        tensors
            .map(|(weights, gradient)| {
                let report = self.backend.evaluate(&self.penalty, weights)?;
                self.backend.gradient_add(&self.penalty, weights, gradient)?;
                Ok(report)
            })
            .collect()
    }

    /// Compares the set's answers with those of the single calls.
    fn check(&mut self) -> Result<()> {
        let singly = self.evaluate_singly()?;
        assert_eq!(self.evaluate_set()?.tensors, singly);
        self.gradients.fill(0.5);
        assert_eq!(self.add_singly()?, singly);
        let expected = std::mem::replace(&mut self.gradients, vec![0.5; self.weights.len()]);
        assert_eq!(self.add_set()?.tensors, singly);
        assert!(same_bits(&self.gradients, &expected), "the gradients differ");
        Ok(())
    }

    fn shape(&self) -> String {
        format!("{} × {}", self.weights.len() / self.len, self.len)
    }

    fn criterion(&mut self, criterion: &mut Criterion) {
        let bytes = size_of_val(&self.weights[..]) as u64;
        let mut group = criterion.benchmark_group(format!("evaluate, {}", self.shape()));
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function("machine", |b| b.iter(|| machine::read(&self.weights)));
        group.bench_function("set", |b| b.iter(|| self.evaluate_set()));
        group.bench_function("single calls", |b| b.iter(|| self.evaluate_singly()));
        group.finish();

        let mut group = criterion.benchmark_group(format!("evaluate and add gradient, {}", self.shape()));
        group.throughput(Throughput::Bytes(3 * bytes));
        group.bench_function("machine", |b| b.iter(|| machine::update(&self.weights, [&mut self.gradients])));
        group.bench_function("set", |b| b.iter(|| self.add_set()));
        group.bench_function("single calls", |b| b.iter(|| self.add_singly()));
        group.finish();
    }

    /// Prints the share of the machine's speed that the set reaches, and how much longer the single calls take.
    fn ratios(&mut self, rounds: usize, goal: &str) -> Result<()> {
        let row = |name: &str, yardstick: &str, [machine, set, singly]: [f64; 3]| {
            println!(
                "{name:<52} {yardstick:>4} {:>9} {:>10} {:.2} {:>11} {:>5.1}×  {goal}",
                milliseconds(machine),
                milliseconds(set),
                machine / set,
                milliseconds(singly),
                singly / set,
            );
        };
        let times = interleaved(rounds, |which| {
            match which {
                0 => _ = black_box(machine::read(&self.weights)),
                1 => _ = black_box(self.evaluate_set()?),
                _ => _ = black_box(self.evaluate_singly()?),
            }
            Ok(())
        })?;
        row(&format!("evaluate, {}", self.shape()), "read", times);
        let times = interleaved(rounds, |which| {
            match which {
                0 => machine::update(&self.weights, [&mut self.gradients]),
                1 => _ = black_box(self.add_set()?),
                _ => _ = black_box(self.add_singly()?),
            }
            Ok(())
        })?;
        row(&format!("evaluate and add gradient, {}", self.shape()), "update", times);
        Ok(())
    }
}

/// Tensors on a device: one buffer holds all weights, another one all gradients.
struct OnDevice<'a> {
    gpu: &'a Gpu,
    count: usize,
    len: usize,
    penalty: Penalty,
    weights: wgpu::Buffer,
    gradients: wgpu::Buffer,
    set: ParameterSet,
}

impl<'a> OnDevice<'a> {
    fn new(gpu: &'a Gpu, count: usize, len: usize) -> Result<OnDevice<'a>> {
        let [weights, gradients] = [buffer(gpu, &weights(count * len)), buffer(gpu, &vec![0.5; count * len])];
        let [of_weights, of_gradients] = [&weights, &gradients].map(|buffer| operands(buffer, count, len));
        let operands = Operands { weights: &of_weights, gradients: &of_gradients, ..Operands::default() };
        let set = ParameterSet::new(gpu, parameters(count)?, &operands, 2)?;
        Ok(OnDevice { gpu, count, len, penalty: penalty()?, weights, gradients, set })
    }

    fn add_set(&mut self) -> Result<Reports> {
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        let pending = self.set.record_evaluate_and_gradient_add(&mut encoder)?;
        self.gpu.queue().submit([encoder.finish()]);
        pending.wait(PATIENCE)
    }

    fn add_singly(&self) -> Result<Vec<Report>> {
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        let [weights, gradients] = [&self.weights, &self.gradients].map(|b| operands(b, self.count, self.len));
        let mut pending = Vec::with_capacity(self.count);
        for (weights, gradient) in weights.iter().zip(&gradients) {
            pending.push(self.gpu.record_evaluate(&mut encoder, &self.penalty, weights)?);
            self.gpu.record_gradient_add(&mut encoder, &self.penalty, weights, gradient)?;
        }
        self.gpu.queue().submit([encoder.finish()]);
        pending.iter().map(|pending| pending.wait(PATIENCE)).collect()
    }

    /// Compares the set's answers with those of the single calls.
    fn check(&mut self) -> Result<()> {
        let singly = self.add_singly()?;
        let expected = self.take_gradients();
        assert_eq!(self.add_set()?.tensors, singly);
        assert!(same_bits(&self.take_gradients(), &expected), "the gradients differ");
        Ok(())
    }

    /// Reads the gradients back and resets them.
    fn take_gradients(&self) -> Vec<f32> {
        let (device, queue) = (self.gpu.device(), self.gpu.queue());
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: self.gradients.size(),
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.gradients, 0, &staging, 0, staging.size());
        encoder.map_buffer_on_submit(&staging, wgpu::MapMode::Read, .., |mapped| mapped.expect("the gradients"));
        queue.submit([encoder.finish()]);
        drain(self.gpu);
        let gradients = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).expect("the gradients"));
        queue.write_buffer(&self.gradients, 0, bytemuck::cast_slice(&vec![0.5f32; gradients.len()]));
        gradients
    }

    fn ratios(&mut self, rounds: usize) -> Result<()> {
        let [set, singly] = interleaved(rounds, |which| {
            match which {
                0 => _ = black_box(self.add_set()?),
                _ => _ = black_box(self.add_singly()?),
            }
            Ok(())
        })?;
        println!(
            "{:<52} {:>27} {:>16} {:>5.1}×",
            format!("evaluate and add gradient, {} × {}", self.count, self.len),
            milliseconds(set),
            milliseconds(singly),
            singly / set,
        );
        Ok(())
    }
}

/// Times the host while it records a step of sets with few and with many tensors. The device is idle meanwhile.
fn recording(gpu: &Gpu, rounds: usize) -> Result<()> {
    println!("\n{:<52}{}", "recording a step", RECORDED.map(|count| format!("{count:>13} tensors")).concat());
    let most = RECORDED[RECORDED.len() - 1];
    let [weights, gradients] = [(); 2].map(|()| buffer(gpu, &weights(most * RECORDED_LEN)));
    let mut sets = Vec::new();
    for count in RECORDED {
        let [of_weights, of_gradients] = [&weights, &gradients].map(|buffer| operands(buffer, count, RECORDED_LEN));
        let operands = Operands { weights: &of_weights, gradients: &of_gradients, ..Operands::default() };
        sets.push(ParameterSet::new(gpu, parameters(count)?, &operands, 2)?);
    }
    type Record = fn(&mut ParameterSet, &mut wgpu::CommandEncoder, f64) -> Result<penalty::gpu::Pending<Reports>>;
    let steps: [(&str, bool, Record); 3] = [
        ("evaluate and add gradient", false, |set, encoder, _| set.record_evaluate_and_gradient_add(encoder)),
        ("evaluate and add gradient, another λ at each step", true, |set, encoder, _| {
            set.record_evaluate_and_gradient_add(encoder)
        }),
        ("SGD, another step size at each step", false, |set, encoder, x| {
            set.record_sgd_and_evaluate(encoder, &Sgd { step: 0.1 * x, momentum: Momentum::None })
        }),
    ];
    for (name, schedule, record) in steps {
        let mut times = RECORDED.map(|_| Vec::new());
        for round in 0..=rounds {
            let x = 1.0 / (1.0 + round as f64);
            for turn in 0..sets.len() {
                let which = (round + turn) % sets.len();
                let set = &mut sets[which];
                if schedule {
                    let penalty = Penalty::elastic_net(LAMBDA * x, ALPHA)?;
                    set.penalties_mut().for_each(|(_, p)| *p = penalty.clone());
                }
                let mut encoder = gpu.device().create_command_encoder(&Default::default());
                let start = Instant::now();
                let pending = record(set, &mut encoder, x)?;
                let took = start.elapsed().as_secs_f64();
                gpu.queue().submit([encoder.finish()]);
                pending.wait(PATIENCE)?;
                drain(gpu);
                // The first round also pays for one-time work.
                if round > 0 {
                    times[which].push(took);
                }
            }
        }
        let medians = times.map(median);
        let columns = medians.map(|t| format!("{:>12.1} µs {:.2}", 1e6 * t, t / medians[0])).concat();
        println!("{name:<52} {columns}");
    }
    Ok(())
}

/// Waits until the device is idle.
fn drain(gpu: &Gpu) {
    let wait = PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
    assert!(gpu.device().poll(wait).is_ok_and(|status| status.wait_finished()), "the device does not finish");
}

fn buffer(gpu: &Gpu, data: &[f32]) -> wgpu::Buffer {
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: size_of_val(data) as u64,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue().write_buffer(&buffer, 0, bytemuck::cast_slice(data));
    buffer
}

fn operands(buffer: &wgpu::Buffer, count: usize, len: usize) -> Vec<Operand<'_>> {
    let at = |i| Operand { buffer, offset: (size_of::<f32>() * i * len) as u64, len: len as u64, dtype: Dtype::F32 };
    (0..count).map(at).collect()
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.par_iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", 1e3 * seconds)
}
