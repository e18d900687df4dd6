//! Many tensors on the device: one recording, a few dispatches, no waiting.

#[cfg(not(target_family = "wasm"))]
mod across;
mod output;
mod pass;
mod prepare;
mod prune;
mod record;
mod recorders;
mod stages;

#[cfg(not(target_family = "wasm"))]
pub use across::SetAcross;
use recorders::Recorders;
use stages::Stages;

use super::device::Gpu;
use super::lists::Operands;
#[cfg(doc)]
use super::operand::Operand;
#[cfg(doc)]
use crate::Error;
use crate::plan::Segment;
use crate::plan::parameter::Parameter;
use crate::{Penalty, Result};

/// Many tensors on a device, each with its penalty. A training loop records its steps with it.
///
/// Build and [prepare](ParameterSet::prepare_evaluate) the set once. Then every step, from the first on, is one call with
/// your encoder. It waits for nothing, compiles nothing and allocates nothing of its own, as long as the operands stay and
/// the penalties keep their formulas and groups. Unless prepared, the first recording of each operation compiles and
/// allocates. However many tensors there are, an operation is one dispatch for each distinct combination of buffers,
/// window, formula, type and alignment. Group penalties need a few more.
///
/// - Step sizes and penalties may change at every step ([`penalties_mut`](ParameterSet::penalties_mut)). Each recorded
///   step keeps those it was recorded with, even if one encoder holds several steps.
/// - Operands may move ([`rebind`](ParameterSet::rebind)), as frameworks move their tensors.
/// - Results stay on the device until you read them. Each operation has a ring of `slots` steps. If none of them is
///   both submitted and done, recording another is [`Error::RingFull`]. A step that is done but unread may be
///   overwritten; reading it then is [`Error::SlotReused`].
///
/// With one tensor, the results are those of [`Gpu`]'s `record_…` calls, bit for bit. The host's
/// [`HostSet`](crate::HostSet) has the same calls on slices.
///
/// ```no_run
/// use penalty::gpu::{Operand, Operands, ParameterSet};
/// use penalty::{Dtype, Gpu, Momentum, Parameter, Penalty, Sgd, wgpu};
///
/// # fn training(gpu: Gpu, page: wgpu::Buffer) -> penalty::Result<()> {
/// // Two layers' weights, then as many gradients, in one buffer.
/// let parameters = vec![
///     Parameter::new("layer1.weight", Penalty::l1(1e-4)?),
///     Parameter::new("layer1.bias", Penalty::none()),
/// ];
/// let at = |offset, len| Operand { buffer: &page, offset, len, dtype: Dtype::F32 };
/// let weights = [at(0, 64 * 512), at(131_072, 512)];
/// let gradients = [at(1 << 20, 64 * 512), at((1 << 20) + 131_072, 512)];
/// let operands = Operands { weights: &weights, gradients: &gradients, ..Operands::default() };
/// let mut set = ParameterSet::new(&gpu, parameters, &operands, 3)?;
/// let mut sgd = Sgd { step: 0.1, momentum: Momentum::None };
/// set.prepare_sgd_and_evaluate(&sgd)?;
///
/// let mut earlier = None;
/// for k in 0..1000 {
///     let mut encoder = gpu.device().create_command_encoder(&Default::default());
///     // … forward, backward …
///     sgd.step = 0.1 / (1.0 + 0.01 * f64::from(k));
///     let pending = set.record_sgd_and_evaluate(&mut encoder, &sgd)?;
///     gpu.queue().submit([encoder.finish()]);
///     // The step before last, while this one runs.
///     if let Some(pending) = earlier.replace(pending) {
///         let reports = pending.wait(Gpu::TIMEOUT)?;
///         println!("R = {}, {} weights are left", reports.total.value, reports.total.nonzero);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ParameterSet {
    recorders: Recorders,
    /// What takes the proxes of sums of penalties, once a recording needs it.
    stages: Option<Box<Stages>>,
}

