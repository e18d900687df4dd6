//! Runs the operations on weights in a device's memory.

use std::time::Instant;

use bytemuck::cast_slice;
use penalty::gpu::{Operand, Operands, ParameterSet, Pending, guarded};
use penalty::{Error as Failure, Gpu, Parameter, Reports, wgpu};
use penalty_bandwidth::gpu::Kernels;

use super::case::{Case, Machine, Measure, Operation};
use super::formula::{self, CHECKED_STEP, Number, TIMED_STEP};
use super::host::Host;
use super::measure::{Contest, Seconds, Who};
use crate::error::Result;

/// The number of bytes copied to or from the host at a time.
const STAGING: u64 = 64 << 20;
/// The steps in one submission, at most. A set of many tensors has large results.
const MOST_RUNS: usize = 64;
const MOST_RUNS_OF_SET: usize = 8;

/// A device, with all that its rows share.
pub(super) struct Device {
    gpu: Gpu,
    kernels: Kernels,
    /// Of many steps.
    clock: Option<Clock>,
    /// Of the dispatches of one step.
    dispatches: Option<Clock>,
}

/// Two timestamps, before and after the timed work.
struct Clock {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

/// The arrays of a case, in buffers of their own, and a set of its tensors.
pub(super) struct OnDevice<'a> {
    device: &'a Device,
    case: Case,
    arrays: Vec<wgpu::Buffer>,
    /// What the machine's read writes.
    words: wgpu::Buffer,
    set: ParameterSet,
}

impl Device {
    pub(super) fn new(gpu: &Gpu) -> Result<Device> {
        let device = gpu.device();
        let queries = wgpu::QuerySetDescriptor { label: None, ty: wgpu::QueryType::Timestamp, count: 2 };
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let clock = |features| {
            device.features().contains(features).then(|| Clock {
                queries: device.create_query_set(&queries),
                resolved: device.create_buffer(&described(16, usage)),
            })
        };
        let in_passes = wgpu::Features::TIMESTAMP_QUERY;
        let in_encoders = in_passes | wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS;
        let (clock, dispatches) = guarded(gpu, || (clock(in_encoders), clock(in_passes)))?;
        Ok(Device { gpu: gpu.clone(), kernels: Kernels::new(device)?, clock, dispatches })
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn submit(&self, encoder: wgpu::CommandEncoder) -> Result<wgpu::SubmissionIndex> {
        Ok(guarded(&self.gpu, || self.gpu.queue().submit([encoder.finish()]))?)
    }

    fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        let until = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(Gpu::TIMEOUT) };
        let waited = self.gpu.device().poll(until);
        Ok(waited.map(drop).map_err(|error| Failure::Device(error.to_string()))?)
    }

    /// Submits, and waits until the device is done.
    fn finish(&self, encoder: wgpu::CommandEncoder) -> Result<()> {
        let submission = self.submit(encoder)?;
        self.wait(submission)
    }

    /// The seconds between the two timestamps.
    fn ticks(&self, clock: &Clock) -> Result<f64> {
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&self.bytes(&clock.resolved, 0, 16)?);
        let ticks = stamps.last().zip(stamps.first()).map_or(0, |(end, start)| end.saturating_sub(*start));
        Ok(ticks as f64 * f64::from(self.gpu.queue().get_timestamp_period()) * 1e-9)
    }

    fn write(&self, buffer: &wgpu::Buffer, words: &[f32]) -> Result<()> {
        for (i, part) in words.chunks(STAGING as usize / 4).enumerate() {
            self.gpu.queue().write_buffer(buffer, i as u64 * STAGING, cast_slice(part));
            // Submit each part before the next, so that only one part needs staging memory at a time.
            self.finish(self.encoder())?;
        }
        Ok(())
    }

    /// Copies bytes to the host.
    fn bytes(&self, buffer: &wgpu::Buffer, start: u64, size: u64) -> Result<Vec<u8>> {
        let (staging, submission) = guarded(&self.gpu, || {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let staging = self.gpu.device().create_buffer(&described(size, usage));
            let mut encoder = self.encoder();
            encoder.copy_buffer_to_buffer(buffer, start, &staging, 0, size);
            let submission = self.gpu.queue().submit([encoder.finish()]);
            staging.map_async(wgpu::MapMode::Read, .., |_| ());
            (staging, submission)
        })?;
        self.wait(submission)?;
        let mapped = staging.get_mapped_range(..).map_err(|error| Failure::Device(error.to_string()))?;
        Ok(mapped.to_vec())
    }
}

