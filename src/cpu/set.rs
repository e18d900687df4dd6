//! Many tensors in host memory at once.

mod across;
mod call;
mod prune;
mod run;
mod stages;

use call::Call;

use std::sync::{Arc, OnceLock};

use super::Cpu;
use crate::numeric::slice::{Slice, SliceMut};
use crate::penalty::element_weights::valid;
use crate::plan::operands::{ELEMENT_WEIGHTS, FIRST, GRADIENT, SECOND, WEIGHTS, one_each};
use crate::plan::operation::Operation;
use crate::plan::optimizer::{Adam, Momentum, Sgd};
use crate::plan::parameter::Parameter;
use crate::plan::ranks::Ranks;
use crate::plan::{Plan, Segment};
use crate::report::reports::Reports;
use crate::{Penalty, Result};

/// Many tensors in host memory, each with its penalty. It has the calls of
/// [`gpu::ParameterSet`](crate::gpu::ParameterSet) on slices, and gives the same bits.
///
/// Every call takes one slice per tensor, in the set's order. The weights say how long each tensor is and of what type;
/// its other slices are the same.
///
/// ```
/// use penalty::{Cpu, HostSet, Parameter, Penalty};
///
/// let parameters = vec![Parameter::new("weight", Penalty::l1(0.5)?), Parameter::new("bias", Penalty::none())];
/// let set = HostSet::new(Cpu::new(), parameters);
/// let (mut weight, mut bias) = ([1.0f32, -0.25, 0.0], [3.0f32]);
/// let reports = set.evaluate(&[(&weight[..]).into(), (&bias[..]).into()])?;
/// assert_eq!(reports.total.value, 0.625);
///
/// let reports = set.prox_and_evaluate_in_place(&mut [(&mut weight[..]).into(), (&mut bias[..]).into()], 1.0)?;
/// assert_eq!((weight, bias), ([0.5, 0.0, 0.0], [3.0]));
/// assert_eq!(reports.total.nonzero, 2);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct HostSet<'w> {
    cpu: Cpu,
    names: Vec<Arc<str>>,
    penalties: Vec<Penalty>,
    /// Of the lengths and types that the first call's weights had. Calls with others plan anew.
    plan: OnceLock<Plan>,
    /// Those of the tensors that have element weights. Empty if none has.
    element_weights: Vec<Option<Slice<'w>>>,
    /// Those that share it, if it is spread over ranks.
    ranks: Option<Arc<Ranks>>,
}

