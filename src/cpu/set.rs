//! Many tensors in host memory at once.

use super::Cpu;
use super::pass::{Operands, Pass, TILES_PER_SPAN};
use crate::formula::scalars::Scalars;
use crate::numeric::accumulator::Sums;
use crate::numeric::element::Element;
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::penalty::element_weights::{matched, valid};
use crate::plan::coefficients::coefficients;
use crate::plan::operands::{
    ELEMENT_WEIGHTS, Extent, FIRST, GRADIENT, SECOND, WEIGHTS, disjoint, one_each, same_shape,
};
use crate::plan::operation::Operation;
use crate::plan::optimizer::{Adam, Momentum, Sgd};
use crate::plan::parameter::{Parameter, segments};
use crate::plan::penalties::Penalties;
use crate::plan::{Plan, Segment, Stage};
use crate::report::{Partial, Reports};
use crate::{Penalty, Result};

/// Many tensors in host memory, each with its penalty. It has the calls of
/// [`gpu::ParameterSet`](crate::gpu::ParameterSet) on slices, and gives the same bits.
///
/// Every call takes one slice per tensor, in the set's order, each of its tensor's length and type.
///
/// ```
/// use penalty::{Cpu, Dtype, HostSet, Parameter, Penalty};
///
/// let parameters = vec![
///     Parameter::new("weight", 3, Dtype::F32, Penalty::l1(0.5)?),
///     Parameter::new("bias", 1, Dtype::F32, Penalty::none()),
/// ];
/// let set = HostSet::new(Cpu::new(), parameters);
/// let (mut weight, mut bias) = ([1.0f32, -0.25, 0.0], [3.0f32]);
/// let reports = set.evaluate(&[(&weight[..]).into(), (&bias[..]).into()])?;
/// assert_eq!(reports.total.value, 0.625);
///
/// let reports = set.prox_and_evaluate(&mut [(&mut weight[..]).into(), (&mut bias[..]).into()], 1.0)?;
/// assert_eq!((weight, bias), ([0.5, 0.0, 0.0], [3.0]));
/// assert_eq!(reports.total.nonzero, 2);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct HostSet<'w> {
    cpu: Cpu,
    plan: Plan,
    penalties: Penalties,
    /// Those of the tensors that have element weights. Empty if none has.
    element_weights: Vec<Option<Slice<'w>>>,
}

/// What a call does, apart from its slices.
struct Call {
    operation: Operation,
    sums: bool,
    step: f64,
    scalars: Scalars,
}

