//! What compiles and allocates ahead of the first step.

use super::pass::{
    EVALUATE, EVALUATE_AND_GRADIENT_ADD, EVALUATE_AND_GRADIENT_INTO, GRADIENT_ADD, GRADIENT_INTO, PROX,
    PROX_AND_EVALUATE,
};
use super::stages::Stages;
use super::{ParameterSet, output};
use crate::Result;
#[cfg(doc)]
use crate::formula::scalars::Metric;
use crate::gpu::operand::Operand;
use crate::gpu::recorder::SummedOperation;
#[cfg(doc)]
use crate::plan::optimizer::Momentum;
use crate::plan::optimizer::{Adam, Sgd};
#[cfg(doc)]
use crate::{Error, Penalty};

impl ParameterSet {
    /// Makes what [`record_evaluate`](ParameterSet::record_evaluate) needs: compiles its kernels, and allocates and binds
    /// the memory of its slots. There is such a call for each call that records.
    ///
    /// Then even the first recording compiles nothing, and allocates nothing but what wgpu allocates for its commands.
    /// If a penalty gets another formula or other groups, or if [`rebind`](ParameterSet::rebind) moves an operand, the
    /// next recording of each operation lays it out anew, unless you prepare it again before. What is already prepared
    /// stays as it is.
    ///
    /// ```no_run
    /// use penalty::Adam;
    /// use penalty::gpu::ParameterSet;
    ///
    /// # fn prepared(mut set: ParameterSet, encoder: &mut penalty::wgpu::CommandEncoder) -> penalty::Result<()> {
    /// let adam = Adam::default();
    /// set.prepare_evaluate_and_gradient_add()?;
    /// set.prepare_adam_and_evaluate(&adam)?; // compiled for the optimizer's metric; its other numbers may change
    /// let before = set.record_evaluate_and_gradient_add(encoder)?;
    /// let after = set.record_adam_and_evaluate(encoder, &Adam { step: 1e-4, ..adam })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the recording needs operands that the set was not given. [`Error::InParameter`] if it is of
    /// gradients and a penalty [has none](Penalty::has_gradient). [`Error::Limit`] if there are too many tensors for the
    /// device's limits. [`Error::Device`] if memory cannot be allocated or the device is lost.
    pub fn prepare_evaluate(&mut self) -> Result<()> {
        self.recorders.prepare(EVALUATE)
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_gradient_into`](ParameterSet::record_gradient_into).
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_gradient_into()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    pub fn prepare_gradient_into(&mut self) -> Result<()> {
        self.recorders.prepare(GRADIENT_INTO)
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_gradient_add`](ParameterSet::record_gradient_add).
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_gradient_add()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    pub fn prepare_gradient_add(&mut self) -> Result<()> {
        self.recorders.prepare(GRADIENT_ADD)
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_evaluate_and_gradient_into`](ParameterSet::record_evaluate_and_gradient_into).
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_evaluate_and_gradient_into()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    pub fn prepare_evaluate_and_gradient_into(&mut self) -> Result<()> {
        self.recorders.prepare(EVALUATE_AND_GRADIENT_INTO)
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_evaluate_and_gradient_add`](ParameterSet::record_evaluate_and_gradient_add).
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_evaluate_and_gradient_add()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    pub fn prepare_evaluate_and_gradient_add(&mut self) -> Result<()> {
        self.recorders.prepare(EVALUATE_AND_GRADIENT_ADD)
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_prox_in_place`](ParameterSet::record_prox_in_place).
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_prox_in_place()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    pub fn prepare_prox_in_place(&mut self) -> Result<()> {
        self.prepare(PROX)
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_prox_and_evaluate_in_place`](ParameterSet::record_prox_and_evaluate_in_place).
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_prox_and_evaluate_in_place()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    pub fn prepare_prox_and_evaluate_in_place(&mut self) -> Result<()> {
        self.prepare(PROX_AND_EVALUATE)
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_sgd`](ParameterSet::record_sgd).
    /// Each kind of [`Momentum`] has separate kernels; the
    /// numbers may differ from those recorded later.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::{Momentum, Sgd};
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_sgd(&Sgd { step: 0.1, momentum: Momentum::nesterov(0.9) })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    pub fn prepare_sgd(&mut self, sgd: &Sgd) -> Result<()> {
        self.prepare((sgd.operation(), false))
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_sgd_and_evaluate`](ParameterSet::record_sgd_and_evaluate).
    /// Each kind of [`Momentum`] has separate kernels; the
    /// numbers may differ from those recorded later.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::{Momentum, Sgd};
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_sgd_and_evaluate(&Sgd { step: 0.1, momentum: Momentum::nesterov(0.9) })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    pub fn prepare_sgd_and_evaluate(&mut self, sgd: &Sgd) -> Result<()> {
        self.prepare((sgd.operation(), true))
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_adam`](ParameterSet::record_adam).
    /// Each [`Metric`] has separate kernels; the numbers
    /// may differ from those recorded later.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::Adam;
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_adam(&Adam::default())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate). [`Error::InParameter`] if a penalty has no prox in this
    /// metric.
    pub fn prepare_adam(&mut self, adam: &Adam) -> Result<()> {
        self.prepare((adam.operation(), false))
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_adam_and_evaluate`](ParameterSet::record_adam_and_evaluate).
    /// Each [`Metric`] has separate kernels; the numbers
    /// may differ from those recorded later.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::Adam;
    /// # fn prepared(set: &mut ParameterSet) -> penalty::Result<()> {
    /// set.prepare_adam_and_evaluate(&Adam::default())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prepare_evaluate`](ParameterSet::prepare_evaluate). [`Error::InParameter`] if a penalty has no prox in this
    /// metric.
    pub fn prepare_adam_and_evaluate(&mut self, adam: &Adam) -> Result<()> {
        self.prepare((adam.operation(), true))
    }

    /// Prepares resolving the results of every prepared call to this output. Then the first
    /// [`record_resolve`](ParameterSet::record_resolve) of their steps compiles and allocates nothing either.
    ///
    /// Each call has one output at a time: resolving to another binds that one instead.
    ///
    /// ```no_run
    /// use penalty::gpu::{Operand, ParameterSet};
    ///
    /// # fn resolved(mut set: ParameterSet, output: Operand, encoder: &mut penalty::wgpu::CommandEncoder) -> penalty::Result<()> {
    /// set.prepare_evaluate()?;
    /// set.prepare_resolve(&output)?;
    /// let pending = set.record_evaluate(encoder)?;
    /// set.record_resolve(encoder, &pending, &output)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Operand`], [`Error::Length`] and [`Error::Type`] if the output breaks a rule of
    /// [`record_resolve`](ParameterSet::record_resolve). [`Error::Operand`] if no call that reports is prepared.
    /// [`Error::Device`] if the kernel cannot be compiled.
    pub fn prepare_resolve(&mut self, output: &Operand<'_>) -> Result<()> {
        output::check(&self.recorders, output)?;
        self.recorders.prepare_resolve(output)
    }

    fn prepare(&mut self, pass: SummedOperation) -> Result<()> {
        match Stages::of(&mut self.stages, &self.recorders, pass)? {
            None => self.recorders.prepare(pass),
            Some(stages) => stages.prepare(&mut self.recorders, pass),
        }
    }
}
