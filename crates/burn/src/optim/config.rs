//! The settings of the proximal optimizers.

use std::num::NonZeroU64;

use burn_core as burn;
use burn_core::config::Config;
use burn_core::module::Module;
use burn_optim::ModuleOptimizer;
use burn_optim::grad_clipping::GradientClippingConfig;
use burn_optim::momentum::MomentumConfig;
use penalty::{Adam, Metric, Penalty, Sgd};

use super::adam::ProximalAdam;
use super::place::{Place, Settings};
use super::sgd::ProximalSgd;
use super::statistics::{Cell, Statistics};
use super::tensor::Proximal;
use super::whole::WholeModule;
#[cfg(feature = "wgpu")]
use crate::Wgpu;
use crate::optimizer::momentum_of;
use crate::runner::Step;
use crate::{Error, Rules};

/// Settings of proximal gradient descent, as those of Burn's `SgdConfig`. [`ProximalSgd`] has the formulas.
///
/// There is no `weight_decay`: put ½w‖θ‖² into the penalty, as [`Penalty::elastic_net`] does.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::momentum::MomentumConfig;
/// use burn::tensor::Device;
/// use penalty_burn::Rules;
/// use penalty_burn::optim::ProximalSgdConfig;
/// use penalty_burn::penalty::Penalty;
///
/// let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
/// let config = ProximalSgdConfig::new().with_momentum(Some(MomentumConfig::new()));
/// let (optimizer, statistics) = config.init(&Rules::new(Penalty::l1(1e-4)?), &model)?;
/// # drop((optimizer, statistics));
/// # Ok::<(), penalty_burn::Error>(())
/// ```
#[derive(Config, Debug)]
pub struct ProximalSgdConfig {
    /// The momentum, if any.
    momentum: Option<MomentumConfig>,
    /// How gradients are clipped, if at all. Clipping must not be active at the minimum, where the loss's gradient is as large as the
    /// penalty's.
    gradient_clipping: Option<GradientClippingConfig>,
    /// Every how many steps the weights are reported, from the first one on; 0 for never.
    #[config(default = 100)]
    report_every: u64,
}

/// Settings of proximal Adam, as those of Burn's `AdamWConfig`; but without decay unless it is asked for. [`ProximalAdam`] has the formulas.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use penalty_burn::Rules;
/// use penalty_burn::optim::ProximalAdamConfig;
/// use penalty_burn::penalty::Penalty;
///
/// let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
/// let config = ProximalAdamConfig::new().with_beta_1(0.8);
/// let (optimizer, statistics) = config.init(&Rules::new(Penalty::l1(1e-4)?), &model)?;
/// # drop((optimizer, statistics));
/// # Ok::<(), penalty_burn::Error>(())
/// ```
#[derive(Config, Debug)]
pub struct ProximalAdamConfig {
    /// The decay β₁ of the mean of gradients.
    #[config(default = 0.9)]
    beta_1: f32,
    /// The decay β₂ of the mean of their squares.
    #[config(default = 0.999)]
    beta_2: f32,
    /// The number ε added to the root.
    #[config(default = 1e-5)]
    epsilon: f32,
    /// Decoupled weight decay, as in `AdamW`. With it, training minimizes no sum of the loss and a penalty.
    #[config(default = 0.0)]
    weight_decay: f32,
    /// Takes the prox in the plain metric instead of Adam's. Group penalties need that; but training then ends at the minimum of another
    /// objective than f + R. [`Metric`] has the details.
    #[config(default = false)]
    plain_metric: bool,
    /// How gradients are clipped, if at all. Clipping must not be active at the minimum, where the loss's gradient is as large as the
    /// penalty's.
    grad_clipping: Option<GradientClippingConfig>,
    /// Every how many steps the weights are reported, from the first one on; 0 for never.
    #[config(default = 100)]
    report_every: u64,
}

