//! Proximal steps of a whole module at once, for loops without a trainer.

mod record;
mod together;

use std::num::NonZeroU64;

use burn_core::module::Module;
use burn_core::store::RecordError;
use burn_core::tensor::Device;
use burn_optim::grad_clipping::GradientClippingConfig;
use burn_optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn_optim::{GradAdaptor, OptimizerRecord};

use super::place::{Assignment, Place, Settings};
use super::statistics::Statistics;
use crate::array::is_reached;
use crate::host::Host;
use crate::operations::Operations;
use crate::runner::{Step, Stepper};
use crate::walk::{self, Found, Members};
#[cfg(feature = "wgpu")]
use crate::wgpu;
use crate::{Error, Rejected, Rules};
use together::{Member, States, Together};

/// A proximal optimizer of one module, which takes the steps of all its parameters at once.
///
/// [`ProximalSgdConfig::init_whole`](super::ProximalSgdConfig::init_whole) and
/// [`ProximalAdamConfig::init_whole`](super::ProximalAdamConfig::init_whole) make it. Its steps have the bits of the `ModuleOptimizer` that
/// `init` makes, and its records are the same: a run may begin on one and go on with the other. The differences:
///
/// - On wgpu, a step is one submission with a dispatch for each formula, where the `ModuleOptimizer` submits each tensor on its own. On the
///   CPU, all tensors share one call.
/// - [`step`](WholeModule::step) returns errors. After one, no parameter has changed.
/// - A parameter that occurs twice is stepped once and stays shared.
/// - [`change_rules`](WholeModule::change_rules) changes λs, masks and whatever else rules say, in mid-training.
/// - It is not a `ModuleOptimizer`, so a `Learner` does not take it. All parameters must be on one device.
///
/// A parameter without a gradient keeps its weights and its state.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use penalty_burn::Rules;
/// use penalty_burn::optim::ProximalAdamConfig;
/// use penalty_burn::penalty::Penalty;
///
/// let device = Device::flex().autodiff();
/// let mut model: Linear = LinearConfig::new(8, 4).init(&device);
/// let mut optimizer = ProximalAdamConfig::new().init_whole(&Rules::new(Penalty::l1(0.1)?), &model)?;
/// for _ in 0..20 {
///     let loss = model.forward(Tensor::<2>::ones([1, 8], &device)).powi_scalar(2).sum();
///     let gradients = GradientsParams::from_grads(loss.backward(), &model);
///     model = optimizer.step(0.01, model, gradients)?;
/// }
/// # Ok::<(), penalty_burn::Error>(())
/// ```
#[derive(Debug)]
pub struct WholeModule {
    settings: Common,
    rules: Rules,
    found: Vec<Found>,
    assignment: Assignment,
    route: Route,
}

/// What both optimizers' settings say.
#[derive(Debug)]
struct Common {
    numbers: Step,
    report_every: Option<NonZeroU64>,
    clipping: Option<GradientClippingConfig>,
    place: Place,
}

#[derive(Debug)]
enum Route {
    #[cfg(feature = "wgpu")]
    Wgpu(Together<wgpu::Device>),
    Host(Together<Host>),
    Operations(Together<Operations>),
}

impl Route {
    fn states(&self) -> &dyn States {
        match self {
            #[cfg(feature = "wgpu")]
            Route::Wgpu(together) => together,
            Route::Host(together) => together,
            Route::Operations(together) => together,
        }
    }

    fn states_mut(&mut self) -> &mut dyn States {
        match self {
            #[cfg(feature = "wgpu")]
            Route::Wgpu(together) => together,
            Route::Host(together) => together,
            Route::Operations(together) => together,
        }
    }
}

impl Place {
    /// An optimizer that steps the module as a whole.
    pub(super) fn whole_module<M: Module>(
        self,
        settings: &impl Settings,
        rules: &Rules,
        module: &M,
    ) -> Result<WholeModule, Error> {
        let found = walk::survey(module);
        let route = if found.iter().all(|found| is_reached(&found.device)) {
            Route::Host(Together::default())
        } else {
            Route::Operations(Together::default())
        };
        #[cfg(feature = "wgpu")]
        let route = if self.wgpu.is_some() { Route::Wgpu(Together::default()) } else { route };
        let settings = Common {
            numbers: settings.numbers(),
            report_every: settings.report_every(),
            clipping: settings.clipping().cloned(),
            place: self,
        };
        let assignment = settings.assign(rules, &found)?;
        Ok(WholeModule { settings, rules: rules.clone(), found, assignment, route })
    }
}

