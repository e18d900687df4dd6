//! Weights that live on the device, and the rules that their ranges obey.

use super::layout::Located;
use crate::{Dtype, Error, Result};

/// A run of weights, or of their gradient, in a buffer on the device.
///
/// The buffer needs the usage `STORAGE`. The range starts at a multiple of 4 bytes and lies inside the buffer with the whole
/// of its last 4 bytes; where 16-bit elements leave half of those over, that half keeps what it holds. A range whose start is
/// a multiple of 16 bytes is read four elements at a time.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a> {
    /// The buffer, of the device that the work is recorded for. One of another device is an error; one of another
    /// `wgpu::Instance` makes wgpu itself panic, and nothing here can tell.
    pub buffer: &'a wgpu::Buffer,
    /// Where the range begins, in bytes.
    pub offset: u64,
    /// How many elements it has.
    pub len: u64,
    /// The type of the elements.
    pub dtype: Dtype,
}

impl Operand<'_> {
    /// The end of the range in bytes, in whole words.
    pub(super) fn end(&self) -> u64 {
        self.offset + (self.len * self.dtype.size() as u64).next_multiple_of(4)
    }

    pub(super) fn validate(&self, operand: &'static str) -> Result<()> {
        let refuse = |rule, found| Err(Error::Operand { operand, rule, found });
        if !self.offset.is_multiple_of(4) {
            return refuse("its offset must be a multiple of 4 bytes", self.offset);
        }
        if !self.buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            return refuse("its buffer must have the usage STORAGE", u64::from(self.buffer.usage().bits()));
        }
        let bytes = self.len.checked_mul(self.dtype.size() as u64).and_then(|b| b.checked_next_multiple_of(4));
        match bytes.and_then(|bytes| bytes.checked_add(self.offset)) {
            Some(end) if end <= self.buffer.size() => Ok(()),
            Some(end) => refuse("its range must end inside its buffer", end),
            None => refuse("its range must end below 2^64", self.len),
        }
    }

    pub(super) fn located(&self) -> Located {
        Located { buffer: self.buffer.clone(), offset: self.offset }
    }

    pub(super) fn overlaps(&self, other: &Operand<'_>) -> bool {
        self.buffer == other.buffer && self.offset < other.end() && other.offset < self.end()
    }
}
