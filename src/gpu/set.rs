//! Many tensors on the device: one recording, a few dispatches, no waiting.

use super::device::Gpu;
use super::lists::Operands;
use super::operand::Operand;
use super::pending::{Pending, reports};
use super::recorder::{Step, SummedOperation};
use super::set_recorders::Recorders;
#[cfg(doc)]
use crate::formula::scalars::Metric;
use crate::numeric::element::Dtype;
use crate::plan::Segment;
use crate::plan::operands::same_shape;
use crate::plan::operation::Operation;
#[cfg(doc)]
use crate::plan::optimizer::Momentum;
use crate::plan::optimizer::{Adam, Sgd};
use crate::plan::parameter::Parameter;
use crate::report::Reports;
use crate::{Error, Penalty, Result};

/// The operations without an optimizer, and whether the weights that each leaves are summed.
const EVALUATE: SummedOperation = (Operation::Evaluate, true);
const GRADIENT_INTO: SummedOperation = (Operation::Gradient, false);
const GRADIENT_ADD: SummedOperation = (Operation::AddGradient, false);
const EVALUATE_AND_GRADIENT_INTO: SummedOperation = (Operation::Gradient, true);
const EVALUATE_AND_GRADIENT_ADD: SummedOperation = (Operation::AddGradient, true);
const PROX: SummedOperation = (Operation::Prox, false);
const PROX_AND_EVALUATE: SummedOperation = (Operation::Prox, true);

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
/// set.prepare_sgd(&sgd)?;
///
/// let mut earlier = None;
/// for k in 0..1000 {
///     let mut encoder = gpu.device().create_command_encoder(&Default::default());
///     // … forward, backward …
///     sgd.step = 0.1 / (1.0 + 0.01 * f64::from(k));
///     let pending = set.record_sgd(&mut encoder, &sgd)?;
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
        Ok(ParameterSet { recorders: Recorders::new(gpu, parameters, operands, slots)? })
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
    /// set.prepare_adam(&adam)?; // compiled for the optimizer's metric; its other numbers may change
    /// let before = set.record_evaluate_and_gradient_add(encoder)?;
    /// let after = set.record_adam(encoder, &Adam { step: 1e-4, ..adam })?;
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
        self.recorders.prepare(PROX)
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
        self.recorders.prepare(PROX_AND_EVALUATE)
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_sgd`](ParameterSet::record_sgd). Each kind of [`Momentum`] has
    /// separate kernels; the numbers may differ from those recorded later.
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
        self.recorders.prepare((sgd.operation(), true))
    }

    /// [Prepares](ParameterSet::prepare_evaluate) [`record_adam`](ParameterSet::record_adam). Each [`Metric`] has
    /// separate kernels; the numbers may differ from those recorded later.
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
        self.recorders.prepare((adam.operation(), true))
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
        self.check_output(output)?;
        self.recorders.prepare_resolve(output)
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
    #[doc = include_str!("../../docs/encoder.md")]
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
    #[doc = include_str!("../../docs/encoder.md")]
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
    #[doc = include_str!("../../docs/encoder.md")]
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
    #[doc = include_str!("../../docs/encoder.md")]
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
    #[doc = include_str!("../../docs/encoder.md")]
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
    #[doc = include_str!("../../docs/encoder.md")]
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
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_prox_and_evaluate_in_place(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        step: f64,
    ) -> Result<Pending<Reports>> {
        self.record(encoder, PROX_AND_EVALUATE, &Step { size: step, ..Step::NONE })
    }

    /// Records a step of proximal gradient descent and the evaluation of the new weights, from one read of the weights,
    /// the gradients and the state. [`Sgd`] has the formula.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # use penalty::{Momentum, Sgd};
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// let pending = set.record_sgd(encoder, &Sgd { step: 0.1, momentum: Momentum::nesterov(0.9) })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the step, its momentum or its dampening is out of range. [`Error::Missing`] if the set
    /// was given no gradients, or has momentum but was given no first state. Otherwise as
    /// [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_sgd(&mut self, encoder: &mut wgpu::CommandEncoder, sgd: &Sgd) -> Result<Pending<Reports>> {
        self.record(encoder, (sgd.operation(), true), &Step { size: sgd.prox_step()?, scalars: sgd.scalars()? })
    }

    /// Records a step of proximal Adam and the evaluation of the new weights, from one read of the weights, the
    /// gradients and both states. [`Adam`] has the formula.
    ///
    /// ```no_run
    /// # use penalty::gpu::ParameterSet;
    /// # use penalty::wgpu::CommandEncoder;
    /// # use penalty::Adam;
    /// # fn recorded(set: &mut ParameterSet, encoder: &mut CommandEncoder) -> penalty::Result<()> {
    /// let pending = set.record_adam(encoder, &Adam { iteration: 1, ..Adam::default() })?; // count the iterations yourself
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if a number of the step is out of range. [`Error::Missing`] if the set was given no
    /// gradients or states. [`Error::InParameter`] if a penalty has no prox in the step's [`Metric`]. Otherwise as
    /// [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_adam(&mut self, encoder: &mut wgpu::CommandEncoder, adam: &Adam) -> Result<Pending<Reports>> {
        let step = Step { size: adam.step, scalars: adam.scalars()? };
        self.record(encoder, (adam.operation(), true), &step)
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
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_resolve(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        pending: &Pending<Reports>,
        output: &Operand<'_>,
    ) -> Result<()> {
        self.check_output(output)?;
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
        self.recorders.record(encoder, pass, step).map(|recorded| Pending::new(recorded, reports))
    }

    /// Rejects an output that results cannot be resolved to.
    fn check_output(&self, output: &Operand<'_>) -> Result<()> {
        let name = "the output";
        output.validate(name)?;
        let rows = self.recorders.plan.segments.len() as u64 + 1;
        same_shape(name, (4 * rows, Dtype::F32), (output.len, output.dtype))?;
        let alignment = self.recorders.gpu.device().limits().min_storage_buffer_offset_alignment;
        if !output.offset.is_multiple_of(alignment.into()) {
            let rule = "its offset must be a multiple of the device's min_storage_buffer_offset_alignment";
            let found = format!("{} with an alignment of {alignment}", output.offset);
            return Err(Error::Operand { operand: name, rule, found });
        }
        Ok(())
    }
}
