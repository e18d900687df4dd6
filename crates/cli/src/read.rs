//! Streams the weights of tensors from their files, in chunks that start on tile boundaries.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::IsTerminal;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Backend, Element, Penalty, Slice, Weighted};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use crate::checkpoint::Tensor;
use crate::error::{Error, Result};
use crate::number::Type;
use crate::sums::{self, Summed};
use crate::{groups, layout, weights};

/// The number of weights that a thread reads and sums at a time. They stay in the second-level cache in between, and
/// are few enough for the library to sum them on the calling thread.
pub(crate) const CPU_CHUNK: u64 = 64 * TILE as u64;
/// The number of weights sent to a device at a time.
pub(crate) const DEVICE_CHUNK: u64 = 2048 * TILE as u64;
/// The number of chunks summed before their partial sums are merged.
const WAVE: usize = 1024;
/// Work that takes longer than this shows a progress bar.
const LONG: Duration = Duration::from_secs(1);

/// Part of a tensor: its weights `start` to `start + len`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) tensor: &'a Tensor,
    penalty: &'a Penalty,
    /// The tensor that holds a weighted penalty's element weights.
    element_weights: Option<&'a Tensor>,
    index: usize,
    start: u64,
    len: u64,
    /// Whether the chunk's weights are in row-major order, else in column-major order. `start` counts in the same
    /// order.
    row_major: bool,
}

/// Buffers that chunks are read into. They hold words, so that every type is aligned.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) theta: Vec<u64>,
    /// The element weights, in the tensor's type.
    element_weights: Vec<u64>,
    /// The element weights in their file's type, before conversion.
    stored: Vec<u64>,
}

impl<'a> Chunk<'a> {
    /// A range of a tensor's weights, in row-major order. That of a file in another order is the whole tensor.
    pub(crate) fn new(index: usize, tensor: &'a Tensor, penalty: &'a Penalty, range: Range<u64>) -> Chunk<'a> {
        let (start, len) = (range.start, range.end - range.start);
        Chunk { tensor, penalty, element_weights: None, index, start, len, row_major: true }
    }

    /// The weights that were read, as the library takes them; `None` if they are `f64`.
    pub(crate) fn slice<'h>(&self, held: &'h Held) -> Option<Slice<'h>> {
        fn of<'h, E: Element>(bytes: &'h [u8]) -> Slice<'h> {
            bytemuck::cast_slice::<u8, E>(bytes).into()
        }
        let bytes = self.theta(held);
        Some(match self.tensor.dtype {
            Type::F32 => of::<f32>(bytes),
            Type::F16 => of::<f16>(bytes),
            Type::BF16 => of::<bf16>(bytes),
            Type::F64 => return None,
        })
    }

    /// Their bytes.
    pub(crate) fn theta<'h>(&self, held: &'h Held) -> &'h [u8] {
        &bytemuck::cast_slice(&held.theta)[..self.bytes()]
    }

    pub(crate) fn theta_mut<'h>(&self, held: &'h mut Held) -> &'h mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut held.theta)[..self.bytes()]
    }
}

