//! Proximal gradient descent, as an optimizer of Burn.

use burn_core::tensor::{Device, Tensor};
use burn_optim::{LearningRate, Optimizer};
#[cfg(doc)]
use penalty::Sgd;

use super::state::ProximalState;
use super::tensor::Proximal;
use crate::runner::Step;

/// Proximal gradient descent for one parameter group; [`ProximalSgdConfig`](super::ProximalSgdConfig) makes it.
///
/// With the loss's gradient g, the learning rate η, momentum μ and dampening d:
///
/// - v ← μv + (1−d)g, in the first step v ← g as in Burn's `Sgd`;
/// - θ ← prox(θ − η·direction), where the direction is g without momentum, v with it, and g + μv with `nesterov`. The prox has the step
///   η, η(1−d)/(1−μ) or η(1−μd)/(1−μ), so training ends at a minimizer of f + R, whatever μ and d. [`Sgd`] has the details.
///
/// ```
/// use burn::module::ParamGroup;
/// use burn::optim::{ModuleOptimizer, SgdConfig};
/// use penalty_burn::optim::ProximalSgdConfig;
/// use penalty_burn::penalty::Penalty;
///
/// // The usual way is `ProximalSgdConfig::init`, by rules. This is a group by hand.
/// let sparse = ProximalSgdConfig::new().build(Penalty::l1(1e-4)?)?;
/// let optimizer = SgdConfig::new().init().with_group(ParamGroup::from_predicate("head"), sparse, None);
/// # drop(optimizer);
/// # Ok::<(), penalty_burn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProximalSgd {
    /// The numbers; each step has its own learning rate.
    pub(crate) numbers: Step,
    pub(crate) proximal: Proximal,
}

impl Optimizer for ProximalSgd {
    type State<const D: usize> = ProximalState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<ProximalState<D>>,
    ) -> (Tensor<D>, Option<ProximalState<D>>) {
        let (tensor, state) = self.proximal.step(self.numbers, lr, (tensor, grad, state));
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(state: ProximalState<D>, device: &Device) -> ProximalState<D> {
        state.moved_to(device)
    }
}
