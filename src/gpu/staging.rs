//! Staging memory of bounded size, through which slices of host memory travel to the device and back. While the device
//! works on one chunk, the host writes the next one and reads the one before.

use std::ops::Range;

use super::device::Gpu;
use super::readback::Mapping;
use super::wait::WaitMode;
use crate::numeric::slice::Slice;
use crate::numeric::tile::TILE;
use crate::{Error, Result};

/// The bytes of a buffer of staging memory: a multiple of a tile of any type.
pub(super) const CHUNK: usize = 8 << 20;
const _: () = assert!(CHUNK.is_multiple_of(4 * TILE));
/// How many chunks may be under way in each direction.
pub(super) const UNDER_WAY: usize = 3;

/// Buffers that take turns.
struct Turns {
    usage: wgpu::BufferUsages,
    size: u64,
    /// Those made so far. They are made when they are first needed.
    buffers: Vec<Stage>,
    most: usize,
    next: usize,
}

struct Stage {
    buffer: wgpu::Buffer,
    /// When the host has the buffer again, while the device has it.
    mapping: Option<Mapping>,
    /// How many bytes the device writes to it.
    written: usize,
}

/// The staging memory of one call.
pub(super) struct Staging<'a> {
    gpu: &'a Gpu,
    wait: WaitMode,
    up: Turns,
    down: Turns,
    /// What came back so far.
    output: Vec<u8>,
}

impl<'a> Staging<'a> {
    /// For a call that sends chunks of at most `largest` bytes of each of some arrays, and gets `output` bytes back.
    pub(super) fn new(gpu: &'a Gpu, wait: WaitMode, arrays: usize, largest: u64, output: usize) -> Staging<'a> {
        let size = largest.min(CHUNK as u64);
        let turns = |usage, most| Turns { usage, size, buffers: Vec::with_capacity(most), most, next: 0 };
        let up = turns(wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC, UNDER_WAY * arrays);
        let down = turns(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST, UNDER_WAY);
        Staging { gpu, wait, up, down, output: Vec::with_capacity(output) }
    }

    /// Writes slices to a buffer, each at its offset, in ascending order and in whole words. If 16-bit elements end in
    /// half a word, the other half is zero. What lies between slices is arbitrary.
    ///
    /// What does not fit a chunk of staging memory is submitted in parts, with what the encoder holds.
    pub(super) async fn send(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        target: &wgpu::Buffer,
        slices: &[(u64, Slice<'_>)],
    ) -> Result<()> {
        let end = |(offset, slice): &(u64, Slice<'_>)| *offset as usize + slice.bytes().len().next_multiple_of(4);
        let size = slices.last().map_or(0, end);
        for start in (0..size).step_by(CHUNK) {
            if start > 0 {
                self.gpu.submit_so_far(encoder)?;
            }
            let len = CHUNK.min(size - start);
            let at = self.up.take(self.gpu)?;
            if let Some(mapping) = self.up.buffers[at].mapping.take() {
                mapping.done(self.gpu, self.wait).await?;
            }
            let stage = &mut self.up.buffers[at];
            write(self.gpu, &stage.buffer, start..start + len, slices)?;
            encoder.copy_buffer_to_buffer(&stage.buffer, 0, target, start as u64, len as u64);
            stage.mapping = Some(self.gpu.map_on_submit(encoder, &stage.buffer, wgpu::MapMode::Write));
        }
        Ok(())
    }

    /// Copies the first bytes of a buffer, whole words, to the end of the output.
    pub(super) async fn fetch(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        source: &wgpu::Buffer,
        size: usize,
    ) -> Result<()> {
        for start in (0..size).step_by(CHUNK) {
            if start > 0 {
                self.gpu.submit_so_far(encoder)?;
            }
            let len = CHUNK.min(size - start);
            let at = self.down.take(self.gpu)?;
            self.collect(at).await?;
            let stage = &mut self.down.buffers[at];
            encoder.copy_buffer_to_buffer(source, start as u64, &stage.buffer, 0, len as u64);
            stage.mapping = Some(self.gpu.map_on_submit(encoder, &stage.buffer, wgpu::MapMode::Read));
            stage.written = len;
        }
        Ok(())
    }

    /// The output, when all of it is back. Everything must be submitted.
    pub(super) async fn output(mut self) -> Result<Vec<u8>> {
        for turn in 0..self.down.buffers.len() {
            // The oldest first.
            self.collect((self.down.next + turn) % self.down.buffers.len()).await?;
        }
        Ok(self.output)
    }

    /// Waits until the device has written to a buffer, and takes what it holds.
    async fn collect(&mut self, at: usize) -> Result<()> {
        let stage = &mut self.down.buffers[at];
        let Some(mapping) = stage.mapping.take() else { return Ok(()) };
        mapping.done(self.gpu, self.wait).await?;
        // Mapped memory of a destroyed or lost device cannot be trusted.
        self.gpu.lives()?;
        let mapped = self.gpu.guarded(|| stage.buffer.get_mapped_range(..stage.written as u64))?;
        self.output.extend_from_slice(&mapped.map_err(|error| Error::Device(error.to_string()))?);
        stage.buffer.unmap();
        Ok(())
    }
}

impl Turns {
    /// The index of the buffer whose turn it is.
    fn take(&mut self, gpu: &Gpu) -> Result<usize> {
        let at = self.next;
        self.next = (at + 1) % self.most;
        if at == self.buffers.len() {
            let Turns { usage, size, .. } = *self;
            let mapped_at_creation = usage.contains(wgpu::BufferUsages::MAP_WRITE);
            let label = Some("penalty staging");
            let buffer = gpu.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation })?;
            self.buffers.push(Stage { buffer, mapping: None, written: 0 });
        }
        Ok(at)
    }
}

/// Writes the part of these slices that lies in a range of bytes to the beginning of a mapped buffer, and unmaps it.
fn write(gpu: &Gpu, buffer: &wgpu::Buffer, range: Range<usize>, slices: &[(u64, Slice<'_>)]) -> Result<()> {
    let mapped = gpu.guarded(|| buffer.get_mapped_range_mut(..range.len() as u64))?;
    let mut mapped = mapped.map_err(|error| Error::Device(error.to_string()))?;
    for (offset, slice) in slices {
        let (offset, bytes) = (*offset as usize, slice.bytes());
        let (start, end) = (offset.max(range.start), (offset + bytes.len()).min(range.end));
        if start >= end {
            continue;
        }
        mapped.slice(start - range.start..end - range.start).copy_from_slice(&bytes[start - offset..end - offset]);
        let whole = end.next_multiple_of(4);
        mapped.slice(end - range.start..whole - range.start).fill(0);
    }
    drop(mapped);
    buffer.unmap();
    Ok(())
}
