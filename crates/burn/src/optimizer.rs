//! The prox's step after a step of Burn's optimizers.

use burn_optim::momentum::MomentumConfig;
use penalty::{Momentum, Sgd};

use crate::Error;

/// The step for [`Regularizer::prox`](crate::Regularizer::prox) after a step of Burn's `Sgd` with the learning rate η and this momentum. It
/// is how far SGD eventually moves per step along a constant gradient, in units of that gradient.
///
/// | momentum | the prox's step |
/// | --- | --- |
/// | `None` | η |
/// | momentum μ, dampening d | η(1−d)/(1−μ) |
/// | the same with `nesterov` | η(1−μd)/(1−μ) |
///
/// With this step, and with no other, training ends at the minimum of f + R (at a stationary point if the penalty is not convex).
/// `MomentumConfig::new()` has μ = 0.9 and d = 0.1, so the prox's step is 9η; a prox with η would minimize f + R/9. If the learning rate
/// changes, pass that of the step just taken.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::momentum::MomentumConfig;
/// use burn::optim::{GradientsParams, SgdConfig};
/// use burn::tensor::{Device, Tensor};
/// use penalty::Penalty;
/// use penalty_burn::{Regularizer, Rules, sgd_prox_step};
///
/// let device = Device::flex().autodiff();
/// let mut model: Linear = LinearConfig::new(8, 4).init(&device);
/// let momentum = MomentumConfig::new();
/// let mut optimizer = SgdConfig::new().with_momentum(Some(momentum.clone())).init();
/// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.1)?));
/// let learning_rate = 0.01;
///
/// let loss = model.forward(Tensor::<2>::ones([1, 8], &device)).powi_scalar(2).mean();
/// let gradients = GradientsParams::from_grads(loss.backward(), &model);
/// model = optimizer.step(learning_rate, model, gradients);
/// let step = sgd_prox_step(learning_rate, Some(&momentum))?;
/// assert!((step - 0.09).abs() < 1e-6);
/// (model, _) = regularizer.prox(model, step)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Other settings of the optimizer change what training minimizes:
///
/// - `WeightDecayConfig` adds w·θ to the gradient, so training minimizes f + R + ½w‖θ‖². The prox's step stays the same.
/// - Gradient clipping must not be active at the minimum. There the gradient of f is not 0 but lies in −∂R: with L1 it is ±λ for each
///   nonzero weight. If clipping makes it smaller, it no longer holds the weight against the prox.
/// - If groups of a `ModuleOptimizer` have different momentum, each needs a separate regularizer, with rules that select only that group.
///
/// No step is right after an optimizer that scales each weight's gradient or changes its direction: Adam, `AdamW`, Adan, AdaGrad,
/// Adafactor, RMSprop, LAMB, Lion, Muon. The prox scales nothing, so training ends at the minimum of another objective, whatever λ is.
/// [`ProximalAdamConfig`](crate::optim::ProximalAdamConfig) makes an Adam whose prox is in Adam's metric instead.
///
/// # Errors
///
/// [`Error::Penalty`] if the learning rate is not a number from 0 to `f32::MAX`, μ is not from 0 to 1 − 2^-24, or d is not at least 0 and
/// below 1. No such step exists then.
pub fn sgd_prox_step(learning_rate: f64, momentum: Option<&MomentumConfig>) -> Result<f64, Error> {
    Ok(Sgd { step: learning_rate, momentum: momentum_of(momentum) }.prox_step()?)
}

/// The library's momentum for Burn's.
pub(crate) fn momentum_of(config: Option<&MomentumConfig>) -> Momentum {
    match config {
        None => Momentum::None,
        Some(&MomentumConfig { momentum, dampening, nesterov: false }) => Momentum::HeavyBall { momentum, dampening },
        Some(&MomentumConfig { momentum, dampening, nesterov: true }) => Momentum::Nesterov { momentum, dampening },
    }
}
