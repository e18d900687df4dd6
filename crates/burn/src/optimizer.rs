//! How long the prox's step is behind a step of Burn's optimizers.

use burn_optim::momentum::MomentumConfig;
use penalty::{Momentum, Sgd};

use crate::Error;

/// The step of [`Regularizer::prox`](crate::Regularizer::prox) behind a step of Burn's `Sgd` with the learning rate η and this
/// momentum: how far that follows a constant gradient in a step.
///
/// | momentum | the prox's step |
/// | --- | --- |
/// | `None` | η |
/// | momentum μ, dampening d | η(1−d)/(1−μ) |
/// | the same with `nesterov` | η(1−μd)/(1−μ) |
///
/// Then, and with no other step, training ends where f + R has its minimum (of a penalty that is not convex, where it is stationary).
/// `MomentumConfig::new()` has μ = 0.9 and d = 0.1: the prox's step is 9η, and a prox with η would minimize f + R/9. Take the learning
/// rate of the step just taken, where it changes.
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
/// What else the optimizer does changes what is minimized:
///
/// - `WeightDecayConfig` adds w·θ to the gradient, so f + R + ½w‖θ‖² is minimized; the prox's step stays.
/// - Gradient clipping must not act at the minimum. There the gradient of f is not 0 but in −∂R: with L1 it is ±λ in each weight that
///   is left, and clipped to less it no longer holds the weight against the prox.
/// - Groups of a `ModuleOptimizer` that have other momentum need a prox of their own, of a regularizer whose rules are for them.
///
/// No step is right behind an optimizer that scales each weight's gradient or turns it in another direction: Adam, `AdamW`, Adan, AdaGrad,
/// Adafactor, RMSprop, LAMB, Lion, Muon. The prox scales nothing, so training ends at the minimum of another objective, whatever λ is.
/// The library's own [`Adam`](penalty::Adam) shrinks in its own metric.
///
/// # Errors
///
/// [`Error::Penalty`] where the learning rate is no number from 0 to `f32::MAX`, μ is not from 0 to 1 − 2^-24, or d not from 0 to below 1:
/// then there is no such step.
pub fn sgd_prox_step(learning_rate: f64, momentum: Option<&MomentumConfig>) -> Result<f64, Error> {
    let momentum = match momentum {
        None => Momentum::None,
        Some(&MomentumConfig { momentum, dampening, nesterov: false }) => Momentum::HeavyBall { momentum, dampening },
        Some(&MomentumConfig { momentum, dampening, nesterov: true }) => Momentum::Nesterov { momentum, dampening },
    };
    Ok(Sgd { step: learning_rate, momentum }.prox_step()?)
}
