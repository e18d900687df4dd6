//! Runs penalties on host memory, with all threads of rayon's pool.

use std::borrow::Cow;

use penalty::{Budget, Cpu, HostSet, Parameter, Penalty, Slice, SliceMut};

use crate::Error;
use crate::array::Array;
use crate::pending::State;
use crate::runner::{Runner, Step, Stepper, Stepping};
use crate::walk::{FIRST, GRADIENT, SECOND, Shaped, WEIGHTS};

/// The parameters of the last module, and the set that runs penalties on them.
#[derive(Debug)]
pub(crate) struct Host {
    tensors: Vec<Shaped>,
    set: HostSet<'static>,
    /// Those of the tensors with weighted penalties. Empty if no tensor has one.
    element_weights: Vec<Option<Array>>,
}

impl Default for Host {
    fn default() -> Host {
        Host { tensors: Vec::new(), set: HostSet::new(Cpu::new(), Vec::new()), element_weights: Vec::new() }
    }
}

impl Host {
    /// Gives the set these penalties and the element weights, then returns the tensors and the set.
    fn with(&mut self, penalties: &[Penalty]) -> Result<(&[Shaped], Cow<'_, HostSet<'_>>), Error> {
        for ((_, to), from) in self.set.penalties_mut().zip(penalties) {
            to.clone_from(from);
        }
        if self.element_weights.is_empty() {
            return Ok((&self.tensors, Cow::Borrowed(&self.set)));
        }
        let slices: Vec<Option<Slice<'_>>> =
            self.element_weights.iter().map(|array| array.as_ref().map(Array::slice)).collect();
        // A set borrows its element weights, so it cannot be kept beside them.
        Ok((&self.tensors, Cow::Owned(self.set.clone().with_element_weights(&slices)?)))
    }
}

impl Stepper for Host {
    type Memory = Array;

    fn prepare(&mut self, tensors: Vec<Shaped>, element_weights: Vec<Option<Array>>) {
        let parameters = tensors.iter().map(|tensor| Parameter::new(&tensor.path, Penalty::none())).collect();
        let element_weights = if element_weights.iter().any(Option::is_some) { element_weights } else { Vec::new() };
        *self = Host { tensors, set: HostSet::new(Cpu::new(), parameters), element_weights };
    }

    fn steps(steps: Vec<(&mut Host, Stepping<'_, Array>)>) -> Result<Vec<Option<State>>, Error> {
        // A set rejects before it writes. Of several, none may write before all are accepted.
        if steps.len() > 1 {
            for (host, stepping) in &steps {
                let of = host.tensors.iter().zip(stepping.penalties);
                of.map(|(tensor, penalty)| (&*tensor.path, penalty)).try_for_each(|of| accept(of, &stepping.step))?;
            }
        }
        steps.into_iter().map(|(host, stepping)| host.step(stepping)).collect()
    }
}

impl Runner for Host {
    fn evaluate(&mut self, penalties: &[Penalty], weights: &[Array]) -> Result<State, Error> {
        let (tensors, set) = self.with(penalties)?;
        Ok(State::Ready(set.evaluate(&slices(tensors, WEIGHTS, weights)?)?))
    }

    fn add_gradients(
        &mut self,
        penalties: &[Penalty],
        weights: &[Array],
        gradients: &mut [Array],
    ) -> Result<State, Error> {
        let (tensors, set) = self.with(penalties)?;
        let weights = slices(tensors, WEIGHTS, weights)?;
        let mut gradients = slices_mut(tensors, GRADIENT, gradients)?;
        Ok(State::Ready(set.evaluate_and_gradient_add(&weights, &mut gradients)?))
    }

    fn prox(&mut self, penalties: &[Penalty], weights: &mut [Array], step: f64) -> Result<State, Error> {
        let (tensors, set) = self.with(penalties)?;
        let mut weights = slices_mut(tensors, WEIGHTS, weights)?;
        Ok(State::Ready(set.prox_and_evaluate_in_place(&mut weights, step)?))
    }

