//! The steps of a set, recorded in the caller's encoder.

use super::pass::{
    EVALUATE, EVALUATE_AND_GRADIENT_ADD, EVALUATE_AND_GRADIENT_INTO, GRADIENT_ADD, GRADIENT_INTO, PROX,
    PROX_AND_EVALUATE,
};
use super::stages::Stages;
use super::{ParameterSet, output};
use crate::Result;
#[cfg(doc)]
use crate::formula::scalars::Metric;
#[cfg(doc)]
use crate::gpu::device::Gpu;
use crate::gpu::operand::Operand;
use crate::gpu::pending::{Pending, reports};
use crate::gpu::recorder::{Step, SummedOperation};
use crate::plan::optimizer::{Adam, Sgd};
use crate::report::reports::Reports;
#[cfg(doc)]
use crate::{Error, Penalty};

impl ParameterSet {
    /// Records the evaluation of every tensor.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// let pending = set.record_evaluate(encoder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RingFull`] if every slot is taken. [`Error::InParameter`] if a penalty lacks the element weights that
    /// it needs or has some that it does not take, if a custom penalty was not [checked](Gpu::check), or if groups do
    /// not cover their tensor. [`Error::Limit`] if a limit of the device is too small. [`Error::Device`] if memory
    /// cannot be allocated or the device is lost. After an error, nothing is recorded.
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_evaluate(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<Pending<Reports>> {
        self.record(encoder, EVALUATE, &Step::NONE)
    }

    /// Records `gradient = ∂R/∂θ` for every tensor: the set's gradients are written over.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// set.record_gradient_into(encoder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the set was given no gradients. [`Error::InParameter`] if a penalty [has no
    /// gradient](Penalty::has_gradient). Otherwise as [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_gradient_into(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.record(encoder, GRADIENT_INTO, &Step::NONE).map(drop)
    }

