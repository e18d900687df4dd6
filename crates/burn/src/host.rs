//! Penalties on host memory, by all threads of rayon's pool.

use penalty::{Cpu, HostSet, Parameter, Penalty, Slice, SliceMut};

use crate::Error;
use crate::array::Array;
use crate::pending::State;
use crate::runner::Runner;

/// The parameters of the last module, and what runs them.
#[derive(Debug, Default)]
pub(crate) struct Host {
    cpu: Cpu,
    set: Option<HostSet<'static>>,
}

impl Host {
    fn set(&mut self, penalties: &[Penalty]) -> &HostSet<'static> {
        let set = self.set.get_or_insert_with(|| HostSet::new(self.cpu.clone(), Vec::new()));
        for ((_, to), from) in set.penalties_mut().zip(penalties) {
            to.clone_from(from);
        }
        set
    }
}

impl Runner for Host {
    type Memory = Array;

    fn prepare(&mut self, parameters: Vec<Parameter>) {
        self.set = Some(HostSet::new(self.cpu.clone(), parameters));
    }

    fn evaluate(&mut self, penalties: &[Penalty], weights: &[Array]) -> Result<State, Error> {
        Ok(State::Ready(self.set(penalties).evaluate(&slices(weights))?))
    }

    fn add_gradients(
        &mut self,
        penalties: &[Penalty],
        weights: &[Array],
        gradients: &mut [Array],
    ) -> Result<State, Error> {
        let set = self.set(penalties);
        Ok(State::Ready(set.evaluate_and_gradient_add(&slices(weights), &mut slices_mut(gradients))?))
    }

    fn prox(&mut self, penalties: &[Penalty], weights: &mut [Array], step: f64) -> Result<State, Error> {
        Ok(State::Ready(self.set(penalties).prox_and_evaluate(&mut slices_mut(weights), step)?))
    }
}

fn slices(arrays: &[Array]) -> Vec<Slice<'_>> {
    arrays.iter().map(Array::slice).collect()
}

fn slices_mut(arrays: &mut [Array]) -> Vec<SliceMut<'_>> {
    arrays.iter_mut().map(Array::slice_mut).collect()
}
