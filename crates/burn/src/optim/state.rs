//! An optimizer's state for one tensor, and how a record stores it.

use burn_core::tensor::{Device, Tensor, TensorData};
use burn_optim::{RecordState, StateSink, StateSource};

use super::runners::Runners;

/// The state of a proximal optimizer for one tensor: how many steps it has taken, and its velocity or moments.
///
/// Records store it under the names that Burn's `Sgd` and `Adam` use, so a run that Burn's optimizer began can go on with the proximal one.
///
/// ```
/// use burn::optim::Optimizer;
/// use burn::tensor::{Device, Tensor};
/// use penalty_burn::optim::{ProximalAdamConfig, ProximalState};
/// use penalty_burn::penalty::Penalty;
///
/// let device = Device::flex();
/// let adam = ProximalAdamConfig::new().build(Penalty::l1(0.1)?)?;
/// let (theta, gradient) = (Tensor::<1>::ones([4], &device), Tensor::<1>::ones([4], &device));
/// let (theta, state): (_, Option<ProximalState<1>>) = adam.step(0.01, theta, gradient, None);
/// assert_eq!(state.map(|state| state.steps()), Some(1));
/// # drop(theta);
/// # Ok::<(), penalty_burn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProximalState<const D: usize> {
    pub(crate) steps: u64,
    /// The velocity, or Adam's first moment.
    pub(crate) first: Option<Tensor<D>>,
    /// Adam's second moment.
    pub(crate) second: Option<Tensor<D>>,
    pub(crate) runners: Runners,
}

/// The names in Burn's records of `MomentumState` and `AdaptiveMomentumState`, which both lie in a field `momentum`.
const STEPS: &str = "momentum.time";
const VELOCITY: &str = "momentum.velocity";
const MOMENT_1: &str = "momentum.moment_1";
const MOMENT_2: &str = "momentum.moment_2";

impl<const D: usize> ProximalState<D> {
    /// The state before the first step.
    pub(crate) fn new() -> ProximalState<D> {
        ProximalState { steps: 0, first: None, second: None, runners: Runners::default() }
    }

    /// How many steps the tensor has taken.
    ///
    /// ```
    /// # use burn::optim::Optimizer;
    /// # use burn::tensor::{Device, Tensor};
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # let (theta, gradient) = (Tensor::<1>::ones([4], &Device::flex()), Tensor::<1>::ones([4], &Device::flex()));
    /// let sgd = ProximalSgdConfig::new().build(Penalty::l1(0.1)?)?;
    /// let (theta, state) = sgd.step(0.01, theta, gradient.clone(), None);
    /// let (theta, state) = sgd.step(0.01, theta, gradient, state);
    /// assert_eq!(state.map(|state| state.steps()), Some(2));
    /// # drop(theta);
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn moved_to(self, device: &Device) -> ProximalState<D> {
        let moved = |tensor: Tensor<D>| if tensor.device() == *device { tensor } else { tensor.to_device(device) };
        ProximalState { first: self.first.map(moved), second: self.second.map(moved), ..self }
    }
}

/// A state as records store it.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) steps: u64,
    pub(super) first: Option<TensorData>,
    pub(super) second: Option<TensorData>,
}

impl Stored {
    pub(super) fn push(self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, STEPS, self.steps.into());
        let first = if self.second.is_some() { MOMENT_1 } else { VELOCITY };
        for (name, data) in [(first, self.first), (MOMENT_2, self.second)] {
            if let Some(data) = data {
                out.push_tensor(prefix, name, data);
            }
        }
    }

    pub(super) fn take(prefix: &str, source: &mut StateSource) -> Option<Stored> {
        let steps = source.take_scalar(prefix, STEPS).and_then(|steps| u64::try_from(steps).ok());
        let second = source.take_tensor(prefix, MOMENT_2);
        let first = source.take_tensor(prefix, if second.is_some() { MOMENT_1 } else { VELOCITY });
        // Burn's `Sgd` counts no steps. It has taken one if there is a velocity.
        let steps = steps.or(first.is_some().then_some(1))?;
        Some(Stored { steps, first, second })
    }
}

impl<const D: usize> RecordState for ProximalState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        let data = |tensor: &Option<Tensor<D>>| tensor.as_ref().map(Tensor::to_data);
        Stored { steps: self.steps, first: data(&self.first), second: data(&self.second) }.push(prefix, out);
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<ProximalState<D>> {
        let tensor = |data: TensorData| {
            let dtype = data.dtype();
            Tensor::from_data(data, (device, dtype))
        };
        let Stored { steps, first, second } = Stored::take(prefix, source)?;
        Some(ProximalState { steps, first: first.map(tensor), second: second.map(tensor), runners: Runners::default() })
    }
}
