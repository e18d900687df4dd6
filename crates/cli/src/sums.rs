//! The exact sums of a tensor that comes in pieces of any length.

use penalty::exact::{Partial, TILE};
use penalty::half::{bf16, f16};
use penalty::{Backend, Dtype, Element, Penalty};

use crate::error::Result;

/// Sums that take whole tiles; what is left of a piece waits for the next one.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    partial: Partial,
    /// Where the next tile starts.
    start: u64,
    /// The beginning of that tile, in words, so that it is aligned.
    rest: Vec<u32>,
    /// How many bytes of it there are.
    held: usize,
}

impl Sums {
    /// Adds the next weights of the tensor.
    pub(crate) fn add(&mut self, backend: &Backend, dtype: Dtype, mut bytes: &[u8]) -> Result<()> {
        let tile = TILE * dtype.size();
        self.rest.resize(tile / 4, 0);
        if self.held > 0 {
            let (part, after) = bytes.split_at(bytes.len().min(tile - self.held));
            self.hold(part);
            bytes = after;
            if self.held < tile {
                return Ok(());
            }
            self.sum_held(backend, dtype)?;
        }
        let (tiles, after) = bytes.split_at(bytes.len() / tile * tile);
        self.sum(backend, dtype, tiles)?;
        self.hold(after);
        Ok(())
    }

    fn hold(&mut self, part: &[u8]) {
        bytemuck::cast_slice_mut(&mut self.rest)[self.held..self.held + part.len()].copy_from_slice(part);
        self.held += part.len();
    }

    /// Adds the tensor's end.
    pub(crate) fn finish(mut self, backend: &Backend, dtype: Dtype) -> Result<Partial> {
        self.sum_held(backend, dtype)?;
        Ok(self.partial)
    }

    fn sum_held(&mut self, backend: &Backend, dtype: Dtype) -> Result<()> {
        let (rest, held) = (std::mem::take(&mut self.rest), std::mem::take(&mut self.held));
        self.sum(backend, dtype, &bytemuck::cast_slice(&rest)[..held])?;
        self.rest = rest;
        Ok(())
    }

    fn sum(&mut self, backend: &Backend, dtype: Dtype, bytes: &[u8]) -> Result<()> {
        fn of<E: Element>(backend: &Backend, start: u64, bytes: &[u8]) -> penalty::Result<Partial> {
            backend.partial_for(&Penalty::none(), start, bytemuck::cast_slice::<u8, E>(bytes))
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let partial = match dtype {
            Dtype::F32 => of::<f32>(backend, self.start, bytes),
            Dtype::F16 => of::<f16>(backend, self.start, bytes),
            Dtype::BF16 => of::<bf16>(backend, self.start, bytes),
        };
        self.partial.merge(&partial?);
        self.start += (bytes.len() / dtype.size()) as u64;
        Ok(())
    }
}