impl<'w> HostSet<'w> {
    /// A set of these tensors, whose calls compute on `cpu`. They check the penalties against the slices.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let parameters = vec![Parameter::new("weight", Penalty::l1(0.5)?), Parameter::new("bias", Penalty::none())];
    /// let set = HostSet::new(Cpu::new(), parameters);
    /// assert_eq!(set.names().len(), 2);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn new(cpu: Cpu, parameters: Vec<Parameter>) -> HostSet<'w> {
        let (names, penalties) =
            parameters.into_iter().map(|parameter| (parameter.name.into(), parameter.penalty)).unzip();
        HostSet { cpu, names, penalties, plan: OnceLock::new(), element_weights: Vec::new(), ranks: None }
    }

    /// The set with element weights for the tensors with [weighted](Penalty::is_weighted) penalties, under the rules of
    /// [`with_element_weights`](Penalty::with_element_weights); `None` for all others. Their values are checked once,
    /// here.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let parameters = vec![
    ///     Parameter::new("weight", Penalty::weighted_l1(0.5)?),
    ///     Parameter::new("bias", Penalty::none()),
    /// ];
    /// let element_weights = [1.0f32, 0.0, 2.0];
    /// let set = HostSet::new(Cpu::new(), parameters);
    /// let set = set.with_element_weights(&[Some((&element_weights[..]).into()), None])?;
    /// let (mut theta, mut bias) = ([1.0f32, 1.0, -3.0], [3.0f32]);
    /// set.prox_in_place(&mut [(&mut theta[..]).into(), (&mut bias[..]).into()], 1.0)?;
    /// assert_eq!((theta, bias), ([0.5, 1.0, -2.0], [3.0]));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`](crate::Error::Missing) unless there is one entry per tensor,
    /// [`Error::InParameter`](crate::Error::InParameter) if one of them is negative or NaN. Every later call rejects a
    /// weighted penalty without element weights, and element weights for any other penalty, with
    /// [`Error::ElementWeights`](crate::Error::ElementWeights), and element weights that differ from the tensor's
    /// weights in length or type.
    pub fn with_element_weights<'v>(self, element_weights: &[Option<Slice<'v>>]) -> Result<HostSet<'v>> {
        one_each("a set", ELEMENT_WEIGHTS, self.names.len(), element_weights.len())?;
        for (name, slice) in self.names.iter().zip(element_weights) {
            let Some(slice) = slice else { continue };
            Segment::called(name.clone(), slice.shape()).about(valid(*slice))?;
        }
        let HostSet { cpu, names, penalties, plan, ranks, .. } = self;
        Ok(HostSet { cpu, names, penalties, plan, element_weights: element_weights.to_vec(), ranks })
    }

    /// The tensors' names, in the set's order.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let parameters = ["weight", "bias"].map(|name| Parameter::new(name, Penalty::none()));
    /// let set = HostSet::new(Cpu::new(), parameters.into());
    /// assert_eq!(set.names().position(|name| name == "bias"), Some(1));
    /// ```
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Each tensor's name and penalty, to change λ from step to step.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let mut set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// for (_, penalty) in set.penalties_mut() {
    ///     *penalty = penalty.scaled(0.5)?;
    /// }
    /// assert_eq!(set.evaluate(&[[1.0f32, -2.0][..].into()])?.total.value, 0.75);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn penalties_mut(&mut self) -> impl Iterator<Item = (&str, &mut Penalty)> {
        self.names.iter().map(|name| &**name).zip(&mut self.penalties)
    }

    /// A report for each tensor, and the total.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let parameters = vec![Parameter::new("a", Penalty::l1(0.5)?), Parameter::new("b", Penalty::l2_squared(1.0)?)];
    /// let set = HostSet::new(Cpu::new(), parameters);
    /// let (a, b) = ([1.0f32, -2.0], [3.0f32]);
    /// let reports = set.evaluate(&[a[..].into(), b[..].into()])?;
    /// assert_eq!((reports.tensors[0].value, reports.tensors[1].value, reports.total.value), (1.5, 9.0, 10.5));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`](crate::Error::Missing) unless there is one slice per tensor,
    /// [`Error::InParameter`](crate::Error::InParameter) if a slice differs from its tensor's weights in length or type,
    /// or a penalty's groups do not cover its tensor, [`Error::Overlap`](crate::Error::Overlap) if two slices share
    /// memory.
    pub fn evaluate(&self, weights: &[Slice<'_>]) -> Result<Reports> {
        self.run(&Call::EVALUATE, Some((WEIGHTS, weights)), &mut [])
    }

    /// `gradient = ∂R/∂θ` for every tensor, whatever the gradients hold before.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let (theta, mut gradient) = ([1.0f32, -0.25, 0.0], [7.0f32; 3]);
    /// set.gradient_into(&[theta[..].into()], &mut [(&mut gradient[..]).into()])?;
    /// assert_eq!(gradient, [0.5, -0.5, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`evaluate`](HostSet::evaluate); [`Error::InParameter`](crate::Error::InParameter) also if a penalty
    /// [has no gradient](Penalty::has_gradient). Then no tensor's gradient changes.
    pub fn gradient_into(&self, weights: &[Slice<'_>], gradients: &mut [SliceMut<'_>]) -> Result<()> {
        self.gradient(Operation::Gradient, false, weights, gradients).map(drop)
    }

    /// `gradient += ∂R/∂θ` for every tensor. [`Penalty::none`] leaves every bit unchanged.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let (weight, mut gradient) = ([1.0f32, -0.25, 0.0], [1.0f32; 3]); // the loss's gradient
    /// set.gradient_add(&[(&weight[..]).into()], &mut [(&mut gradient[..]).into()])?;
    /// assert_eq!(gradient, [1.5, 0.5, 1.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](HostSet::gradient_into).
    pub fn gradient_add(&self, weights: &[Slice<'_>], gradients: &mut [SliceMut<'_>]) -> Result<()> {
        self.gradient(Operation::AddGradient, false, weights, gradients).map(drop)
    }

    /// `gradient = ∂R/∂θ` for every tensor, and a report of the weights, from one read.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let (theta, mut gradient) = ([1.0f32, -0.25, 0.0], [7.0f32; 3]);
    /// let reports = set.evaluate_and_gradient_into(&[theta[..].into()], &mut [(&mut gradient[..]).into()])?;
    /// assert_eq!((reports.total.value, gradient), (0.625, [0.5, -0.5, 0.0]));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](HostSet::gradient_into).
    pub fn evaluate_and_gradient_into(&self, weights: &[Slice<'_>], gradients: &mut [SliceMut<'_>]) -> Result<Reports> {
        self.gradient(Operation::Gradient, true, weights, gradients)
    }

    /// `gradient += ∂R/∂θ` for every tensor, and a report of the weights, from one read.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let (theta, mut gradient) = ([1.0f32, -0.25, 0.0], [1.0f32; 3]);
    /// let reports = set.evaluate_and_gradient_add(&[theta[..].into()], &mut [(&mut gradient[..]).into()])?;
    /// assert_eq!((reports.total.value, gradient), (0.625, [1.5, 0.5, 1.0]));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](HostSet::gradient_into).
    pub fn evaluate_and_gradient_add(&self, weights: &[Slice<'_>], gradients: &mut [SliceMut<'_>]) -> Result<Reports> {
        self.gradient(Operation::AddGradient, true, weights, gradients)
    }

    /// `θ = prox(θ)` for every tensor, with this step. [`Penalty::none`] leaves every bit unchanged.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let mut theta = [1.0f32, -0.25, 0.0];
    /// set.prox_in_place(&mut [(&mut theta[..]).into()], 1.0)?;
    /// assert_eq!(theta, [0.5, 0.0, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the step is not a number ≥ 0 or is too large, else as
    /// [`evaluate`](HostSet::evaluate).
    pub fn prox_in_place(&self, weights: &mut [SliceMut<'_>], step: f64) -> Result<()> {
        let call = Call { step, ..Call::new(Operation::Prox, false) };
        self.run(&call, None, &mut [(WEIGHTS, weights)]).map(drop)
    }

    /// `θ = prox(θ)` for every tensor, with this step, and a report of the new weights, from one read.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let mut theta = [1.0f32, -0.25, 0.0];
    /// let reports = set.prox_and_evaluate_in_place(&mut [(&mut theta[..]).into()], 1.0)?;
    /// assert_eq!((theta, reports.total.nonzero), ([0.5, 0.0, 0.0], 1));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prox_in_place`](HostSet::prox_in_place).
    pub fn prox_and_evaluate_in_place(&self, weights: &mut [SliceMut<'_>], step: f64) -> Result<Reports> {
        let call = Call { step, ..Call::new(Operation::Prox, true) };
        self.run(&call, None, &mut [(WEIGHTS, weights)])
    }

    /// A step of proximal gradient descent, in one pass. `first` is the momentum's state v: empty without momentum.
    /// [`Sgd`] has the formula.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Momentum, Parameter, Penalty, Sgd};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let (mut weight, gradient) = ([1.0f32, 0.25], [0.5f32, 0.0]);
    /// let sgd = Sgd { step: 1.0, momentum: Momentum::None };
    /// set.sgd(&mut [(&mut weight[..]).into()], &[(&gradient[..]).into()], &mut [], &sgd)?;
    /// assert_eq!(weight, [0.0, 0.0]); // 1 − 0.5 and 0.25, then the prox
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the step, its momentum or its dampening is out of range, else
    /// as [`evaluate`](HostSet::evaluate).
    pub fn sgd<'s>(
        &self,
        weights: &mut [SliceMut<'s>],
        gradients: &[Slice<'_>],
        first: &mut [SliceMut<'s>],
        sgd: &Sgd,
    ) -> Result<()> {
        self.step_of_sgd(false, weights, gradients, first, sgd).map(drop)
    }

    /// [`sgd`](HostSet::sgd), and a report of the new weights, from one read.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Momentum, Parameter, Penalty, Sgd};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let (mut weight, gradient) = ([2.0f32, 0.25], [0.5f32, 0.0]);
    /// let sgd = Sgd { step: 1.0, momentum: Momentum::None };
    /// let reports =
    ///     set.sgd_and_evaluate(&mut [(&mut weight[..]).into()], &[(&gradient[..]).into()], &mut [], &sgd)?;
    /// assert_eq!((weight, reports.total.nonzero), ([1.0, 0.0], 1));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`sgd`](HostSet::sgd).
    pub fn sgd_and_evaluate<'s>(
        &self,
        weights: &mut [SliceMut<'s>],
        gradients: &[Slice<'_>],
        first: &mut [SliceMut<'s>],
        sgd: &Sgd,
    ) -> Result<Reports> {
        self.step_of_sgd(true, weights, gradients, first, sgd)
    }

    /// A step of proximal Adam, in one pass. `first` and `second` are Adam's states m and v. [`Adam`] has the formula.
    ///
    /// ```
    /// use penalty::{Adam, Cpu, HostSet, Parameter, Penalty};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let (mut theta, gradient, mut m, mut v) = ([2.0f32], [3.0f32], [0.0f32], [0.0f32]);
    /// set.adam(
    ///     &mut [(&mut theta[..]).into()],
    ///     &[gradient[..].into()],
    ///     &mut [(&mut m[..]).into()],
    ///     &mut [(&mut v[..]).into()],
    ///     &Adam { step: 0.75, iteration: 1, ..Adam::default() },
    /// )?;
    /// assert!((theta[0] - 1.125).abs() < 1e-6); // 2 − η in the first step, then the prox: ηλ/√v̂ = 0.75·0.5/3 less
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if a parameter of the step is out of range,
    /// [`Error::InParameter`](crate::Error::InParameter) if a penalty has no prox in the step's
    /// [`Metric`](crate::Metric), else as [`evaluate`](HostSet::evaluate).
    pub fn adam<'s>(
        &self,
        weights: &mut [SliceMut<'s>],
        gradients: &[Slice<'_>],
        first: &mut [SliceMut<'s>],
        second: &mut [SliceMut<'s>],
        adam: &Adam,
    ) -> Result<()> {
        self.step_of_adam(false, weights, gradients, first, second, adam).map(drop)
    }

    /// [`adam`](HostSet::adam), and a report of the new weights, from one read.
    ///
    /// ```
    /// use penalty::{Adam, Cpu, HostSet, Parameter, Penalty};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// let (mut theta, gradient, mut m, mut v) = ([0.25f32], [3.0f32], [0.0f32], [0.0f32]);
    /// let reports = set.adam_and_evaluate(
    ///     &mut [(&mut theta[..]).into()],
    ///     &[gradient[..].into()],
    ///     &mut [(&mut m[..]).into()],
    ///     &mut [(&mut v[..]).into()],
    ///     &Adam { step: 0.25, iteration: 1, ..Adam::default() },
    /// )?;
    /// assert_eq!((theta, reports.total.zeros()), ([0.0], 1));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`adam`](HostSet::adam).
    pub fn adam_and_evaluate<'s>(
        &self,
        weights: &mut [SliceMut<'s>],
        gradients: &[Slice<'_>],
        first: &mut [SliceMut<'s>],
        second: &mut [SliceMut<'s>],
        adam: &Adam,
    ) -> Result<Reports> {
        self.step_of_adam(true, weights, gradients, first, second, adam)
    }

    fn step_of_sgd<'s>(
        &self,
        sums: bool,
        weights: &mut [SliceMut<'s>],
        gradients: &[Slice<'_>],
        first: &mut [SliceMut<'s>],
        sgd: &Sgd,
    ) -> Result<Reports> {
        let scalars = sgd.scalars()?;
        let call = Call { operation: sgd.operation(), sums, step: sgd.prox_step()?, scalars };
        let gradients = Some((GRADIENT, gradients));
        match sgd.momentum {
            Momentum::None => self.run(&call, gradients, &mut [(WEIGHTS, weights)]),
            _ => self.run(&call, gradients, &mut [(WEIGHTS, weights), (FIRST, first)]),
        }
    }

    fn step_of_adam<'s>(
        &self,
        sums: bool,
        weights: &mut [SliceMut<'s>],
        gradients: &[Slice<'_>],
        first: &mut [SliceMut<'s>],
        second: &mut [SliceMut<'s>],
        adam: &Adam,
    ) -> Result<Reports> {
        let call = Call { operation: adam.operation(), sums, step: adam.step, scalars: adam.scalars()? };
        let written = &mut [(WEIGHTS, weights), (FIRST, first), (SECOND, second)];
        self.run(&call, Some((GRADIENT, gradients)), written)
    }

    fn gradient(
        &self,
        operation: Operation,
        sums: bool,
        weights: &[Slice<'_>],
        gradients: &mut [SliceMut<'_>],
    ) -> Result<Reports> {
        self.run(&Call::new(operation, sums), Some((WEIGHTS, weights)), &mut [(GRADIENT, gradients)])
    }
}
