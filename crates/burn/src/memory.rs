//! What a route needs of the memory behind a Burn tensor.
//!
//! Burn's tensors are not generic over a backend: the device decides at run time what a tensor is made of.

use burn_core::tensor::{Device, Tensor};

/// How many tensors were copied.
pub(crate) type Copies = u64;

/// A tensor's values in row order, where one of the routes works on them.
pub(crate) trait Memory: Sized {
    /// Whether its tensor stays in the module while it is written.
    const IN_PLACE: bool;

    /// A tensor's memory. Where it cannot be had, the tensor comes back, with the reason.
    fn open<const D: usize>(tensor: Tensor<D>) -> Result<Self, Box<(Tensor<D>, String)>>;

    /// In row order, to be read.
    fn readable(self) -> Self;

    /// In row order and nobody else's, to be written: a tensor that has a clone, or lies in another order, is copied.
    fn writable(self, copies: &mut Copies) -> Self;

    /// What lies in the module meanwhile: the tensor itself, or an empty one that is no second owner of the memory.
    fn stand_in<const D: usize>(&self, device: &Device) -> Tensor<D>;

    /// A tensor on this memory, without autodiff.
    fn close<const D: usize>(self, device: &Device) -> Tensor<D>;
}