impl ParameterSet {
    /// A set of these tensors with these operands, in the same order. Up to `slots` steps of each operation may be
    /// recorded and not yet done or read.
    ///
    /// ```no_run
    /// # use penalty::gpu::{Operand, Operands, ParameterSet};
    /// # use penalty::{Gpu, Parameter, Penalty};
    /// # fn f(gpu: &Gpu, theta: Operand) -> penalty::Result<()> {
    /// let parameters = vec![Parameter::new("weight", Penalty::l1(1e-4)?)];
    /// let operands = Operands { weights: &[theta], ..Operands::default() };
    /// let set = ParameterSet::new(gpu, parameters, &operands, 3)?; // up to three steps under way
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] unless there is an operand for each tensor. [`Error::InParameter`] if an operand breaks a
    /// rule of [`Operand`] or differs from its tensor's weights in length or type. [`Error::Overlap`] if two operands
    /// share memory. [`Error::Device`] if a buffer belongs to another device or is destroyed. [`Error::Parameter`] if
    /// `slots` is 0. [`Error::InParameter`] if a [`custom`](Penalty::custom) penalty was not [checked](Gpu::check) on
    /// this device.
    pub fn new(gpu: &Gpu, parameters: Vec<Parameter>, operands: &Operands<'_>, slots: usize) -> Result<ParameterSet> {
        Ok(ParameterSet { recorders: Recorders::new(gpu, parameters, operands, slots)?, stages: None })
    }

    /// The tensors' names, in the set's order.
    ///
    /// ```no_run
    /// # fn f(set: penalty::gpu::ParameterSet) {
    /// let bias = set.names().position(|name| name == "layer1.bias"); // its index in `Reports::tensors`
    /// # }
    /// ```
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.recorders.plan.segments.iter().map(Segment::name)
    }

    /// Each tensor's name and penalty, to change λs from step to step. If a penalty gets another formula or other
    /// groups, the next recording lays the operands out anew.
    ///
    /// ```
    /// # use penalty::{gpu::ParameterSet, Penalty};
    /// # fn warm_up(set: &mut ParameterSet, k: u32) -> penalty::Result<()> {
    /// for (name, penalty) in set.penalties_mut().filter(|(name, _)| name.ends_with("weight")) {
    ///     *penalty = Penalty::l1(1e-4 * f64::from(k.min(100)) / 100.0)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn penalties_mut(&mut self) -> impl Iterator<Item = (&str, &mut Penalty)> {
        let Recorders { plan, penalties, .. } = &mut self.recorders;
        plan.segments.iter().map(Segment::name).zip(penalties.list_mut())
    }

    /// Gives the set other operands, from the next recorded step on. If nothing moved, this only compares.
    ///
    /// The set keeps the buffers alive until it is given others.
    ///
    /// ```no_run
    /// # use penalty::gpu::{Operand, Operands, ParameterSet};
    /// # fn f(set: &mut ParameterSet, weights: &[Operand], gradients: &[Operand]) -> penalty::Result<()> {
    /// set.rebind(&Operands { weights, gradients, ..Operands::default() })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](ParameterSet::new). After an error, the set keeps the operands that it had.
    pub fn rebind(&mut self, operands: &Operands<'_>) -> Result<()> {
        self.recorders.rebind(operands)
    }

    /// Lets every step recorded from now on write when its dispatches begin and end to the first two of these queries;
    /// `None` ends that. It tells what the kernels take, without the copies around them. Steps of one encoder write to
    /// the same two queries, so the last one's times remain.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::{Gpu, wgpu};
    /// # fn timed(gpu: &Gpu, set: &mut ParameterSet, resolved: &wgpu::Buffer) -> penalty::Result<()> {
    /// // The device has the feature `TIMESTAMP_QUERY`.
    /// let descriptor = wgpu::QuerySetDescriptor { label: None, ty: wgpu::QueryType::Timestamp, count: 2 };
    /// let queries = gpu.device().create_query_set(&descriptor);
    /// set.time_steps(Some(&queries))?;
    /// let mut encoder = gpu.device().create_command_encoder(&Default::default());
    /// set.record_prox_in_place(&mut encoder, 0.1)?;
    /// encoder.resolve_query_set(&queries, 0..2, resolved, 0); // in units of `gpu.queue().get_timestamp_period()`
    /// gpu.queue().submit([encoder.finish()]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Operand`] unless these are two or more timestamp queries. [`Error::Device`] if they belong to another
    /// device or are destroyed.
    pub fn time_steps(&mut self, queries: Option<&wgpu::QuerySet>) -> Result<()> {
        self.recorders.time_steps(queries)
    }
}