impl Common {
    fn assign(&self, rules: &Rules, found: &[Found]) -> Result<Assignment, Error> {
        self.place.assign((&self.numbers, self.report_every), rules, found)
    }
}

impl WholeModule {
    /// Takes a step of every parameter that has a gradient. The learning rate may be a number, or one for each group from Burn's
    /// `ModuleLrScheduler`; the gradients may be those of one device, accumulated ones, or Burn's `MultiGradientsParams`.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::optim::GradientsParams;
    /// # use burn::tensor::{Device, Tensor};
    /// # use penalty_burn::Rules;
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # let device = Device::flex().autodiff();
    /// # let model: Linear = LinearConfig::new(8, 4).init(&device);
    /// # let mut optimizer = ProximalSgdConfig::new().init_whole(&Rules::new(Penalty::l1(0.1)?), &model)?;
    /// let loss = model.forward(Tensor::<2>::ones([1, 8], &device)).sum();
    /// let gradients = GradientsParams::from_grads(loss.backward(), &model);
    /// let model = match optimizer.step(0.01, model, gradients) {
    ///     Ok(model) => model,
    ///     Err(rejected) => {
    ///         eprintln!("{}", rejected.error);
    ///         rejected.module // as it was
    ///     }
    /// };
    /// # drop(model);
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`], [`Error::Type`], [`Error::Device`], [`Error::Gradient`], [`Error::Storage`], [`Error::Busy`], and
    /// [`Error::Penalty`] if a number is out of range or the device fails. Each comes with the unchanged module.
    pub fn step<M: Module>(
        &mut self,
        learning_rate: impl Into<ModuleLearningRate>,
        module: M,
        gradients: impl Into<GradAdaptor>,
    ) -> Result<M, Rejected<M>> {
        let found = walk::survey(&module);
        if found != self.found
            && let Err(error) = self.assign(found)
        {
            return Err(Rejected { module, error });
        }
        let WholeModule { settings, found, assignment, route, .. } = self;
        let of = (&*settings, &**found, &*assignment);
        let given = (learning_rate.into(), module, gradients.into());
        match route {
            #[cfg(feature = "wgpu")]
            Route::Wgpu(together) => match &settings.place.wgpu {
                Some(wgpu) => {
                    let on = |found: &Found| found.check_device(&wgpu.device);
                    step(together, || wgpu::Device::new(wgpu.gpu.clone()), on, of, given)
                }
                None => Ok(given.1),
            },
            Route::Host(together) => step(together, Host::default, |_| Ok(()), of, given),
            Route::Operations(together) => step(together, Operations::default, |_| Ok(()), of, given),
        }
    }

    /// The values and statistics that steps report, as often as the settings say.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::Rules;
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
    /// let optimizer = ProximalSgdConfig::new().with_report_every(10).init_whole(&Rules::new(Penalty::l1(0.1)?), &model)?;
    /// let statistics = optimizer.statistics();
    /// assert!(statistics.wait(std::time::Duration::from_secs(600))?.tensors.is_empty()); // no step yet
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    pub fn statistics(&self) -> Statistics {
        self.assignment.statistics()
    }

    /// Applies other rules from the next step on, for example another mask. States stay as they are, and [statistics](WholeModule::statistics)
    /// begin anew.
    ///
    /// ```
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::Device;
    /// use penalty_burn::optim::ProximalSgdConfig;
    /// use penalty_burn::penalty::{Budget, Penalty};
    /// use penalty_burn::{Regularizer, Rules, mask};
    ///
    /// let mut model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
    /// let mut optimizer = ProximalSgdConfig::new().init_whole(&Rules::new(Penalty::none()), &model)?;
    /// let mut pruner = Regularizer::host(Rules::new(Penalty::none()));
    /// for fraction in [0.25, 0.5] {
    ///     (model, _) = pruner.prune(model, &Budget::prune(fraction)?)?;
    ///     optimizer.change_rules(Rules::new(Penalty::mask()).element_weights(&mask(model.clone())), &model)?;
    ///     // … train on …
    /// }
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Rules::select`], and [`Error::Penalty`] if a penalty has no prox in Adam's metric. The old rules then stay.
    pub fn change_rules<M: Module>(&mut self, rules: Rules, module: &M) -> Result<(), Error> {
        let found = walk::survey(module);
        let assignment = self.settings.assign(&rules, &found)?;
        self.rules = rules;
        self.take(found, assignment);
        Ok(())
    }

    /// The states, as a `ModuleOptimizer` would write them.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::Rules;
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
    /// # let rules = Rules::new(Penalty::l1(0.1)?);
    /// # let optimizer = ProximalSgdConfig::new().init_whole(&rules, &model)?;
    /// let bytes = optimizer.to_record()?.into_bytes()?; // or `save`
    /// let record = burn::optim::OptimizerRecord::from_bytes(bytes)?;
    /// let optimizer = ProximalSgdConfig::new().init_whole(&rules, &model)?.load_record(record)?;
    /// # drop(optimizer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RecordError`] if a state cannot be read from its device.
    pub fn to_record(&self) -> Result<OptimizerRecord, RecordError> {
        record::write(self.route.states().entries()?)
    }

    /// This optimizer with the states of a record. It may also be one of a `ModuleOptimizer`, and of Burn's own `Sgd` or `Adam`.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty_burn::Rules;
    /// # use penalty_burn::optim::ProximalSgdConfig;
    /// # use penalty_burn::penalty::Penalty;
    /// # let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
    /// # let rules = Rules::new(Penalty::l1(0.1)?);
    /// let (earlier, _) = ProximalSgdConfig::new().init(&rules, &model)?; // a `ModuleOptimizer`
    /// let optimizer = ProximalSgdConfig::new().init_whole(&rules, &model)?.load_record(earlier.to_record())?;
    /// # drop(optimizer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the record cannot be read.
    pub fn load_record(mut self, record: OptimizerRecord) -> Result<WholeModule, RecordError> {
        let entries = record::read(record)?;
        let device = self.device();
        let loaded = self.route.states_mut().load(entries, &device);
        loaded.map_err(|error| RecordError::Validation(error.to_string()))?;
        Ok(self)
    }

    /// Where the module is.
    fn device(&self) -> Device {
        #[cfg(feature = "wgpu")]
        if let Some(wgpu) = &self.settings.place.wgpu {
            return wgpu.device.clone();
        }
        self.found.first().map_or_else(Device::default, |found| found.device.clone())
    }

    fn assign(&mut self, found: Vec<Found>) -> Result<(), Error> {
        let assignment = self.settings.assign(&self.rules, &found)?;
        self.take(found, assignment);
        Ok(())
    }

    fn take(&mut self, found: Vec<Found>, assignment: Assignment) {
        self.route.states_mut().forget_runners();
        (self.found, self.assignment) = (found, assignment);
    }
}

