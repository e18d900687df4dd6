//! The weights of tensors, streamed from their files in chunks that start on tile boundaries.

use std::cell::Cell;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use penalty::half::{bf16, f16};
use penalty::{Backend, Dtype, Element, Partial, Penalty, TILE};
use rayon::prelude::*;

use crate::checkpoint::Tensor;
use crate::error::{Error, Result};

/// How many weights a thread reads and sums at a time: they stay in the processor's second cache in between, and are few enough
/// for the library to sum them on the calling thread.
const CPU_CHUNK: u64 = 64 * TILE as u64;
/// How many weights travel to a device at a time.
pub(crate) const DEVICE_CHUNK: u64 = 2048 * TILE as u64;
/// How many chunks are summed before their partials are merged.
const WAVE: usize = 1024;
/// After this long a progress bar is worth its space.
const LONG: Duration = Duration::from_secs(1);

/// Weights of one tensor: elements `start` to `start + len`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) tensor: &'a Tensor,
    index: usize,
    start: u64,
    len: u64,
}

impl Chunk<'_> {
    pub(crate) fn bytes(&self) -> usize {
        self.len as usize * self.tensor.dtype.size()
    }

    /// Reads the chunk into a buffer of words, which any of the types is aligned in.
    pub(crate) fn read(&self, words: &mut Vec<u32>) -> Result<()> {
        let bytes = self.bytes();
        words.resize(bytes.div_ceil(4), 0);
        let offset = self.tensor.offset + self.start * self.tensor.dtype.size() as u64;
        self.tensor.source.read_at(&mut bytemuck::cast_slice_mut(words)[..bytes], offset)
    }

    pub(crate) fn partial(&self, backend: &Backend, penalty: &Penalty, words: &[u32]) -> Result<Partial> {
        let bytes: &[u8] = &bytemuck::cast_slice(words)[..self.bytes()];
        fn of<E: Element>(backend: &Backend, penalty: &Penalty, start: u64, bytes: &[u8]) -> penalty::Result<Partial> {
            backend.partial_for::<E>(penalty, start, bytemuck::cast_slice(bytes))
        }
        Ok(match self.tensor.dtype {
            Dtype::F32 => of::<f32>(backend, penalty, self.start, bytes),
            Dtype::F16 => of::<f16>(backend, penalty, self.start, bytes),
            Dtype::BF16 => of::<bf16>(backend, penalty, self.start, bytes),
        }?)
    }
}

/// The chunks of tensors, in order, each of at most `size` weights: whole tiles.
pub(crate) fn chunks(tensors: &[Tensor], size: u64) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    for (index, tensor) in tensors.iter().enumerate() {
        let starts = (0..tensor.len.div_ceil(size)).map(|i| i * size);
        chunks.extend(starts.map(|start| Chunk { tensor, index, start, len: size.min(tensor.len - start) }));
    }
    chunks
}

/// The exact statistics of every tensor, with what the penalty's value needs.
pub(crate) fn partials(backend: &Backend, penalty: &Penalty, tensors: &[Tensor]) -> Result<Vec<Partial>> {
    let progress = Progress::new(tensors.iter().map(Tensor::bytes).sum());
    match backend {
        Backend::Gpu(_) => on_device(backend, penalty, tensors, &progress),
        _ => on_threads(backend, penalty, tensors, &progress),
    }
}

/// Each thread reads chunks of its own and sums them while they are in its cache.
fn on_threads(backend: &Backend, penalty: &Penalty, tensors: &[Tensor], progress: &Progress) -> Result<Vec<Partial>> {
    thread_local! {
        static WORDS: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
    }
    let mut partials = vec![Partial::default(); tensors.len()];
    for wave in chunks(tensors, CPU_CHUNK).chunks(WAVE) {
        let sums: Result<Vec<Partial>> = wave
            .par_iter()
            .map(|chunk| {
                // Taken, not borrowed: a thread that waits inside the library may be handed another chunk meanwhile.
                let mut words = WORDS.take();
                let partial = chunk.read(&mut words).and_then(|()| chunk.partial(backend, penalty, &words));
                WORDS.set(words);
                progress.add(chunk.bytes());
                partial
            })
            .collect();
        for (chunk, sum) in wave.iter().zip(sums?) {
            partials[chunk.index].merge(&sum);
        }
    }
    Ok(partials)
}

/// One thread reads the next chunk while the device sums this one.
fn on_device(backend: &Backend, penalty: &Penalty, tensors: &[Tensor], progress: &Progress) -> Result<Vec<Partial>> {
    let mut partials = vec![Partial::default(); tensors.len()];
    let chunks = chunks(tensors, DEVICE_CHUNK);
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        scope.spawn(|| {
            let sender = sender;
            for chunk in &chunks {
                let mut words = Vec::new();
                let read = chunk.read(&mut words).map(|()| words);
                // Nobody receives any more after an error: then there is nothing to read for.
                if sender.send((chunk, read)).is_err() {
                    return;
                }
            }
        });
        for (chunk, words) in receiver {
            partials[chunk.index].merge(&chunk.partial(backend, penalty, &words?)?);
            progress.add(chunk.bytes());
        }
        Ok::<(), Error>(())
    })?;
    Ok(partials)
}

/// A progress bar on standard error, where that is a terminal and the work is long.
pub(crate) struct Progress {
    started: Instant,
    total: u64,
    done: AtomicU64,
    bar: OnceLock<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(total: u64) -> Progress {
        Progress { started: Instant::now(), total, done: AtomicU64::new(0), bar: OnceLock::new() }
    }

    pub(crate) fn add(&self, bytes: usize) {
        let done = self.done.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if self.bar.get().is_none() && (self.started.elapsed() < LONG || !std::io::stderr().is_terminal()) {
            return;
        }
        let bar = self.bar.get_or_init(|| {
            let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}");
            ProgressBar::new(self.total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
