//! The types of weights. Integer arithmetic alone converts them to the bits of an `f32` and back.
//!
//! Twin of `shaders/numeric/element/`.

use std::fmt;

use super::bits::{INFINITY, MAGNITUDE};
use super::simd::InstructionSet;

/// How many elements are converted at a time by vector instructions.
pub(crate) const BLOCK: usize = 64;

/// The bits of a block's elements.
pub(crate) type Block = [u32; BLOCK];

/// The type of the weights in a slice or a buffer.
///
/// ```
/// use penalty::{Dtype, Element, half};
///
/// assert_eq!((f32::DTYPE, half::bf16::DTYPE), (Dtype::F32, Dtype::BF16));
/// assert_eq!(Dtype::BF16.to_string(), "BF16");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Dtype {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32, "brain float".
    BF16,
}

impl Dtype {
    /// The size of one element in bytes.
    ///
    /// ```
    /// assert_eq!(penalty::Dtype::F16.size(), 2);
    /// ```
    pub const fn size(self) -> usize {
        match self {
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::BF16 => 2,
        }
    }

    /// How many bits fewer than `f32` its significand has.
    pub(crate) const fn lost_bits(self) -> u32 {
        match self {
            Dtype::F32 => 0,
            Dtype::F16 => 13,
            Dtype::BF16 => 16,
        }
    }
}

impl fmt::Display for Dtype {
    /// The name that safetensors uses: `F32`, `F16`, `BF16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Dtype::F32 => "F32",
            Dtype::F16 => "F16",
            Dtype::BF16 => "BF16",
        })
    }
}

/// A type of weights: `f32`, [`half::f16`] or [`half::bf16`]. Sealed: the kernels exist for these three.
///
/// ```
/// use penalty::{Backend, Element, Penalty, Result, half::f16};
///
/// fn count<E: Element>(weights: &[E]) -> Result<u64> {
///     Ok(Backend::cpu().evaluate(&Penalty::none(), weights)?.nonzero)
/// }
///
/// assert_eq!((count(&[1.0f32, 0.0])?, count(&[f16::ONE, f16::ONE])?), (1, 2));
/// # Ok::<(), penalty::Error>(())
/// ```
pub trait Element: Bits {
    /// The type as a value.
    const DTYPE: Dtype;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;
}
impl Element for half::f16 {
    const DTYPE: Dtype = Dtype::F16;
}
impl Element for half::bf16 {
    const DTYPE: Dtype = Dtype::BF16;
}

/// The sealed half of [`Element`]: converts an element to the bits of the `f32` of the same value, and back.
pub trait Bits: bytemuck::Pod + Send + Sync + fmt::Debug + PartialEq {
    /// Room for the bits of N elements: none if they are their own bits.
    type Room<const N: usize>: AsMut<[u32]>;
    /// That room, cleared.
    fn room<const N: usize>() -> Self::Room<N>;
    /// The bits of the `f32` of the same value; exact, and a NaN keeps its payload.
    fn decode(self) -> u32;
    /// The element nearest to the `f32` of these bits, ties to even. It undoes `decode`, except that `f16` gives +0 for
    /// −0: elementwise operations never write −0.
    fn encode(bits: u32) -> Self;
    /// `encode` of anything but a NaN, in fewer instructions.
    fn encode_number(bits: u32) -> Self;
    /// Whether no element is infinite or NaN.
    fn are_finite(elements: &[Self]) -> bool;
    /// `decode` of a block, except that a NaN may change its payload.
    #[inline(always)]
    fn decode_block(elements: &[Self; BLOCK], bits: &mut Block, _set: InstructionSet) {
        decode_each(elements, bits);
    }
    /// Whether there are instructions that convert these elements.
    #[inline(always)]
    fn converts(_set: InstructionSet) -> bool {
        false
    }
    /// `encode_number` of a block.
    #[inline(always)]
    fn encode_block(bits: &Block, elements: &mut [Self; BLOCK], _set: InstructionSet) {
        encode_each(bits, elements);
    }
    /// The elements themselves if they are `f32`: their bits need no conversion.
    #[inline(always)]
    fn bits(_elements: &[Self]) -> Option<&[u32]> {
        None
    }
    /// `bits` for elements that are written.
    #[inline(always)]
    fn bits_mut(_elements: &mut [Self]) -> Option<&mut [u32]> {
        None
    }
}