/// Takes the weights of the parameters that have a gradient out of the module, steps them and puts them back.
fn step<R: Stepper, M: Module>(
    together: &mut Together<R>,
    new: impl Fn() -> R,
    on: impl Fn(&Found) -> Result<(), Error>,
    (settings, found, assignment): (&Common, &[Found], &Assignment),
    (learning_rate, module, gradients): (ModuleLearningRate, M, GradAdaptor),
) -> Result<M, Rejected<M>> {
    let clipping = settings.clipping.as_ref().map(GradientClippingConfig::init);
    let read = walk::read_gradients(&module, &Members::new(found), gradients, clipping);
    let mut gradients: Vec<R::Memory> = Vec::new();
    let mut stepped: Vec<Found> = Vec::new();
    let mut at = Vec::new();
    let taken = read.and_then(|read| {
        for (index, gradient) in read.into_iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            found[index].shaped().map(drop).and_then(|()| on(&found[index]))?;
            gradients.push(gradient);
            stepped.push(found[index].clone());
            at.push(index);
        }
        Ok(())
    });
    if let Err(error) = taken {
        return Err(Rejected { module, error });
    }
    let members: Vec<Member<'_>> = stepped
        .iter()
        .zip(at)
        .map(|(found, at)| {
            let learning_rate = learning_rate.lr_from_param(found.id, Some(&found.path));
            Member { at, found, learning_rate }
        })
        .collect();
    let (of, mut copies) = (Members::new(&stepped), 0);
    let (module, weights) = walk::take_weights::<R::Memory, M>(module, &of, &mut copies);
    let weights = match weights {
        Ok(weights) => weights,
        Err(error) => return Err(Rejected { module, error }),
    };
    let (weights, taken) = together.step(new, (settings.numbers, assignment), &members, weights, gradients);
    assignment.others.cell.count(copies);
    let module = walk::put_weights(module, &of, weights, taken.is_ok());
    match taken {
        Ok(()) => Ok(module),
        Err(error) => Err(Rejected { module, error }),
    }
}