impl Chunk<'_> {
    /// How many bytes its weights have once they are read.
    pub(crate) fn bytes(&self) -> usize {
        self.len as usize * self.tensor.dtype.size()
    }

    /// How many bytes the file has of it.
    pub(crate) fn file_bytes(&self) -> usize {
        (self.len * self.tensor.weight_bytes()) as usize
    }

    /// Reads the chunk.
    pub(crate) fn read(&self, held: &mut Held) -> Result<()> {
        self.read_of(self.tensor, &mut held.theta)?;
        match self.element_weights {
            None => Ok(()),
            Some(tensor) if tensor.dtype == self.tensor.dtype => self.read_of(tensor, &mut held.element_weights),
            Some(tensor) => {
                self.read_of(tensor, &mut held.stored)?;
                let (stored, bytes) = (self.len as usize * tensor.dtype.size(), self.bytes());
                let stored = &bytemuck::cast_slice(&held.stored)[..stored];
                held.element_weights.resize(bytes.div_ceil(8), 0);
                let converted = &mut bytemuck::cast_slice_mut(&mut held.element_weights)[..bytes];
                weights::convert((tensor.dtype, stored), (self.tensor.dtype, converted));
                Ok(())
            }
        }
    }

    /// Reads the chunk's range of a tensor, in the chunk's order.
    fn read_of(&self, tensor: &Tensor, words: &mut Vec<u64>) -> Result<()> {
        let bytes = self.len as usize * tensor.dtype.size();
        words.resize(bytes.div_ceil(8), 0);
        let target = &mut bytemuck::cast_slice_mut(words)[..bytes];
        let offset = tensor.offset + self.start * tensor.weight_bytes();
        if let Some(float8) = tensor.float8 {
            let mut codes = vec![0; self.len as usize];
            tensor.source.read_at(&mut codes, offset)?;
            let decoded = bytemuck::cast_slice_mut::<u64, u32>(words);
            decoded.iter_mut().zip(codes).for_each(|(word, code)| *word = float8.decode(code));
            return Ok(());
        }
        if tensor.row_major == self.row_major {
            tensor.source.read_at(target, offset)?;
        } else {
            let mut stored = vec![0; bytes];
            tensor.source.read_at(&mut stored, offset)?;
            layout::reorder(tensor.dtype, &tensor.shape, self.row_major, &stored, target);
        }
        if tensor.swapped {
            layout::swap_bytes(tensor.dtype, target);
        }
        Ok(())
    }

    /// The chunk's weights in the order and byte order of their file.
    pub(crate) fn stored<'a>(&self, held: &'a Held) -> Cow<'a, [u8]> {
        let tensor = self.tensor;
        if let Some(float8) = tensor.float8 {
            let decoded = &bytemuck::cast_slice::<u64, u32>(&held.theta)[..self.len as usize];
            return decoded.iter().map(|bits| float8.encode(*bits)).collect();
        }
        let mut stored = Cow::Borrowed(&bytemuck::cast_slice(&held.theta)[..self.bytes()]);
        if tensor.row_major != self.row_major {
            let mut reordered = vec![0; self.bytes()];
            layout::reorder(tensor.dtype, &tensor.shape, tensor.row_major, &stored, &mut reordered);
            stored = reordered.into();
        }
        if tensor.swapped {
            layout::swap_bytes(tensor.dtype, stored.to_mut());
        }
        stored
    }

    /// The exact sums of the chunk, including those that its penalty's value needs.
    pub(crate) fn sums(&self, backend: &Backend, held: &Held) -> Result<Summed> {
        fn of<E: Element>(chunk: &Chunk<'_>, backend: &Backend, held: &Held) -> Result<Summed> {
            let bytes: &[u8] = &bytemuck::cast_slice(&held.theta)[..chunk.bytes()];
            let weighted = chunk.weighted::<E>(&held.element_weights)?;
            // A chunk for a group penalty has whole groups, so it is a tensor to them.
            let start = if groups::are_taken_by(chunk.penalty) { 0 } else { chunk.start };
            let partial = backend.partial_for(weighted, start, bytemuck::cast_slice(bytes))?;
            Ok(Summed::Library(Box::new(partial)))
        }
        match self.tensor.dtype {
            Type::F32 => of::<f32>(self, backend, held),
            Type::F16 => of::<f16>(self, backend, held),
            Type::BF16 => of::<bf16>(self, backend, held),
            Type::F64 => Summed::of_f64(self.penalty, bytemuck::cast_slice(self.theta(held))),
        }
    }

    /// Replaces the chunk's weights by their prox.
    pub(crate) fn prox(&self, backend: &Backend, step: f64, held: &mut Held) -> Result<()> {
        fn of<E: Element>(
            chunk: &Chunk<'_>,
            backend: &Backend,
            step: f64,
            Held { theta, element_weights, .. }: &mut Held,
        ) -> Result<()> {
            let bytes: &mut [u8] = &mut bytemuck::cast_slice_mut(theta)[..chunk.bytes()];
            let weighted = chunk.weighted::<E>(element_weights)?;
            Ok(backend.prox_in_place(weighted, bytemuck::cast_slice_mut(bytes), step)?)
        }
        match self.tensor.dtype {
            Type::F32 => of::<f32>(self, backend, step, held),
            Type::F16 => of::<f16>(self, backend, step, held),
            Type::BF16 => of::<bf16>(self, backend, step, held),
            Type::F64 => sums::prox_f64(self.penalty, step, bytemuck::cast_slice_mut(self.theta_mut(held))),
        }
    }

    /// The penalty combined with the chunk's element weights.
    fn weighted<'a, E: Element>(&'a self, element_weights: &'a [u64]) -> Result<Weighted<'a, [E]>> {
        let Some(tensor) = self.element_weights else { return Ok(self.penalty.into()) };
        let bytes: &[u8] = &bytemuck::cast_slice(element_weights)[..self.bytes()];
        self.penalty.with_element_weights(bytemuck::cast_slice(bytes)).map_err(|error| match error {
            penalty::Error::ElementWeight { index, found } => {
                let at = self.start + index;
                let index = if self.row_major { at } else { layout::row_major_place(&tensor.shape, at) };
                let error = penalty::Error::ElementWeight { index, found };
                Error::file(&tensor.source.path, format!("its tensor {:?}: {error}", tensor.name))
            }
            error => error.into(),
        })
    }
}

