//! Host slices: Flex's own memory, or copies of what lies elsewhere.

use burn_core::tensor::DType;
use penalty::half::{bf16, f16};
use penalty::{Cpu, HostSet, Parameter, Penalty, Reports, Slice, SliceMut};

use crate::Error;
use crate::memory::Memory;
use crate::walk::{GRADIENT, Shaped, WEIGHTS};

/// The parameters of the last module, and what runs them.
#[derive(Debug)]
pub(crate) struct Host {
    tensors: Vec<Shaped>,
    set: HostSet<'static>,
}

impl Default for Host {
    fn default() -> Host {
        Host { tensors: Vec::new(), set: HostSet::new(Cpu::new(), Vec::new()) }
    }
}

impl Host {
    /// From now on these parameters.
    pub(crate) fn prepare(&mut self, tensors: Vec<Shaped>) {
        let parameters = tensors.iter().map(|tensor| Parameter::new(&tensor.path, Penalty::none())).collect();
        *self = Host { tensors, set: HostSet::new(Cpu::new(), parameters) };
    }

    pub(crate) fn evaluate(&mut self, penalties: &[Penalty], weights: &[Memory]) -> Result<Reports, Error> {
        let (tensors, set) = self.with(penalties);
        Ok(set.evaluate(&slices(tensors, WEIGHTS, weights)?)?)
    }

    pub(crate) fn add_gradients(
        &mut self,
        penalties: &[Penalty],
        weights: &[Memory],
        gradients: &mut [Memory],
    ) -> Result<Reports, Error> {
        let (tensors, set) = self.with(penalties);
        let weights = slices(tensors, WEIGHTS, weights)?;
        Ok(set.evaluate_and_gradient_add(&weights, &mut slices_mut(tensors, GRADIENT, gradients)?)?)
    }

    pub(crate) fn prox(&mut self, penalties: &[Penalty], weights: &mut [Memory], step: f64) -> Result<Reports, Error> {
        let (tensors, set) = self.with(penalties);
        Ok(set.prox_and_evaluate_in_place(&mut slices_mut(tensors, WEIGHTS, weights)?, step)?)
    }

    /// The set with these penalties.
    fn with(&mut self, penalties: &[Penalty]) -> (&[Shaped], &HostSet<'static>) {
        for ((_, to), from) in self.set.penalties_mut().zip(penalties) {
            to.clone_from(from);
        }
        (&self.tensors, &self.set)
    }
}

fn slices<'a>(tensors: &[Shaped], operand: &'static str, memory: &'a [Memory]) -> Result<Vec<Slice<'a>>, Error> {
    let slice = |(tensor, memory): (&Shaped, &'a Memory)| {
        let slice = slice(memory);
        tensor.fits(operand, &slice).map(|()| slice)
    };
    tensors.iter().zip(memory).map(slice).collect()
}

fn slices_mut<'a>(
    tensors: &[Shaped],
    operand: &'static str,
    memory: &'a mut [Memory],
) -> Result<Vec<SliceMut<'a>>, Error> {
    let slice = |(tensor, memory): (&Shaped, &'a mut Memory)| {
        let slice = slice_mut(memory);
        tensor.fits(operand, &slice.as_slice()).map(|()| slice)
    };
    tensors.iter().zip(memory).map(slice).collect()
}

impl Shaped {
    /// Rejects memory that was found to be no tensor like this.
    fn fits(&self, operand: &'static str, slice: &Slice<'_>) -> Result<(), Error> {
        if (slice.len() as u64, slice.dtype()) == (self.len, self.dtype) {
            return Ok(());
        }
        let problem =
            format!("its memory must hold {} {}, found {} {}", self.len, self.dtype, slice.len(), slice.dtype());
        Err(Error::Storage { operand, parameter: self.path.clone(), problem })
    }
}

/// What is in row order and of a type with kernels, as every memory here is; of anything else nothing, which `fits` rejects.
fn slice(memory: &Memory) -> Slice<'_> {
    const NONE: &[f32] = &[];
    match (memory, memory.dtype()) {
        (Memory::Flex(tensor), DType::F32) => tensor.as_slice::<f32>().unwrap_or_default().into(),
        (Memory::Flex(tensor), DType::F16) => tensor.as_slice::<f16>().unwrap_or_default().into(),
        (Memory::Flex(tensor), DType::BF16) => tensor.as_slice::<bf16>().unwrap_or_default().into(),
        (Memory::Copy(data), DType::F32) => data.as_slice::<f32>().unwrap_or_default().into(),
        (Memory::Copy(data), DType::F16) => data.as_slice::<f16>().unwrap_or_default().into(),
        (Memory::Copy(data), DType::BF16) => data.as_slice::<bf16>().unwrap_or_default().into(),
        _ => NONE.into(),
    }
}

fn slice_mut(memory: &mut Memory) -> SliceMut<'_> {
    let dtype = memory.dtype();
    match (memory, dtype) {
        (Memory::Flex(tensor), DType::F32) => {
            let len = tensor.layout().num_elements();
            tensor.storage_mut::<f32>().get_mut(..len).unwrap_or_default().into()
        }
        (Memory::Flex(tensor), DType::F16) => {
            let len = tensor.layout().num_elements();
            tensor.storage_mut::<f16>().get_mut(..len).unwrap_or_default().into()
        }
        (Memory::Flex(tensor), DType::BF16) => {
            let len = tensor.layout().num_elements();
            tensor.storage_mut::<bf16>().get_mut(..len).unwrap_or_default().into()
        }
        (Memory::Copy(data), DType::F32) => data.as_mut_slice::<f32>().unwrap_or_default().into(),
        (Memory::Copy(data), DType::F16) => data.as_mut_slice::<f16>().unwrap_or_default().into(),
        (Memory::Copy(data), DType::BF16) => data.as_mut_slice::<bf16>().unwrap_or_default().into(),
        _ => <&mut [f32]>::default().into(),
    }
}
