//! Which recorder serves a call of a set, and when it is laid out anew.

use crate::formula::descriptor::Descriptor;
use crate::gpu::bound::BoundOperands;
use crate::gpu::budget::Pruning;
use crate::gpu::budget::mask::Masking;
use crate::gpu::device::Gpu;
use crate::gpu::lists::{NAMES, Operands, lists};
use crate::gpu::operand::Operand;
use crate::gpu::readback::Recorded;
use crate::gpu::recorder::{Recorder, Step, SummedOperation, timestamps};
use crate::penalty::element_weights::matched;
use crate::penalty::groups::Groups;
use crate::plan::budget::Budget;
use crate::plan::operands::{WEIGHTS, one_each};
use crate::plan::operation::Operation;
use crate::plan::parameter::Parameter;
use crate::plan::penalties::Penalties;
use crate::plan::{Plan, Segment};
use crate::{Error, Penalty, Result};

/// A set's tensors, and a recorder for each operation that was prepared or recorded.
#[derive(Debug)]
pub(super) struct Recorders {
    pub(super) gpu: Gpu,
    pub(super) plan: Plan,
    pub(super) penalties: Penalties,
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
    list: Vec<Recorder>,
    pruning: Option<Pruning>,
    masking: Option<Masking>,
    /// Where each step's times go, if anywhere.
    queries: Option<wgpu::QuerySet>,
}

impl Recorders {
    pub(super) fn new(
        gpu: &Gpu,
        parameters: Vec<Parameter>,
        operands: &Operands<'_>,
        slots: usize,
    ) -> Result<Recorders> {
        if slots == 0 {
            return Err(Error::Parameter { name: "slots", expected: "at least 1", found: 0.0 });
        }
        one_each("a set", WEIGHTS, parameters.len(), operands.weights.len())?;
        let mut segments = Vec::with_capacity(parameters.len());
        let mut penalties = Vec::with_capacity(parameters.len());
        for (Parameter { name, penalty }, weights) in parameters.into_iter().zip(operands.weights) {
            let segment = Segment::called(name, (weights.len, weights.dtype));
            // A plan of a length that no buffer has could take all memory.
            segment.about(weights.validate(WEIGHTS).and_then(|()| gpu.checked(&penalty)))?;
            segments.push(segment);
            penalties.push(penalty);
        }
        let penalties = Penalties::new(penalties);
        let kinds = (penalties.version(), penalties.list().iter().map(kind_of).collect());
        let mut recorders = Recorders {
            gpu: gpu.clone(),
            plan: gpu.plan(segments),
            penalties,
            slots,
            bound: BoundOperands::new(gpu)?,
            matched: None,
            without_gradient: None,
            generation: 0,
            kinds,
            list: Vec::new(),
            pruning: None,
            masking: None,
            queries: None,
        };
        recorders.rebind(operands)?;
        Ok(recorders)
    }

    /// A set of the same tensors with other penalties. Element weights stay with those that take them.
    pub(super) fn with_penalties(&self, penalties: Vec<Penalty>) -> Recorders {
        let bound = self.bound.with_element_weights_where(penalties.iter().map(Penalty::is_weighted));
        let penalties = Penalties::new(penalties);
        let kinds = (penalties.version(), penalties.list().iter().map(kind_of).collect());
        Recorders {
            gpu: self.gpu.clone(),
            plan: self.plan.clone(),
            penalties,
            slots: self.slots,
            bound,
            matched: None,
            without_gradient: None,
            // A slot that was never written has the generation 0.
            generation: 1,
            kinds,
            list: Vec::new(),
            pruning: None,
            masking: None,
            queries: None,
        }
    }

    /// Takes over other penalties, and the operands of the set that it follows if they have moved.
    pub(super) fn follow(&mut self, set: &Recorders, penalties: Vec<Penalty>, moved: bool) {
        let weighted = |penalties: &[Penalty]| penalties.iter().map(Penalty::is_weighted).collect::<Vec<_>>();
        let takes = weighted(&penalties);
        if moved || takes != weighted(self.penalties.list()) {
            self.bound = set.bound.with_element_weights_where(takes.into_iter());
            self.generation += 1;
        }
        if self.penalties.list() != penalties {
            self.penalties.list_mut().clone_from_slice(&penalties);
        }
    }

