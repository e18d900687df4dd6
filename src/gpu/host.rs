//! Host slices on the device: there and back in chunks of bounded size.

use super::Gpu;
use super::layout::{Located, Placement};
use super::recorder::{Step, once};
use crate::backend::{Patience, Update, segment};
use crate::element::Element;
use crate::exact::Partial;
use crate::plan::{Name, Operation};
use crate::tile::TILE;
use crate::{Penalty, Result};

/// How many bytes of weights are on the device at a time; a multiple of a tile of any type.
const CHUNK: usize = 32 << 20;

/// A part of a slice in the chunk's buffer.
struct Piece {
    slice: usize,
    start: usize,
    len: usize,
    offset: u64,
}

impl Gpu {
    /// One partial a slice, which errors call by this name. Small slices share a chunk, and hence a dispatch; a large one takes many.
    pub(crate) async fn partials<E: Element>(
        &self,
        penalty: &Penalty,
        slices: &[&[E]],
        penalty_weights: &[&[E]],
        name: fn(usize) -> Name,
        patience: Patience,
    ) -> Result<Vec<Partial>> {
        let mut partials = vec![Partial::default(); slices.len()];
        let chunks = pack(slices, penalty.groups().is_some());
        let largest = chunks.iter().flatten().map(|p| p.offset + bytes_of::<E>(p.len)).max().unwrap_or(0);
        if largest == 0 {
            return Ok(partials);
        }
        let buffer = self.storage_buffer("penalty weights", largest)?;
        let own_buffer = match penalty_weights {
            [] => None,
            _ => Some(self.storage_buffer("penalty weights of elements", largest)?),
        };
        for pieces in &chunks {
            let mut located = Vec::with_capacity(pieces.len());
            let mut own_located = Vec::new();
            let mut segments = Vec::with_capacity(pieces.len());
            for piece in pieces {
                let weights = &slices[piece.slice][piece.start..piece.start + piece.len];
                self.write(&buffer, piece.offset, weights)?;
                located.push(Located { buffer: buffer.clone(), offset: piece.offset });
                if let (Some(own), Some(buffer)) = (penalty_weights.get(piece.slice), &own_buffer) {
                    self.write(buffer, piece.offset, &own[piece.start..piece.start + piece.len])?;
                    own_located.push(Some(Located { buffer: buffer.clone(), offset: piece.offset }));
                }
                segments.push(segment(weights, penalty, name(piece.slice)));
            }
            let pending = self.submit(|gpu, encoder| {
                let placement = Placement { roles: [Some(&located), None, None, None], penalty_weights: &own_located };
                once(gpu, encoder, (Operation::Evaluate, true), &gpu.plan(segments), &placement, &Step::NONE)
            })?;
            for (piece, (partial, _)) in pieces.iter().zip(pending.partials(patience).await?) {
                partials[piece.slice].merge(&partial);
            }
        }
        Ok(partials)
    }