impl ProximalSgdConfig {
    /// The optimizer of one parameter group, for `ModuleOptimizer::with_group`. The penalty takes each tensor of the group as a whole.
    /// Clipping is an argument of `with_group`.
    ///
    /// ```
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// let sgd = ProximalSgdConfig::new().build(Penalty::l1(1e-4)?)?;
    /// # drop(sgd);
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Penalty`] if the momentum or the dampening is out of range.
    pub fn build(&self, penalty: Penalty) -> Result<ProximalSgd, Error> {
        Place::default().proximal(penalty, Cell::new("a tensor", None)).optimizer(self)
    }

    /// The optimizer of a module, by rules: each penalized parameter is a group of its own with its penalty, and all others take plain steps.
    /// It runs on the memory of Flex. On every other device it computes in Burn's tensor operations, as [`optim`](crate::optim) says.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::Rules;
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
    /// let (optimizer, statistics) = ProximalSgdConfig::new().init(&Rules::new(Penalty::l1(1e-4)?), &model)?;
    /// # drop((optimizer, statistics));
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Rules::select`], and as [`build`](ProximalSgdConfig::build).
    pub fn init<M: Module>(&self, rules: &Rules, module: &M) -> Result<(ModuleOptimizer, Statistics), Error> {
        Place::default().module_optimizer(self, rules, module)
    }

    /// Like [`init`](ProximalSgdConfig::init), for a module on a wgpu device: each step is one pass over Burn's own buffers.
    ///
    /// ```no_run
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # use penalty_burn::{Rules, Wgpu};
    /// let (device, setup) = Device::wgpu_options().init_with_setup()?; // before the device's first use
    /// let wgpu = Wgpu::new(&device, &setup)?;
    /// let model: Linear = LinearConfig::new(8, 4).init(&device.autodiff());
    /// let (optimizer, statistics) = ProximalSgdConfig::new().init_on(&wgpu, &Rules::new(Penalty::l1(1e-4)?), &model)?;
    /// # drop((optimizer, statistics));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`init`](ProximalSgdConfig::init).
    #[cfg(feature = "wgpu")]
    pub fn init_on<M: Module>(
        &self,
        wgpu: &Wgpu,
        rules: &Rules,
        module: &M,
    ) -> Result<(ModuleOptimizer, Statistics), Error> {
        Place { wgpu: Some(wgpu.clone()) }.module_optimizer(self, rules, module)
    }

    /// An optimizer that steps the module as a whole, for loops without a trainer; [`WholeModule`] says when to take it. It runs on the memory
    /// of Flex. On every other device it computes in Burn's tensor operations, as [`optim`](crate::optim) says.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::Rules;
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
    /// let optimizer = ProximalSgdConfig::new().init_whole(&Rules::new(Penalty::l1(1e-4)?), &model)?;
    /// # drop(optimizer);
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`init`](ProximalSgdConfig::init).
    pub fn init_whole<M: Module>(&self, rules: &Rules, module: &M) -> Result<WholeModule, Error> {
        Place::default().whole_module(self, rules, module)
    }

    /// Like [`init_whole`](ProximalSgdConfig::init_whole), for a module on a wgpu device: each step is one submission.
    ///
    /// ```no_run
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # use penalty_burn::{Rules, Wgpu};
    /// # let (device, setup) = Device::wgpu_options().init_with_setup()?;
    /// # let model: Linear = LinearConfig::new(8, 4).init(&device.clone().autodiff());
    /// let wgpu = Wgpu::new(&device, &setup)?;
    /// let optimizer = ProximalSgdConfig::new().init_whole_on(&wgpu, &Rules::new(Penalty::l1(1e-4)?), &model)?;
    /// # drop(optimizer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`init`](ProximalSgdConfig::init).
    #[cfg(feature = "wgpu")]
    pub fn init_whole_on<M: Module>(&self, wgpu: &Wgpu, rules: &Rules, module: &M) -> Result<WholeModule, Error> {
        Place { wgpu: Some(wgpu.clone()) }.whole_module(self, rules, module)
    }
}

impl Settings for ProximalSgdConfig {
    type Optimizer = ProximalSgd;

    fn clipping(&self) -> Option<&GradientClippingConfig> {
        self.gradient_clipping.as_ref()
    }

    fn report_every(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.report_every)
    }

    fn numbers(&self) -> Step {
        Step::Sgd(Sgd { step: 0.0, momentum: momentum_of(self.momentum.as_ref()) })
    }

    fn of(numbers: Step, proximal: Proximal) -> ProximalSgd {
        ProximalSgd { numbers, proximal }
    }
}

