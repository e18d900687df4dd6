//! Times the operations on weights in device memory against the device's reads, copies and in-place scaling.

use std::time::Instant;

use penalty::gpu::{Operand, guarded};
use penalty::{Backend, Dtype, Error as Failure, Gpu, Penalty, wgpu};
use penalty_bandwidth::gpu::Kernels;

use super::{Kernel, Pair, Row, STEP, Times, expect_report, expect_weights, measure, weights};
use crate::error::Result;

/// The number of bytes copied back to the host at a time.
const STAGING: u64 = 64 << 20;

/// Weights, an output and the machine's kernels, all on the device.
struct Bench<'a> {
    gpu: &'a Gpu,
    penalty: &'a Penalty,
    len: usize,
    theta: wgpu::Buffer,
    output: wgpu::Buffer,
    words: wgpu::Buffer,
    kernels: Kernels,
    clock: Option<Clock>,
}

/// Two timestamps, before and after the timed work.
struct Clock {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

pub(super) fn rows(gpu: &Gpu, penalty: &Penalty, len: usize) -> Result<Vec<Row>> {
    let bench = Bench::new(gpu, penalty, len)?;
    bench.check()?;
    // The machine's kernels move whole 16-byte vectors, so they move a few bytes less if the length is not a multiple
    // of a vector.
    let bytes = 4 * len as u64;
    let vectors = (bytes / 16 * 16).max(16);
    let pairs = vec![
        Pair {
            operation: "evaluate",
            ours: bench.kernel(bytes, |b, e| {
                b.gpu.record_evaluate(e, b.penalty, &b.operand(&b.theta))?;
                Ok(())
            }),
            machine: bench.kernel(vectors, move |b, e| Ok(b.kernels.record_read(e, &b.theta, &b.words, vectors)?)),
        },
        Pair {
            operation: "gradient",
            ours: bench.kernel(2 * bytes, |b, e| {
                Ok(b.gpu.record_gradient_into(e, b.penalty, &b.operand(&b.theta), &b.operand(&b.output))?)
            }),
            machine: bench
                .kernel(2 * vectors, move |b, e| Ok(b.kernels.record_copy(e, &b.theta, &b.output, vectors)?)),
        },
        Pair {
            operation: "prox",
            ours: bench
                .kernel(2 * bytes, |b, e| Ok(b.gpu.record_prox_in_place(e, b.penalty, &b.operand(&b.output), STEP)?)),
            machine: bench.kernel(2 * vectors, move |b, e| Ok(b.kernels.record_scale(e, &b.output, vectors)?)),
        },
    ];
    measure(len, pairs)
}

impl<'a> Bench<'a> {
    fn new(gpu: &'a Gpu, penalty: &'a Penalty, len: usize) -> Result<Bench<'a>> {
        let device = gpu.device();
        let kernels = Kernels::new(device)?;
        let size = (4 * len as u64).next_multiple_of(16);
        let features = wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS;
        let timed = device.features().contains(features);
        let words = kernels.words_size(size);
        let (theta, output, words, clock) = guarded(gpu, || {
            let buffer = |size, usage| {
                device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
            };
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let clock = timed.then(|| Clock {
                queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: None,
                    ty: wgpu::QueryType::Timestamp,
                    count: 2,
                }),
                resolved: buffer(16, wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            });
            (buffer(size, usage), buffer(size, usage), buffer(words, usage), clock)
        })?;
        Ok(Bench { gpu, penalty, len, theta, output, words, kernels, clock })
    }

    fn operand<'b>(&self, buffer: &'b wgpu::Buffer) -> Operand<'b> {
        Operand { buffer, offset: 0, len: self.len as u64, dtype: Dtype::F32 }
    }

    /// Compares each operation's bits with the CPU's.
    fn check(&self) -> Result<()> {
        let cpu = Backend::cpu();
        let mut theta = weights(self.len);
        self.write(&self.theta, &theta)?;
        self.write(&self.output, &vec![f32::NAN; self.len])?;
        let mut encoder = self.encoder();
        let pending = self.gpu.record_evaluate(&mut encoder, self.penalty, &self.operand(&self.theta))?;
        let (source, output) = (self.operand(&self.theta), self.operand(&self.output));
        self.gpu.record_gradient_into(&mut encoder, self.penalty, &source, &output)?;
        self.submit(encoder)?;
        expect_report(&pending.wait(Gpu::TIMEOUT)?, &cpu.evaluate(self.penalty, &theta)?, self.len)?;
        expect_weights("gradient", &self.read_back(&self.output)?, &cpu.gradient(self.penalty, &theta)?)?;

        self.write(&self.output, &theta)?;
        let mut encoder = self.encoder();
        self.gpu.record_prox_in_place(&mut encoder, self.penalty, &self.operand(&self.output), STEP)?;
        self.submit(encoder)?;
        cpu.prox_in_place(self.penalty, &mut theta, STEP)?;
        expect_weights("prox", &self.read_back(&self.output)?, &theta)
    }

    fn kernel<'b>(
        &'b self,
        moved: u64,
        record: impl Fn(&Bench<'_>, &mut wgpu::CommandEncoder) -> Result<()> + 'b,
    ) -> Kernel<'b> {
        let run = Box::new(move |repeats| {
            let mut encoder = self.encoder();
            if let Some(clock) = &self.clock {
                encoder.write_timestamp(&clock.queries, 0);
            }
            for _ in 0..repeats {
                record(self, &mut encoder)?;
            }
            if let Some(clock) = &self.clock {
                encoder.write_timestamp(&clock.queries, 1);
                encoder.resolve_query_set(&clock.queries, 0..2, &clock.resolved, 0);
            }
            let started = Instant::now();
            self.submit(encoder)?;
            let wall = started.elapsed().as_secs_f64() / repeats as f64;
            let device = self.clock.as_ref().map(|clock| self.ticks(clock)).transpose()?;
            Ok(Times { wall, device: device.map(|seconds| seconds / repeats as f64) })
        });
        Kernel { moved: moved as usize, run }
    }

    /// The seconds between the two timestamps.
    fn ticks(&self, clock: &Clock) -> Result<f64> {
        let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&self.bytes(&clock.resolved, 0, 16)?);
        let ticks = stamps.last().zip(stamps.first()).map_or(0, |(end, start)| end.saturating_sub(*start));
        Ok(ticks as f64 * f64::from(self.gpu.queue().get_timestamp_period()) * 1e-9)
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Submits, and waits until the device is done.
    fn submit(&self, encoder: wgpu::CommandEncoder) -> Result<()> {
        let submission = guarded(self.gpu, || self.gpu.queue().submit([encoder.finish()]))?;
        wait(self.gpu.device(), submission)
    }

    fn write(&self, buffer: &wgpu::Buffer, values: &[f32]) -> Result<()> {
        for (i, part) in values.chunks(STAGING as usize / 4).enumerate() {
            self.gpu.queue().write_buffer(buffer, i as u64 * STAGING, bytemuck::cast_slice(part));
            // Submit each part before the next, so that only one part needs staging memory at a time.
            self.submit(self.encoder())?;
        }
        Ok(())
    }

    fn read_back(&self, buffer: &wgpu::Buffer) -> Result<Vec<f32>> {
        let size = 4 * self.len as u64;
        let mut values = Vec::with_capacity(self.len);
        for start in (0..size).step_by(STAGING as usize) {
            let bytes = self.bytes(buffer, start, STAGING.min(size - start))?;
            values.extend(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes));
        }
        Ok(values)
    }

    fn bytes(&self, buffer: &wgpu::Buffer, offset: u64, size: u64) -> Result<Vec<u8>> {
        let device = self.gpu.device();
        let (staging, submission) = guarded(self.gpu, || {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
            let staging = device.create_buffer(&descriptor);
            let mut encoder = self.encoder();
            encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, size);
            let submission = self.gpu.queue().submit([encoder.finish()]);
            staging.map_async(wgpu::MapMode::Read, .., |_| ());
            (staging, submission)
        })?;
        wait(device, submission)?;
        let mapped = staging.get_mapped_range(..).map_err(|error| Failure::Device(error.to_string()))?;
        Ok(mapped.to_vec())
    }
}

fn wait(device: &wgpu::Device, submission: wgpu::SubmissionIndex) -> Result<()> {
    let waited = device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(Gpu::TIMEOUT) });
    Ok(waited.map(drop).map_err(|error| Failure::Device(error.to_string()))?)
}