#[inline(always)]
fn decode_each<E: Bits>(elements: &[E; BLOCK], bits: &mut Block) {
    for i in 0..BLOCK {
        bits[i] = elements[i].decode();
    }
}

#[inline(always)]
fn encode_each<E: Bits>(bits: &Block, elements: &mut [E; BLOCK]) {
    for i in 0..BLOCK {
        elements[i] = E::encode_number(bits[i]);
    }
}

impl Bits for f32 {
    type Room<const N: usize> = [u32; 0];
    #[inline(always)]
    fn room<const N: usize>() -> [u32; 0] {
        []
    }
    #[inline(always)]
    fn decode(self) -> u32 {
        self.to_bits()
    }
    #[inline(always)]
    fn encode(bits: u32) -> Self {
        f32::from_bits(bits)
    }
    #[inline(always)]
    fn encode_number(bits: u32) -> Self {
        f32::from_bits(bits)
    }
    #[inline(always)]
    fn are_finite(elements: &[f32]) -> bool {
        elements.iter().fold(0, |max, x| max.max(x.to_bits() & MAGNITUDE)) < INFINITY
    }
    #[inline(always)]
    fn bits(elements: &[f32]) -> Option<&[u32]> {
        Some(bytemuck::cast_slice(elements))
    }
    #[inline(always)]
    fn bits_mut(elements: &mut [f32]) -> Option<&mut [u32]> {
        Some(bytemuck::cast_slice_mut(elements))
    }
}

