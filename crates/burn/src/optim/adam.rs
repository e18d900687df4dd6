//! Proximal Adam, as an optimizer of Burn.

use burn_core::tensor::{Device, Tensor};
use burn_optim::{LearningRate, Optimizer};
#[cfg(doc)]
use penalty::Adam;

use super::state::ProximalState;
use super::tensor::Proximal;
use crate::runner::Step;

/// Proximal Adam for one parameter group; [`ProximalAdamConfig`](super::ProximalAdamConfig) makes it.
///
/// It takes Adam's step, with decoupled decay as in `AdamW`, and then the penalty's prox in Adam's metric, by default. Without decay, training
/// ends at a minimizer of f + R. [`Adam`] has the formulas.
///
/// In that metric, a weight's threshold is scaled by 1/(√v̂ + ε). L0, MCP and SCAD are flat for large weights. If the gradient of such a weight
/// vanishes too, as in training on all rows at once, the threshold grows beyond the weight. Batches keep gradients from vanishing; else take
/// a larger ε.
///
/// ```
/// use burn::module::ParamGroup;
/// use burn::optim::{AdamConfig, ModuleOptimizer};
/// use penalty_burn::optim::ProximalAdamConfig;
/// use penalty_burn::penalty::Penalty;
///
/// // The usual way is `ProximalAdamConfig::init`, by rules. This is a group by hand.
/// let sparse = ProximalAdamConfig::new().build(Penalty::l1(1e-4)?)?;
/// let optimizer = AdamConfig::new().init().with_group(ParamGroup::from_predicate("head"), sparse, None);
/// # drop(optimizer);
/// # Ok::<(), penalty_burn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ProximalAdam {
    /// The numbers; each step has its own learning rate and iteration.
    pub(crate) numbers: Step,
    pub(crate) proximal: Proximal,
}

impl Optimizer for ProximalAdam {
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
