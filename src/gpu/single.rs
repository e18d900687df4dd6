//! One tensor at a time in the caller's encoder. Tables, results and slots are made for each call. For many tensors
//! there is [`ParameterSet`](super::ParameterSet).

use super::device::Gpu;
use super::operand::{Located, Operand};
use super::placement::Placement;
use super::readback::PendingReport;
use super::recorder::{Step, once};
#[cfg(doc)]
use crate::Error;
use crate::penalty::element_weights::Weighted;
use crate::plan::operands::{ELEMENT_WEIGHTS, GRADIENT, WEIGHTS, same_shape};
use crate::plan::operation::Operation;
use crate::plan::penalties::Penalties;
use crate::plan::{Name, Segment};
use crate::{Penalty, Result};

impl Gpu {
    /// Records the evaluation of weights on the device. The report stays there until you ask the [`PendingReport`] for
    /// it, after the encoder was submitted.
    ///
    /// A [weighted](Penalty::is_weighted) penalty comes [with its element weights](Penalty::with_operand), here and in
    /// the other calls.
    ///
    /// # Errors
    ///
    /// [`Error::Operand`] if the range breaks a rule of [`Operand`]. [`Error::Device`] if memory cannot be allocated.
    /// [`Error::ElementWeights`] if a weighted penalty has no element weights. [`Error::Operand`], [`Error::Overlap`],
    /// [`Error::Length`] and [`Error::Type`] if the element weights break a rule, overlap another operand, or differ in
    /// length or type. [`Error::Unchecked`] if a [`custom`](Penalty::custom) penalty was not [checked](Gpu::check) on
    /// this device. After an error, nothing is recorded.
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_evaluate<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Weighted<'a, Operand<'a>>>,
        weights: &Operand<'_>,
    ) -> Result<PendingReport> {
        weights.validate(WEIGHTS)?;
        let (penalty, own) = self.own(penalty.into(), &[(WEIGHTS, weights)])?;
        let plan = self.plan(vec![segment(weights)]);
        let placement = Placement { roles: [Some(&[weights.located()]), None, None, None], element_weights: &[own] };
        once(self, encoder, (Operation::Evaluate, true), (&plan, &one(penalty)), &placement, &Step::NONE)
            .map(PendingReport)
    }

    /// Records `gradient = ∂R/∂θ`.
    ///
    /// # Errors
    ///
    /// [`Error::NoGradient`] if the penalty [has none](Penalty::has_gradient). [`Error::Operand`] if a range breaks a
    /// rule of [`Operand`]. [`Error::Overlap`] if the two overlap. [`Error::Length`] and [`Error::Type`] if they differ
    /// in length or type. [`Error::Device`] if memory cannot be allocated. After an error, nothing is recorded. For
    /// weighted and custom penalties, see [`record_evaluate`](Gpu::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_gradient<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Weighted<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        self.record_gradient_operation(encoder, Operation::Gradient, penalty.into(), weights, gradient)
    }

    /// Records `gradient += ∂R/∂θ`. With [`Penalty::none`], every bit stays.
    ///
    /// # Errors
    ///
    /// As [`record_gradient`](Gpu::record_gradient).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_gradient_add<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Weighted<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        self.record_gradient_operation(encoder, Operation::AddGradient, penalty.into(), weights, gradient)
    }

    /// Records `θ = prox(θ)` with this step. With [`Penalty::none`], every bit stays.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the step is not a number ≥ 0 or is too large. [`Error::Operand`] if the range breaks a
    /// rule of [`Operand`]. [`Error::Device`] if memory cannot be allocated. After an error, nothing is recorded. For
    /// weighted and custom penalties, see [`record_evaluate`](Gpu::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_prox<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Weighted<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        step: f64,
    ) -> Result<()> {
        weights.validate(WEIGHTS)?;
        let (penalty, own) = self.own(penalty.into(), &[(WEIGHTS, weights)])?;
        let plan = self.plan(vec![segment(weights)]);
        let located = [weights.located()];
        let placement = Placement { roles: [Some(&located), Some(&located), None, None], element_weights: &[own] };
        let step = Step { size: step, ..Step::NONE };
        once(self, encoder, (Operation::Prox, false), (&plan, &one(penalty)), &placement, &step).map(drop)
    }

    fn record_gradient_operation(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        operation: Operation,
        penalty: Weighted<'_, Operand<'_>>,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        weights.validate(WEIGHTS)?;
        gradient.validate(GRADIENT)?;
        same_shape(GRADIENT, (weights.len, weights.dtype), (gradient.len, gradient.dtype))?;
        Operand::apart(&[(WEIGHTS, weights), (GRADIENT, gradient)])?;
        let (penalty, own) = self.own(penalty, &[(WEIGHTS, weights), (GRADIENT, gradient)])?;
        let plan = self.plan(vec![segment(weights)]);
        let located: [&[Located]; 2] = [&[weights.located()], &[gradient.located()]];
        let placement = Placement { roles: [Some(located[0]), Some(located[1]), None, None], element_weights: &[own] };
        once(self, encoder, (operation, false), (&plan, &one(penalty)), &placement, &Step::NONE).map(drop)
    }

    /// The penalty and where its element weights lie. Rejects a custom penalty that was not checked, and element
    /// weights that overlap the other operands or differ from the first of them in length or type.
    fn own<'a>(
        &self,
        weighted: Weighted<'a, Operand<'_>>,
        others: &[(&'static str, &Operand<'_>)],
    ) -> Result<(&'a Penalty, Option<Located>)> {
        let (penalty, own) = weighted.parts()?;
        self.checked(penalty)?;
        let Some(own) = own else { return Ok((penalty, None)) };
        own.validate(ELEMENT_WEIGHTS)?;
        let (_, first) = others[0];
        same_shape(ELEMENT_WEIGHTS, (first.len, first.dtype), (own.len, own.dtype))?;
        Operand::apart(&[others, &[(ELEMENT_WEIGHTS, own)]].concat())?;
        Ok((penalty, Some(own.located())))
    }
}

fn segment(operand: &Operand<'_>) -> Segment {
    Segment { name: Name::Alone, len: operand.len, dtype: operand.dtype }
}

fn one(penalty: &Penalty) -> Penalties {
    Penalties::new(vec![penalty.clone()])
}
