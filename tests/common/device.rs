//! For recording on a caller's device: buffers, encoders, and reading back without the library.

use std::time::Duration;

use penalty::Gpu;
use penalty::gpu::Options;
use penalty::wgpu::{self, BufferUsages, PollType};

use crate::common::adapters::Device;

/// The longest wait for a device. It only guards against hanging; a busy machine never reaches it.
pub(crate) const TIMEOUT: Duration = Gpu::TIMEOUT;
pub(crate) const USAGES: BufferUsages =
    BufferUsages::STORAGE.union(BufferUsages::COPY_SRC).union(BufferUsages::COPY_DST);

pub(crate) fn buffer(gpu: &Gpu, contents: &[u8], usage: BufferUsages) -> wgpu::Buffer {
    let size = contents.len().max(4) as u64;
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    let buffer = gpu.device().create_buffer(&descriptor);
    gpu.queue().write_buffer(&buffer, 0, contents);
    buffer
}

/// A buffer's contents, read without the library.
pub(crate) fn contents(gpu: &Gpu, buffer: &wgpu::Buffer) -> Vec<u8> {
    let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
    let descriptor = wgpu::BufferDescriptor { label: None, size: buffer.size(), usage, mapped_at_creation: false };
    let staging = gpu.device().create_buffer(&descriptor);
    let mut encoder = encoder(gpu);
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
    gpu.queue().submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |result| result.expect("the buffer is mapped"));
    gpu.device().poll(PollType::Wait { submission_index: None, timeout: Some(TIMEOUT) }).expect("the device answers");
    staging.get_mapped_range(..).expect("the buffer is mapped").to_vec()
}

pub(crate) fn encoder(gpu: &Gpu) -> wgpu::CommandEncoder {
    gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

pub(crate) fn submit(gpu: &Gpu, encoder: wgpu::CommandEncoder) {
    gpu.queue().submit([encoder.finish()]);
}

pub(crate) fn open(device: &Device, limits: wgpu::Limits, options: &Options) -> Gpu {
    let (device, queue) = device.request(limits);
    Gpu::with_options(device, queue, options).expect("the kernels need no more than the default limits")
}

/// A device that a test may destroy.
pub(crate) fn own(device: &Device) -> Gpu {
    open(device, wgpu::Limits::default(), &Options::default())
}

/// Returns what the calls return. Fails if they hang.
pub(crate) fn without_hanging<R: Send + 'static>(calls: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(calls()));
    receiver.recv_timeout(2 * TIMEOUT).expect("it neither hangs nor panics")
}
