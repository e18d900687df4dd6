//! Optimizer steps that end in a prox: the valid parameters, and the scalars that kernels need.

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
/// and θ ← prox(θ − η·direction). In the long run, a constant gradient moves θ per step by the gradient times the
/// prox's step. So the prox uses that step: only then are the fixed points the minimizers of f + R, whatever μ and d.
/// For the heavy ball this is the proximal step of Yun, Lozano and Yang 2021 (*Adaptive proximal gradient methods for
/// structured neural networks*, with the preconditioner 1).
///
/// g is the gradient of the loss alone: a penalty that is also added to it is applied twice. The state v has the
/// weights' type and begins as zeros, so the first v is (1−d)g. PyTorch and Burn begin with v = g, without dampening.
/// To begin like them, take the first step with d = 0. Otherwise the difference is dμᵗ⁻¹g₁ at step t, which fades.
///
/// Every operation is an addition, a multiplication or a comparison, so every backend gives the same bits. A non-finite
/// weight keeps its bits if the direction is finite. A NaN in g or v makes a weight NaN, never 0.
///
/// ```
/// use penalty::{Cpu, HostSet, Momentum, Parameter, Penalty, Sgd};
///
/// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.125)?)]);
/// let (mut theta, gradient, mut v) = ([1.0f32], [0.5f32], [0.0f32]);
/// let sgd = Sgd { step: 1.0, momentum: Momentum::heavy_ball(0.5) };
/// set.sgd_and_evaluate(&mut [(&mut theta[..]).into()], &[gradient[..].into()], &mut [(&mut v[..]).into()], &sgd)?;
/// assert_eq!((v, theta), ([0.5], [0.25])); // 1 − 0.5, then the prox with 0.125·1/(1 − 0.5)
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// The step size η ≥ 0. It may change at each step, as schedules do.
    pub step: f64,
    /// How earlier gradients count.
    pub momentum: Momentum,
}

/// How earlier gradients count in [`Sgd`].
///
/// ```
/// use penalty::Momentum;
///
/// // Without dampening, as PyTorch's default is; Burn's `MomentumConfig` has 0.1.
/// assert_eq!(Momentum::heavy_ball(0.9), Momentum::HeavyBall { momentum: 0.9, dampening: 0.0 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Momentum {
    /// Earlier gradients are forgotten; there is no state.
    #[default]
    None,
    /// The state accumulates them.
    HeavyBall {
        /// μ from 0 to 1 − 2^-24: how much of the state is kept at each step.
        momentum: f64,
        /// d in [0, 1): how much of each gradient does not enter the state.
        dampening: f64,
    },
    /// The state accumulates them, and the step looks one step ahead.
    Nesterov {
        /// μ from 0 to 1 − 2^-24: how much of the state is kept at each step.
        momentum: f64,
        /// d in [0, 1): how much of each gradient does not enter the state.
        dampening: f64,
    },
}

impl Momentum {
    /// The heavy ball without dampening.
    ///
    /// ```
    /// use penalty::{Momentum, Sgd};
    ///
    /// let sgd = Sgd { step: 0.5, momentum: Momentum::heavy_ball(0.75) };
    /// assert_eq!(sgd.prox_step()?, 2.0); // η/(1−μ)
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub const fn heavy_ball(momentum: f64) -> Momentum {
        Momentum::HeavyBall { momentum, dampening: 0.0 }
    }

    /// Nesterov's momentum without dampening.
    ///
    /// ```
    /// use penalty::Momentum;
    ///
    /// assert_eq!(Momentum::nesterov(0.9), Momentum::Nesterov { momentum: 0.9, dampening: 0.0 });
    /// ```
    pub const fn nesterov(momentum: f64) -> Momentum {
        Momentum::Nesterov { momentum, dampening: 0.0 }
    }

    /// (μ, d).
    fn factors(self) -> (f64, f64) {
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

    /// The prox's step, which multiplies λ: how far one step follows a constant gradient. Use it if another library's
    /// optimizer takes the step and the prox follows separately.
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
    /// [`Error::Parameter`] if the step, its momentum or its dampening is out of range.
    pub fn prox_step(&self) -> Result<f64> {
        self.scalars()?;
        let (momentum, dampening) = self.momentum.factors();
        // Uses the rounded μ that kernels get: near 1, its rounding is a large part of 1 − μ.
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
        let (momentum, dampening) = self.momentum.factors();
        let step = step(self.step)?;
        // A μ that rounds to 1 would never forget a gradient.
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
/// In [`Metric::Adam`], the default, and without decay, the fixed points are the minimizers of f + R. With decay, they
/// are not those of f + R + ½w‖θ‖² either: there the decay is scaled by √v̂ + ε, so that −g − w(√v̂ + ε)θ is in ∂R. To
/// minimize f + R with a squared norm in R, leave the decay 0 and put the norm into R, as
/// [`Penalty::elastic_net`](crate::Penalty::elastic_net) does.
///
/// The states m and v have the weights' type, as in PyTorch, and begin as zeros. In `f16`, v stays 0 under gradients
/// with (1−β₂)g² ≤ 2^-25: with the default β₂, those with |g| below about 2^-7.5.
///
/// Every quotient and root is correctly rounded, on devices too, so every backend gives the same bits.
///
/// ```
/// use penalty::Adam;
///
/// let adam = Adam { step: 1e-4, decay: 0.01, ..Adam::default() };
/// for iteration in 1..=1000 {
///     let step = Adam { iteration, ..adam }; // for `HostSet::adam_and_evaluate` or `ParameterSet::record_adam_and_evaluate`
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// The step size η ≥ 0.
    pub step: f64,
    /// The decay β₁ of the mean of gradients, in [0, 1).
    pub beta1: f64,
    /// The decay β₂ of the mean of their squares, in [0, 1).
    pub beta2: f64,
    /// The number added to the root, ε ≥ 2^-120.
    pub epsilon: f64,
    /// Decoupled weight decay w ≥ 0, with ηw ≤ 1.
    pub decay: f64,
    /// The metric of the prox.
    pub metric: Metric,
    /// The number of this iteration, from 1.
    pub iteration: u64,
}

impl Default for Adam {
    /// PyTorch's defaults, without decay: η = 0.001, β = (0.9, 0.999), ε = 1e-8, iteration 1; and Adam's metric.
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
        // A larger t counts as `i32::MAX`. Unless 1 − β is below about 2e-8, 1 − βᵗ has long rounded to 1.
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
    // β = 1 would make m̂ or v̂ 0/0.
    if (0.0..1.0).contains(&x) {
        Ok(x)
    } else {
        Err(Error::Parameter { name, expected: "from 0 to below 1", found: x })
    }
}
