//! Buffer ranges on the device, and the rules that they obey.

use crate::numeric::element::Dtype;
use crate::penalty::element_weights::Weighted;
use crate::{Error, Penalty, Result};

/// Where a segment's operand begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) buffer: wgpu::Buffer,
    pub(super) offset: u64,
}

/// A buffer range on the device: weights, gradients, an optimizer's state or element weights.
///
/// The buffer needs the usage `STORAGE`. The range starts at a multiple of 4 bytes, and its end, rounded up to 4 bytes,
/// lies inside the buffer. If 16-bit elements end in half a word, the other half keeps what it holds. If the ranges of
/// all operands of a tensor start at multiples of 16 bytes, kernels read four elements at once.
///
/// ```no_run
/// use penalty::gpu::Operand;
/// use penalty::{Dtype, wgpu};
///
/// # fn f(page: &wgpu::Buffer) {
/// // 512 weights, and behind them as many gradients.
/// let weights = Operand { buffer: page, offset: 0, len: 512, dtype: Dtype::F32 };
/// let gradients = Operand { offset: 512 * 4, ..weights };
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a> {
    /// The buffer. It must belong to the device that the work is recorded for. One of another device is an error. One
    /// of another `wgpu::Instance` makes wgpu itself panic, which the library cannot prevent.
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
        let reject = |rule, found| Err(Error::Operand { operand, rule, found });
        let (Operand { buffer, offset, len, .. }, size) = (*self, self.dtype.size());
        if !offset.is_multiple_of(4) {
            return reject("its offset must be a multiple of 4 bytes", offset.to_string());
        }
        if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            return reject("its buffer must have the usage STORAGE", usages(buffer.usage()));
        }
        let bytes = len.checked_mul(size as u64).and_then(|b| b.checked_next_multiple_of(4));
        match bytes.and_then(|bytes| bytes.checked_add(offset)) {
            Some(end) if end <= buffer.size() => Ok(()),
            Some(end) => reject(
                "its range must end inside its buffer",
                format!("bytes {offset} to {end} of a buffer of {}", buffer.size()),
            ),
            None => {
                reject("its range must end below 2^64", format!("{len} elements of {size} bytes from byte {offset}"))
            }
        }
    }

    /// Rejects operands that share memory. Each comes with its name.
    pub(super) fn apart(operands: &[(&'static str, &Operand<'_>)]) -> Result<()> {
        for (at, (name, operand)) in operands.iter().enumerate() {
            if let Some((other, _)) = operands[..at].iter().find(|(_, other)| operand.overlaps(other)) {
                return Err(Error::Overlap { first: (*other).into(), second: (*name).into() });
            }
        }
        Ok(())
    }

    pub(super) fn located(&self) -> Located {
        Located { buffer: self.buffer.clone(), offset: self.offset }
    }

    fn overlaps(&self, other: &Operand<'_>) -> bool {
        self.buffer == other.buffer && self.offset < other.end() && other.offset < self.end()
    }
}

/// The usages' names.
fn usages(usages: wgpu::BufferUsages) -> String {
    let names: Vec<&str> = usages.iter_names().map(|(name, _)| name).collect();
    if names.is_empty() { "none".into() } else { names.join(" | ") }
}

impl Penalty {
    /// This penalty with element weights wᵢ in a buffer of the device. They have the length and the type of the weights
    /// θ.
    ///
    /// The library does not check them. A negative or NaN element weight counts as 0, so its element is not penalized.
    ///
    /// ```no_run
    /// # use penalty::gpu::Operand;
    /// # use penalty::wgpu::CommandEncoder;
    /// # use penalty::{Gpu, Penalty};
    /// # fn f(gpu: &Gpu, encoder: &mut CommandEncoder, theta: Operand, weights: Operand) -> penalty::Result<()> {
    /// let penalty = Penalty::weighted_l1(0.5)?;
    /// gpu.record_prox_in_place(encoder, penalty.with_operand(&weights)?, &theta, 1.0)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ElementWeights`] if the penalty takes none.
    pub fn with_operand<'a, 'b>(&'a self, element_weights: &'a Operand<'b>) -> Result<Weighted<'a, Operand<'b>>> {
        Weighted::new(self, element_weights)
    }
}
