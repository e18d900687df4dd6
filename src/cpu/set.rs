//! Many tensors in host memory at once.

use std::sync::Arc;

use super::Cpu;
use super::pass::{Operands, Pass, TILES_PER_SPAN};
use crate::formula::scalars::Scalars;
use crate::numeric::element::{Dtype, Element};
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::penalty::element_weights::{matched, valid};
use crate::plan::coefficients::{Coefficients, coefficients};
use crate::plan::operands::{
    Extent, FIRST, GRADIENT, PENALTY_WEIGHTS, SECOND, WEIGHTS, disjoint, one_each, same_shape,
};
use crate::plan::operation::Operation;
use crate::plan::optimizer::{Adam, Momentum, Sgd};
use crate::plan::parameter::{Parameter, named};
use crate::plan::{Plan, Segment};
use crate::report::{Partial, Reports};
use crate::{Penalty, Result};

/// Many tensors in host memory, each with its penalty: [`gpu::ParameterSet`](crate::gpu::ParameterSet)'s calls on slices, with its bits.
///
/// Every call takes, for each tensor in the set's order, a slice of its length and type.
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
    names: Vec<Arc<str>>,
    segments: Vec<Segment>,
    groups: Vec<Group>,
    /// Of the tensors that have some.
    penalty_weights: Vec<Option<Slice<'w>>>,
}

/// The tensors of one type.
#[derive(Debug, Clone)]
struct Group {
    dtype: Dtype,
    members: Vec<usize>,
    plan: Plan,
}

/// What a call does, besides with which slices.
struct Call {
    operation: Operation,
    sums: bool,
    step: f64,
    scalars: Scalars,
}