impl ProximalAdamConfig {
    /// The optimizer of one parameter group, for `ModuleOptimizer::with_group`. The penalty takes each tensor of the group as a whole.
    /// Clipping is an argument of `with_group`.
    ///
    /// ```
    /// # use penalty_burn::optim::ProximalAdamConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// let adam = ProximalAdamConfig::new().build(Penalty::l1(1e-4)?)?;
    /// # drop(adam);
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Penalty`] if β₁, β₂ or ε is out of range, or if the penalty has no prox in Adam's metric; see
    /// [`with_plain_metric`](ProximalAdamConfig::with_plain_metric).
    pub fn build(&self, penalty: Penalty) -> Result<ProximalAdam, Error> {
        Place::default().proximal(penalty, Cell::new("a tensor", None)).optimizer(self)
    }

    /// The optimizer of a module, by rules: each penalized parameter is a group of its own with its penalty, and all others take plain steps.
    /// It runs on the memory of Flex. On every other device it computes in Burn's tensor operations, as [`optim`](crate::optim) says.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::Rules;
    /// # use penalty_burn::optim::ProximalAdamConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
    /// let (optimizer, statistics) = ProximalAdamConfig::new().init(&Rules::new(Penalty::l1(1e-4)?), &model)?;
    /// # drop((optimizer, statistics));
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Rules::select`], and as [`build`](ProximalAdamConfig::build).
    pub fn init<M: Module>(&self, rules: &Rules, module: &M) -> Result<(ModuleOptimizer, Statistics), Error> {
        Place::default().module_optimizer(self, rules, module)
    }

    /// Like [`init`](ProximalAdamConfig::init), for a module on a wgpu device: each step is one pass over Burn's own buffers.
    ///
    /// ```no_run
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::optim::ProximalAdamConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # use penalty_burn::{Rules, Wgpu};
    /// let (device, setup) = Device::wgpu_options().init_with_setup()?; // before the device's first use
    /// let wgpu = Wgpu::new(&device, &setup)?;
    /// let model: Linear = LinearConfig::new(8, 4).init(&device.autodiff());
    /// let (optimizer, statistics) = ProximalAdamConfig::new().init_on(&wgpu, &Rules::new(Penalty::l1(1e-4)?), &model)?;
    /// # drop((optimizer, statistics));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`init`](ProximalAdamConfig::init).
    #[cfg(feature = "wgpu")]
    pub fn init_on<M: Module>(
        &self,
        wgpu: &Wgpu,
        rules: &Rules,
        module: &M,
    ) -> Result<(ModuleOptimizer, Statistics), Error> {
        Place { wgpu: Some(wgpu.clone()) }.module_optimizer(self, rules, module)
    }

    /// An optimizer that steps the module as a whole, for loops without a trainer; [`WholeModule`] says when to take it. It runs on the memory
    /// of Flex. On every other device it computes in Burn's tensor operations, as [`optim`](crate::optim) says.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::Rules;
    /// # use penalty_burn::optim::ProximalAdamConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
    /// let optimizer = ProximalAdamConfig::new().init_whole(&Rules::new(Penalty::l1(1e-4)?), &model)?;
    /// # drop(optimizer);
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`init`](ProximalAdamConfig::init).
    pub fn init_whole<M: Module>(&self, rules: &Rules, module: &M) -> Result<WholeModule, Error> {
        Place::default().whole_module(self, rules, module)
    }

    /// Like [`init_whole`](ProximalAdamConfig::init_whole), for a module on a wgpu device: each step is one submission.
    ///
    /// ```no_run
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::optim::ProximalAdamConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # use penalty_burn::{Rules, Wgpu};
    /// # let (device, setup) = Device::wgpu_options().init_with_setup()?;
    /// # let model: Linear = LinearConfig::new(8, 4).init(&device.clone().autodiff());
    /// let wgpu = Wgpu::new(&device, &setup)?;
    /// let optimizer = ProximalAdamConfig::new().init_whole_on(&wgpu, &Rules::new(Penalty::l1(1e-4)?), &model)?;
    /// # drop(optimizer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`init`](ProximalAdamConfig::init).
    #[cfg(feature = "wgpu")]
    pub fn init_whole_on<M: Module>(&self, wgpu: &Wgpu, rules: &Rules, module: &M) -> Result<WholeModule, Error> {
        Place { wgpu: Some(wgpu.clone()) }.whole_module(self, rules, module)
    }
}

impl Settings for ProximalAdamConfig {
    type Optimizer = ProximalAdam;

    fn clipping(&self) -> Option<&GradientClippingConfig> {
        self.grad_clipping.as_ref()
    }

    fn report_every(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.report_every)
    }

    fn numbers(&self) -> Step {
        Step::Adam(Adam {
            beta1: self.beta_1.into(),
            beta2: self.beta_2.into(),
            epsilon: self.epsilon.into(),
            decay: self.weight_decay.into(),
            metric: if self.plain_metric { Metric::Plain } else { Metric::Adam },
            ..Adam::default()
        })
    }

    fn of(numbers: Step, proximal: Proximal) -> ProximalAdam {
        ProximalAdam { numbers, proximal }
    }
}
