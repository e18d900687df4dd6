//! The two routes, and the value for logging.

use std::sync::Arc;

use burn_core::module::Module;
#[cfg(feature = "wgpu")]
use burn_core::tensor::Device;
use burn_core::tensor::Tensor;
use burn_optim::GradientsParams;
use penalty::{Budget, Penalty};

use crate::host::Host;
use crate::memory::Copies;
use crate::pending::Pending;
use crate::rules::Choice;
use crate::runner::{self, Runner};
use crate::walk::{self, Found, Members, Shaped};
use crate::{Error, Rejected, Rules};
#[cfg(feature = "wgpu")]
use crate::{opened::Wgpu, wgpu};

/// Penalizes a module's parameters as [`Rules`] say, by one of two routes.
///
/// | | call | when |
/// | --- | --- | --- |
/// | gradient route | [`add_gradients`](Regularizer::add_gradients) before the optimizer's step: g ← g + ∂R(θ) | smooth penalties (squared L2), any optimizer; momentum and Adam's scaling see the penalty |
/// | proximal route | [`prox`](Regularizer::prox) after it: θ ← argmin over x of sR(x) + ½‖x − θ‖² | L1, the elastic net and groups: weights become exactly 0 and stay there; R is not differentiable at 0, where a subgradient only oscillates |
///
/// Use only one route per penalty, because each applies the whole penalty. With the loss f, training then minimizes:
///
/// | optimizer | gradient route | proximal route |
/// | --- | --- | --- |
/// | SGD | f + R | f + R, with the step s = η, the learning rate |
/// | SGD with momentum, also Nesterov's | f + R | f + R, with the step s from [`sgd_prox_step`](crate::sgd_prox_step); with s = η, f plus a fraction of R |
/// | either with `WeightDecayConfig` | f + R + ½w‖θ‖² | f + R + ½w‖θ‖² |
/// | Adam, AdaGrad, RMSprop | f + R, with `WeightDecayConfig` f + R + ½w‖θ‖² | another objective for every s: they scale the gradients of f but not R's |
/// | `AdamW`, Adan, Adafactor, LAMB, Lion, Muon | f + R if their decay is off; no such sum describes their decay, which is scaled like their steps | another objective for every s |
///
/// The gradient route makes no weight exactly 0: for L1 and for norms it follows a subgradient. For exact zeros under Adam, take
/// [`ProximalAdamConfig`](crate::optim::ProximalAdamConfig) in place of Burn's optimizer.
///
/// Both calls also give the value and the statistics, from the same read of the weights. The gradient route reports the weights it was
/// given, the proximal route the weights it leaves. [`evaluate`](Regularizer::evaluate) only reports.
///
/// A regularizer remembers the parameters of the last module, so use one for each module. It accepts other modules too, but then starts
/// anew.
///
/// ```
/// use std::time::Duration;
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::{GradientsParams, SgdConfig};
/// use burn::tensor::{Device, Distribution, Tensor};
/// use penalty::Penalty;
/// use penalty_burn::{Regularizer, Rules};
///
/// let device = Device::flex().autodiff();
/// let mut model: Linear = LinearConfig::new(8, 4).init(&device);
/// let mut optimizer = SgdConfig::new().init();
/// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.5)?));
/// let learning_rate = 0.1;
///
/// for _ in 0..20 {
///     let x = Tensor::<2>::random([16, 8], Distribution::Default, &device);
///     let loss = model.forward(x).powi_scalar(2).mean();
///     let gradients = GradientsParams::from_grads(loss.backward(), &model);
///     model = optimizer.step(learning_rate, model, gradients);
///     let (shrunk, pending) = regularizer.prox(model, learning_rate)?;
///     model = shrunk;
///     let total = pending.wait(Duration::from_secs(600))?.total;
///     println!("R = {}, {} of {} weights are 0", total.value, total.zeros(), total.len);
/// }
/// let total = regularizer.evaluate(&model)?.wait(Duration::from_secs(600))?.total;
/// assert!(total.zeros() > 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Regularizer {
    rules: Rules,
    route: Route,
    /// All float parameters of the last module.
    found: Vec<Found>,
    /// The penalized ones among them; `chosen` says which of the rules' penalties each has.
    members: Vec<Found>,
    chosen: Vec<Choice>,
    names: Arc<[String]>,
    copies: Copies,
    /// How many calls of a route succeeded, for schedules.
    steps: u64,
}

