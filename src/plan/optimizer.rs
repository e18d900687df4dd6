//! Steps of an optimizer that end in a prox: what their parameters may be, and the numbers that kernels need of them.

use super::operation::Operation;
use crate::formula::scalars::{Direction, Metric, Scalars};
use crate::numeric::bits::{SMALLEST, coefficient};
use crate::{Error, Result};

/// Proximal gradient descent: one step against the loss's gradient g, then the penalty's prox.
///
/// | momentum | state | direction | prox's step | direction as |
/// | --- | --- | --- | --- | --- |
/// | [`None`](Momentum::None) | | g | η | Parikh and Boyd 2014, §4.2 |
/// | [`HeavyBall`](Momentum::HeavyBall) with momentum μ, dampening d | v ← μv + (1−d)g | v | η(1−d)/(1−μ) | PyTorch's `SGD(momentum=μ, dampening=d)` |
/// | [`Nesterov`](Momentum::Nesterov) with momentum μ, dampening d | v ← μv + (1−d)g | g + μv | η(1−μd)/(1−μ) | PyTorch's `SGD(nesterov=True)`, which allows d = 0 only, and Burn's; Sutskever et al. 2013 |
///
/// and θ ← prox(θ − η·direction). Momentum follows a constant gradient as far in a step as the prox's step says, and the prox must
/// go as far: only then are the fixed points the minimizers of f + R, whatever μ and d. For the heavy ball this is the proximal step
/// of Yun, Lozano and Yang 2021 (*Adaptive proximal gradient methods for structured neural networks*, with the preconditioner 1).
///
/// g is the gradient of the loss alone: a penalty added to it too is applied twice. The state v has the weights' type and
/// begins as zeros, so the first v is (1−d)g. PyTorch's and Burn's first v is g, without dampening. To begin as they do, take
/// the first step with d = 0; what differs otherwise is dμᵗ⁻¹g₁ at step t, which fades.
///
/// Every operation is an addition, a multiplication or a comparison, so every backend gives the same bits. A weight that is not
/// finite keeps its bits where the direction is finite; a NaN in g or v makes a weight NaN, and never 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// The step size η ≥ 0; another at each step, as schedules want it.
    pub step: f64,
    /// What becomes of earlier gradients.
    pub momentum: Momentum,
}

/// What becomes of earlier gradients in [`Sgd`].
///
/// ```
/// use penalty::Momentum;
///
/// // Without dampening, as PyTorch's default is; Burn's `MomentumConfig` has 0.1.
/// assert_eq!(Momentum::heavy_ball(0.9), Momentum::HeavyBall { momentum: 0.9, dampening: 0.0 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Momentum {
    /// They are forgotten; there is no state.
    #[default]
    None,
    /// They go on.
    HeavyBall {
        /// μ from 0 to 1 − 2^-24: how much of the state goes on at each step.
        momentum: f64,
        /// d in [0, 1): how much of each gradient does not enter the state.
        dampening: f64,
    },
    /// The same, and the step looks ahead by one.
    Nesterov {
        /// μ from 0 to 1 − 2^-24: how much of the state goes on at each step.
        momentum: f64,
        /// d in [0, 1): how much of each gradient does not enter the state.
        dampening: f64,
    },
}

impl Momentum {
    /// The heavy ball without dampening.
    pub const fn heavy_ball(momentum: f64) -> Momentum {
        Momentum::HeavyBall { momentum, dampening: 0.0 }
    }

    /// Nesterov's momentum without dampening.
    pub const fn nesterov(momentum: f64) -> Momentum {
        Momentum::Nesterov { momentum, dampening: 0.0 }
    }

    /// (μ, d).
    fn numbers(self) -> (f64, f64) {
        match self {
            Momentum::None => (0.0, 0.0),
            Momentum::HeavyBall { momentum, dampening } | Momentum::Nesterov { momentum, dampening } => {
                (momentum, dampening)
            }
        }
    }
}

impl Sgd {
    pub(crate) fn operation(&self) -> Operation {
        Operation::Sgd(match self.momentum {
            Momentum::None => Direction::Gradient,
            Momentum::HeavyBall { .. } => Direction::Momentum,
            Momentum::Nesterov { .. } => Direction::Nesterov,
        })
    }

    /// The prox's step: how far a constant gradient is followed in a step, which is what λ is multiplied with. For a prox that is
    /// taken apart from the step, behind another library's optimizer.
    ///
    /// ```
    /// use penalty::{Momentum, Sgd};
    ///
    /// let momentum = Momentum::HeavyBall { momentum: 0.5, dampening: 0.25 };
    /// assert_eq!(Sgd { step: 0.5, momentum }.prox_step()?, 0.75); // η(1−d)/(1−μ)
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] where the step, its momentum or its dampening is out of range.
    pub fn prox_step(&self) -> Result<f64> {
        self.scalars()?;
        let (momentum, dampening) = self.momentum.numbers();
        // The μ that kernels have: near 1, its rounding is a large part of 1 − μ.
        let momentum = f64::from(coefficient(momentum));
        let followed = match self.momentum {
            Momentum::None => 1.0,
            Momentum::HeavyBall { .. } => (1.0 - dampening) / (1.0 - momentum),
            Momentum::Nesterov { .. } => (1.0 - momentum * dampening) / (1.0 - momentum),
        };
        Ok(self.step * followed)
    }

    /// (μ, −η, 1−d).
    pub(crate) fn scalars(&self) -> Result<Scalars> {
        let (momentum, dampening) = self.momentum.numbers();
        let step = step(self.step)?;
        // A μ that rounds to 1 would never let go of a gradient.
        if !(momentum >= 0.0 && coefficient(momentum) < 1.0) {
            return Err(Error::Parameter { name: "momentum", expected: "from 0 to 1 − 2^-24", found: momentum });
        }
        let kept = 1.0 - fraction("dampening", dampening)?;
        Ok([coefficient(momentum), -coefficient(step), coefficient(kept), 0.0, 0.0, 0.0, 0.0, 0.0])
    }
}