impl<'a> OnDevice<'a> {
    pub(super) fn new(device: &'a Device, case: &Case) -> Result<OnDevice<'a>> {
        let Case { shape, dtype, .. } = *case;
        let size = case.array_bytes().next_multiple_of(16);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let words = device.kernels.words_size(size);
        let buffer = |size| device.gpu.create_buffer(&described(size, usage));
        let arrays = (0..case.operation.arrays()).map(|_| buffer(size)).collect::<penalty::Result<Vec<_>>>()?;
        let words = buffer(words)?;
        let operands: Vec<Vec<Operand<'_>>> = arrays
            .iter()
            .map(|buffer| {
                let (len, bytes) = (shape.weights as u64, (shape.weights * dtype.size()) as u64);
                (0..shape.tensors as u64).map(|i| Operand { buffer, offset: i * bytes, len, dtype }).collect()
            })
            .collect();
        let list = |at: usize| operands.get(at).map_or(&[][..], |list| list);
        let lists =
            Operands { weights: list(0), gradients: list(1), first: list(2), second: list(3), ..Operands::default() };
        let penalty = formula::penalty()?;
        let parameters = (0..shape.tensors).map(|i| Parameter::new(i.to_string(), penalty.clone())).collect();
        let slots = if shape.is_single() { MOST_RUNS } else { MOST_RUNS_OF_SET };
        let set = ParameterSet::new(&device.gpu, parameters, &lists, slots)?;
        Ok(OnDevice { device, case: *case, arrays, words, set })
    }

    /// Compares the bits of one step with the CPU's. `host` holds the weights before it.
    pub(super) fn check<E: Number>(&mut self, mut host: Host<E>) -> Result<()> {
        for (buffer, words) in self.arrays.iter().zip(host.arrays()) {
            self.device.write(buffer, words)?;
        }
        let mut encoder = self.device.encoder();
        let pending = self.record(&mut encoder, CHECKED_STEP)?;
        self.device.finish(encoder)?;
        let found = pending.map(|pending| pending.wait(Gpu::TIMEOUT)).transpose()?;
        let expected = host.step_of_set(CHECKED_STEP)?;
        if found != expected {
            return Err(host.wrong(format!("{expected:?}"), format!("{found:?}")));
        }
        for (number, (buffer, expected)) in self.arrays.iter().zip(host.arrays()).enumerate() {
            let size = 4 * expected.len() as u64;
            for start in (0..size).step_by(STAGING as usize) {
                let found = self.device.bytes(buffer, start, STAGING.min(size - start))?;
                let expected = &cast_slice::<f32, u8>(expected)[start as usize..][..found.len()];
                if let Some(at) = found.iter().zip(expected).position(|(a, b)| a != b) {
                    let text =
                        |bytes: &[u8]| format!("{:02x} at byte {} of array {number}", bytes[at], start as usize + at);
                    return Err(host.wrong(text(expected), text(&found)));
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, encoder: &mut wgpu::CommandEncoder, step: f64) -> Result<Option<Pending<Reports>>> {
        let set = &mut self.set;
        Ok(match self.case.operation {
            Operation::Evaluate => Some(set.record_evaluate(encoder)?),
            Operation::Gradient => {
                set.record_gradient_into(encoder)?;
                None
            }
            Operation::AddGradient => {
                set.record_gradient_add(encoder)?;
                None
            }
            Operation::Prox => {
                set.record_prox_in_place(encoder, step)?;
                None
            }
            Operation::Sgd => Some(set.record_sgd_and_evaluate(encoder, &formula::sgd(step))?),
            Operation::Adam(metric) => Some(set.record_adam_and_evaluate(encoder, &formula::adam(step, metric))?),
        })
    }

    fn record_machine(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        // These kernels move whole vectors of 16 bytes, so they leave a few bytes of other sizes.
        let bytes = (self.case.array_bytes() / 16 * 16).max(16);
        let (kernels, theta) = (&self.device.kernels, &self.arrays[0]);
        match self.case.operation.machine() {
            Machine::Read => kernels.record_read(encoder, theta, &self.words, bytes)?,
            Machine::Copy => kernels.record_copy(encoder, theta, &self.arrays[1], bytes)?,
            Machine::Scale => kernels.record_scale(encoder, theta, bytes)?,
            Machine::Update(targets) => {
                let others = [0, 2, 3].map(|at| self.arrays.get(at));
                let all: Vec<_> = others.into_iter().flatten().take(targets).collect();
                kernels.record_update(encoder, &self.arrays[1], &all, bytes)?;
            }
        }
        Ok(())
    }

    /// Records that many runs; the host's seconds for one, and what gives the last one's result.
    fn record_runs(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        who: Who,
        times: usize,
    ) -> Result<(f64, Option<Pending<Reports>>)> {
        let started = Instant::now();
        let mut pending = None;
        for _ in 0..times {
            match who {
                Who::Ours => pending = self.record(encoder, TIMED_STEP)?,
                Who::Machine => self.record_machine(encoder)?,
            }
        }
        Ok((started.elapsed().as_secs_f64() / times as f64, pending))
    }

    /// The seconds that the dispatches of one step take.
    fn dispatch(&mut self, clock: &Clock) -> Result<f64> {
        let mut encoder = self.device.encoder();
        self.set.time_steps(Some(&clock.queries))?;
        self.record(&mut encoder, TIMED_STEP)?;
        self.set.time_steps(None)?;
        encoder.resolve_query_set(&clock.queries, 0..2, &clock.resolved, 0);
        self.device.finish(encoder)?;
        self.device.ticks(clock)
    }

    /// One run from the call to the result.
    fn latency(&mut self, who: Who) -> Result<f64> {
        let started = Instant::now();
        let mut encoder = self.device.encoder();
        let (_, pending) = self.record_runs(&mut encoder, who, 1)?;
        let submission = self.device.submit(encoder)?;
        match pending {
            Some(pending) => drop(pending.wait(Gpu::TIMEOUT)?),
            None => self.device.wait(submission)?,
        }
        Ok(started.elapsed().as_secs_f64())
    }
}

impl Contest for OnDevice<'_> {
    fn most(&self) -> usize {
        if self.case.shape.is_single() { MOST_RUNS } else { MOST_RUNS_OF_SET }
    }

    fn run(&mut self, who: Who, measure: Measure, times: usize) -> Result<Seconds> {
        // It has no timestamps, which would take time.
        let latency = if measure == Measure::Latency { Some(self.latency(who)?) } else { None };
        let device = self.device;
        let mut encoder = device.encoder();
        if let Some(clock) = &device.clock {
            encoder.write_timestamp(&clock.queries, 0);
        }
        let (recording, _) = self.record_runs(&mut encoder, who, times)?;
        if let Some(clock) = &device.clock {
            encoder.write_timestamp(&clock.queries, 1);
            encoder.resolve_query_set(&clock.queries, 0..2, &clock.resolved, 0);
        }
        let started = Instant::now();
        device.finish(encoder)?;
        let step = started.elapsed().as_secs_f64() / times as f64;
        if measure == Measure::Recording {
            return Ok(Seconds { host: recording, device: None, dispatch: None });
        }
        let ticks = device.clock.as_ref().map(|clock| device.ticks(clock)).transpose()?;
        let dispatches = device.dispatches.as_ref().filter(|_| who == Who::Ours);
        let dispatch = dispatches.map(|clock| self.dispatch(clock)).transpose()?;
        let device = ticks.map(|seconds| seconds / times as f64);
        Ok(Seconds { host: latency.unwrap_or(step), device, dispatch })
    }
}

fn described(size: u64, usage: wgpu::BufferUsages) -> wgpu::BufferDescriptor<'static> {
    wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false }
}