impl Bits for half::bf16 {
    type Room<const N: usize> = [u32; N];
    #[inline(always)]
    fn room<const N: usize>() -> [u32; N] {
        [0; N]
    }
    #[inline(always)]
    fn decode(self) -> u32 {
        u32::from(self.to_bits()) << 16
    }
    #[inline(always)]
    fn encode(bits: u32) -> Self {
        // A NaN is cut, not rounded: rounding could carry it to infinity. If only the lower half made it a NaN, a bit
        // is set.
        let quiet = if (bits >> 16) & 0x7f == 0 { 0x40 } else { 0 };
        let cut = (bits >> 16) | quiet;
        if bits & 0x7fff_ffff > 0x7f80_0000 { half::bf16::from_bits(cut as u16) } else { Self::encode_number(bits) }
    }
    #[inline(always)]
    fn encode_number(bits: u32) -> Self {
        half::bf16::from_bits((bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16)
    }
    #[inline(always)]
    fn are_finite(elements: &[Self]) -> bool {
        elements.iter().fold(0, |max, x| max.max(x.to_bits() & 0x7fff)) < 0x7f80
    }
}

impl Bits for half::f16 {
    type Room<const N: usize> = [u32; N];
    #[inline(always)]
    fn room<const N: usize>() -> [u32; N] {
        [0; N]
    }
    #[inline(always)]
    fn decode(self) -> u32 {
        let h = u32::from(self.to_bits());
        let sign = (h & 0x8000) << 16;
        let a = h & 0x7fff;
        let normal = (a << 13) + (112 << 23);
        let non_finite = (a << 13) + (224 << 23);
        // A subnormal is its integer times 2^-24. The conversion and the product are exact.
        let subnormal = (a as f32 * f32::from_bits(103 << 23)).to_bits();
        sign | if a < 0x400 {
            subnormal
        } else if a < 0x7c00 {
            normal
        } else {
            non_finite
        }
    }
    #[inline(always)]
    fn encode(bits: u32) -> Self {
        let a = bits & 0x7fff_ffff;
        let quiet = if a & 0x7f_e000 == 0 { 0x200 } else { 0 };
        let nan = ((bits >> 16) & 0x8000) | 0x7c00 | ((a >> 13) & 0x3ff) | quiet;
        if a > 0x7f80_0000 { half::f16::from_bits(nan as u16) } else { Self::encode_number(bits) }
    }
    #[inline(always)]
    fn encode_number(bits: u32) -> Self {
        let sign = (bits >> 16) & 0x8000;
        let a = bits & 0x7fff_ffff;
        let normal = (a.wrapping_sub(112 << 23).wrapping_add(0x0fff + ((a >> 13) & 1)) >> 13).min(0x7c00);
        // Below 2^-14: the significand is shifted to units of 2^-24 and rounded. After 25 places, nothing is left.
        let shift = 126u32.saturating_sub(a >> 23).clamp(1, 25);
        let m = (a & 0x7f_ffff) | 0x80_0000;
        let subnormal = (m + (1 << (shift - 1)) - 1 + ((m >> shift) & 1)) >> shift;
        let magnitude = if a >= 0x4780_0000 {
            0x7c00
        } else if a >= 0x3880_0000 {
            normal
        } else {
            subnormal
        };
        half::f16::from_bits(if magnitude == 0 { 0 } else { sign | magnitude } as u16)
    }
    #[inline(always)]
    fn are_finite(elements: &[Self]) -> bool {
        elements.iter().fold(0, |max, x| max.max(x.to_bits() & 0x7fff)) < 0x7c00
    }
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn decode_block(elements: &[Self; BLOCK], bits: &mut Block, set: InstructionSet) {
        if set == InstructionSet::Baseline {
            decode_each(elements, bits);
        } else {
            x86::decode(elements, bits, set);
        }
    }
    #[inline(always)]
    fn converts(set: InstructionSet) -> bool {
        set != InstructionSet::Baseline
    }
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn encode_block(bits: &Block, elements: &mut [Self; BLOCK], set: InstructionSet) {
        if set == InstructionSet::Baseline {
            encode_each(bits, elements);
        } else {
            x86::encode(bits, elements, set);
        }
    }
}

/// The processor's conversions of `f16`.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256, __m256i, __m512, _MM_FROUND_TO_NEAREST_INT, _mm_andnot_si128, _mm_cmpeq_epi16,
        _mm_setzero_si128, _mm_slli_epi16, _mm256_andnot_si256, _mm256_cmpeq_epi16, _mm256_cvtph_ps, _mm256_cvtps_ph,
        _mm256_setzero_si256, _mm256_slli_epi16, _mm512_cvtph_ps, _mm512_cvtps_ph,
    };

    use bytemuck::must_cast;
    use half::f16;

    use super::{BLOCK, Block, InstructionSet};

    #[inline(always)]
    pub(super) fn decode(elements: &[f16; BLOCK], bits: &mut Block, set: InstructionSet) {
        if set == InstructionSet::Avx512 {
            for (to, from) in bits.as_chunks_mut().0.iter_mut().zip(elements.as_chunks::<16>().0) {
                // SAFETY: the processor has the set.
                *to = must_cast::<__m512, [u32; 16]>(unsafe { _mm512_cvtph_ps(must_cast(*from)) });
            }
        } else {
            for (to, from) in bits.as_chunks_mut().0.iter_mut().zip(elements.as_chunks::<8>().0) {
                // SAFETY: every set but the baseline has these conversions.
                *to = must_cast::<__m256, [u32; 8]>(unsafe { _mm256_cvtph_ps(must_cast(*from)) });
            }
        }
    }

    #[inline(always)]
    pub(super) fn encode(bits: &Block, elements: &mut [f16; BLOCK], set: InstructionSet) {
        if set == InstructionSet::Avx512 {
            for (to, from) in elements.as_chunks_mut().0.iter_mut().zip(bits.as_chunks::<16>().0) {
                // SAFETY: the processor has the set.
                let row = unsafe {
                    let row = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(must_cast(*from));
                    // No −0.
                    _mm256_andnot_si256(_mm256_cmpeq_epi16(_mm256_slli_epi16::<1>(row), _mm256_setzero_si256()), row)
                };
                *to = must_cast::<__m256i, [f16; 16]>(row);
            }
        } else {
            for (to, from) in elements.as_chunks_mut().0.iter_mut().zip(bits.as_chunks::<8>().0) {
                // SAFETY: every set but the baseline has these conversions.
                let row = unsafe {
                    let row = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(must_cast(*from));
                    _mm_andnot_si128(_mm_cmpeq_epi16(_mm_slli_epi16::<1>(row), _mm_setzero_si128()), row)
                };
                *to = must_cast::<__m128i, [f16; 8]>(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    /// Compares blocks of words, and of their decoded bits and what lies beside these, with single elements.
    fn blocks_are_converted_as_elements_are<E: Element>() {
        let elements: Vec<E> = (0..=u16::MAX).map(bytemuck::cast).collect();
        for set in InstructionSet::available() {
            for block in elements.as_chunks().0 {
                let mut decoded = [0; BLOCK];
                set.run_knowing(|set| E::decode_block(block, &mut decoded, set));
                for (element, bits) in block.iter().zip(decoded) {
                    assert!(
                        bits == element.decode() || is_nan(bits) && is_nan(element.decode()),
                        "{set:?} {element:?}"
                    );
                }
                // The ties between two elements, and the numbers beside them.
                let half = 1 << (E::DTYPE.lost_bits() - 1);
                for offset in [0, 1, half - 1, half, half + 1, half * 2 - 1] {
                    let numbers = decoded.map(|bits| if is_nan(bits + offset) { 0 } else { bits + offset });
                    let mut encoded = [E::zeroed(); BLOCK];
                    set.run_knowing(|set| E::encode_block(&numbers, &mut encoded, set));
                    assert_eq!(encoded, numbers.map(E::encode), "{set:?} {numbers:x?}");
                }
            }
        }
    }

    fn is_nan(bits: u32) -> bool {
        bits & MAGNITUDE > INFINITY
    }

    #[test]
    fn blocks_are_converted_as_elements() {
        blocks_are_converted_as_elements_are::<f16>();
        blocks_are_converted_as_elements_are::<bf16>();
    }

    #[test]
    fn every_half_survives_the_round_trip_and_means_what_the_half_crate_says() {
        for h in 0..=u16::MAX {
            let (f, b) = (f16::from_bits(h), bf16::from_bits(h));
            assert_eq!(f16::encode(f.decode()).to_bits(), if h == 0x8000 { 0 } else { h });
            assert_eq!(bf16::encode(b.decode()).to_bits(), h);
            if !f.is_nan() {
                assert_eq!(f.decode(), f.to_f32().to_bits(), "{h:#06x}");
            }
            if !b.is_nan() {
                assert_eq!(b.decode(), b.to_f32().to_bits(), "{h:#06x}");
            }
        }
    }

    #[test]
    fn rounding_is_to_nearest_even_at_and_beside_every_tie() {
        for h in 0..0x7c00u16 {
            let (lo, hi) = (f16::from_bits(h).to_f64(), f16::from_bits(h + 1).to_f64());
            let tie = if h + 1 == 0x7c00 { 65520.0 } else { (lo + hi) / 2.0 } as f32;
            for bits in [tie.to_bits() - 1, tie.to_bits(), tie.to_bits() + 1] {
                let want = f16::from_f32(f32::from_bits(bits)).to_bits();
                assert_eq!(f16::encode(bits).to_bits(), want, "{bits:#010x}");
                let negative = if want == 0 { 0 } else { want | 0x8000 };
                assert_eq!(f16::encode(bits | 1 << 31).to_bits(), negative);
            }
        }
        for h in 0..0x7f80u32 {
            for bits in [h << 16 | 0x7fff, h << 16 | 0x8000, h << 16 | 0x8001] {
                let want = bf16::from_f32(f32::from_bits(bits)).to_bits();
                assert_eq!(bf16::encode(bits).to_bits(), want, "{bits:#010x}");
            }
        }
    }

    #[test]
    fn a_nan_stays_a_nan() {
        for bits in [0x7f80_0001, 0xff80_0001, 0x7fff_ffff, 0x7fc0_0000] {
            assert!(f16::encode(bits).is_nan() && bf16::encode(bits).is_nan());
        }
    }
}
