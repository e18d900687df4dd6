//! Pruning a set to a budget, recorded in the caller's encoder.

use super::ParameterSet;
use super::pass::EVALUATE;
use crate::Result;
use crate::gpu::pending::{Pending, reports};
use crate::gpu::recorder::Step;
use crate::plan::budget::Budget;
use crate::report::reports::Reports;
#[cfg(doc)]
use crate::{Error, Penalty};

impl ParameterSet {
    /// Makes what [`record_prune_in_place`](ParameterSet::record_prune_in_place) needs; see
    /// [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::ParameterSet) -> penalty::Result<()> {
    /// set.prepare_prune_in_place()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_prune_in_place`](ParameterSet::record_prune_in_place), except those of the budget.
    pub fn prepare_prune_in_place(&mut self) -> Result<()> {
        self.recorders.prepare(EVALUATE)?;
        self.recorders.prepare_pruning()
    }

    /// Records that the weights of all tensors are pruned to a budget, and the evaluation of what is left. [`Budget`]
    /// says which weights are pruned; penalties have no part in that. The budget may change at every step. Each call
    /// allocates a few bytes for each tensor.
    ///
    /// A later step may move a pruned weight away from 0, unless a [mask](Penalty::mask) keeps it there.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # use penalty::Budget;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// let pending = set.record_prune_in_place(encoder, &Budget::prune(0.9)?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those that [`Budget::within`] names. [`Error::Limit`] if a tensor has 2^32 weights or more, or if there are too
    /// many tensors for the device's limits: their counts take 8 KiB each in one binding. Otherwise as
    /// [`record_evaluate`](ParameterSet::record_evaluate). After an error, nothing is recorded.
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_prune_in_place(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        budget: &Budget,
    ) -> Result<Pending<Reports>> {
        // All that may be rejected comes before the first command.
        self.recorders.admit(EVALUATE)?;
        self.recorders.record_pruning(encoder, budget)?;
        self.recorders.record(encoder, EVALUATE, &Step::NONE).map(|recorded| Pending::new(recorded, reports))
    }

    /// Makes what [`record_masks`](ParameterSet::record_masks) needs; see
    /// [`prepare_evaluate`](ParameterSet::prepare_evaluate).
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::ParameterSet) -> penalty::Result<()> {
    /// set.prepare_masks()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_masks`](ParameterSet::record_masks).
    pub fn prepare_masks(&mut self) -> Result<()> {
        self.recorders.prepare(EVALUATE)?;
        self.recorders.prepare_masks()
    }

    /// Records that the element weights of every tensor under a [`mask`](Penalty::mask) become a mask of its weights, as
    /// [`Penalty::mask_of`] makes it. The other tensors' stay.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # use penalty::{Adam, Budget};
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// set.record_prune_in_place(encoder, &Budget::prune(0.9)?)?;
    /// set.record_masks(encoder)?;
    /// set.record_adam(encoder, &Adam::default())?; // 90 % of the weights stay 0
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InParameter`] if a mask has no element weights, [`Error::Limit`] if a limit of the device is too small,
    /// [`Error::Device`] if memory cannot be allocated or the device is lost. After an error, nothing is recorded.
    #[doc = include_str!("../../../docs/encoder.md")]
    pub fn record_masks(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        // Another formula of a penalty needs another layout.
        self.recorders.prepare(EVALUATE)?;
        self.recorders.record_masks(encoder)
    }
}
