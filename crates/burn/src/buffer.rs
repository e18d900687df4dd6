//! A tensor in a buffer of Burn's wgpu backend.

use burn_core::backend::tensor::FloatTensor;
use burn_core::backend::{Backend, BackendTensor, DispatchTensor, DispatchTensorKind, TensorMetadata};
use burn_core::tensor::{Device, Tensor};
use burn_cubecl::cubecl::wgpu::{AutoCompiler, WgpuServer};
use burn_cubecl::kernel::{into_contiguous, untile};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeBackend};
use burn_fusion::stream::StreamId;
use burn_fusion::{Fusion, FusionBackend, FusionTensor, NoOp};
use burn_ir::{InitOperationIr, OperationIr, OperationOutput};

use crate::memory::{Copies, Memory};

/// The server behind Burn's wgpu backend.
pub(crate) type Server = WgpuServer<AutoCompiler>;

/// A tensor in a buffer on the device.
#[derive(Debug, Clone)]
pub(crate) struct Buffer(pub(crate) CubeTensor);

/// A backend whose float tensors are CubeCL's. It covers Burn with and without `fusion`, so nothing here needs a `cfg`.
trait Storage: Backend {
    /// Runs the operations that are still only recorded, then returns the storage.
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

/// The tensor in row order, and whether that took a copy.
fn in_row_order(tensor: CubeTensor) -> (CubeTensor, bool) {
    if tensor.meta.is_tiled() {
        (untile(tensor), true)
    } else if !tensor.is_contiguous() {
        (into_contiguous(tensor), true)
    } else {
        (tensor, false)
    }
}

impl Memory for Buffer {
    const IN_PLACE: bool = true;

    fn open<const D: usize>(tensor: Tensor<D>) -> Result<Buffer, Box<(Tensor<D>, String)>> {
        let DispatchTensor { kind, autodiff } = tensor.into_dispatch();
        match kind {
            DispatchTensorKind::Cube(BackendTensor::Float(tensor)) => Ok(Buffer(<Cube as Storage>::into_cube(tensor))),
            kind => {
                let tensor = Tensor::from_dispatch(DispatchTensor { kind, autodiff });
                let found = format!("a tensor on {:?}", tensor.device());
                Err(Box::new((tensor, found)))
            }
        }
    }

    fn readable(self) -> Buffer {
        Buffer(in_row_order(self.0).0)
    }

    fn writable(self, copies: &mut Copies) -> Buffer {
        let (tensor, copied) = in_row_order(self.0);
        let shared = !copied && !tensor.can_mut();
        *copies += u64::from(copied || shared);
        Buffer(if shared { tensor.copy() } else { tensor })
    }

    fn stand_in<const D: usize>(&self, _: &Device) -> Tensor<D> {
        from_cube(CubeTensor::clone(&self.0))
    }

    fn close<const D: usize>(self, _: &Device) -> Tensor<D> {
        from_cube(self.0)
    }
}
