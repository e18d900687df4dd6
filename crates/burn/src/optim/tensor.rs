//! One tensor's step: where it runs, and on what memory.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use burn_core::tensor::Tensor;
use burn_optim::LearningRate;
use penalty::Penalty;

use super::state::ProximalState;
use super::statistics::Cell;
use crate::Error;
use crate::array::is_reached;
use crate::host::Host;
use crate::memory::Memory;
#[cfg(feature = "wgpu")]
use crate::opened::Wgpu;
use crate::operations::Operations;
use crate::pending::Pending;
use crate::rules::Schedule;
use crate::runner::{self, Step, Stepped, Stepper, Stepping};
use crate::walk::{FIRST, GRADIENT, SECOND, Shaped, WEIGHTS, dtype_of};
#[cfg(feature = "wgpu")]
use crate::wgpu;

/// What a proximal optimizer has besides its own numbers.
#[derive(Debug, Clone)]
pub(crate) struct Proximal {
    pub(crate) penalty: Penalty,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) element_weights: Option<Tensor<1>>,
    pub(crate) cell: Cell,
    #[cfg(feature = "wgpu")]
    pub(crate) wgpu: Option<Wgpu>,
}

impl Proximal {
    /// The penalty of a tensor's step after so many others.
    pub(crate) fn penalty_at(&self, steps: u64) -> penalty::Result<Cow<'_, Penalty>> {
        match &self.schedule {
            Some(schedule) => schedule.at(steps, &self.penalty).map(Cow::Owned),
            None => Ok(Cow::Borrowed(&self.penalty)),
        }
    }

    /// Takes the step in place. If it fails, the weights and the state keep their values, and the error goes to the statistics.
    pub(crate) fn step<const D: usize>(
        &self,
        numbers: Step,
        learning_rate: LearningRate,
        (weights, gradient, state): (Tensor<D>, Tensor<D>, Option<ProximalState<D>>),
    ) -> (Tensor<D>, ProximalState<D>) {
        let mut state = state.unwrap_or_else(ProximalState::new);
        let step = numbers.at(learning_rate, state.steps);
        for (used, moment) in step.states().into_iter().zip([&mut state.first, &mut state.second]) {
            if used {
                moment.get_or_insert_with(|| weights.zeros_like());
            }
        }
        let len = weights.shape().num_elements() as u64;
        if len == 0 {
            return (weights, state);
        }
        let dtype = match dtype_of(weights.dtype()) {
            Ok(dtype) => dtype,
            Err(found) => {
                self.cell.set(Err(Error::Type { operand: WEIGHTS, parameter: self.cell.path().into(), found }));
                return (weights, state);
            }
        };
        // In mixed precision, gradients may have another type than the weights they are for.
        let gradient = if gradient.dtype() == weights.dtype() { gradient } else { gradient.cast(weights.dtype()) };
        let tensor = Shaped { path: self.cell.path().into(), len, dtype };
        let runners = state.runners.clone();
        // After a panic elsewhere, a runner is at worst one that sets itself up again.
        let mut kept = runners.0.lock().unwrap_or_else(PoisonError::into_inner);
        #[cfg(feature = "wgpu")]
        if let Some(wgpu) = self.wgpu.as_ref().filter(|wgpu| wgpu.device == weights.device()) {
            let new = || wgpu::Device::new(wgpu.gpu.clone());
            return self.run_on(&mut kept.wgpu, new, tensor, (step, weights, gradient, state));
        }
        if is_reached(&weights.device()) {
            self.run_on(&mut kept.host, Host::default, tensor, (step, weights, gradient, state))
        } else {
            self.run_on(&mut kept.operations, Operations::default, tensor, (step, weights, gradient, state))
        }
    }

    /// Runs the step with the runner of earlier steps, or with a new one for this tensor.
    fn run_on<R: Stepper, const D: usize>(
        &self,
        kept: &mut Option<R>,
        new: impl FnOnce() -> R,
        tensor: Shaped,
        (step, weights, gradient, state): (Step, Tensor<D>, Tensor<D>, ProximalState<D>),
    ) -> (Tensor<D>, ProximalState<D>) {
        if kept.is_none() {
            let mut runner = new();
            match runner::prepare(&mut runner, vec![tensor], vec![self.element_weights.clone()]) {
                Ok(()) => *kept = Some(runner),
                Err(error) => self.cell.set(Err(error)),
            }
        }
        match kept {
            Some(runner) => self.run(runner, step, weights, gradient, state),
            None => (weights, state),
        }
    }

    fn run<R: Stepper, const D: usize>(
        &self,
        runner: &mut R,
        step: Step,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        mut state: ProximalState<D>,
    ) -> (Tensor<D>, ProximalState<D>) {
        let device = weights.device();
        let copies = &mut 0;
        let mut weights = match open::<R::Memory, D>(WEIGHTS, weights) {
            Ok(weights) => weights.writable(copies),
            Err(shut) => return (self.failed(shut), state),
        };
        let gradient = match open::<R::Memory, D>(GRADIENT, gradient) {
            Ok(gradient) => gradient.readable(),
            Err(shut) => {
                self.failed(shut);
                return (weights.close(&device), state);
            }
        };
        let [mut first, mut second] = [None, None];
        for (operand, tensor, memory) in
            [(FIRST, &mut state.first, &mut first), (SECOND, &mut state.second, &mut second)]
        {
            match tensor.take().map(|tensor| open::<R::Memory, D>(operand, tensor)) {
                None => {}
                Some(Ok(opened)) => *memory = Some(opened.writable(copies)),
                Some(Err(shut)) => *tensor = Some(self.failed(shut)),
            }
        }
        let memory = Stepped {
            weights: std::slice::from_mut(&mut weights),
            gradients: std::slice::from_ref(&gradient),
            first: first.as_mut_slice(),
            second: second.as_mut_slice(),
        };
        let report = self.cell.reports(state.steps);
        let taken = self.penalty_at(state.steps).map_err(Error::from).and_then(|penalty| {
            let penalties = std::slice::from_ref(&*penalty);
            R::steps(vec![(runner, Stepping { penalties, memory, step, report })])
        });
        match taken {
            Ok(reported) => {
                if let Some(reported) = reported.into_iter().flatten().next() {
                    let names = Arc::new([self.cell.path().to_string()]);
                    self.cell.set(Ok((Pending::new(names, reported).into(), 0)));
                }
                state.steps += 1;
            }
            Err(error) => self.cell.set(Err(error)),
        }
        self.cell.count(*copies);
        for (tensor, memory) in [(&mut state.first, first), (&mut state.second, second)] {
            if let Some(memory) = memory {
                *tensor = Some(memory.close(&device));
            }
        }
        (weights.close(&device), state)
    }

    /// Reports a tensor whose memory Burn does not hand out, and returns the tensor.
    fn failed<const D: usize>(&self, (operand, shut): (&'static str, Shut<D>)) -> Tensor<D> {
        let (tensor, problem) = *shut;
        self.cell.set(Err(Error::Storage { operand, parameter: self.cell.path().into(), problem }));
        tensor
    }
}

/// A tensor that does not open, and the reason.
type Shut<const D: usize> = Box<(Tensor<D>, String)>;

fn open<K: Memory, const D: usize>(operand: &'static str, tensor: Tensor<D>) -> Result<K, (&'static str, Shut<D>)> {
    K::open(tensor).map_err(|shut| (operand, shut))
}
