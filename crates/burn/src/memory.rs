//! The memory behind a Burn tensor: a range of a wgpu buffer, or a slice on the host.
//!
//! Burn's tensors are not generic over a backend: the device decides at run time what a tensor is made of.

use burn_core::backend::flex::FlexTensor;
use burn_core::backend::tensor::FloatTensor;
use burn_core::backend::{Backend, BackendTensor, DispatchTensor, DispatchTensorKind, TensorMetadata};
use burn_core::tensor::{DType, Device, Tensor, TensorData};
use burn_cubecl::cubecl::wgpu::{AutoCompiler, WgpuServer};
use burn_cubecl::kernel::{into_contiguous, untile};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeBackend};
use burn_fusion::stream::StreamId;
use burn_fusion::{Fusion, FusionBackend, FusionTensor, NoOp};
use burn_ir::{InitOperationIr, OperationIr, OperationOutput};

/// The server behind Burn's wgpu backend.
pub(crate) type Server = WgpuServer<AutoCompiler>;

/// Which way a call takes to tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To their buffers.
    Device,
    /// To host slices.
    Host,
}

/// How many tensors were copied.
pub(crate) type Copies = u64;

/// A tensor's values in row order.
#[derive(Debug)]
pub(crate) enum Memory {
    /// In a buffer on the device.
    Device(Box<CubeTensor>),
    /// In Flex's memory, or some copy of it.
    Flex(FlexTensor),
    /// A copy on the host, of a tensor on any other backend.
    Copy(TensorData),
}

/// A backend whose float tensors are cubecl's: with Burn's `fusion` and without, and no `cfg`.
trait Storage: Backend {
    /// Has what is still recorded run, and gives the storage.
    fn into_cube(tensor: FloatTensor<Self>) -> CubeTensor;
    /// A tensor on this storage.
    fn from_cube(tensor: CubeTensor) -> FloatTensor<Self>;
}

impl Storage for CubeBackend {
    fn into_cube(tensor: CubeTensor) -> CubeTensor {
        tensor
    }

    fn from_cube(tensor: CubeTensor) -> CubeTensor {
        tensor
    }
}

impl<B: FusionBackend + Storage> Storage for Fusion<B> {
    fn into_cube(tensor: FusionTensor<B::FusionRuntime>) -> CubeTensor {
        let client = tensor.client.clone();
        B::into_cube(client.resolve_tensor_float::<B>(tensor))
    }

    fn from_cube(tensor: CubeTensor) -> FusionTensor<B::FusionRuntime> {
        let tensor = B::from_cube(tensor);
        let client = burn_fusion::get_client::<B>(&tensor.device());
        let (shape, dtype) = (tensor.shape(), tensor.dtype());
        let handle = B::float_tensor_handle(tensor);
        let desc = InitOperationIr::create(shape, dtype, || client.register_tensor_handle(handle));
        client.register(StreamId::current(), OperationIr::Init(desc), NoOp::<B>::new()).output()
    }
}

fn from_cube<const D: usize>(tensor: CubeTensor) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(<Cube as Storage>::from_cube(tensor))
}

impl Memory {
    /// A tensor's memory. Where it cannot be had, the tensor comes back, with the reason.
    pub(crate) fn open<const D: usize>(tensor: Tensor<D>, way: Way) -> Result<Memory, Box<(Tensor<D>, String)>> {
        let DispatchTensor { kind, autodiff } = tensor.into_dispatch();
        match (kind, way) {
            (DispatchTensorKind::Cube(BackendTensor::Float(tensor)), Way::Device) => {
                Ok(Memory::Device(Box::new(<Cube as Storage>::into_cube(tensor))))
            }
            (DispatchTensorKind::Flex(BackendTensor::Float(tensor)), Way::Host) => Ok(Memory::Flex(tensor)),
            (kind, way) => {
                let tensor = Tensor::from_dispatch(DispatchTensor { kind, autodiff });
                if way == Way::Device {
                    let found = format!("a tensor on {:?}", tensor.device());
                    return Err(Box::new((tensor, found)));
                }
                match tensor.try_to_data() {
                    Ok(data) => Ok(Memory::Copy(data)),
                    Err(error) => Err(Box::new((tensor, error.to_string()))),
                }
            }
        }
    }

    /// In row order, to be read.
    pub(crate) fn readable(self) -> Memory {
        self.in_row_order().0
    }

    /// In row order, and whether that took a copy.
    fn in_row_order(self) -> (Memory, bool) {
        match self {
            Memory::Device(tensor) if tensor.meta.is_tiled() => (Memory::Device(Box::new(untile(*tensor))), true),
            Memory::Device(tensor) if !tensor.is_contiguous() => {
                (Memory::Device(Box::new(into_contiguous(*tensor))), true)
            }
            Memory::Flex(tensor) if !(tensor.is_contiguous() && tensor.layout().start_offset() == 0) => {
                (Memory::Flex(tensor.to_contiguous()), true)
            }
            Memory::Copy(data) => (Memory::Copy(data), true),
            memory => (memory, false),
        }
    }

    /// In row order and nobody else's, to be written: a tensor that has a clone, or lies in another order, is copied.
    pub(crate) fn writable(self, copies: &mut Copies) -> Memory {
        let (memory, copied) = match self.in_row_order() {
            (Memory::Device(tensor), false) if !tensor.can_mut() => (Memory::Device(Box::new(tensor.copy())), true),
            // Flex copies when it is written.
            (Memory::Flex(tensor), false) => {
                let shared = !tensor.is_unique();
                (Memory::Flex(tensor), shared)
            }
            other => other,
        };
        *copies += u64::from(copied);
        memory
    }

    /// Whether its tensor stays in the module while it is written.
    pub(crate) fn in_place(&self) -> bool {
        matches!(self, Memory::Device(_))
    }

    /// What lies in the module meanwhile: the tensor itself, or an empty one that is no second owner of the memory.
    pub(crate) fn stand_in<const D: usize>(&self, device: &Device) -> Tensor<D> {
        match self {
            Memory::Device(tensor) => from_cube(CubeTensor::clone(tensor)),
            Memory::Flex(_) | Memory::Copy(_) => Tensor::empty([0; D], (device, self.dtype())),
        }
    }

    /// A tensor on this memory, without autodiff.
    pub(crate) fn close<const D: usize>(self, device: &Device) -> Tensor<D> {
        let dtype = self.dtype();
        match self {
            Memory::Device(tensor) => from_cube(*tensor),
            Memory::Flex(tensor) => Tensor::from_primitive::<burn_core::backend::Flex>(tensor),
            Memory::Copy(data) => Tensor::from_data(data, (device, dtype)),
        }
    }

    pub(crate) fn dtype(&self) -> DType {
        match self {
            Memory::Device(tensor) => tensor.dtype,
            Memory::Flex(tensor) => tensor.dtype(),
            Memory::Copy(data) => data.dtype(),
        }
    }
}
