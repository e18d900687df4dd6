//! Host slices: Flex's own memory, or copies of what lies elsewhere.

use burn_core::tensor::DType;
use penalty::half::{bf16, f16};
use penalty::{Cpu, HostSet, Parameter, Penalty, Reports, Slice, SliceMut};

use crate::Error;
use crate::memory::Memory;

/// The parameters of the last module, and what runs them.
#[derive(Debug, Default)]
pub(crate) struct Host {
    cpu: Cpu,
    set: Option<HostSet<'static>>,
}

impl Host {
    /// From now on these parameters.
    pub(crate) fn prepare(&mut self, parameters: Vec<Parameter>) {
        self.set = Some(HostSet::new(self.cpu.clone(), parameters));
    }

    fn set(&mut self, penalties: &[Penalty]) -> &HostSet<'static> {
        let set = self.set.get_or_insert_with(|| HostSet::new(self.cpu.clone(), Vec::new()));
        for ((_, to), from) in set.penalties_mut().zip(penalties) {
            to.clone_from(from);
        }
        set
    }

    pub(crate) fn evaluate(&mut self, penalties: &[Penalty], weights: &[Memory]) -> Result<Reports, Error> {
        Ok(self.set(penalties).evaluate(&slices(weights))?)
    }

    pub(crate) fn add_gradients(
        &mut self,
        penalties: &[Penalty],
        weights: &[Memory],
        gradients: &mut [Memory],
    ) -> Result<Reports, Error> {
        Ok(self.set(penalties).evaluate_and_gradient_add(&slices(weights), &mut slices_mut(gradients))?)
    }

    pub(crate) fn prox(&mut self, penalties: &[Penalty], weights: &mut [Memory], step: f64) -> Result<Reports, Error> {
        Ok(self.set(penalties).prox_and_evaluate(&mut slices_mut(weights), step)?)
    }
}

fn slices(memory: &[Memory]) -> Vec<Slice<'_>> {
    memory.iter().map(slice).collect()
}

fn slices_mut(memory: &mut [Memory]) -> Vec<SliceMut<'_>> {
    memory.iter_mut().map(slice_mut).collect()
}

/// What is in row order and of a type with kernels, as every memory here is; of anything else nothing, which a set rejects.
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
