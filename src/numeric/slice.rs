//! Slices of host memory whose type is a value, and the one place that turns this value back into a type.

use std::ops::Range;

use super::element::{Dtype, Element};

/// A slice to read, of weights or of other operands, of any [`Dtype`].
///
/// ```
/// use penalty::{Cpu, HostSet, Parameter, Penalty, Slice};
///
/// let set = HostSet::new(Cpu::new(), vec![Parameter::new("a", Penalty::l1(1.0)?), Parameter::new("b", Penalty::l1(1.0)?)]);
/// let (a, b) = ([1.0f32, -2.0], [penalty::half::f16::ONE]);
/// let weights: [Slice; 2] = [a[..].into(), b[..].into()]; // of different types
/// assert_eq!(set.evaluate(&weights)?.total.value, 4.0);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Slice<'a> {
    dtype: Dtype,
    bytes: &'a [u8],
}

/// A slice to write, of weights or of other operands, of any [`Dtype`].
///
/// ```
/// use penalty::{Cpu, HostSet, Parameter, Penalty, SliceMut};
///
/// let set = HostSet::new(Cpu::new(), vec![Parameter::new("a", Penalty::l1(1.0)?)]);
/// let mut a = [1.5f32, -0.5];
/// let mut weights: [SliceMut; 1] = [a[..].as_mut().into()];
/// set.prox_in_place(&mut weights, 1.0)?;
/// assert_eq!(a, [0.5, 0.0]);
/// # Ok::<(), penalty::Error>(())
/// ```
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
    /// The type of its elements.
    ///
    /// ```
    /// let slice = penalty::Slice::from(&[1.0f32, -2.0][..]);
    /// assert_eq!(slice.dtype(), penalty::Dtype::F32);
    /// ```
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// How many elements it has.
    ///
    /// ```
    /// let slice = penalty::Slice::from(&[1.0f32, -2.0][..]);
    /// assert_eq!(slice.len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    /// Whether it has no elements.
    ///
    /// ```
    /// let slice = penalty::Slice::from(&[0.0f32; 0][..]);
    /// assert!(slice.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
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

    /// Parts of this many elements; the last may be shorter.
    pub(crate) fn chunks(self, len: usize) -> impl Iterator<Item = Slice<'a>> {
        self.bytes.chunks(len * self.dtype.size()).map(move |bytes| Slice { bytes, ..self })
    }

    /// A copy, in memory that is aligned for every type.
    pub(crate) fn to_words(self) -> Vec<u32> {
        let mut words = vec![0; self.bytes.len().div_ceil(4)];
        bytemuck::cast_slice_mut(&mut words)[..self.bytes.len()].copy_from_slice(self.bytes);
        words
    }

    /// The elements. `E` must be the slice's type.
    pub(crate) fn elements<E: Element>(&self) -> &'a [E] {
        bytemuck::cast_slice(self.bytes)
    }
}

impl<'a> SliceMut<'a> {
    /// Words as a slice of the same shape as another.
    pub(crate) fn of_words(like: Slice<'_>, words: &'a mut [u32]) -> SliceMut<'a> {
        SliceMut { dtype: like.dtype, bytes: &mut bytemuck::cast_slice_mut(words)[..like.bytes.len()] }
    }

    /// The same slice, read-only.
    ///
    /// ```
    /// let mut weights = [1.0f32, -2.0];
    /// assert_eq!(penalty::SliceMut::from(&mut weights[..]).as_slice().len(), 2);
    /// ```
    pub fn as_slice(&self) -> Slice<'_> {
        Slice { dtype: self.dtype, bytes: self.bytes }
    }

    pub(crate) fn reborrow(&mut self) -> SliceMut<'_> {
        SliceMut { dtype: self.dtype, bytes: self.bytes }
    }

    /// The elements before a place, and those from there on.
    pub(crate) fn split_at(self, place: usize) -> (SliceMut<'a>, SliceMut<'a>) {
        let (before, after) = self.bytes.split_at_mut(place * self.dtype.size());
        (SliceMut { bytes: before, dtype: self.dtype }, SliceMut { bytes: after, dtype: self.dtype })
    }

    /// Parts of this many elements; the last may be shorter.
    pub(crate) fn chunks(self, len: usize) -> impl Iterator<Item = SliceMut<'a>> {
        let SliceMut { dtype, bytes } = self;
        bytes.chunks_mut(len * dtype.size()).map(move |bytes| SliceMut { dtype, bytes })
    }

    pub(crate) fn into_bytes(self) -> &'a mut [u8] {
        self.bytes
    }

    /// The elements. `E` must be the slice's type.
    pub(crate) fn into_elements<E: Element>(self) -> &'a mut [E] {
        bytemuck::cast_slice_mut(self.bytes)
    }
}