/// The chunks of a tensor, in order, each with at most `size` weights: whole tiles, or more if that is needed.
///
/// A non-separable penalty takes whole groups, in row-major order. A separable penalty takes the weights in their file's
/// order. Its element weights may be stored in the other order; they must then be reordered, which needs the whole tensor.
pub(crate) fn chunks_of<'a>(
    index: usize,
    tensor: &'a Tensor,
    penalty: &'a Penalty,
    element_weights: Option<&'a Tensor>,
    size: u64,
) -> impl Iterator<Item = Chunk<'a>> {
    let together = groups::are_taken_by(penalty);
    let row_major = together || tensor.row_major;
    let reordered =
        row_major != tensor.row_major || element_weights.is_some_and(|tensor| tensor.row_major != row_major);
    let size = match penalty.groups().map(|groups| groups.period(tensor.len)) {
        _ if reordered => u64::MAX,
        None => size,
        Some(Ok(period)) => multiple(period, tensor.dtype).map_or(u64::MAX, |unit| (size / unit).max(1) * unit),
        // It was checked before that groups cover the tensor.
        Some(Err(_)) => u64::MAX,
    };
    let starts = (0..tensor.len.div_ceil(size)).map(move |i| i * size);
    starts.map(move |start| {
        let len = size.min(tensor.len - start);
        Chunk { tensor, penalty, element_weights, index, start, len, row_major }
    })
}

/// The least number of weights that are whole groups and, for the library's sums, whole tiles; `None` if there is none that is
/// small.
fn multiple(period: u64, dtype: Type) -> Option<u64> {
    const SMALL: u64 = 1 << 24;
    let tile = if dtype == Type::F64 { 1 } else { TILE as u64 };
    // A tile has a power of two of weights.
    let shared = 1 << period.trailing_zeros().min(tile.trailing_zeros());
    (1..=SMALL).contains(&period).then(|| period * (tile / shared)).filter(|unit| *unit <= SMALL)
}

/// The exact sums of every tensor, including those that its penalty's value needs. `element_weights` is empty,
/// or has one entry for each tensor.
pub(crate) fn sums(
    backend: &Backend,
    penalties: &[Penalty],
    tensors: &[Tensor],
    element_weights: &[Tensor],
) -> Result<Vec<Summed>> {
    let progress = Progress::new(tensors.iter().map(Tensor::bytes).sum());
    let mut all = vec![Summed::default(); tensors.len()];
    let chunks = |size| {
        let each = tensors.iter().zip(penalties).enumerate();
        each.flat_map(|(i, (tensor, penalty))| chunks_of(i, tensor, penalty, element_weights.get(i), size))
            .collect::<Vec<_>>()
    };
    match backend {
        Backend::Gpu(_) => on_device(backend, &chunks(DEVICE_CHUNK), &mut all, &progress),
        _ => on_threads(backend, &chunks(CPU_CHUNK), &mut all, &progress),
    }?;
    Ok(all)
}

/// Each thread reads a chunk and sums it while it is in that thread's cache. Little work is this thread's alone.
fn on_threads(backend: &Backend, chunks: &[Chunk<'_>], all: &mut [Summed], progress: &Progress) -> Result<()> {
    thread_local! {
        static HELD: Cell<Option<Held>> = const { Cell::new(None) };
    }
    if chunks.iter().map(|chunk| chunk.len).sum::<u64>() <= CPU_CHUNK {
        // Starting a thread for each processor takes longer than this work. If there are threads already, they stay.
        let _ = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
    }
    for wave in chunks.chunks(WAVE) {
        let sums: Result<Vec<Summed>> = wave
            .par_iter()
            .map(|chunk| {
                // We take the buffer instead of borrowing it: a thread that waits inside the library may meanwhile be
                // given another chunk.
                let mut held = HELD.take().unwrap_or_default();
                let sums = chunk.read(&mut held).and_then(|()| chunk.sums(backend, &held));
                HELD.set(Some(held));
                progress.add(chunk.file_bytes());
                sums
            })
            .collect();
        for (chunk, sum) in wave.iter().zip(sums?) {
            all[chunk.index].merge(&sum);
        }
    }
    Ok(())
}

/// One thread reads the next chunk while the device sums this one.
fn on_device(backend: &Backend, chunks: &[Chunk<'_>], all: &mut [Summed], progress: &Progress) -> Result<()> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        scope.spawn(|| {
            let sender = sender;
            for chunk in chunks {
                let mut held = Held::default();
                let read = chunk.read(&mut held).map(|()| held);
                // After an error nobody receives, so we stop reading.
                if sender.send((chunk, read)).is_err() {
                    return;
                }
            }
        });
        for (chunk, held) in receiver {
            all[chunk.index].merge(&chunk.sums(backend, &held?)?);
            progress.add(chunk.file_bytes());
        }
        Ok(())
    })
}

/// A progress bar on standard error, shown if that is a terminal and the work takes long.
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
