//! Slices of host memory whose type is a value, and the one place that turns this value back into a type.

use std::ops::Range;

use super::element::{Dtype, Element};

/// A slice to read, of weights or of other operands, of any [`Dtype`].
#[derive(Debug, Clone, Copy)]
pub struct Slice<'a> {
    dtype: Dtype,
    bytes: &'a [u8],
}

/// A slice to write, of weights or of other operands, of any [`Dtype`].
#[derive(Debug)]
pub struct SliceMut<'a> {
    dtype: Dtype,
    bytes: &'a mut [u8],
}

/// Runs code in which a name stands for the Rust type of a [`Dtype`].
macro_rules! with_element {
    ($dtype:expr, $E:ident => $code:expr) => {
        match $dtype {
            $crate::numeric::element::Dtype::F32 => {
                type $E = f32;
                $code
            }
            $crate::numeric::element::Dtype::F16 => {
                type $E = half::f16;
                $code
            }
            $crate::numeric::element::Dtype::BF16 => {
                type $E = half::bf16;
                $code
            }
        }
    };
}
pub(crate) use with_element;

impl<'a, E: Element> From<&'a [E]> for Slice<'a> {
    fn from(elements: &'a [E]) -> Slice<'a> {
        Slice { dtype: E::DTYPE, bytes: bytemuck::cast_slice(elements) }
    }
}

impl<'a, E: Element> From<&'a mut [E]> for SliceMut<'a> {
    fn from(elements: &'a mut [E]) -> SliceMut<'a> {
        SliceMut { dtype: E::DTYPE, bytes: bytemuck::cast_slice_mut(elements) }
    }
}

impl<'a> Slice<'a> {
    pub(crate) fn dtype(&self) -> Dtype {
        self.dtype
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many elements it has.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    /// The number of elements and their type.
    pub(crate) fn shape(&self) -> (u64, Dtype) {
        (self.len() as u64, self.dtype)
    }

    /// The elements of a range.
    pub(crate) fn part(&self, elements: Range<usize>) -> Slice<'a> {
        let size = self.dtype.size();
        Slice { bytes: &self.bytes[elements.start * size..elements.end * size], ..*self }
    }

    /// The elements. `E` must be the slice's type.
    pub(crate) fn elements<E: Element>(&self) -> &'a [E] {
        bytemuck::cast_slice(self.bytes)
    }
}

impl<'a> SliceMut<'a> {
    pub(crate) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The same slice, read-only.
    pub(crate) fn as_slice(&self) -> Slice<'_> {
        Slice { dtype: self.dtype, bytes: self.bytes }
    }

    pub(crate) fn reborrow(&mut self) -> SliceMut<'_> {
        SliceMut { dtype: self.dtype, bytes: self.bytes }
    }

    pub(crate) fn into_bytes(self) -> &'a mut [u8] {
        self.bytes
    }

    /// The elements. `E` must be the slice's type.
    pub(crate) fn into_elements<E: Element>(self) -> &'a mut [E] {
        bytemuck::cast_slice_mut(self.bytes)
    }
}