/// Slices, and what errors call them.
type Read<'a> = (&'static str, &'a [Slice<'a>]);
type Written<'a, 'b> = (&'static str, &'a mut [SliceMut<'b>]);

impl<'w> HostSet<'w> {
    /// A set of these tensors.
    pub fn new(cpu: Cpu, parameters: Vec<Parameter>) -> HostSet<'w> {
        let (segments, penalties) = segments(parameters);
        HostSet { cpu, plan: Plan::new(segments, TILES_PER_SPAN), penalties, element_weights: Vec::new() }
    }

    /// The set with element weights for the tensors with [weighted](Penalty::is_weighted) penalties, under the rules of
    /// [`with_element_weights`](Penalty::with_element_weights); `None` for all others. They are checked once, here.
    ///
    /// ```
    /// use penalty::{Cpu, Dtype, HostSet, Parameter, Penalty};
    ///
    /// let parameters = vec![
    ///     Parameter::new("weight", 3, Dtype::F32, Penalty::weighted_l1(0.5)?),
    ///     Parameter::new("bias", 1, Dtype::F32, Penalty::none()),
    /// ];
    /// let weights = [1.0f32, 0.0, 2.0];
    /// let set = HostSet::new(Cpu::new(), parameters).with_element_weights(&[Some((&weights[..]).into()), None])?;
    /// let (mut theta, mut bias) = ([1.0f32, 1.0, -3.0], [3.0f32]);
    /// set.prox(&mut [(&mut theta[..]).into(), (&mut bias[..]).into()], 1.0)?;
    /// assert_eq!((theta, bias), ([0.5, 1.0, -2.0], [3.0]));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`](crate::Error::Missing) unless there is one entry per tensor,
    /// [`Error::InParameter`](crate::Error::InParameter) if element weights differ from their tensor in length or type,
    /// or one of them is negative or NaN. Every later call rejects, with
    /// [`Error::ElementWeights`](crate::Error::ElementWeights), a weighted penalty without element weights, and element
    /// weights for any other penalty.
    pub fn with_element_weights<'v>(self, element_weights: &[Option<Slice<'v>>]) -> Result<HostSet<'v>> {
        one_each("a set", ELEMENT_WEIGHTS, self.plan.segments.len(), element_weights.len())?;
        for (at, own) in element_weights.iter().enumerate() {
            let Some(own) = own else { continue };
            self.fits(ELEMENT_WEIGHTS, at, own)?;
            self.plan.segments[at].about(valid(*own))?;
        }
        let HostSet { cpu, plan, penalties, .. } = self;
        Ok(HostSet { cpu, plan, penalties, element_weights: element_weights.to_vec() })
    }

    /// The tensors' names, in the set's order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.plan.segments.iter().map(Segment::name)
    }

    /// Each tensor's name and penalty, to change λ from step to step.
    pub fn penalties_mut(&mut self) -> impl Iterator<Item = (&str, &mut Penalty)> {
        self.plan.segments.iter().map(Segment::name).zip(self.penalties.list_mut())
    }

    /// A report for each tensor, and the total.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`](crate::Error::Missing) unless there is one slice per tensor,
    /// [`Error::InParameter`](crate::Error::InParameter) if a slice differs from its tensor in length or type, or a
    /// penalty's groups do not cover its tensor, [`Error::Overlap`](crate::Error::Overlap) if two slices share memory.
    pub fn evaluate(&self, weights: &[Slice<'_>]) -> Result<Reports> {
        let call = Call::new(Operation::Evaluate);
        self.reports(&self.run(&Call { sums: true, ..call }, Some((WEIGHTS, weights)), &mut [])?)
    }

    /// `gradient += ∂R/∂θ` for every tensor. [`Penalty::none`] leaves every bit unchanged.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](HostSet::evaluate); [`Error::InParameter`](crate::Error::InParameter) also if a penalty
    /// [has no gradient](Penalty::has_gradient). Then no tensor's gradient changes.
    pub fn gradient_add(&self, weights: &[Slice<'_>], gradients: &mut [SliceMut<'_>]) -> Result<()> {
        let call = Call::new(Operation::AddGradient);
        self.run(&call, Some((WEIGHTS, weights)), &mut [(GRADIENT, gradients)]).map(drop)
    }

    /// Evaluates and adds the gradient in one read of the weights.
    ///
    /// # Errors
    ///
    /// As [`gradient_add`](HostSet::gradient_add).
    pub fn evaluate_and_gradient_add(&self, weights: &[Slice<'_>], gradients: &mut [SliceMut<'_>]) -> Result<Reports> {
        let call = Call { sums: true, ..Call::new(Operation::AddGradient) };
        self.reports(&self.run(&call, Some((WEIGHTS, weights)), &mut [(GRADIENT, gradients)])?)
    }

    /// `θ = prox(θ)` for every tensor. [`Penalty::none`] leaves every bit unchanged.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the step is not a number ≥ 0 or is too large, else as
    /// [`evaluate`](HostSet::evaluate).
    pub fn prox(&self, weights: &mut [SliceMut<'_>], step: f64) -> Result<()> {
        let call = Call { step, ..Call::new(Operation::Prox) };
        self.run(&call, None, &mut [(WEIGHTS, weights)]).map(drop)
    }

    /// The prox, and an evaluation of the result, in one read.
    ///
    /// # Errors
    ///
    /// As [`prox`](HostSet::prox).
    pub fn prox_and_evaluate(&self, weights: &mut [SliceMut<'_>], step: f64) -> Result<Reports> {
        let call = Call { step, sums: true, ..Call::new(Operation::Prox) };
        self.reports(&self.run(&call, None, &mut [(WEIGHTS, weights)])?)
    }

    /// A proximal step of gradient descent, and an evaluation of the new weights, in one read. `first` is the momentum;
    /// it may be empty without momentum.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if the step, its momentum or its dampening is out of range, else
    /// as [`evaluate`](HostSet::evaluate).
    pub fn sgd<'s>(
        &self,
        sgd: &Sgd,
        gradients: &[Slice<'_>],
        weights: &mut [SliceMut<'s>],
        first: &mut [SliceMut<'s>],
    ) -> Result<Reports> {
        let scalars = sgd.scalars()?;
        let call = Call { operation: sgd.operation(), sums: true, step: sgd.prox_step()?, scalars };
        let gradients = Some((GRADIENT, gradients));
        self.reports(&match sgd.momentum {
            Momentum::None => self.run(&call, gradients, &mut [(WEIGHTS, weights)])?,
            _ => self.run(&call, gradients, &mut [(WEIGHTS, weights), (FIRST, first)])?,
        })
    }

    /// A proximal step of Adam, and an evaluation of the new weights, in one read.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) if a parameter of the step is out of range,
    /// [`Error::InParameter`](crate::Error::InParameter) if a penalty has no prox in the step's
    /// [`Metric`](crate::Metric), else as [`evaluate`](HostSet::evaluate).
    pub fn adam<'s>(
        &self,
        adam: &Adam,
        gradients: &[Slice<'_>],
        weights: &mut [SliceMut<'s>],
        first: &mut [SliceMut<'s>],
        second: &mut [SliceMut<'s>],
    ) -> Result<Reports> {
        let scalars = adam.scalars()?;
        let call = Call { operation: adam.operation(), sums: true, step: adam.step, scalars };
        let written = &mut [(WEIGHTS, weights), (FIRST, first), (SECOND, second)];
        self.reports(&self.run(&call, Some((GRADIENT, gradients)), written)?)
    }

    fn reports(&self, partials: &[Partial]) -> Result<Reports> {
        Reports::new(partials.iter().zip(self.penalties.list()))
    }

    /// One partial per tensor if the call sums, else none.
    fn run(&self, call: &Call, read: Option<Read<'_>>, written: &mut [Written<'_, '_>]) -> Result<Vec<Partial>> {
        self.validate(call, &read, written)?;
        let (segments, penalties) = (&self.plan.segments[..], self.penalties.list());
        // Computed for all tensors first: a bad step is rejected before anything is written.
        let coefficients = &coefficients(segments, penalties, call.operation, call.step)?;
        let (operation, sums, scalars) = (call.operation, call.sums, call.scalars);
        let pass = Pass { operation, sums, segments, penalties, coefficients, scalars };
        let mut sums = pass.no_sums();
        for stage in &self.plan.stages {
            with_element!(stage.dtype, E => self.run_stage::<E>(stage, &pass, &read, written, &mut sums));
        }
        Ok(pass.partials(sums))
    }

    /// Runs the tensors of one type. The others get empty operands.
    fn run_stage<E: Element>(
        &self,
        stage: &Stage,
        pass: &Pass<'_>,
        read: &Option<Read<'_>>,
        written: &mut [Written<'_, '_>],
        sums: &mut [Sums],
    ) {
        let of_type = |i: usize| pass.segments[i].dtype == E::DTYPE;
        let source = |i: usize| read.filter(|_| of_type(i)).map_or(&[][..], |(_, slices)| slices[i].elements());
        let own = |i: usize| match self.element_weights.get(i) {
            Some(Some(slice)) if of_type(i) => slice.elements(),
            _ => &[],
        };
        let operands = (0..pass.segments.len()).map(|i| Operands::read(source(i), own(i)));
        let mut operands: Vec<Operands<'_, E>> = operands.collect();
        for (role, (_, slices)) in written.iter_mut().enumerate() {
            for (operands, slice) in operands.iter_mut().zip(slices.iter_mut()) {
                if slice.dtype() == E::DTYPE {
                    operands.written[role] = slice.reborrow().into_elements();
                }
            }
        }
        self.cpu.run(stage, pass, &mut operands, sums);
    }

    fn validate(&self, call: &Call, read: &Option<Read<'_>>, written: &[Written<'_, '_>]) -> Result<()> {
        for (i, (segment, penalty)) in self.plan.segments.iter().zip(self.penalties.list()).enumerate() {
            let given = self.element_weights.get(i).is_some_and(Option::is_some);
            segment.about(matched(penalty, given).and_then(|()| call.operation.admits(penalty)))?;
        }
        for (operand, slices) in written {
            one_each(call.operation.name(), operand, self.plan.segments.len(), slices.len())?;
            slices.iter().enumerate().try_for_each(|(i, s)| self.fits(operand, i, &s.as_slice()))?;
        }
        let Some((operand, slices)) = *read else { return Ok(()) };
        one_each(call.operation.name(), operand, self.plan.segments.len(), slices.len())?;
        slices.iter().enumerate().try_for_each(|(i, slice)| self.fits(operand, i, slice))?;
        // Only slices that are read can overlap: the compiler rules out the rest.
        let extents = slices.iter().enumerate().filter(|(_, slice)| slice.len() > 0);
        let mut extents: Vec<Extent<()>> = extents
            .map(|(parameter, slice)| {
                let start = slice.bytes().as_ptr().addr() as u64;
                Extent { memory: (), start, end: start + slice.bytes().len() as u64, operand, parameter }
            })
            .collect();
        disjoint(&self.plan.segments, &mut extents)
    }

    /// Rejects a slice whose length or type is not that of its tensor.
    fn fits(&self, operand: &'static str, i: usize, slice: &Slice<'_>) -> Result<()> {
        let segment = &self.plan.segments[i];
        segment.about(same_shape(operand, (segment.len, segment.dtype), slice.shape()))
    }
}

impl Call {
    fn new(operation: Operation) -> Call {
        Call { operation, sums: false, step: 0.0, scalars: Scalars::default() }
    }
}