#[derive(Debug)]
enum Route {
    #[cfg(feature = "wgpu")]
    Wgpu(Box<wgpu::Device>, Device),
    Host(Host),
}

impl Regularizer {
    /// A regularizer for modules on Burn's wgpu backend. It works directly on Burn's buffers, without copying or waiting.
    ///
    /// ```no_run
    /// use burn::tensor::Device;
    /// use penalty::Penalty;
    /// use penalty_burn::{Regularizer, Rules, Wgpu};
    ///
    /// let (device, setup) = Device::wgpu_options().init_with_setup()?; // before the device's first use
    /// let wgpu = Wgpu::new(&device, &setup)?;
    /// let mut regularizer = Regularizer::wgpu(&wgpu, Rules::new(Penalty::l1(1e-4)?));
    /// let device = device.autodiff(); // where the module is trained
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "wgpu")]
    pub fn wgpu(wgpu: &Wgpu, rules: Rules) -> Regularizer {
        let opened = wgpu::Device::new(wgpu.gpu.clone());
        Regularizer::new(rules, Route::Wgpu(Box::new(opened), wgpu.device.clone()))
    }

    /// A regularizer for modules on Flex, Burn's CPU backend. It works directly on Flex's memory, without copying.
    ///
    /// It also takes modules on any other device, by copying them to the host. That is slower, but gives the same bits.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(1e-4)?));
    /// let report = regularizer.evaluate(&layer)?.wait(std::time::Duration::from_secs(600))?;
    /// assert_eq!(report.total.len, 32);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn host(rules: Rules) -> Regularizer {
        Regularizer::new(rules, Route::Host(Host::default()))
    }

    fn new(rules: Rules, route: Route) -> Regularizer {
        let names = Vec::new().into();
        let (found, members, chosen) = (Vec::new(), Vec::new(), Vec::new());
        Regularizer { rules, route, found, members, chosen, names, copies: 0, steps: 0 }
    }

    /// The rules' patterns and penalties, for example to change λ from step to step; see [`Rules::penalties_mut`].
    ///
    /// ```
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let mut regularizer = Regularizer::host(Rules::new(Penalty::none()));
    /// let k = 20.0; // the epoch: λ grows over the first 100
    /// for (pattern, penalty) in regularizer.penalties_mut() {
    ///     *penalty = Penalty::l1(1e-4 * f64::min(k / 100.0, 1.0))?;
    /// }
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn penalties_mut(&mut self) -> impl Iterator<Item = (&str, &mut Penalty)> {
        self.rules.penalties_mut()
    }

    /// Sets how many steps were taken, for [schedules](Rules::scheduled) of a run that is resumed.
    ///
    /// ```
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// let regularizer = Regularizer::host(Rules::new(Penalty::l1(1e-4)?)).resumed_at(1000);
    /// # drop(regularizer);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    #[must_use]
    pub fn resumed_at(self, steps: u64) -> Regularizer {
        Regularizer { steps, ..self }
    }

    /// How many tensors have been copied so far before writing. On wgpu and Flex, a tensor is copied if something else holds it too, such
    /// as a clone of the module or a graph that still awaits its backward pass, or if it is not in row order. On other backends, every
    /// tensor is copied.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(1e-4)?));
    /// let copy = layer.clone(); // holds the tensors too, so the prox must copy the weight
    /// let (layer, _) = regularizer.prox(layer, 0.1)?;
    /// assert_eq!(regularizer.copies(), 1);
    /// # drop((copy, layer));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn copies(&self) -> u64 {
        self.copies
    }

    /// The gradient route: g ← g + ∂R(θ) for the gradient of every penalized parameter, before the optimizer's step. At a kink, ∂R is 0.
    ///
    /// Burn's optimizers skip parameters without a gradient, so this call gives them none. They still count in the value.
    ///
    /// ```
    /// # use burn::module::Module;
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::optim::{GradientsParams, SgdConfig};
    /// # use burn::tensor::{Device, Tensor};
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # use std::time::Duration;
    /// # let device = Device::flex().autodiff();
    /// # let mut model: Linear = LinearConfig::new(8, 4).init(&device);
    /// # let mut optimizer = SgdConfig::new().init();
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::l2_squared(0.01)?));
    ///
    /// let loss = model.forward(Tensor::<2>::ones([1, 8], &device)).sum();
    /// let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
    /// let pending = regularizer.add_gradients(&model, &mut gradients)?;
    /// model = optimizer.step(0.1, model, gradients);
    /// println!("R = {}", pending.wait(Duration::from_secs(600))?.total.value);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`], [`Error::Type`], [`Error::Device`], [`Error::Gradient`], [`Error::Storage`], [`Error::Busy`], [`Error::Penalty`];
    /// the gradients then keep their values.
    pub fn add_gradients<M: Module>(&mut self, module: &M, gradients: &mut GradientsParams) -> Result<Pending, Error> {
        let penalties = self.prepare(module)?;
        let (members, copies) = (Members::new(&self.members), &mut self.copies);
        walk::check_gradients(module, &members, gradients)?;
        let of = (module, gradients);
        let state = match &mut self.route {
            #[cfg(feature = "wgpu")]
            Route::Wgpu(device, _) => runner::add_gradients(&mut **device, &penalties, &members, of, copies)?,
            Route::Host(host) => runner::add_gradients(host, &penalties, &members, of, copies)?,
        };
        self.steps += 1;
        Ok(Pending::new(self.names.clone(), state))
    }

    /// The proximal route: θ ← argmin over x of sR(x) + ½‖x − θ‖² for every penalized parameter, after the optimizer's step. With L1
    /// that is v − clamp(v, −sλ, sλ), exactly 0 for |v| ≤ sλ.
    ///
    /// After plain SGD, the step s is the learning rate. After SGD with momentum, it is what [`sgd_prox_step`](crate::sgd_prox_step) gives.
    /// Training then minimizes f + R. After Adam and all other optimizers that scale gradients, no such s exists; see [`Regularizer`].
    ///
    /// Ids and paths stay, and so does which parameters require gradients. All occurrences of a parameter share the result.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.5)?));
    /// let (layer, pending) = regularizer.prox(layer, 10.0)?; // more than any weight: all become 0
    /// assert_eq!(pending.wait(std::time::Duration::from_secs(600))?.total.nonzero, 0);
    /// # drop(layer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`], [`Error::Type`], [`Error::Device`], [`Error::Storage`], [`Error::Busy`], and [`Error::Penalty`] if the step is
    /// not a number ≥ 0 or is too large, or if a penalty's groups do not fit a parameter's shape. Each comes with the unchanged module.
    pub fn prox<M: Module>(&mut self, module: M, step: f64) -> Result<(M, Pending), Rejected<M>> {
        let penalties = match self.prepare(&module) {
            Ok(penalties) => penalties,
            Err(error) => return Err(Rejected { module, error }),
        };
        let (members, copies) = (Members::new(&self.members), &mut self.copies);
        let (module, state) = match &mut self.route {
            #[cfg(feature = "wgpu")]
            Route::Wgpu(device, _) => runner::change(&mut **device, &members, module, copies, |device, weights| {
                device.prox(&penalties, weights, step)
            })?,
            Route::Host(host) => {
                runner::change(host, &members, module, copies, |host, weights| host.prox(&penalties, weights, step))?
            }
        };
        self.steps += 1;
        Ok((module, Pending::new(self.names.clone(), state)))
    }

    /// Prunes the penalized parameters to one budget: sets the smallest magnitudes among them to 0, whatever their penalties. [`Budget`] says
    /// which these are. [`Rules::prune_within`] bounds what is pruned of a parameter, in place of the budget's own bounds. The report is of
    /// what is left.
    ///
    /// A later step may move a pruned weight away from 0, unless [`mask`](crate::mask) keeps it there. To prune gradually, prune every few
    /// steps, with a fraction from [`penalty::schedule::cubic`].
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::{Budget, Penalty};
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::none()));
    /// let (layer, pending) = regularizer.prune(layer, &Budget::prune(0.75)?)?;
    /// assert_eq!(pending.wait(std::time::Duration::from_secs(600))?.total.nonzero, 8);
    /// # drop(layer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`], [`Error::Type`], [`Error::Device`], [`Error::Storage`], [`Error::Busy`], and [`Error::Penalty`] if the bounds allow
    /// too few or too many weights. Each comes with the unchanged module.
    pub fn prune<M: Module>(&mut self, module: M, budget: &Budget) -> Result<(M, Pending), Rejected<M>> {
        let (penalties, budget) = match self.prepare_budget(&module, budget) {
            Ok(prepared) => prepared,
            Err(error) => return Err(Rejected { module, error }),
        };
        let (members, copies) = (Members::new(&self.members), &mut self.copies);
        let (module, state) = match &mut self.route {
            #[cfg(feature = "wgpu")]
            Route::Wgpu(device, _) => runner::change(&mut **device, &members, module, copies, |device, weights| {
                device.prune(&penalties, weights, &budget)
            })?,
            Route::Host(host) => runner::change(host, &members, module, copies, |host, weights| {
                host.prune(&penalties, weights, &budget)
            })?,
        };
        Ok((module, Pending::new(self.names.clone(), state)))
    }

    /// Like [`prune`](Regularizer::prune), but prunes whole groups: those of each parameter's penalty, for example its rows by
    /// [`Rules::grouped`], by their root mean square. A parameter whose penalty has no groups stays as it is.
    /// [`HostSet::prune_groups_in_place`](penalty::HostSet::prune_groups_in_place) has the details.
    ///
    /// On Flex it works in place. On wgpu and on other backends it copies the penalized weights to the host and back.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// use penalty::{Budget, Groups, Penalty};
    /// use penalty_burn::{ByShape, Regularizer, Rules};
    ///
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// // A quarter of the output neurons, whatever the penalty of the training is.
    /// let columns = Rules::grouped(Penalty::group_lasso(1.0, Groups::whole())?, ByShape::Columns);
    /// let (layer, pending) = Regularizer::host(columns).prune_groups(layer, &Budget::prune(0.25)?)?;
    /// assert_eq!(pending.wait(std::time::Duration::from_secs(600))?.total.nonzero, 24);
    /// # drop(layer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prune`](Regularizer::prune).
    pub fn prune_groups<M: Module>(&mut self, module: M, budget: &Budget) -> Result<(M, Pending), Rejected<M>> {
        let (penalties, budget) = match self.prepare_budget(&module, budget) {
            Ok(prepared) => prepared,
            Err(error) => return Err(Rejected { module, error }),
        };
        #[cfg(feature = "wgpu")]
        let mut on_copies = Host::default();
        #[cfg(feature = "wgpu")]
        if matches!(self.route, Route::Wgpu(..)) {
            let tensors = self.tensors(&self.members, &self.chosen);
            let prepared = tensors.and_then(|(tensors, weights)| runner::prepare(&mut on_copies, tensors, weights));
            if let Err(error) = prepared {
                return Err(Rejected { module, error });
            }
        }
        let (members, copies) = (Members::new(&self.members), &mut self.copies);
        let host = match &mut self.route {
            #[cfg(feature = "wgpu")]
            Route::Wgpu(..) => &mut on_copies,
            Route::Host(host) => host,
        };
        let (module, state) = runner::change(host, &members, module, copies, |host, weights| {
            host.prune_groups(&penalties, weights, &budget)
        })?;
        Ok((module, Pending::new(self.names.clone(), state)))
    }

    /// R(θ) and the statistics of every penalized parameter; changes nothing.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.5)?));
    /// let total = regularizer.evaluate(&layer)?.wait(std::time::Duration::from_secs(600))?.total;
    /// assert_eq!(total.value, 0.5 * total.l1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`], [`Error::Type`], [`Error::Device`], [`Error::Storage`], [`Error::Busy`], [`Error::Penalty`].
    pub fn evaluate<M: Module>(&mut self, module: &M) -> Result<Pending, Error> {
        let penalties = self.prepare(module)?;
        let members = Members::new(&self.members);
        let state = match &mut self.route {
            #[cfg(feature = "wgpu")]
            Route::Wgpu(device, _) => runner::evaluate(&mut **device, &penalties, &members, module)?,
            Route::Host(host) => runner::evaluate(host, &penalties, &members, module)?,
        };
        Ok(Pending::new(self.names.clone(), state))
    }

    /// The current penalties of the module's parameters. If the parameters differ from the last module's, applies the rules to them first.
    fn prepare<M: Module>(&mut self, module: &M) -> Result<Vec<Penalty>, Error> {
        let found = walk::survey(module);
        if self.found.is_empty() || found != self.found {
            self.choose(found)?;
        }
        let step = self.steps;
        self.chosen
            .iter()
            .zip(&self.members)
            .map(|(&choice, member)| self.rules.penalty(choice, member, step))
            .collect()
    }

    /// What [`prepare`](Regularizer::prepare) gives, and the budget within the rules' bounds.
    fn prepare_budget<M: Module>(&mut self, module: &M, budget: &Budget) -> Result<(Vec<Penalty>, Budget), Error> {
        let penalties = self.prepare(module)?;
        let bounds = self.members.iter().map(|member| self.rules.bounds_of(member)).collect();
        Ok((penalties, budget.clone().within(bounds)?))
    }

    /// What a runner needs to know of these parameters.
    fn tensors(&self, members: &[Found], chosen: &[Choice]) -> Result<(Vec<Shaped>, Vec<Option<Tensor<1>>>), Error> {
        let tensor = |(member, &choice): (&Found, &Choice)| {
            let penalty = self.rules.unscheduled(choice, member)?;
            Ok((member.shaped()?, self.rules.element_weights_of(&penalty, member)?))
        };
        members.iter().zip(chosen).map(tensor).collect()
    }

    fn choose(&mut self, found: Vec<Found>) -> Result<(), Error> {
        self.rules.check(&found)?;
        let chosen = found.iter().filter_map(|f| Some((f.clone(), self.rules.choose(f)?)));
        let (members, chosen): (Vec<Found>, Vec<Choice>) = chosen.unzip();
        #[cfg(feature = "wgpu")]
        if let Route::Wgpu(_, device) = &self.route {
            for member in &members {
                member.shaped().and_then(|_| member.check_device(device))?;
            }
        }
        let (tensors, element_weights) = self.tensors(&members, &chosen)?;
        match &mut self.route {
            #[cfg(feature = "wgpu")]
            Route::Wgpu(device, _) => runner::prepare(&mut **device, tensors, element_weights)?,
            Route::Host(host) => runner::prepare(host, tensors, element_weights)?,
        }
        self.names = members.iter().map(|member| member.path.clone()).collect();
        (self.found, self.members, self.chosen) = (found, members, chosen);
        Ok(())
    }
}
