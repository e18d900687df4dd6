//! The types of weights. Integer arithmetic alone converts them to the bits of an `f32` and back.
//!
//! Twin of `shaders/numeric/element/`.

use std::fmt;

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
    /// The elements themselves if they are `f32`: their bits need no conversion.
    fn bits(_elements: &[Self]) -> Option<&[u32]> {
        None
    }
    /// `bits` for elements that are written.
    fn bits_mut(_elements: &mut [Self]) -> Option<&mut [u32]> {
        None
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
    fn bits(elements: &[f32]) -> Option<&[u32]> {
        Some(bytemuck::cast_slice(elements))
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

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
