//! Slices of host memory on the device: they travel there and back in chunks of bounded size.
//! Group penalties need whole tensors, which may be larger.

use std::collections::VecDeque;

use super::device::Gpu;
use super::operand::Located;
use super::placement::Placement;
use super::readback::Recorded;
use super::recorder::{Step, once};
use super::reuse::Single;
use super::staging::{CHUNK, Staging, UNDER_WAY};
use super::wait::WaitMode;
use crate::Result;
use crate::numeric::slice::{Slice, SliceMut};
use crate::numeric::tile::TILE;
use crate::plan::Segment;
use crate::plan::coefficients::CoefficientRecord;
use crate::plan::operation::Operation;
use crate::plan::penalties::Penalties;
use crate::report::partial::Partial;
use crate::slices::{Slices, Tensor, Update};

/// A part of a tensor in the chunk's buffer.
struct Piece {
    tensor: usize,
    start: usize,
    len: usize,
    offset: u64,
}

/// A device, and how a call waits for its answers.
pub(crate) struct Waited<'a> {
    pub(crate) gpu: &'a Gpu,
    pub(crate) wait: WaitMode,
}

impl Slices for Waited<'_> {
    /// Small tensors share a chunk, and hence a dispatch; a large one takes many.
    async fn partials(&self, tensors: &[Tensor<'_>]) -> Result<Vec<Partial>> {
        let segments = Tensor::accept_all(tensors)?.segments;
        for tensor in tensors {
            self.gpu.check_once(tensor.penalty, self.wait).await?;
        }
        self.gpu.partials(tensors, &segments, self.wait).await
    }

    async fn update(&self, update: &Update<'_>, source: Option<Slice<'_>>, output: SliceMut<'_>) -> Result<Partial> {
        let (segment, coefficients) = update.accept(source, output.as_slice())?;
        self.gpu.check_once(update.penalty, self.wait).await?;
        if !update.sums && CoefficientRecord::untouched(&coefficients) {
            if let (Operation::Prox, Some(source)) = (update.operation, source) {
                output.into_bytes().copy_from_slice(source.bytes());
            }
            return Ok(Partial::default());
        }
        let source = source.unwrap_or(output.as_slice());
        let (result, partial) = self.gpu.update(update, &segment, source, output.as_slice(), self.wait).await?;
        // Nothing waits or fails from here on.
        output.into_bytes().copy_from_slice(&result);
        Ok(partial)
    }
}

