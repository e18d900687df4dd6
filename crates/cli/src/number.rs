//! The types that weights are read as: those of the library, and `f64`, which the command computes with itself.

use std::fmt::{self, Display, Formatter};

use bytemuck::Pod;
use penalty::half::{bf16, f16};
use penalty::{Dtype, Element, SliceMut};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    F32,
    F16,
    BF16,
    F64,
}

impl Type {
    /// How many bytes a weight has.
    pub(crate) fn size(self) -> usize {
        self.of_library().map_or(8, Dtype::size)
    }

    /// The library's type; it has none for `f64`.
    pub(crate) fn of_library(self) -> Option<Dtype> {
        match self {
            Type::F32 => Some(Dtype::F32),
            Type::F16 => Some(Dtype::F16),
            Type::BF16 => Some(Dtype::BF16),
            Type::F64 => None,
        }
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.of_library() {
            Some(dtype) => dtype.fmt(f),
            None => f.write_str("F64"),
        }
    }
}

/// Runs an expression with `$number` as a type of weights.
macro_rules! with_number {
    ($of:expr, $number:ident => $run:expr) => {
        match $of {
            $crate::number::Type::F32 => {
                type $number = f32;
                $run
            }
            $crate::number::Type::F16 => {
                type $number = penalty::half::f16;
                $run
            }
            $crate::number::Type::BF16 => {
                type $number = penalty::half::bf16;
                $run
            }
            $crate::number::Type::F64 => {
                type $number = f64;
                $run
            }
        }
    };
}
pub(crate) use with_number;

/// Weights of one type, as the library takes them.
pub(crate) enum Weights<'a> {
    Library(SliceMut<'a>),
    Double(&'a mut [f64]),
}

/// A weight.
pub(crate) trait Number: Pod + Send + Sync {
    /// The bits without the sign, in the order of magnitudes.
    type Magnitude: Ord + Copy + Default + Send;
    /// A magnitude followed by an index.
    type Keyed: Ord + Copy + Send;

    fn magnitude(&self) -> Self::Magnitude;

    fn keyed(&self, index: u32) -> Self::Keyed;

    fn index(key: Self::Keyed) -> usize;

    /// The same number as `f64`.
    fn widened(&self) -> f64;

    fn erased(weights: &mut [Self]) -> Weights<'_>;

    fn is_zero(&self) -> bool {
        self.magnitude() == Self::Magnitude::default()
    }
}

fn bits<E: Element>(element: &E) -> u32 {
    element.decode()
}

macro_rules! element {
    ($($type:ty),+) => {$(
        impl Number for $type {
            type Magnitude = u32;
            type Keyed = u64;

            fn magnitude(&self) -> u32 {
                bits(self) & 0x7fff_ffff
            }

            fn keyed(&self, index: u32) -> u64 {
                u64::from(self.magnitude()) << 32 | u64::from(index)
            }

            fn index(key: u64) -> usize {
                (key & 0xffff_ffff) as usize
            }

            fn widened(&self) -> f64 {
                f32::from_bits(bits(self)).into()
            }

            fn erased(weights: &mut [$type]) -> Weights<'_> {
                Weights::Library(weights.into())
            }
        }
    )+};
}
element!(f32, f16, bf16);

impl Number for f64 {
    type Magnitude = u64;
    type Keyed = u128;

    fn magnitude(&self) -> u64 {
        self.to_bits() & !(1 << 63)
    }

    fn keyed(&self, index: u32) -> u128 {
        u128::from(self.magnitude()) << 32 | u128::from(index)
    }

    fn index(key: u128) -> usize {
        (key & 0xffff_ffff) as usize
    }

    fn widened(&self) -> f64 {
        *self
    }

    fn erased(weights: &mut [f64]) -> Weights<'_> {
        Weights::Double(weights)
    }
}