    /// Changes whenever the operands may have moved.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn rebind(&mut self, operands: &Operands<'_>) -> Result<()> {
        if self.bound.rebind(&self.gpu, &self.plan.segments, operands)? {
            self.generation += 1;
        }
        Ok(())
    }

    pub(super) fn prepare(&mut self, pass: SummedOperation) -> Result<()> {
        self.recorder(pass).map(drop)
    }

    /// Lets each step write its times to the first two of these queries. Rejects what would fail in the caller's encoder.
    pub(super) fn time_steps(&mut self, queries: Option<&wgpu::QuerySet>) -> Result<()> {
        if let Some(queries) = queries {
            let found = format!("{} of {:?}", queries.count(), queries.ty());
            if !matches!(queries.ty(), wgpu::QueryType::Timestamp) || queries.count() < 2 {
                let rule = "they must be two or more timestamps";
                return Err(Error::Operand { operand: "the queries", rule, found });
            }
            // Queries that are destroyed, or another device's, are an error here.
            self.gpu.submit(|_, encoder| {
                let timestamp_writes = Some(timestamps(queries));
                drop(encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes }));
                Ok(())
            })?;
        }
        self.queries = queries.cloned();
        Ok(())
    }

    pub(super) fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        pass: SummedOperation,
        step: &Step,
    ) -> Result<Recorded> {
        let at = self.recorder(pass)?;
        self.list[at].record(&self.gpu, encoder, (&self.plan, &self.penalties), step, self.queries.as_ref())
    }

    /// Rejects what recording this operation would reject.
    pub(super) fn admit(&mut self, pass: SummedOperation) -> Result<()> {
        let at = self.recorder(pass)?;
        self.list[at].ring.next(self.gpu.device()).map(drop)
    }

    pub(super) fn prepare_pruning(&mut self) -> Result<()> {
        if self.pruning.as_ref().is_none_or(|pruning| pruning.generation != self.generation) {
            let placement = self.bound.placement(lists(Operation::Prox));
            self.pruning = Some(Pruning::new(&self.gpu, &self.plan, &placement, self.generation)?);
        }
        Ok(())
    }

    /// What prunes the set, laid out for the current placement.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn pruning(&mut self) -> Result<&Pruning> {
        self.prepare_pruning()?;
        self.pruning.as_ref().ok_or_else(crate::gpu::device::gone)
    }

    pub(super) fn record_pruning(&mut self, encoder: &mut wgpu::CommandEncoder, budget: &Budget) -> Result<()> {
        self.prepare_pruning()?;
        let Some(pruning) = &self.pruning else { return Ok(()) };
        let upload = pruning.upload(&self.gpu, &self.plan, budget)?;
        pruning.record(encoder, &upload);
        Ok(())
    }

    pub(super) fn prepare_masks(&mut self) -> Result<()> {
        self.match_penalties()?;
        if self.masking.as_ref().is_none_or(|masking| masking.generation != self.generation) {
            let placement = self.bound.placement(lists(Operation::Evaluate));
            let of = (&self.plan, self.penalties.list());
            self.masking = Some(Masking::new(&self.gpu, of, &placement, self.generation)?);
        }
        Ok(())
    }

    pub(super) fn record_masks(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.prepare_masks()?;
        if let Some(masking) = &self.masking {
            masking.record(encoder);
        }
        Ok(())
    }

    /// Prepares resolving to this output for every recorder that has results.
    pub(super) fn prepare_resolve(&mut self, output: &Operand<'_>) -> Result<()> {
        let mut reporting = self.list.iter_mut().filter(|recorder| recorder.sums).peekable();
        if reporting.peek().is_none() {
            let rule = "a call that reports must be prepared before it";
            return Err(Error::Operand { operand: "the output", rule, found: "none".into() });
        }
        reporting.try_for_each(|recorder| recorder.prepare_resolve(&self.gpu, output))
    }

    pub(super) fn record_resolve(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        recorded: &Recorded,
        output: &Operand<'_>,
    ) -> Result<()> {
        for recorder in &mut self.list {
            if recorder.record_resolve(&self.gpu, encoder, recorded, output)? {
                return Ok(());
            }
        }
        let rule = "it must be of this set";
        Err(Error::Operand { operand: "the step", rule, found: "another set's".into() })
    }

    /// Where a step's exact results are, if it is of this set.
    pub(super) fn results_of(&self, recorded: &Recorded) -> Option<(&wgpu::Buffer, u64, u64)> {
        self.list.iter().find_map(|recorder| recorder.results_of(recorded))
    }

    /// Where the operands of an operation lie.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn placement(&self, operation: Operation) -> crate::gpu::placement::Placement<'_> {
        self.bound.placement(lists(operation))
    }

    /// Rejects an operation whose operands are missing or whose penalties do not fit it. Notices other formulas.
    pub(super) fn check(&mut self, operation: Operation) -> Result<()> {
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
        Ok(())
    }

    /// The index of this operation's recorder, laid out for the current placement and formulas.
    fn recorder(&mut self, (operation, sums): SummedOperation) -> Result<usize> {
        self.check(operation)?;
        let placement = self.bound.placement(lists(operation));
        let (pass, of) = ((operation, sums), (&self.plan, &self.penalties));
        let at = match self.list.iter().position(|r| (r.operation, r.sums) == pass) {
            Some(at) => at,
            None => {
                let recorder = Recorder::new(&self.gpu, pass, of, &placement, self.generation, self.slots)?;
                self.list.push(recorder);
                self.list.len() - 1
            }
        };
        let recorder = &mut self.list[at];
        if recorder.generation != self.generation {
            recorder.rebind(&self.gpu, of, &placement, self.generation)?;
        }
        Ok(at)
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
