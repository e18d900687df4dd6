//! Slices of host memory on the device: they travel there and back in chunks of bounded size.

use super::device::Gpu;
use super::operand::Located;
use super::placement::Placement;
use super::recorder::{Step, once};
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

/// How many bytes of weights are on the device at a time: a multiple of a tile of any type. Group penalties need whole
/// tensors, which may be larger.
const CHUNK: usize = 32 << 20;

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
        let mut partials = vec![Partial::default(); tensors.len()];
        let chunks = pack(tensors);
        let end = |piece: &Piece| piece.offset + bytes_of(&tensors[piece.tensor].weights, piece.len);
        let largest = chunks.iter().flatten().map(end).max().unwrap_or(0);
        if largest == 0 {
            return Ok(partials);
        }
        let buffer = self.storage_buffer("penalty weights", largest)?;
        let element_weight_buffer = if tensors.iter().any(|tensor| tensor.element_weights.is_some()) {
            Some(self.storage_buffer("penalty element weights", largest)?)
        } else {
            None
        };
        for pieces in &chunks {
            let mut located = Vec::with_capacity(pieces.len());
            let mut located_weights = Vec::new();
            let mut of_pieces = Vec::with_capacity(pieces.len());
            let mut penalties = Vec::with_capacity(pieces.len());
            for piece in pieces {
                let (tensor, part) = (&tensors[piece.tensor], piece.start..piece.start + piece.len);
                self.write(&buffer, piece.offset, tensor.weights.part(part.clone()))?;
                located.push(Located { buffer: buffer.clone(), offset: piece.offset });
                if let (Some(slice), Some(buffer)) = (tensor.element_weights, &element_weight_buffer) {
                    self.write(buffer, piece.offset, slice.part(part))?;
                    located_weights.push(Some(Located { buffer: buffer.clone(), offset: piece.offset }));
                } else {
                    located_weights.push(None);
                }
                of_pieces.push(Segment { len: piece.len as u64, ..segments[piece.tensor].clone() });
                penalties.push(tensor.penalty.clone());
            }
            let pending = self.submit(|gpu, encoder| {
                let placement =
                    Placement { roles: [Some(&located), None, None, None], element_weights: &located_weights };
                let of = (&gpu.plan(of_pieces), &Penalties::new(penalties));
                once(gpu, encoder, (Operation::Evaluate, true), of, &placement, &Step::NONE)
            })?;
            for (piece, (partial, _)) in pieces.iter().zip(pending.partials(wait).await?) {
                partials[piece.tensor].merge(&partial);
            }
        }
        Ok(partials)
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
        let mut total = Partial::default();
        let mut output = Vec::with_capacity(source.bytes().len());
        if source.is_empty() {
            return Ok((output, total));
        }
        let step = Step { size: update.step, ..Step::NONE };
        let penalties = Penalties::new(vec![update.penalty.clone()]);
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
        for start in (0..source.len()).step_by(chunk) {
            let part = start..source.len().min(start + chunk);
            self.write(&buffer, 0, source.part(part.clone()))?;
            if let (Operation::AddGradient, Some(buffer)) = (update.operation, &result_buffer) {
                self.write(buffer, 0, existing.part(part.clone()))?;
            }
            if let (Some(slice), Some(buffer)) = (update.element_weights, &element_weight_buffer) {
                self.write(buffer, 0, slice.part(part.clone()))?;
            }
            let located = |buffer: &wgpu::Buffer| Located { buffer: buffer.clone(), offset: 0 };
            let weights = [located(&buffer)];
            let result = [located(result_buffer.as_ref().unwrap_or(&buffer))];
            let element_weights = [element_weight_buffer.as_ref().map(located)];
            let roles = [Some(&weights[..]), Some(&result), None, None];
            let placement = Placement { roles, element_weights: &element_weights };
            let plan = self.plan(vec![Segment { len: part.len() as u64, ..segment.clone() }]);
            let (pass, of) = ((update.operation, update.sums), (&plan, &penalties));
            let pending = self.submit(|gpu, encoder| once(gpu, encoder, pass, of, &placement, &step))?;
            if update.sums {
                for (partial, _) in pending.partials(wait).await? {
                    total.merge(&partial);
                }
            }
            let bytes = self.read_buffer(&result[0].buffer, bytes_of(&source, part.len()), wait).await?;
            output.extend_from_slice(&bytes[..part.len() * source.dtype().size()]);
        }
        Ok((output, total))
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
        let mut encoder =
            self.guarded(|| self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default()))?;
        let recorded = record(self, &mut encoder)?;
        self.guarded(|| self.queue().submit([encoder.finish()]))?;
        Ok(recorded)
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