    fn prune(&mut self, penalties: &[Penalty], weights: &mut [Array], budget: &Budget) -> Result<State, Error> {
        let (tensors, set) = self.with(penalties)?;
        Ok(State::Ready(set.prune_in_place(budget, &mut slices_mut(tensors, WEIGHTS, weights)?)?))
    }
}

impl Host {
    pub(crate) fn prune_groups(
        &mut self,
        penalties: &[Penalty],
        weights: &mut [Array],
        budget: &Budget,
    ) -> Result<State, Error> {
        let (tensors, set) = self.with(penalties)?;
        Ok(State::Ready(set.prune_groups_in_place(budget, &mut slices_mut(tensors, WEIGHTS, weights)?)?))
    }

    fn step(
        &mut self,
        Stepping { penalties, memory, step, report }: Stepping<'_, Array>,
    ) -> Result<Option<State>, Error> {
        let (tensors, set) = self.with(penalties)?;
        let weights = &mut slices_mut(tensors, WEIGHTS, memory.weights)?;
        let gradients = &slices(tensors, GRADIENT, memory.gradients)?;
        let first = &mut slices_mut(tensors, FIRST, memory.first)?;
        let second = &mut slices_mut(tensors, SECOND, memory.second)?;
        let reports = match (&step, report) {
            (Step::Sgd(sgd), true) => Some(set.sgd_and_evaluate(weights, gradients, first, sgd)?),
            (Step::Adam(adam), true) => Some(set.adam_and_evaluate(weights, gradients, first, second, adam)?),
            (Step::Sgd(sgd), false) => set.sgd(weights, gradients, first, sgd).map(|()| None)?,
            (Step::Adam(adam), false) => set.adam(weights, gradients, first, second, adam).map(|()| None)?,
        };
        Ok(reports.map(State::Ready))
    }
}

/// Rejects what no tensor's step accepts: numbers out of range, and a penalty without a prox in the step's metric.
pub(crate) fn accept((path, penalty): (&str, &Penalty), step: &Step) -> Result<(), Error> {
    let set = HostSet::new(Cpu::new(), vec![Parameter::new(path, penalty.clone())]);
    let none = || Slice::from(<&[f32]>::default());
    let set = set.with_element_weights(&[penalty.is_weighted().then(none)])?;
    let nothing = || [SliceMut::from(<&mut [f32]>::default())];
    match step {
        Step::Sgd(sgd) => set.sgd(&mut nothing(), &[none()], &mut nothing(), sgd)?,
        Step::Adam(adam) => set.adam(&mut nothing(), &[none()], &mut nothing(), &mut nothing(), adam)?,
    }
    Ok(())
}

fn slices<'a>(tensors: &[Shaped], operand: &'static str, arrays: &'a [Array]) -> Result<Vec<Slice<'a>>, Error> {
    let slice = |(tensor, array): (&Shaped, &'a Array)| {
        let slice = array.slice();
        tensor.fits(operand, &slice).map(|()| slice)
    };
    tensors.iter().zip(arrays).map(slice).collect()
}

fn slices_mut<'a>(
    tensors: &[Shaped],
    operand: &'static str,
    arrays: &'a mut [Array],
) -> Result<Vec<SliceMut<'a>>, Error> {
    let slice = |(tensor, array): (&Shaped, &'a mut Array)| {
        let slice = array.slice_mut();
        tensor.fits(operand, &slice.as_slice()).map(|()| slice)
    };
    tensors.iter().zip(arrays).map(slice).collect()
}

impl Shaped {
    /// Rejects an array that does not hold this tensor's elements.
    fn fits(&self, operand: &'static str, slice: &Slice<'_>) -> Result<(), Error> {
        if (slice.len() as u64, slice.dtype()) == (self.len, self.dtype) {
            return Ok(());
        }
        let problem =
            format!("its memory must hold {} {}, found {} {}", self.len, self.dtype, slice.len(), slice.dtype());
        Err(self.shut(operand, problem))
    }
}