/// Slices with what errors call them.
type Read<'a> = (&'static str, &'a [Slice<'a>]);
type Written<'a, 'b> = (&'static str, &'a mut [SliceMut<'b>]);

impl<'w> HostSet<'w> {
    /// A set of these tensors.
    pub fn new(cpu: Cpu, parameters: Vec<Parameter>) -> HostSet<'w> {
        let (names, segments) = named(parameters);
        let group = |dtype| {
            let members: Vec<usize> = (0..segments.len()).filter(|&i| segments[i].dtype == dtype).collect();
            let plan = Plan::new(members.iter().map(|&i| segments[i].clone()).collect(), TILES_PER_SPAN);
            Group { dtype, members, plan }
        };
        let groups = [Dtype::F32, Dtype::F16, Dtype::BF16].map(group).into();
        HostSet { cpu, names, segments, groups, penalty_weights: Vec::new() }
    }

    /// The set with what [weighted](Penalty::is_weighted) penalties weigh the elements of their tensors with, under the rules of
    /// [`with_weights`](Penalty::with_weights); `None` for the other tensors. They are looked through once, here.
    ///
    /// ```
    /// use penalty::{Cpu, Dtype, HostSet, Parameter, Penalty};
    ///
    /// let parameters = vec![
    ///     Parameter::new("weight", 3, Dtype::F32, Penalty::weighted_l1(0.5)?),
    ///     Parameter::new("bias", 1, Dtype::F32, Penalty::none()),
    /// ];
    /// let weights = [1.0f32, 0.0, 2.0];
    /// let set = HostSet::new(Cpu::new(), parameters).with_penalty_weights(&[Some((&weights[..]).into()), None])?;
    /// let (mut theta, mut bias) = ([1.0f32, 1.0, -3.0], [3.0f32]);
    /// set.prox(&mut [(&mut theta[..]).into(), (&mut bias[..]).into()], 1.0)?;
    /// assert_eq!((theta, bias), ([0.5, 1.0, -2.0], [3.0]));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`](crate::Error::Missing) unless there is an entry for each tensor,
    /// [`Error::InParameter`](crate::Error::InParameter) where weights differ from their tensor in length or type, or one of
    /// them is negative or NaN. Every call then refuses, with [`Error::PenaltyWeights`](crate::Error::PenaltyWeights), a
    /// penalty that has not the weights that it takes, or that takes none and has some.
    pub fn with_penalty_weights<'v>(self, penalty_weights: &[Option<Slice<'v>>]) -> Result<HostSet<'v>> {
        one_each("a set", PENALTY_WEIGHTS, self.segments.len(), penalty_weights.len())?;
        for (at, own) in penalty_weights.iter().enumerate() {
            let Some(own) = own else { continue };
            self.fits(PENALTY_WEIGHTS, at, own)?;
            self.segments[at].about(valid(*own))?;
        }
        let HostSet { cpu, names, segments, groups, .. } = self;
        Ok(HostSet { cpu, names, segments, groups, penalty_weights: penalty_weights.to_vec() })
    }

    /// The tensors' names, in the set's order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Each tensor's name and penalty, to change λs from step to step.
    pub fn penalties_mut(&mut self) -> impl Iterator<Item = (&str, &mut Penalty)> {
        self.names.iter().map(|name| &**name).zip(self.segments.iter_mut().map(|s| &mut s.penalty))
    }

    /// A report for each tensor, and the total.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`](crate::Error::Missing) unless there is a slice for each tensor,
    /// [`Error::InParameter`](crate::Error::InParameter) where one differs from its tensor in length or type, or a penalty's groups
    /// do not cover its tensor, [`Error::Overlap`](crate::Error::Overlap) where two share memory.
    pub fn evaluate(&self, weights: &[Slice<'_>]) -> Result<Reports> {
        let call = Call::new(Operation::Evaluate);
        self.reports(&self.run(&Call { sums: true, ..call }, Some((WEIGHTS, weights)), &mut [])?)
    }

    /// `gradient += ∂R/∂θ` for every tensor; under [`Penalty::none`] every bit stays.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](HostSet::evaluate); [`Error::InParameter`](crate::Error::InParameter) also where a penalty
    /// [has no gradient](Penalty::has_gradient). Then nothing is added to any tensor's.
    pub fn gradient_add(&self, weights: &[Slice<'_>], gradients: &mut [SliceMut<'_>]) -> Result<()> {
        let call = Call::new(Operation::AddGradient);
        self.run(&call, Some((WEIGHTS, weights)), &mut [(GRADIENT, gradients)]).map(drop)
    }

    /// Both, from one read of the weights.
    ///
    /// # Errors
    ///
    /// As [`gradient_add`](HostSet::gradient_add).
    pub fn evaluate_and_gradient_add(&self, weights: &[Slice<'_>], gradients: &mut [SliceMut<'_>]) -> Result<Reports> {
        let call = Call { sums: true, ..Call::new(Operation::AddGradient) };
        self.reports(&self.run(&call, Some((WEIGHTS, weights)), &mut [(GRADIENT, gradients)])?)
    }

    /// `θ = prox(θ)` for every tensor; under [`Penalty::none`] every bit stays.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) for a step that is no number ≥ 0 or too large, else as [`evaluate`](HostSet::evaluate).
    pub fn prox(&self, weights: &mut [SliceMut<'_>], step: f64) -> Result<()> {
        let call = Call { step, ..Call::new(Operation::Prox) };
        self.run(&call, None, &mut [(WEIGHTS, weights)]).map(drop)
    }

    /// The prox, and the evaluation of what it leaves, from one read.
    ///
    /// # Errors
    ///
    /// As [`prox`](HostSet::prox).
    pub fn prox_and_evaluate(&self, weights: &mut [SliceMut<'_>], step: f64) -> Result<Reports> {
        let call = Call { step, sums: true, ..Call::new(Operation::Prox) };
        self.reports(&self.run(&call, None, &mut [(WEIGHTS, weights)])?)
    }

    /// A proximal step of gradient descent, and the evaluation of the new weights, from one read. `first` is the momentum; without
    /// momentum it may be empty.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) where the step, its momentum or its dampening is out of range, else as
    /// [`evaluate`](HostSet::evaluate).
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

    /// A proximal step of Adam, and the evaluation of the new weights, from one read.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) where a number of the step is out of range,
    /// [`Error::InParameter`](crate::Error::InParameter) where a penalty has no prox in the step's [`Metric`](crate::Metric), else as
    /// [`evaluate`](HostSet::evaluate).
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
        Reports::new(partials.iter().zip(self.segments.iter().map(|s| &s.penalty)))
    }

    /// One partial a tensor, where the call sums.
    fn run(&self, call: &Call, read: Option<Read<'_>>, written: &mut [Written<'_, '_>]) -> Result<Vec<Partial>> {
        self.validate(call, &read, written)?;
        // Of all of them first: a bad step is refused before anything is written.
        let coefficients = coefficients(&self.segments, call.operation, call.step)?;
        let mut run = |group: &Group, segments: &[Segment], coefficients: &[Coefficients]| {
            let (operation, sums, scalars) = (call.operation, call.sums, call.scalars);
            let pass = Pass { operation, sums, segments, coefficients, scalars };
            with_element!(group.dtype, E => self.run_group::<E>(group, &pass, &read, written))
        };
        if let Some(all) = self.groups.iter().find(|group| group.members.len() == self.segments.len()) {
            return Ok(run(all, &self.segments, &coefficients));
        }
        let mut partials = vec![Partial::default(); self.segments.len()];
        for group in &self.groups {
            let coefficients: Vec<Coefficients> = group.members.iter().map(|&i| coefficients[i]).collect();
            let segments: Vec<Segment> = group.members.iter().map(|&i| self.segments[i].clone()).collect();
            for (&i, partial) in group.members.iter().zip(run(group, &segments, &coefficients)) {
                partials[i] = partial;
            }
        }
        Ok(partials)
    }

    fn run_group<E: Element>(
        &self,
        group: &Group,
        pass: &Pass<'_>,
        read: &Option<Read<'_>>,
        written: &mut [Written<'_, '_>],
    ) -> Vec<Partial> {
        let source = |i: usize| read.map_or(&[][..], |(_, slices)| slices[i].elements());
        let own = |i: usize| match self.penalty_weights.get(i) {
            Some(Some(slice)) => slice.elements(),
            _ => &[],
        };
        let operands = group.members.iter().map(|&i| Operands::read(source(i), own(i)));
        let mut operands: Vec<Operands<'_, E>> = operands.collect();
        for (role, (_, slices)) in written.iter_mut().enumerate() {
            let of_type = slices.iter_mut().filter(|slice| slice.dtype() == group.dtype);
            for (operands, slice) in operands.iter_mut().zip(of_type) {
                operands.written[role] = slice.reborrow().into_elements();
            }
        }
        self.cpu.run(&group.plan, pass, operands)
    }

    fn validate(&self, call: &Call, read: &Option<Read<'_>>, written: &[Written<'_, '_>]) -> Result<()> {
        for (i, segment) in self.segments.iter().enumerate() {
            let given = self.penalty_weights.get(i).is_some_and(Option::is_some);
            let penalty = &segment.penalty;
            segment.about(matched(penalty, given).and_then(|()| call.operation.admits(penalty)))?;
        }
        for (operand, slices) in written {
            one_each(call.operation.name(), operand, self.segments.len(), slices.len())?;
            slices.iter().enumerate().try_for_each(|(i, s)| self.fits(operand, i, &s.as_slice()))?;
        }
        let Some((operand, slices)) = *read else { return Ok(()) };
        one_each(call.operation.name(), operand, self.segments.len(), slices.len())?;
        slices.iter().enumerate().try_for_each(|(i, slice)| self.fits(operand, i, slice))?;
        // Only what is read can be listed twice: the compiler sees to the rest.
        let extents = slices.iter().enumerate().filter(|(_, slice)| slice.len() > 0);
        let mut extents: Vec<Extent<()>> = extents
            .map(|(parameter, slice)| {
                let start = slice.bytes().as_ptr().addr() as u64;
                Extent { memory: (), start, end: start + slice.bytes().len() as u64, operand, parameter }
            })
            .collect();
        disjoint(&self.names, &mut extents)
    }

    /// Refuses a slice that has not as many elements of the same type as its tensor.
    fn fits(&self, operand: &'static str, i: usize, slice: &Slice<'_>) -> Result<()> {
        let segment = &self.segments[i];
        segment.about(same_shape(operand, (segment.len, segment.dtype), slice.shape()))
    }
}

impl Call {
    fn new(operation: Operation) -> Call {
        Call { operation, sums: false, step: 0.0, scalars: Scalars::default() }
    }
}
