//! What the routes need from the memory behind a Burn tensor.
//!
//! Burn's tensors are not generic over a backend: the device decides at run time what a tensor is made of.

use burn_core::tensor::{Device, Tensor};

/// How many tensors were copied.
pub(crate) type Copies = u64;

/// A tensor's memory, for a route to read or write.
pub(crate) trait Memory: Clone {
    /// Whether the tensor stays in the module while its memory is written.
    const IN_PLACE: bool;

    /// Opens a tensor's memory. On failure, returns the tensor and the reason.
    fn open<const D: usize>(tensor: Tensor<D>) -> Result<Self, Box<(Tensor<D>, String)>>;

    /// Puts the values in row order, for reading.
    fn readable(self) -> Self;

    /// Puts the values in row order, for writing. Copies a tensor that something else holds too or that lies in another order.
    fn writable(self, copies: &mut Copies) -> Self;

    /// The tensor to leave in the module meanwhile: the tensor itself, or an empty one that does not share its memory.
    fn stand_in<const D: usize>(&self, device: &Device) -> Tensor<D>;

    /// Makes a tensor from this memory, without autodiff.
    fn close<const D: usize>(self, device: &Device) -> Tensor<D>;
}
