//! The numeric contract: bits, arithmetic with the same results everywhere, types of weights, the order of sums in a
//! tile, and exact integers above tiles.

pub(crate) mod accumulator;
pub(crate) mod arithmetic;
pub(crate) mod bits;
pub(crate) mod block;
pub(crate) mod element;
pub(crate) mod fixed;
pub(crate) mod float;
pub(crate) mod hash;
#[cfg(test)]
pub(crate) mod noise;
#[cfg(feature = "serde")]
pub(crate) mod serialized;
pub(crate) mod simd;
pub(crate) mod slice;
pub(crate) mod stream;
pub(crate) mod tile;
pub(crate) mod wgsl;
