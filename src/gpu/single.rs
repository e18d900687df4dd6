//! One tensor at a time in the caller's encoder, on buffers made for each call. Many tensors are a [`ParameterSet`](super::ParameterSet).

use super::Gpu;
use super::layout::{Located, Placement};
use super::operand::Operand;
use super::readback::PendingReport;
use super::recorder::{Step, once};
use crate::plan::{Operation, Segment};
use crate::set::{PENALTY_WEIGHTS, same_shape};
use crate::{Error, Penalty, Result, Weighted};

impl Gpu {
    /// Records the evaluation of weights on the device. The report stays there until the [`PendingReport`] is asked for it,
    /// after the encoder was submitted.
    ///
    /// A penalty that [is weighted](Penalty::is_weighted) comes [with its weights](Penalty::with_operand), here and in the other calls.
    ///
    /// # Errors
    ///
    /// [`Error::Operand`] where the range breaks a rule of [`Operand`], [`Error::Device`] where memory cannot be had; then
    /// nothing is recorded. [`Error::PenaltyWeights`] where a weighted penalty has no weights; [`Error::Operand`], [`Error::Length`] and
    /// [`Error::Type`] where those break a rule, overlap another operand, or differ in length or type. [`Error::Unchecked`] where a
    /// penalty of the caller's [`own`](Penalty::own) was not [checked](Gpu::check) on this device.
    pub fn record_evaluate<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Weighted<'a, Operand<'a>>>,
        weights: &Operand<'_>,
    ) -> Result<PendingReport> {
        weights.validate("the weights")?;
        let (penalty, own) = self.own(penalty.into(), &[weights])?;
        let plan = self.plan(vec![segment(weights, penalty)]);
        let placement = Placement { roles: [Some(&[weights.located()]), None, None, None], penalty_weights: &[own] };
        once(self, encoder, (Operation::Evaluate, true), &plan, &placement, &Step::NONE).map(PendingReport)
    }

    /// Records `gradient = ∂R/∂θ`.
    ///
    /// # Errors
    ///
    /// [`Error::NoGradient`] where the penalty [has none](Penalty::has_gradient), [`Error::Operand`] where a range breaks a rule of
    /// [`Operand`] or the two overlap, [`Error::Length`] and [`Error::Type`] where they differ in those, [`Error::Device`] where memory
    /// cannot be had; then nothing is recorded. Of a weighted penalty as [`record_evaluate`](Gpu::record_evaluate).
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
    pub fn record_prox<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Weighted<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        step: f64,
    ) -> Result<()> {
        weights.validate("the weights")?;
        let (penalty, own) = self.own(penalty.into(), &[weights])?;
        let plan = self.plan(vec![segment(weights, penalty)]);
        let located = [weights.located()];
        let placement = Placement { roles: [Some(&located), Some(&located), None, None], penalty_weights: &[own] };
        let step = Step { size: step, ..Step::NONE };
        once(self, encoder, (Operation::Prox, false), &plan, &placement, &step).map(drop)
    }

    fn record_gradient_operation(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        operation: Operation,
        penalty: Weighted<'_, Operand<'_>>,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        weights.validate("the weights")?;
        gradient.validate("the gradient")?;
        same_shape("the gradient", (weights.len, weights.dtype), (gradient.len, gradient.dtype))?;
        if weights.overlaps(gradient) {
            let rule = "it must not overlap the weights";
            return Err(Error::Operand { operand: "the gradient", rule, found: gradient.offset });
        }
        let (penalty, own) = self.own(penalty, &[weights, gradient])?;
        let plan = self.plan(vec![segment(weights, penalty)]);
        let located: [&[Located]; 2] = [&[weights.located()], &[gradient.located()]];
        let placement = Placement { roles: [Some(located[0]), Some(located[1]), None, None], penalty_weights: &[own] };
        once(self, encoder, (operation, false), &plan, &placement, &Step::NONE).map(drop)
    }

    /// The penalty, which must be one that may be recorded here, and where its weights lie: apart from the other operands, and as many as
    /// the first of them has elements.
    fn own<'a>(
        &self,
        weighted: Weighted<'a, Operand<'_>>,
        others: &[&Operand<'_>],
    ) -> Result<(&'a Penalty, Option<Located>)> {
        let (penalty, own) = weighted.parts()?;
        self.checked(penalty)?;
        let Some(own) = own else { return Ok((penalty, None)) };
        own.validate(PENALTY_WEIGHTS)?;
        same_shape(PENALTY_WEIGHTS, (others[0].len, others[0].dtype), (own.len, own.dtype))?;
        if others.iter().any(|other| own.overlaps(other)) {
            let rule = "they must overlap no other operand";
            return Err(Error::Operand { operand: PENALTY_WEIGHTS, rule, found: own.offset });
        }
        Ok((penalty, Some(own.located())))
    }
}

fn segment(operand: &Operand<'_>, penalty: &Penalty) -> Segment {
    Segment { len: operand.len, dtype: operand.dtype, penalty: penalty.clone() }
}