    /// A gradient or a prox of host slices, in memory of its own: the caller's slices change when all of it is there, or not at all.
    /// `existing` is what a gradient is added to.
    pub(crate) async fn update<E: Element>(
        &self,
        update: &Update<'_, E>,
        source: &[E],
        existing: &[E],
        patience: Patience,
    ) -> Result<(Vec<E>, Partial)> {
        let (penalty, penalty_weights) = update.weighted.parts()?;
        let mut total = Partial::default();
        let mut output = vec![E::zeroed(); source.len()];
        if output.is_empty() {
            return Ok((output, total));
        }
        let step = Step { size: update.step, ..Step::NONE };
        let chunk = if penalty.groups().is_some() { output.len() } else { CHUNK / size_of::<E>() };
        let size = bytes_of::<E>(chunk.min(output.len()));
        let buffer = self.storage_buffer("penalty weights", size)?;
        let sum_buffer = match update.operation {
            Operation::AddGradient => Some(self.storage_buffer("penalty weights", size)?),
            _ => None,
        };
        let own_buffer = match penalty_weights {
            None => None,
            Some(_) => Some(self.storage_buffer("penalty weights of elements", size)?),
        };
        for (i, output) in output.chunks_mut(chunk).enumerate() {
            let part = i * chunk..i * chunk + output.len();
            self.write(&buffer, 0, &source[part.clone()])?;
            if let Some(buffer) = &sum_buffer {
                self.write(buffer, 0, &existing[part.clone()])?;
            }
            if let (Some(own), Some(buffer)) = (penalty_weights, &own_buffer) {
                self.write(buffer, 0, &own[part])?;
            }
            let located = |buffer: &wgpu::Buffer| Located { buffer: buffer.clone(), offset: 0 };
            let weights = [located(&buffer)];
            let result = [located(sum_buffer.as_ref().unwrap_or(&buffer))];
            let own = own_buffer.as_ref().map(located);
            let placement = Placement { roles: [Some(&weights), Some(&result), None, None], penalty_weights: &[own] };
            let plan = self.plan(vec![segment(output, penalty, Name::Alone)]);
            let pending = self
                .submit(|gpu, encoder| once(gpu, encoder, (update.operation, update.sums), &plan, &placement, &step))?;
            if update.sums {
                for (partial, _) in pending.partials(patience).await? {
                    total.merge(&partial);
                }
            }
            let size = bytes_of::<E>(output.len());
            let bytes = self.read_buffer(&result[0].buffer, size, patience).await?;
            let output: &mut [u8] = bytemuck::cast_slice_mut(output);
            output.copy_from_slice(&bytes[..output.len()]);
        }
        Ok((output, total))
    }

    /// Writes weights at an offset, whole words at a time: half a word that 16-bit weights leave over is zero.
    pub(super) fn write<E: Element>(&self, buffer: &wgpu::Buffer, offset: u64, weights: &[E]) -> Result<()> {
        let bytes: &[u8] = bytemuck::cast_slice(weights);
        let (words, rest) = bytes.split_at(bytes.len() / 4 * 4);
        self.guarded(|| {
            if !words.is_empty() {
                self.queue().write_buffer(buffer, offset, words);
            }
            if !rest.is_empty() {
                let mut word = [0; 4];
                word[..rest.len()].copy_from_slice(rest);
                self.queue().write_buffer(buffer, offset + words.len() as u64, &word);
            }
        })
    }

    /// Records into an encoder of our own and submits it.
    pub(super) fn submit<R>(&self, record: impl FnOnce(&Gpu, &mut wgpu::CommandEncoder) -> Result<R>) -> Result<R> {
        let mut encoder =
            self.guarded(|| self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default()))?;
        let recorded = record(self, &mut encoder)?;
        self.guarded(|| self.queue().submit([encoder.finish()]))?;
        Ok(recorded)
    }
}

/// The bytes of so many elements, in whole words.
fn bytes_of<E: Element>(len: usize) -> u64 {
    (len as u64 * size_of::<E>() as u64).next_multiple_of(4)
}

/// Cuts slices, unless they must stay whole, into pieces that start on tile boundaries, and fills chunks with them; each piece is
/// aligned to 16 bytes.
fn pack<E: Element>(slices: &[&[E]], whole: bool) -> Vec<Vec<Piece>> {
    let mut chunks = vec![Vec::new()];
    let mut used = 0;
    for (slice, weights) in slices.iter().enumerate() {
        let mut start = 0;
        while start < weights.len() {
            let room = CHUNK.saturating_sub(used) / size_of::<E>();
            let left = weights.len() - start;
            let len = match whole {
                _ if left <= room => left,
                true if used == 0 => left,
                true => 0,
                false => room / TILE * TILE,
            };
            match chunks.last_mut() {
                Some(chunk) if len > 0 => chunk.push(Piece { slice, start, len, offset: used as u64 }),
                _ => {
                    chunks.push(Vec::new());
                    used = 0;
                    continue;
                }
            }
            used = (used + len * size_of::<E>()).next_multiple_of(16);
            start += len;
        }
    }
    chunks
}