    /// Records `gradient += ∂R/∂θ` for every tensor. Under [`Penalty::none`], every bit stays.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// set.record_gradient_add(encoder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_gradient_into`](ParameterSet::record_gradient_into).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_gradient_add(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.record(encoder, GRADIENT_ADD, &Step::NONE).map(drop)
    }

    /// Records the evaluation and `gradient = ∂R/∂θ`, from one read of the weights.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// let pending = set.record_evaluate_and_gradient_into(encoder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_gradient_into`](ParameterSet::record_gradient_into).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_evaluate_and_gradient_into(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
    ) -> Result<Pending<Reports>> {
        self.record(encoder, EVALUATE_AND_GRADIENT_INTO, &Step::NONE)
    }

    /// Records the evaluation and `gradient += ∂R/∂θ`, from one read of the weights.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// let pending = set.record_evaluate_and_gradient_add(encoder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_gradient_into`](ParameterSet::record_gradient_into).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_evaluate_and_gradient_add(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<Pending<Reports>> {
        self.record(encoder, EVALUATE_AND_GRADIENT_ADD, &Step::NONE)
    }

    /// Records `θ = prox(θ)` for every tensor. Under [`Penalty::none`], every bit stays.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// set.record_prox_in_place(encoder, 0.01)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the step is not a number ≥ 0 or is too large. Otherwise as
    /// [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_prox_in_place(&mut self, encoder: &mut wgpu::CommandEncoder, step: f64) -> Result<()> {
        self.record(encoder, PROX, &Step { size: step, ..Step::NONE }).map(drop)
    }

    /// Records the prox and the evaluation of the new weights, from one read.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// let pending = set.record_prox_and_evaluate_in_place(encoder, 0.01)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_prox_in_place`](ParameterSet::record_prox_in_place).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_prox_and_evaluate_in_place(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        step: f64,
    ) -> Result<Pending<Reports>> {
        self.record(encoder, PROX_AND_EVALUATE, &Step { size: step, ..Step::NONE })
    }

    /// Records a step of proximal gradient descent, in one pass over the weights, the gradients and the state. [`Sgd`]
    /// has the formula.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # use penalty::{Momentum, Sgd};
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// set.record_sgd(encoder, &Sgd { step: 0.1, momentum: Momentum::nesterov(0.9) })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the step, its momentum or its dampening is out of range. [`Error::Missing`] if the set
    /// was given no gradients, or has momentum but was given no first state. Otherwise as
    /// [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_sgd(&mut self, encoder: &mut wgpu::CommandEncoder, sgd: &Sgd) -> Result<()> {
        self.record(encoder, (sgd.operation(), false), &Step::sgd(sgd)?).map(drop)
    }

    /// Records a step of proximal gradient descent and the evaluation of the new weights, from one read. On a software
    /// adapter, the exact sums take several times as long as the step.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # use penalty::{Momentum, Sgd};
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// let pending = set.record_sgd_and_evaluate(encoder, &Sgd { step: 0.1, momentum: Momentum::nesterov(0.9) })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_sgd`](ParameterSet::record_sgd).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_sgd_and_evaluate(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        sgd: &Sgd,
    ) -> Result<Pending<Reports>> {
        self.record(encoder, (sgd.operation(), true), &Step::sgd(sgd)?)
    }

    /// Records a step of proximal Adam, in one pass over the weights, the gradients and both states. [`Adam`] has the
    /// formula.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # use penalty::Adam;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// set.record_adam(encoder, &Adam { iteration: 1, ..Adam::default() })?; // count the iterations yourself
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if a number of the step is out of range. [`Error::Missing`] if the set was given no
    /// gradients or states. [`Error::InParameter`] if a penalty has no prox in the step's [`Metric`]. Otherwise as
    /// [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_adam(&mut self, encoder: &mut wgpu::CommandEncoder, adam: &Adam) -> Result<()> {
        self.record(encoder, (adam.operation(), false), &Step::adam(adam)?).map(drop)
    }

    /// Records a step of proximal Adam and the evaluation of the new weights, from one read. On a software adapter, the
    /// exact sums take several times as long as the step.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # use penalty::Adam;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// let pending = set.record_adam_and_evaluate(encoder, &Adam { iteration: 1, ..Adam::default() })?; // count the iterations yourself
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_adam`](ParameterSet::record_adam).
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_adam_and_evaluate(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        adam: &Adam,
    ) -> Result<Pending<Reports>> {
        self.record(encoder, (adam.operation(), true), &Step::adam(adam)?)
    }

    /// Records the conversion of a step's results to `f32`, in a buffer that your shaders bind. Record it after the
    /// step, and before a later step takes its slot.
    ///
    /// The output holds 4·(n+1) `f32` for n tensors: (value, Σ|θ|, Σθ², max|θ|) of the total, then of each tensor in
    /// the set's order. They are NaN or infinite as in [`Report`](crate::Report). The output starts at a multiple of
    /// the device's `min_storage_buffer_offset_alignment`.
    ///
    /// A sum is the exact one rounded once; like a λ, it is 0 below 2^-120. A tensor's value is λ₁Σ|θ| + λ₂Σθ² +
    /// λ₃Σterm(θ), computed in `f32` from the rounded sums. The total value is the sum of the tensors' values: thread t
    /// of 256 adds tensors t, t+256, …, then the threads' sums are added by halving.
    ///
    /// ```no_run
    /// # use penalty::gpu::{Operand, ParameterSet};
    /// # use penalty::wgpu::CommandEncoder;
    /// # fn f(set: &mut ParameterSet, encoder: &mut CommandEncoder, output: Operand) -> penalty::Result<()> {
    /// let pending = set.record_evaluate(encoder)?;
    /// set.record_resolve(encoder, &pending, &output)?; // output[0] is the total value
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::SlotReused`] if another step took the step's slot. [`Error::NotSubmitted`] if its encoder was dropped.
    /// [`Error::Operand`] if the output breaks a rule of [`Operand`] or the alignment above, or if the step belongs to
    /// another set. [`Error::Operand`] too if the set was laid out with a larger table since the step, as after a
    /// [`rebind`](ParameterSet::rebind) that spreads the operands over more buffers. [`Error::Length`] and
    /// [`Error::Type`] if the output is not that many `f32`.
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_resolve(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        pending: &Pending<Reports>,
        output: &Operand<'_>,
    ) -> Result<()> {
        output::check(&self.recorders, output)?;
        self.recorders.record_resolve(encoder, &pending.recorded, output)
    }

    /// Where a step's exact results are on the device: the buffer, the offset and the size in bytes, for your own
    /// shaders. `None` if the step belongs to another set.
    ///
    /// A row is 52 little-endian `u32`. The first row has the step's serial in word 0. Then comes one row for each
    /// tensor, and, once [`record_resolve`](ParameterSet::record_resolve) has run, one for the total. In a row, 12
    /// words are Σ|θ| as an integer in units of 2^-149, and 20 words are Σθ² in units of 2^-298. Then come the counts
    /// of non-zero, NaN and infinite weights with 64 bits each, the bits of max|θ|, and one unused word. The last 12
    /// words are the term sum, if the penalty has one, in units of 2^-149.
    ///
    /// ```no_run
    /// # use penalty::gpu::{ParameterSet, Pending};
    /// # use penalty::wgpu::BufferBinding;
    /// # use penalty::Reports;
    /// # fn f(set: &ParameterSet, pending: &Pending<Reports>) {
    /// if let Some((buffer, offset, size)) = set.results(pending) {
    ///     let binding = BufferBinding { buffer, offset, size: size.try_into().ok() };
    /// }
    /// # }
    /// ```
    pub fn results(&self, pending: &Pending<Reports>) -> Option<(&wgpu::Buffer, u64, u64)> {
        self.recorders.results_of(&pending.recorded)
    }

    fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        pass: SummedOperation,
        step: &Step,
    ) -> Result<Pending<Reports>> {
        let recorded = match Stages::of(&mut self.stages, &self.recorders, pass)? {
            None => self.recorders.record(encoder, pass, step)?,
            Some(stages) => stages.record(&mut self.recorders, encoder, pass, step)?,
        };
        Ok(Pending::new(recorded, reports))
    }
}
