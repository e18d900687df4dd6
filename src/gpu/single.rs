//! One tensor at a time in the caller's encoder, on buffers made for each call. Many tensors are a [`ParameterSet`](super::ParameterSet).

use super::Gpu;
use super::layout::{Located, Placement};
use super::operand::Operand;
use super::readback::PendingReport;
use super::recorder::{Step, once};
use crate::plan::{Operation, Segment};
use crate::set::same_shape;
use crate::{Error, Penalty, Result};

impl Gpu {
    /// Records the evaluation of weights on the device. The report stays there until the [`PendingReport`] is asked for it,
    /// after the encoder was submitted.
    ///
    /// # Errors
    ///
    /// [`Error::Operand`] where the range breaks a rule of [`Operand`], [`Error::Device`] where memory cannot be had; then
    /// nothing is recorded.
    pub fn record_evaluate(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: &Penalty,
        weights: &Operand<'_>,
    ) -> Result<PendingReport> {
        weights.validate("the weights")?;
        let plan = self.plan(vec![segment(weights, penalty)]);
        let placement = Placement { roles: [Some(&[weights.located()]), None, None, None] };
        once(self, encoder, (Operation::Evaluate, true), &plan, &placement, &Step::NONE).map(PendingReport)
    }

    /// Records `gradient = ∂R/∂θ`.
    ///
    /// # Errors
    ///
    /// [`Error::Operand`] where a range breaks a rule of [`Operand`] or the two overlap, [`Error::Length`] and
    /// [`Error::Type`] where they differ in those, [`Error::Device`] where memory cannot be had; then nothing is recorded.
    pub fn record_gradient(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: &Penalty,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        self.record_gradient_operation(encoder, Operation::Gradient, penalty, weights, gradient)
    }

    /// Records `gradient += ∂R/∂θ`; with [`Penalty::none`] every bit stays.
    ///
    /// # Errors
    ///
    /// As [`record_gradient`](Gpu::record_gradient).
    pub fn record_gradient_add(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: &Penalty,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        self.record_gradient_operation(encoder, Operation::AddGradient, penalty, weights, gradient)
    }

    /// Records `θ = prox(θ)` with this step; with [`Penalty::none`] every bit stays.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] for a step that is no number ≥ 0 or too large, [`Error::Operand`] where the range breaks a rule
    /// of [`Operand`], [`Error::Device`] where memory cannot be had; then nothing is recorded.
    pub fn record_prox(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: &Penalty,
        weights: &Operand<'_>,
        step: f64,
    ) -> Result<()> {
        weights.validate("the weights")?;
        let plan = self.plan(vec![segment(weights, penalty)]);
        let located = [weights.located()];
        let placement = Placement { roles: [Some(&located), Some(&located), None, None] };
        let step = Step { size: step, ..Step::NONE };
        once(self, encoder, (Operation::Prox, false), &plan, &placement, &step).map(drop)
    }

    fn record_gradient_operation(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        operation: Operation,
        penalty: &Penalty,
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
        let plan = self.plan(vec![segment(weights, penalty)]);
        let located: [&[Located]; 2] = [&[weights.located()], &[gradient.located()]];
        let placement = Placement { roles: [Some(located[0]), Some(located[1]), None, None] };
        once(self, encoder, (operation, false), &plan, &placement, &Step::NONE).map(drop)
    }
}

fn segment(operand: &Operand<'_>, penalty: &Penalty) -> Segment {
    Segment { len: operand.len, dtype: operand.dtype, penalty: penalty.clone() }
}