/// Proximal Adam: Adam's step, with decoupled decay as in AdamW, then the penalty's prox in one of two metrics.
///
/// With g the gradient of the loss alone, at iteration t = 1, 2, …
///
/// - m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ) (Kingma and Ba 2015);
/// - u = θ(1 − ηw) − η·m̂/(√v̂ + ε) with the decay w outside of Adam's scaling (Loshchilov and Hutter 2019);
/// - θ ← argmin over x of ηR(x) + ½Σdᵢ(xᵢ − uᵢ)², where d is √v̂ + ε or 1 as [`Metric`] says
///   (Yun, Lozano and Yang 2021, *Adaptive proximal gradient methods for structured neural networks*).
///
/// In [`Metric::Adam`], the default, and without decay, the fixed points are the minimizers of f + R. With decay they are not those of
/// f + R + ½w‖θ‖² either: the decay is scaled by √v̂ + ε there, so that −g − w(√v̂ + ε)θ is in ∂R. To minimize f + R with a
/// squared norm in R, leave the decay 0 and put it into R, as [`Penalty::elastic_net`](crate::Penalty::elastic_net) does.
///
/// The states m and v have the weights' type, as in PyTorch, and begin as zeros; in `f16`, v loses gradients below about 2^-12.
///
/// Every quotient and root is correctly rounded, on devices too, so every backend gives the same bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// The step size η ≥ 0.
    pub step: f64,
    /// The decay β₁ of the mean of gradients, in [0, 1).
    pub beta1: f64,
    /// The decay β₂ of the mean of their squares, in [0, 1).
    pub beta2: f64,
    /// What is added to the root, ε ≥ 2^-120.
    pub epsilon: f64,
    /// Decoupled weight decay w ≥ 0, with ηw ≤ 1.
    pub decay: f64,
    /// The metric of the prox.
    pub metric: Metric,
    /// Which iteration this is; the first is 1.
    pub iteration: u64,
}

impl Default for Adam {
    /// PyTorch's defaults, without decay: η = 0.001, β = (0.9, 0.999), ε = 1e-8, the first iteration; and Adam's metric.
    fn default() -> Adam {
        Adam {
            step: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            decay: 0.0,
            metric: Metric::default(),
            iteration: 1,
        }
    }
}

impl Adam {
    pub(crate) fn operation(&self) -> Operation {
        Operation::Adam(self.metric)
    }

    /// (β₁, 1−β₁, β₂, 1−β₂, 1/√(1−β₂ᵗ), ε, −η/(1−β₁ᵗ), 1−ηw).
    pub(crate) fn scalars(&self) -> Result<Scalars> {
        let (beta1, beta2) = (fraction("beta1", self.beta1)?, fraction("beta2", self.beta2)?);
        let step = step(self.step)?;
        if !(self.epsilon >= f64::from(SMALLEST) && self.epsilon <= f64::from(f32::MAX)) {
            return Err(Error::Parameter { name: "epsilon", expected: "from 2^-120 to f32::MAX", found: self.epsilon });
        }
        let decay = step * self.decay;
        if !(0.0..=1.0).contains(&decay) {
            return Err(Error::Parameter { name: "step·decay", expected: "from 0 to 1", found: decay });
        }
        if self.iteration == 0 {
            return Err(Error::Parameter { name: "iteration", expected: "at least 1", found: 0.0 });
        }
        // Past this every power has long rounded to 0 or to what it will stay.
        let t = i32::try_from(self.iteration).unwrap_or(i32::MAX);
        let bias1 = 1.0 - beta1.powi(t);
        let bias2 = 1.0 - beta2.powi(t);
        let corrected = step / bias1;
        if corrected > f64::from(f32::MAX) {
            return Err(Error::Parameter {
                name: "step/(1 − beta1^t)",
                expected: "at most f32::MAX",
                found: corrected,
            });
        }
        Ok([
            coefficient(beta1),
            coefficient(1.0 - beta1),
            coefficient(beta2),
            coefficient(1.0 - beta2),
            coefficient(bias2.sqrt().recip()),
            coefficient(self.epsilon),
            -coefficient(corrected),
            coefficient(1.0 - decay),
        ])
    }
}

fn step(step: f64) -> Result<f64> {
    if (0.0..=f64::from(f32::MAX)).contains(&step) {
        Ok(step)
    } else {
        Err(Error::Parameter { name: "step", expected: "a number from 0 to f32::MAX", found: step })
    }
}

fn fraction(name: &'static str, x: f64) -> Result<f64> {
    // A β so near to 1 that 1−β is no normal number would make 0/0 of the first step.
    if (0.0..1.0).contains(&x) {
        Ok(x)
    } else {
        Err(Error::Parameter { name, expected: "from 0 to below 1", found: x })
    }
}
