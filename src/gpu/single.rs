//! One tensor at a time in the caller's encoder, on buffers made for each call. Many tensors are a [`ParameterSet`](super::ParameterSet).

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
    /// Records the evaluation of weights on the device. The report stays there until the [`PendingReport`] is asked for it,
    /// after the encoder was submitted.
    ///
    /// A penalty that [is weighted](Penalty::is_weighted) comes [with its weights](Penalty::with_operand), here and in the other calls.
    ///
    /// # Errors
    ///
    /// [`Error::Operand`] where the range breaks a rule of [`Operand`], [`Error::Device`] where memory cannot be had; then
    /// nothing is recorded. [`Error::ElementWeights`] where a weighted penalty has no weights; [`Error::Operand`],
    /// [`Error::Overlap`], [`Error::Length`] and [`Error::Type`] where those break a rule, overlap another operand, or differ in
    /// length or type. [`Error::Unchecked`] where a penalty of the caller's [`custom`](Penalty::custom) was not [checked](Gpu::check)
    /// on this device.
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
    /// [`Error::NoGradient`] where the penalty [has none](Penalty::has_gradient), [`Error::Operand`] where a range breaks a rule of
    /// [`Operand`], [`Error::Overlap`] where the two overlap, [`Error::Length`] and [`Error::Type`] where they differ in those,
    /// [`Error::Device`] where memory cannot be had; then nothing is recorded. Of a weighted penalty as
    /// [`record_evaluate`](Gpu::record_evaluate).
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

    /// Records `gradient += ∂R/∂θ`; with [`Penalty::none`] every bit stays.
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

    /// Records `θ = prox(θ)` with this step; with [`Penalty::none`] every bit stays.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] for a step that is no number ≥ 0 or too large, [`Error::Operand`] where the range breaks a rule
    /// of [`Operand`], [`Error::Device`] where memory cannot be had; then nothing is recorded. Of a weighted penalty as
    /// [`record_evaluate`](Gpu::record_evaluate).
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

    /// The penalty, which must be one that may be recorded here, and where its weights lie: apart from the other operands, and as many as
    /// the first of them has elements.
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