impl Gpu {
    /// One partial for each tensor. Custom penalties must have been checked before.
    pub(super) async fn partials(
        &self,
        tensors: &[Tensor<'_>],
        segments: &[Segment],
        wait: WaitMode,
    ) -> Result<Vec<Partial>> {
        let mut sums = Sums::new(tensors.len(), wait);
        let chunks = pack(tensors);
        let end = |piece: &Piece| piece.offset + bytes_of(&tensors[piece.tensor].weights, piece.len);
        let largest = chunks.iter().flatten().map(end).max().unwrap_or(0);
        if largest == 0 {
            return sums.all().await;
        }
        let buffer = self.storage_buffer("penalty weights", largest)?;
        let element_weight_buffer = if tensors.iter().any(|tensor| tensor.element_weights.is_some()) {
            Some(self.storage_buffer("penalty element weights", largest)?)
        } else {
            None
        };
        let mut staging = Staging::new(self, wait, 1 + usize::from(element_weight_buffer.is_some()), largest, 0);
        for pieces in &chunks {
            let part = |piece: &Piece| piece.start..piece.start + piece.len;
            let weights = |piece: &Piece| (piece.offset, tensors[piece.tensor].weights.part(part(piece)));
            let element_weights =
                |piece: &Piece| Some((piece.offset, tensors[piece.tensor].element_weights?.part(part(piece))));
            let weights: Vec<_> = pieces.iter().map(weights).collect();
            let element_weights: Vec<_> = pieces.iter().filter_map(element_weights).collect();
            let mut encoder = self.encoder()?;
            staging.send(&mut encoder, &buffer, &weights).await?;
            if let Some(buffer) = &element_weight_buffer {
                staging.send(&mut encoder, buffer, &element_weights).await?;
            }
            let recorded = self.record_pieces(
                &mut encoder,
                (tensors, segments),
                pieces,
                (&buffer, element_weight_buffer.as_ref()),
            )?;
            self.submit_so_far(&mut encoder)?;
            sums.add(pieces.iter().map(|piece| piece.tensor).collect(), recorded).await?;
        }
        sums.all().await
    }

    /// Records the evaluation of a chunk, whose pieces lie in these buffers.
    fn record_pieces(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        (tensors, segments): (&[Tensor<'_>], &[Segment]),
        pieces: &[Piece],
        (buffer, element_weight_buffer): (&wgpu::Buffer, Option<&wgpu::Buffer>),
    ) -> Result<Recorded> {
        let pass = (Operation::Evaluate, true);
        let located = |buffer: &wgpu::Buffer, piece: &Piece| Located { buffer: buffer.clone(), offset: piece.offset };
        let segment = |piece: &Piece| Segment { len: piece.len as u64, ..segments[piece.tensor].clone() };
        if let [piece] = pieces {
            let Tensor { penalty, element_weights, .. } = tensors[piece.tensor];
            let of_elements = element_weights.and(element_weight_buffer);
            let operands = [Some(buffer), None, of_elements].map(|buffer| buffer.map(|buffer| located(buffer, piece)));
            let single = Single::new(self, pass, (segment(piece), penalty), &operands, &Step::NONE)?;
            return single.record(self, encoder, &Step::NONE);
        }
        let weights: Vec<_> = pieces.iter().map(|piece| located(buffer, piece)).collect();
        let element_weights = |piece: &Piece| {
            tensors[piece.tensor].element_weights.and(element_weight_buffer).map(|buffer| located(buffer, piece))
        };
        let element_weights: Vec<_> = pieces.iter().map(element_weights).collect();
        let plan = self.plan(pieces.iter().map(segment).collect());
        let penalties = Penalties::new(pieces.iter().map(|piece| tensors[piece.tensor].penalty.clone()).collect());
        let placement = Placement { roles: [Some(&weights), None, None, None], element_weights: &element_weights };
        once(self, encoder, pass, (&plan, &penalties), &placement, &Step::NONE)
    }

    /// The bytes of a gradient or a prox, and the partial of the new weights if the update sums. A gradient may be
    /// added to `existing`.
    pub(super) async fn update(
        &self,
        update: &Update<'_>,
        segment: &Segment,
        source: Slice<'_>,
        existing: Slice<'_>,
        wait: WaitMode,
    ) -> Result<(Vec<u8>, Partial)> {
        if source.is_empty() {
            return Ok((Vec::new(), Partial::default()));
        }
        let step = Step { size: update.step, ..Step::NONE };
        let whole = update.penalty.groups().is_some();
        let chunk = if whole { source.len() } else { (CHUNK / source.dtype().size()).min(source.len()) };
        let size = bytes_of(&source, chunk);
        let buffer = self.storage_buffer("penalty weights", size)?;
        // A group penalty's value is found after the gradient is written, and still reads the weights. Without a value, the
        // result takes their place.
        let result_buffer = match update.operation {
            Operation::AddGradient => Some(self.storage_buffer("penalty weights", size)?),
            Operation::Gradient if update.sums => Some(self.storage_buffer("penalty weights", size)?),
            _ => None,
        };
        let element_weight_buffer = match update.element_weights {
            None => None,
            Some(_) => Some(self.storage_buffer("penalty element weights", size)?),
        };
        let located = |buffer: &wgpu::Buffer| Located { buffer: buffer.clone(), offset: 0 };
        let result = result_buffer.as_ref().unwrap_or(&buffer);
        let operands = [Some(&buffer), Some(result), element_weight_buffer.as_ref()].map(|buffer| buffer.map(located));
        let added = (update.operation == Operation::AddGradient).then_some(existing);
        // The arrays that travel to the device, each with its buffer.
        let arrays = [
            (Some(source), Some(&buffer)),
            (added, result_buffer.as_ref()),
            (update.element_weights, element_weight_buffer.as_ref()),
        ];
        let arrays: Vec<_> = arrays.into_iter().filter_map(|(slice, buffer)| Some((slice?, buffer?))).collect();
        let mut staging = Staging::new(self, wait, arrays.len(), size, bytes_of(&source, source.len()) as usize);
        let mut sums = Sums::new(1, wait);
        for start in (0..source.len()).step_by(chunk) {
            let part = start..source.len().min(start + chunk);
            let mut encoder = self.encoder()?;
            for (slice, buffer) in &arrays {
                staging.send(&mut encoder, buffer, &[(0, slice.part(part.clone()))]).await?;
            }
            let segment = Segment { len: part.len() as u64, ..segment.clone() };
            let pass = (update.operation, update.sums);
            let single = Single::new(self, pass, (segment, update.penalty), &operands, &step)?;
            let recorded = single.record(self, &mut encoder, &step)?;
            staging.fetch(&mut encoder, result, bytes_of(&source, part.len()) as usize).await?;
            self.submit_so_far(&mut encoder)?;
            if update.sums {
                sums.add(vec![0], recorded).await?;
            }
        }
        let partials = sums.all().await?;
        let mut output = staging.output().await?;
        output.truncate(source.bytes().len());
        Ok((output, partials.into_iter().next().unwrap_or_default()))
    }

    /// Writes weights at an offset, whole words at a time. If 16-bit weights end in half a word, the other half is
    /// zero.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, offset: u64, weights: Slice<'_>) -> Result<()> {
        let bytes = weights.bytes();
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

    /// Records into an encoder of the library's, and submits it.
    pub(super) fn submit<R>(&self, record: impl FnOnce(&Gpu, &mut wgpu::CommandEncoder) -> Result<R>) -> Result<R> {
        let mut encoder = self.encoder()?;
        let recorded = record(self, &mut encoder)?;
        self.guarded(|| self.queue().submit([encoder.finish()]))?;
        Ok(recorded)
    }

    pub(super) fn encoder(&self) -> Result<wgpu::CommandEncoder> {
        self.guarded(|| self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default()))
    }

    /// Submits what an encoder holds, and puts an empty one in its place.
    pub(super) fn submit_so_far(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        let full = std::mem::replace(encoder, self.encoder()?);
        self.guarded(|| self.queue().submit([full.finish()]))?;
        Ok(())
    }
}

/// Each tensor's sums, of the chunks that are done. Those of later chunks are under way.
struct Sums {
    wait: WaitMode,
    partials: Vec<Partial>,
    /// The tensor of each piece, and where their sums come from.
    under_way: VecDeque<(Vec<usize>, Recorded)>,
}

impl Sums {
    fn new(tensors: usize, wait: WaitMode) -> Sums {
        Sums { wait, partials: vec![Partial::default(); tensors], under_way: VecDeque::with_capacity(UNDER_WAY) }
    }

    /// Adds a chunk that is submitted. If too many are under way, this waits for the oldest.
    async fn add(&mut self, tensors: Vec<usize>, recorded: Recorded) -> Result<()> {
        if self.under_way.len() == UNDER_WAY {
            self.merge_oldest().await?;
        }
        self.under_way.push_back((tensors, recorded));
        Ok(())
    }

    async fn merge_oldest(&mut self) -> Result<()> {
        let Some((tensors, recorded)) = self.under_way.pop_front() else { return Ok(()) };
        for (tensor, (partial, _)) in tensors.into_iter().zip(recorded.partials(self.wait).await?) {
            self.partials[tensor].merge(&partial);
        }
        Ok(())
    }

    async fn all(mut self) -> Result<Vec<Partial>> {
        while !self.under_way.is_empty() {
            self.merge_oldest().await?;
        }
        Ok(self.partials)
    }
}

/// The bytes of this many elements of a slice's type, in whole words.
fn bytes_of(slice: &Slice<'_>, len: usize) -> u64 {
    (len as u64 * slice.dtype().size() as u64).next_multiple_of(4)
}

/// Cuts tensors into pieces that start on tile boundaries, and fills chunks with them. Tensors of group penalties stay
/// whole. Each piece is aligned to 16 bytes.
fn pack(tensors: &[Tensor<'_>]) -> Vec<Vec<Piece>> {
    let mut chunks = vec![Vec::new()];
    let mut used = 0;
    for (at, Tensor { weights, penalty, .. }) in tensors.iter().enumerate() {
        let (whole, size) = (penalty.groups().is_some(), weights.dtype().size());
        let mut start = 0;
        while start < weights.len() {
            let room = CHUNK.saturating_sub(used) / size;
            let left = weights.len() - start;
            let len = match whole {
                _ if left <= room => left,
                true if used == 0 => left,
                true => 0,
                false => room / TILE * TILE,
            };
            match chunks.last_mut() {
                Some(chunk) if len > 0 => chunk.push(Piece { tensor: at, start, len, offset: used as u64 }),
                _ => {
                    chunks.push(Vec::new());
                    used = 0;
                    continue;
                }
            }
            used = (used + len * size).next_multiple_of(16);
            start += len;
        }
    }
    chunks
}
