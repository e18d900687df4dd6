//! A tensor in host memory: a Flex tensor, or a copy of another backend's tensor.

#[cfg(feature = "flex")]
use burn_core::backend::{BackendTensor, DispatchTensor, DispatchTensorKind, Flex, flex::FlexTensor};
use burn_core::tensor::{DType, Device, Element, Tensor, TensorData};
use penalty::half::{bf16, f16};
use penalty::{Slice, SliceMut};

use crate::memory::{Copies, Memory};

/// A tensor's values on the host.
#[derive(Debug, Clone)]
pub(crate) enum Array {
    /// A Flex tensor, or a copy of one.
    #[cfg(feature = "flex")]
    Flex(FlexTensor),
    /// A copy of a tensor on any other backend.
    Copy(TensorData),
}

impl Memory for Array {
    const IN_PLACE: bool = false;

    fn open<const D: usize>(tensor: Tensor<D>) -> Result<Array, Box<(Tensor<D>, String)>> {
        #[cfg(feature = "flex")]
        let tensor = {
            let DispatchTensor { kind, autodiff } = tensor.into_dispatch();
            match kind {
                DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => return Ok(Array::Flex(tensor)),
                kind => Tensor::from_dispatch(DispatchTensor { kind, autodiff }),
            }
        };
        match tensor.try_to_data() {
            Ok(data) => Ok(Array::Copy(data)),
            Err(error) => Err(Box::new((tensor, error.to_string()))),
        }
    }

    fn readable(self) -> Array {
        match self {
            #[cfg(feature = "flex")]
            Array::Flex(tensor) if !is_in_row_order(&tensor) => Array::Flex(tensor.to_contiguous()),
            array => array,
        }
    }

    fn writable(self, copies: &mut Copies) -> Array {
        let copied = match &self {
            // Flex copies shared memory when it is written.
            #[cfg(feature = "flex")]
            Array::Flex(tensor) => !is_in_row_order(tensor) || !tensor.is_unique(),
            Array::Copy(_) => true,
        };
        *copies += u64::from(copied);
        self.readable()
    }

    fn stand_in<const D: usize>(&self, device: &Device) -> Tensor<D> {
        Tensor::empty([0; D], (device, self.dtype()))
    }

    fn close<const D: usize>(self, device: &Device) -> Tensor<D> {
        match self {
            #[cfg(feature = "flex")]
            Array::Flex(tensor) => Tensor::from_primitive::<Flex>(tensor),
            Array::Copy(data) => {
                let dtype = data.dtype();
                Tensor::from_data(data, (device, dtype))
            }
        }
    }
}

/// Whether tensors on this device open without a copy.
pub(crate) fn is_reached(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return *device == Device::flex();
    #[cfg(not(feature = "flex"))]
    false
}

#[cfg(feature = "flex")]
fn is_in_row_order(tensor: &FlexTensor) -> bool {
    tensor.is_contiguous() && tensor.layout().start_offset() == 0
}

impl Array {
    fn dtype(&self) -> DType {
        match self {
            #[cfg(feature = "flex")]
            Array::Flex(tensor) => tensor.dtype(),
            Array::Copy(data) => data.dtype(),
        }
    }

    /// The array's elements. Empty if the type has no kernels or the memory is not in row order; `Host` rejects that.
    pub(crate) fn slice(&self) -> Slice<'_> {
        match self.dtype() {
            DType::F16 => self.elements::<f16>().into(),
            DType::BF16 => self.elements::<bf16>().into(),
            _ => self.elements::<f32>().into(),
        }
    }

    /// The same elements, for writing.
    pub(crate) fn slice_mut(&mut self) -> SliceMut<'_> {
        match self.dtype() {
            DType::F32 => self.elements_mut::<f32>().into(),
            DType::F16 => self.elements_mut::<f16>().into(),
            DType::BF16 => self.elements_mut::<bf16>().into(),
            _ => <&mut [f32]>::default().into(),
        }
    }

    fn elements<E: Element + penalty::Element>(&self) -> &[E] {
        match self {
            #[cfg(feature = "flex")]
            Array::Flex(tensor) => tensor.as_slice().unwrap_or_default(),
            Array::Copy(data) => data.as_slice().unwrap_or_default(),
        }
    }

    fn elements_mut<E: Element + penalty::Element>(&mut self) -> &mut [E] {
        match self {
            #[cfg(feature = "flex")]
            Array::Flex(tensor) => {
                let len = tensor.layout().num_elements();
                tensor.storage_mut().get_mut(..len).unwrap_or_default()
            }
            Array::Copy(data) => data.as_mut_slice().unwrap_or_default(),
        }
    }
}
