//! Many tensors on the device: one recording, a few dispatches, no waiting.

use super::bound::BoundOperands;
use super::device::Gpu;
use super::operand::Operand;
use super::readback::PendingReports;
use super::recorder::{Recorder, Step};
use super::recording::{NAMES, Operands, Recording, lists};
use crate::formula::descriptor::Descriptor;
#[cfg(doc)]
use crate::formula::scalars::Metric;
use crate::numeric::element::Dtype;
use crate::penalty::element_weights::matched;
use crate::penalty::groups::Groups;
use crate::plan::operands::{one_each, same_shape};
use crate::plan::optimizer::{Adam, Momentum, Sgd};
use crate::plan::parameter::{Parameter, segments};
use crate::plan::penalties::Penalties;
use crate::plan::{Plan, Segment};
use crate::{Error, Penalty, Result};

/// Many tensors on a device, each with its penalty. A training loop records its steps with it.
///
/// Build and [prepare](ParameterSet::prepare) the set once. Then every step, from the first on, is one call with your
/// encoder. It waits for nothing, compiles nothing and allocates nothing of its own, as long as the operands stay and
/// the penalties keep their formulas and groups. Without `prepare`, the first recording of each operation compiles and
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
/// use penalty::gpu::{Operand, Operands, ParameterSet, Recording};
/// use penalty::{Dtype, Gpu, Momentum, Parameter, Penalty, Sgd, wgpu};
///
/// # fn training(gpu: Gpu, page: wgpu::Buffer) -> penalty::Result<()> {
/// // Two layers' weights, then as many gradients, in one buffer.
/// let parameters = vec![
///     Parameter::new("layer1.weight", 64 * 512, Dtype::F32, Penalty::l1(1e-4)?),
///     Parameter::new("layer1.bias", 512, Dtype::F32, Penalty::none()),
/// ];
/// let at = |offset, len| Operand { buffer: &page, offset, len, dtype: Dtype::F32 };
/// let weights = [at(0, 64 * 512), at(131_072, 512)];
/// let gradients = [at(1 << 20, 64 * 512), at((1 << 20) + 131_072, 512)];
/// let operands = Operands { weights: &weights, gradients: &gradients, ..Operands::default() };
/// let mut set = ParameterSet::new(&gpu, parameters, &operands, 3)?;
/// set.prepare(&[Recording::Sgd])?;
///
/// let mut earlier = None;
/// for k in 0..1000 {
///     let mut encoder = gpu.device().create_command_encoder(&Default::default());
///     // … forward, backward …
///     let step = 0.1 / (1.0 + 0.01 * f64::from(k));
///     let pending = set.record_sgd(&mut encoder, &Sgd { step, momentum: Momentum::None })?;
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
    gpu: Gpu,
    plan: Plan,
    penalties: Penalties,
    slots: usize,
    bound: BoundOperands,
    /// The version of the penalties and the generation for which `match_penalties` last succeeded.
    matched: Option<(u64, u64)>,
    /// The first tensor whose penalty had no gradient then.
    without_gradient: Option<usize>,
    /// Counts what needs a new layout: a rebind that moves operands, and a change of a penalty's formula or groups.
    generation: u64,
    /// The version of the penalties, and each tensor's formula and groups at that version.
    kinds: (u64, Vec<(&'static Descriptor, Option<Groups>)>),
    /// One for each operation that was prepared or recorded.
    recorders: Vec<Recorder>,
}

impl ParameterSet {
    /// A set of these tensors with these operands. Up to `slots` steps of each operation may be recorded and not yet
    /// done or read.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] unless there is an operand for each tensor. [`Error::InParameter`] if an operand breaks a
    /// rule of [`Operand`] or differs from its tensor in length or type. [`Error::Overlap`] if two operands share
    /// memory. [`Error::Device`] if a buffer belongs to another device or is destroyed. [`Error::Parameter`] if `slots`
    /// is 0. [`Error::InParameter`] if a [`custom`](Penalty::custom) penalty was not [checked](Gpu::check) on this
    /// device.
    pub fn new(gpu: &Gpu, parameters: Vec<Parameter>, operands: &Operands<'_>, slots: usize) -> Result<ParameterSet> {
        if slots == 0 {
            return Err(Error::Parameter { name: "slots", expected: "at least 1", found: 0.0 });
        }
        let (segments, penalties) = segments(parameters);
        segments.iter().zip(penalties.list()).try_for_each(|(s, penalty)| s.about(gpu.checked(penalty)))?;
        let plan = gpu.plan(segments);
        let kinds = (penalties.version(), penalties.list().iter().map(kind_of).collect());
        let mut set = ParameterSet {
            gpu: gpu.clone(),
            plan,
            penalties,
            slots,
            bound: BoundOperands::new(gpu)?,
            matched: None,
            without_gradient: None,
            generation: 0,
            kinds,
            recorders: Vec::new(),
        };
        set.rebind(operands)?;
        Ok(set)
    }

    /// The tensors' names, in the set's order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.plan.segments.iter().map(Segment::name)
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
        self.plan.segments.iter().map(Segment::name).zip(self.penalties.list_mut())
    }

    /// Makes what these recordings need: compiles their kernels, and allocates and binds the memory of their slots.
    ///
    /// Then even the first of them compiles nothing, and allocates nothing but what wgpu allocates for its commands. If
    /// a penalty gets another formula or other groups, or if [`rebind`](ParameterSet::rebind) moves an operand, the
    /// next recording of each operation lays it out anew, unless you prepare it again before. What is already prepared
    /// stays as it is.
    ///
    /// ```no_run
    /// use penalty::gpu::{ParameterSet, Recording};
    /// use penalty::{Adam, Metric};
    ///
    /// # fn prepared(mut set: ParameterSet, encoder: &mut penalty::wgpu::CommandEncoder) -> penalty::Result<()> {
    /// set.prepare(&[Recording::EvaluateAndGradientAdd, Recording::Adam(Metric::Adam)])?;
    /// let before = set.record_evaluate_and_gradient_add(encoder)?;
    /// let after = set.record_adam(encoder, &Adam { metric: Metric::Adam, ..Adam::default() })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if a recording needs operands that the set was not given. [`Error::InParameter`] if a
    /// recording adds gradients and a penalty [has none](Penalty::has_gradient). [`Error::Limit`] if there are too many
    /// tensors for the device's limits. [`Error::Device`] if memory cannot be allocated or the device is lost.
    pub fn prepare(&mut self, recordings: &[Recording]) -> Result<()> {
        recordings.iter().try_for_each(|recording| self.recorder(*recording).map(drop))
    }

    /// [Prepares](ParameterSet::prepare) a recording, and resolving its results to this output. Then the first
    /// [`record_resolve`](ParameterSet::record_resolve) of its steps compiles and allocates nothing either.
    ///
    /// A recording has one output at a time: resolving to another binds that one instead.
    ///
    /// ```no_run
    /// use penalty::gpu::{Operand, ParameterSet, Recording};
    ///
    /// # fn finished(mut set: ParameterSet, output: Operand, encoder: &mut penalty::wgpu::CommandEncoder) -> penalty::Result<()> {
    /// set.prepare_resolve(Recording::Evaluate, &output)?;
    /// let pending = set.record_evaluate(encoder)?;
    /// set.record_resolve(encoder, &pending, &output)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Operand`], [`Error::Length`] and [`Error::Type`] if the output breaks a rule of
    /// [`record_resolve`](ParameterSet::record_resolve). [`Error::Operand`] if the recording does not report. Otherwise
    /// as [`prepare`](ParameterSet::prepare).
    pub fn prepare_resolve(&mut self, recording: Recording, output: &Operand<'_>) -> Result<()> {
        self.check_output(output)?;
        let (_, sums) = recording.pass();
        if !sums {
            let rule = "it must be one that reports";
            return Err(Error::Operand { operand: "the recording", rule, found: format!("{recording:?}") });
        }
        let at = self.recorder(recording)?;
        self.recorders[at].prepare_resolve(output)
    }

    /// Gives the set other operands, from the next recorded step on. If nothing moved, this only compares.
    ///
    /// The set keeps the buffers alive until it is given others.
    ///
    /// # Errors
    ///
    /// As [`new`](ParameterSet::new). After an error, the set keeps the operands that it had.
    pub fn rebind(&mut self, operands: &Operands<'_>) -> Result<()> {
        if self.bound.rebind(&self.gpu, &self.plan.segments, operands)? {
            self.generation += 1;
        }
        Ok(())
    }

    /// Records the evaluation of every tensor.
    ///
    /// # Errors
    ///
    /// [`Error::RingFull`] if every slot is taken. [`Error::InParameter`] if a penalty lacks the element weights that
    /// it needs or has some that it does not take, if a custom penalty was not [checked](Gpu::check), or if groups do
    /// not cover their tensor. [`Error::Limit`] if a limit of the device is too small. [`Error::Device`] if memory
    /// cannot be allocated or the device is lost. After an error, nothing is recorded.
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_evaluate(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<PendingReports> {
        self.record(encoder, Recording::Evaluate, &Step::NONE)
    }

    /// Records `gradient += ∂R/∂θ` for every tensor. Under [`Penalty::none`], every bit stays.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the set was given no gradients. [`Error::InParameter`] if a penalty [has no
    /// gradient](Penalty::has_gradient). Otherwise as [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_gradient_add(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.record(encoder, Recording::GradientAdd, &Step::NONE).map(drop)
    }

    /// Records the evaluation and `gradient += ∂R/∂θ`, from one read of the weights.
    ///
    /// # Errors
    ///
    /// As [`record_gradient_add`](ParameterSet::record_gradient_add).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_evaluate_and_gradient_add(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<PendingReports> {
        self.record(encoder, Recording::EvaluateAndGradientAdd, &Step::NONE)
    }

    /// Records `θ = prox(θ)` for every tensor. Under [`Penalty::none`], every bit stays.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the step is not a number ≥ 0 or is too large. Otherwise as
    /// [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_prox(&mut self, encoder: &mut wgpu::CommandEncoder, step: f64) -> Result<()> {
        self.record(encoder, Recording::Prox, &Step { size: step, ..Step::NONE }).map(drop)
    }

    /// Records the prox and the evaluation of the new weights, from one read.
    ///
    /// # Errors
    ///
    /// As [`record_prox`](ParameterSet::record_prox).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_prox_and_evaluate(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        step: f64,
    ) -> Result<PendingReports> {
        self.record(encoder, Recording::ProxAndEvaluate, &Step { size: step, ..Step::NONE })
    }

    /// Records a proximal step of gradient descent and the evaluation of the new weights, from one read of the weights,
    /// the gradients and the state.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the step, its momentum or its dampening is out of range. [`Error::Missing`] if the set
    /// was given no gradients, or has momentum but was given no first state. Otherwise as
    /// [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_sgd(&mut self, encoder: &mut wgpu::CommandEncoder, sgd: &Sgd) -> Result<PendingReports> {
        let recording = match sgd.momentum {
            Momentum::None => Recording::Sgd,
            Momentum::HeavyBall { .. } => Recording::SgdHeavyBall,
            Momentum::Nesterov { .. } => Recording::SgdNesterov,
        };
        self.record(encoder, recording, &Step { size: sgd.prox_step()?, scalars: sgd.scalars()? })
    }

    /// Records a proximal step of Adam and the evaluation of the new weights, from one read of the weights, the
    /// gradients and both states.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if a number of the step is out of range. [`Error::Missing`] if the set was given no
    /// gradients or states. [`Error::InParameter`] if a penalty has no prox in the step's [`Metric`]. Otherwise as
    /// [`record_evaluate`](ParameterSet::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_adam(&mut self, encoder: &mut wgpu::CommandEncoder, adam: &Adam) -> Result<PendingReports> {
        let step = Step { size: adam.step, scalars: adam.scalars()? };
        self.record(encoder, Recording::Adam(adam.metric), &step)
    }

    /// Records that a step's results become `f32` in a buffer that your own shaders bind. Record it behind the step,
    /// and before a later step takes its slot.
    ///
    /// The output holds 4·(n+1) `f32` for n tensors: (value, Σ|θ|, Σθ², max|θ|) of the total, then of each tensor in
    /// the set's order. They are NaN or infinite as in [`Report`](crate::Report). The output starts at a multiple of
    /// the device's `min_storage_buffer_offset_alignment`.
    ///
    /// A sum is the exact one rounded once; like a λ, it is 0 below 2^-120. A tensor's value is λ₁Σ|θ| + λ₂Σθ² +
    /// λ₃Σterm(θ), computed in `f32` from the rounded sums. The total value is the sum of the tensors' values: thread t
    /// of 256 adds tensors t, t+256, …, then the threads' sums are added by halving.
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
        pending: &PendingReports,
        output: &Operand<'_>,
    ) -> Result<()> {
        self.check_output(output)?;
        for recorder in &mut self.recorders {
            if recorder.record_resolve(encoder, &pending.0, output)? {
                return Ok(());
            }
        }
        let rule = "it must be of this set";
        Err(Error::Operand { operand: "the step", rule, found: "another set's".into() })
    }

    /// Where a step's exact results are on the device: the buffer, the offset and the size in bytes, for your own
    /// shaders. `None` if the step belongs to another set.
    ///
    /// A row is 52 little-endian `u32`. The first row has the step's serial in word 0. Then comes one row for each
    /// tensor, and, once [`record_resolve`](ParameterSet::record_resolve) has run, one for the total. In a row, 12
    /// words are Σ|θ| as an integer in units of 2^-149, and 20 words are Σθ² in units of 2^-298. Then come the counts
    /// of non-zero, NaN and infinite weights with 64 bits each, the bits of max|θ|, and one unused word. The last 12
    /// words are the term sum, if the penalty has one, in units of 2^-149.
    pub fn results(&self, pending: &PendingReports) -> Option<(&wgpu::Buffer, u64, u64)> {
        self.recorders.iter().find_map(|recorder| recorder.results_of(&pending.0))
    }

    fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        recording: Recording,
        step: &Step,
    ) -> Result<PendingReports> {
        let at = self.recorder(recording)?;
        self.recorders[at].record(encoder, (&self.plan, &self.penalties), step).map(PendingReports)
    }

    /// The index of this operation's recorder, laid out for the current placement and formulas.
    fn recorder(&mut self, recording: Recording) -> Result<usize> {
        let (operation, sums) = recording.pass();
        let lists = lists(operation);
        for list in lists.into_iter().flatten() {
            one_each(operation.name(), NAMES[list], self.plan.segments.len(), self.bound.len_of(list))?;
        }
        self.match_penalties()?;
        if let Some(at) = self.without_gradient {
            self.plan.segments[at].about(operation.admits(&self.penalties.list()[at]))?;
        }
        if self.kinds.0 != self.penalties.version() {
            let same = |((formula, groups), penalty): (&(&'static Descriptor, Option<Groups>), &Penalty)| {
                *formula == penalty.formula() && groups.as_ref() == penalty.groups()
            };
            if !self.kinds.1.iter().zip(self.penalties.list()).all(same) {
                self.kinds.1.clear();
                self.kinds.1.extend(self.penalties.list().iter().map(kind_of));
                self.generation += 1;
            }
            self.kinds.0 = self.penalties.version();
        }
        let placement = self.bound.placement(lists);
        let (pass, of) = ((operation, sums), (&self.plan, &self.penalties));
        let at = match self.recorders.iter().position(|r| (r.operation, r.sums) == pass) {
            Some(at) => at,
            None => {
                let recorder = Recorder::new(&self.gpu, pass, of, &placement, self.generation, self.slots)?;
                self.recorders.push(recorder);
                self.recorders.len() - 1
            }
        };
        let recorder = &mut self.recorders[at];
        if recorder.generation != self.generation {
            recorder.rebind(of, &placement, self.generation)?;
        }
        Ok(at)
    }

    /// Rejects an output that results cannot be resolved to.
    fn check_output(&self, output: &Operand<'_>) -> Result<()> {
        let name = "the output";
        output.validate(name)?;
        let rows = self.plan.segments.len() as u64 + 1;
        same_shape(name, (4 * rows, Dtype::F32), (output.len, output.dtype))?;
        let alignment = self.gpu.device().limits().min_storage_buffer_offset_alignment;
        if !output.offset.is_multiple_of(alignment.into()) {
            let rule = "its offset must be a multiple of the device's min_storage_buffer_offset_alignment";
            let found = format!("{} with an alignment of {alignment}", output.offset);
            return Err(Error::Operand { operand: name, rule, found });
        }
        Ok(())
    }

    /// Rejects penalties whose element weights are missing or superfluous, and custom penalties that were not checked.
    fn match_penalties(&mut self) -> Result<()> {
        let of = Some((self.penalties.version(), self.generation));
        if self.matched != of {
            for (at, (segment, penalty)) in self.plan.segments.iter().zip(self.penalties.list()).enumerate() {
                let given = self.bound.has_element_weights(at);
                segment.about(matched(penalty, given).and_then(|()| self.gpu.checked(penalty)))?;
            }
            self.without_gradient = self.penalties.list().iter().position(|penalty| !penalty.has_gradient());
            self.matched = of;
        }
        Ok(())
    }
}

/// What a penalty's kernels and their layout depend on.
fn kind_of(penalty: &Penalty) -> (&'static Descriptor, Option<Groups>) {
    (penalty.formula(), penalty.groups().cloned())
}
