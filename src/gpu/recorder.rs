//! Recording: one operation over a plan becomes commands in the caller's encoder. Nothing here waits.
//!
//! A step's coefficients, span rows, parameters and results lie in a slot of a ring. Writes to a buffer take effect
//! before the whole submission, so steps of one encoder must not share a slot.

use super::device::{self, Gpu};
use super::dispatch::Dispatch;
use super::kernel::Team;
use super::layout::Layout;
use super::operand::Located;
use super::pipeline::Pipeline;
use super::placement::{Placement, Window};
use super::readback::Recorded;
use super::ring::{Ring, Slot, Ticket};
use super::slot_memory::{
    GroupMemory, Results, Table, entry, group_sizes, parameters_size, rows_before, rows_size, whole,
};
use super::table::{
    BINDINGS, FIRST_OPERAND, GROUP_COEFFICIENTS, LISTS, PARAMETERS, PARAMETERS_BOUND, PARTIAL_SUMS, ROW, ROW_BYTES,
    SEGMENTS,
};
use crate::Result;
use crate::formula::scalars::Scalars;
use crate::plan::Plan;
use crate::plan::coefficients::{CoefficientRecord, coefficients, coefficients_into};
use crate::plan::operation::Operation;
use crate::plan::optimizer::{Adam, Sgd};
use crate::plan::penalties::Penalties;

/// An operation, and whether the weights that it leaves are summed.
pub(super) type SummedOperation = (Operation, bool);

/// One operation over one plan, with all that it needs on the device.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) operation: Operation,
    pub(super) sums: bool,
    pub(super) layout: Layout,
    /// The generation of the set's placement and formulas that the layout is made for.
    pub(super) generation: u64,
    pub(super) commands: Vec<(Pipeline, wgpu::BindGroup)>,
    pub(super) table: Table,
    pub(super) groups: Option<GroupMemory>,
    pub(super) results: Option<Results>,
    /// The last output that results were resolved to, with its pipeline.
    pub(super) resolve: Option<(Located, Pipeline, wgpu::BindGroup)>,
    pub(super) ring: Ring,
    /// What each slot holds. Only what differs is written.
    pub(super) written: Vec<Written>,
    pub(super) coefficients: Vec<CoefficientRecord>,
    /// The version of the penalties and the step size that `coefficients` is made of.
    pub(super) made_of: Option<(u64, f64)>,
    /// The bytes to upload.
    pub(super) scratch: Vec<u8>,
}

/// A step that has taken a slot. Dropping it frees the slot.
pub(super) struct Begun {
    /// The slot.
    at: usize,
    serial: u32,
    ticket: Ticket,
    /// Where the slot's table and results begin.
    base: u64,
    results: u64,
}

/// What a slot's table was written from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    /// The generation of the layout that its rows are of.
    pub(super) generation: u64,
    /// The version of the penalties and the step size that its coefficients are of.
    pub(super) made_of: Option<(u64, f64)>,
}

/// The step size and an optimizer's scalars.
pub(super) struct Step {
    /// The step size, with which the prox multiplies the penalty.
    pub(super) size: f64,
    pub(super) scalars: Scalars,
}

impl Step {
    /// For operations that take no step.
    pub(super) const NONE: Step = Step { size: 0.0, scalars: [0.0; 8] };

    pub(super) fn sgd(sgd: &Sgd) -> Result<Step> {
        Ok(Step { size: sgd.prox_step()?, scalars: sgd.scalars()? })
    }

    pub(super) fn adam(adam: &Adam) -> Result<Step> {
        Ok(Step { size: adam.step, scalars: adam.scalars()? })
    }
}

impl Recorder {
    /// Lays the operation out for this placement, with room for `slots` steps.
    pub(super) fn new(
        gpu: &Gpu,
        (operation, sums): SummedOperation,
        (plan, penalties): (&Plan, &Penalties),
        placement: &Placement<'_>,
        generation: u64,
        slots: usize,
    ) -> Result<Recorder> {
        Recorder::of_part(gpu, (operation, sums), (plan, penalties), placement, (generation, slots), None)
    }

    /// The same. If the plan's one tensor is a part of a group of which other ranks have parts, `whole` is the length of
    /// that group.
    pub(super) fn of_part(
        gpu: &Gpu,
        (operation, sums): SummedOperation,
        (plan, penalties): (&Plan, &Penalties),
        placement: &Placement<'_>,
        (generation, slots): (u64, usize),
        whole: Option<u64>,
    ) -> Result<Recorder> {
        gpu.lives()?;
        let mut layout = Layout::new(operation);
        layout.spans.whole = whole;
        layout.lay_out((plan, penalties.list()), sums, placement, gpu.limits(), rows_before(plan))?;
        let results = if sums { Some(Results::new(gpu, plan, slots)?) } else { None };
        let slot = |_| {
            let staging = results.as_ref().map(|r| gpu.staging_buffer(r.size)).transpose()?;
            Ok(Slot::new(staging, plan.segments.clone()))
        };
        let ring = (0..slots).map(slot).collect::<Result<Vec<_>>>()?;
        let mut recorder = Recorder {
            operation,
            sums,
            generation,
            commands: Vec::new(),
            table: Table::new(gpu, plan, &layout, slots, generation)?,
            groups: GroupMemory::new(gpu, &layout)?,
            layout,
            results,
            resolve: None,
            ring: Ring::new(ring),
            written: vec![Written::default(); slots],
            coefficients: Vec::with_capacity(plan.segments.len()),
            made_of: None,
            scratch: Vec::new(),
        };
        recorder.bind(gpu, placement)?;
        Ok(recorder)
    }

    /// A recorder for one step, on buffers made for it.
    pub(super) fn for_one_step(
        gpu: &Gpu,
        pass: SummedOperation,
        (plan, penalties): (&Plan, &Penalties),
        placement: &Placement<'_>,
        step: &Step,
    ) -> Result<Recorder> {
        // Rejects bad steps before anything is allocated.
        coefficients(&plan.segments, penalties.list(), pass.0, step.size)?;
        Recorder::new(gpu, pass, (plan, penalties), placement, 1, 1)
    }

    /// Lays the operation out anew: operands have moved, or a formula or groups have changed.
    pub(super) fn rebind(
        &mut self,
        gpu: &Gpu,
        (plan, penalties): (&Plan, &Penalties),
        placement: &Placement<'_>,
        generation: u64,
    ) -> Result<()> {
        // A layout that fails leaves lists that were never uploaded, so this keeps no groups then.
        let held = self.groups.take();
        let limits = gpu.limits();
        self.layout.lay_out((plan, penalties.list()), self.sums, placement, limits, rows_before(plan))?;
        let same =
            |groups: &GroupMemory| groups.sizes == group_sizes(&self.layout) && !self.layout.spans.lists_differ();
        self.groups = match held.filter(same) {
            Some(held) => Some(held),
            None => GroupMemory::new(gpu, &self.layout)?,
        };
        let (rows, parameters) = (rows_size(plan, &self.layout), parameters_size(&self.layout));
        if rows > self.table.parameters || parameters > self.table.stride - self.table.parameters {
            // Recorded steps keep the old buffer alive.
            self.table = Table::new(gpu, plan, &self.layout, self.ring.slots.len(), generation)?;
            self.resolve = None;
        }
        self.bind(gpu, placement)?;
        self.generation = generation;
        Ok(())
    }

    /// Compiles and binds the dispatches' kernels, and makes room for all that a slot may be sent.
    pub(super) fn bind(&mut self, gpu: &Gpu, placement: &Placement<'_>) -> Result<()> {
        self.scratch.clear();
        self.scratch.reserve(self.table.stride as usize);
        self.commands.clear();
        for dispatch in &self.layout.dispatches {
            let pipeline = gpu.pipeline(dispatch.kernel)?;
            let mut entries: [Option<wgpu::BindGroupEntry<'_>>; BINDINGS] = Default::default();
            let table = &self.table;
            entries[0] = Some(entry(0, &table.buffer, Window { start: 0, end: PARAMETERS_BOUND }));
            entries[1] = Some(entry(1, &table.buffer, Window { start: 0, end: table.parameters }));
            if let Some(results) = self.results.as_ref().filter(|_| dispatch.kernel.has_results()) {
                entries[2] = Some(entry(2, &results.buffer, Window { start: 0, end: results.size }));
            }
            for (binding, buffer) in dispatch.buffers(placement) {
                let at = FIRST_OPERAND + binding;
                entries[at] = Some(entry(at, buffer, dispatch.windows[binding]));
            }
            if let (Some(groups), Some(grouped)) = (&self.groups, dispatch.kernel.groups) {
                entries[GROUP_COEFFICIENTS] =
                    Some(entry(GROUP_COEFFICIENTS, &groups.coefficients, whole(&groups.coefficients)));
                let lists = groups.lists.as_ref().filter(|_| grouped.lists);
                entries[LISTS] = lists.map(|lists| entry(LISTS, lists, whole(lists)));
                let partial_sums = groups.partial_sums.as_ref().filter(|_| grouped.team == Team::Grid);
                entries[PARTIAL_SUMS] =
                    partial_sums.map(|partial_sums| entry(PARTIAL_SUMS, partial_sums, whole(partial_sums)));
            }
            let entries: Vec<wgpu::BindGroupEntry<'_>> = entries.into_iter().flatten().collect();
            let descriptor =
                wgpu::BindGroupDescriptor { label: Some("penalty"), layout: &pipeline.layout, entries: &entries };
            let group = gpu.guarded(|| gpu.device().create_bind_group(&descriptor))?;
            self.commands.push((pipeline, group));
        }
        Ok(())
    }

    /// Lets go of the operands. It must be bound again before the next step.
    pub(super) fn unbind(&mut self) {
        self.commands.clear();
    }

    pub(super) fn is_bound(&self) -> bool {
        !self.commands.is_empty()
    }

    /// How many bytes of the device's memory it takes.
    pub(super) fn bytes(&self) -> u64 {
        let results = self.results.as_ref().map_or(0, |r| r.buffer.size() + r.size * self.ring.slots.len() as u64);
        self.table.buffer.size() + results + self.groups.as_ref().map_or(0, |groups| groups.sizes.iter().sum())
    }

    /// Records one step of the plan that this was laid out for. If it sums, its report stays on the device until
    /// somebody asks for it. If there are queries, the first two get the times when its dispatches begin and end.
    pub(super) fn record(
        &mut self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        (plan, penalties): (&Plan, &Penalties),
        step: &Step,
        queries: Option<&wgpu::QuerySet>,
    ) -> Result<Recorded> {
        let step = self.begin(gpu, (plan, penalties), step)?;
        self.clear(encoder, &step);
        if !self.commands.is_empty() || queries.is_some() {
            let timestamp_writes = queries.map(timestamps);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            (0..self.layout.turns.len()).for_each(|turn| self.dispatch(&mut pass, &step, turn));
        }
        Ok(self.end(gpu, encoder, step))
    }

    /// Takes a slot for a step, and writes what differs to it. Nothing is rejected afterwards.
    pub(super) fn begin(&mut self, gpu: &Gpu, (plan, penalties): (&Plan, &Penalties), step: &Step) -> Result<Begun> {
        let made_of = Some((penalties.version(), step.size));
        if self.made_of != made_of {
            self.made_of = None;
            let (segments, penalties) = (&plan.segments, penalties.list());
            coefficients_into(segments, penalties, self.operation, step.size, &mut self.coefficients)?;
            self.made_of = made_of;
        }
        let at = self.ring.next(gpu.device())?;
        let serial = gpu.next_serial();
        let before = self.written[at].made_of.map(|(version, _)| version);
        self.upload(gpu, at, serial, &step.scalars)?;
        let slot = &self.ring.slots[at];
        slot.take(serial, (before != Some(penalties.version())).then(|| penalties.list()));
        let ticket = Ticket::new(slot.clone(), serial);
        let base = at as u64 * self.table.stride;
        let results = self.results.as_ref().map_or(0, |results| at as u64 * results.stride);
        Ok(Begun { at, serial, ticket, base, results })
    }

    /// Records that the memory that the step's kernels add to is cleared.
    pub(super) fn clear(&self, encoder: &mut wgpu::CommandEncoder, step: &Begun) {
        if let Some(results) = self.results.as_ref().filter(|_| !self.layout.owned) {
            encoder.clear_buffer(&results.buffer, step.results, Some(results.size));
        }
        if let Some(partial_sums) = self.groups.as_ref().and_then(|groups| groups.partial_sums.as_ref()) {
            encoder.clear_buffer(partial_sums, 0, None);
        }
    }

    /// Sets the dispatch of a turn.
    pub(super) fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, step: &Begun, turn: usize) {
        let at = self.layout.turns[turn].dispatch;
        let ((pipeline, group), dispatch) = (&self.commands[at], &self.layout.dispatches[at]);
        let parameters = step.base + self.table.parameters + (turn as u64 + 1) * PARAMETERS;
        pass.set_pipeline(&pipeline.pipeline);
        let offsets = [parameters as u32, step.base as u32, step.results as u32];
        pass.set_bind_group(0, group, &offsets[..if dispatch.kernel.has_results() { 3 } else { 2 }]);
        let spans = dispatch.spans as u32;
        pass.dispatch_workgroups(spans.min(ROW), spans.div_ceil(ROW), 1);
    }

    /// Records what lets the host read the step's results.
    pub(super) fn end(&self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, step: Begun) -> Recorded {
        let (slot, ticket) = (&self.ring.slots[step.at], step.ticket);
        match (&self.results, &slot.staging) {
            (Some(results), Some(staging)) => {
                // Otherwise the kernels that sum have written the serial.
                if self.commands.is_empty() {
                    encoder.copy_buffer_to_buffer(&self.table.buffer, step.base, &results.buffer, step.results, 4);
                }
                encoder.copy_buffer_to_buffer(&results.buffer, step.results, staging, 0, results.size);
                encoder.map_buffer_on_submit(staging, wgpu::MapMode::Read, .., move |result| ticket.done(result));
            }
            _ => encoder.on_submitted_work_done(move || ticket.done(Ok(()))),
        }
        Recorded::new(gpu.clone(), slot.clone(), step.serial)
    }

    /// Writes a slot's serial and scalars, and its coefficients and rows if it does not hold them yet.
    fn upload(&mut self, gpu: &Gpu, at: usize, serial: u32, scalars: &Scalars) -> Result<()> {
        let base = at as u64 * self.table.stride;
        let rows = SEGMENTS as u64 * ROW_BYTES + size_of_val(&self.coefficients[..]) as u64;
        let bytes = &mut self.scratch;
        bytes.clear();
        bytes.extend_from_slice(bytemuck::cast_slice(&[serial, 0, 0, 0]));
        bytes.extend_from_slice(bytemuck::cast_slice(scalars));
        let written = self.written[at];
        let anew = written.generation != self.generation;
        if anew || written.made_of != self.made_of {
            bytes.extend_from_slice(bytemuck::cast_slice(&self.coefficients));
        }
        if anew {
            bytes.extend_from_slice(bytemuck::cast_slice(&self.layout.rows));
            bytes.resize(self.table.parameters as usize, 0);
            let first = |dispatch: &Dispatch| (rows / ROW_BYTES) as u32 + 2 * dispatch.first as u32;
            let turns = self.layout.turns.iter().map(|turn| {
                let dispatch = &self.layout.dispatches[turn.dispatch];
                let (last, owned) = (turn.last.into(), self.layout.owned.into());
                [first(dispatch), dispatch.spans as u32, 0, turn.known, last, owned, gpu.neighbours()]
            });
            for parameters in std::iter::once([0, self.coefficients.len() as u32, 0, 0, 0, 0, 0]).chain(turns) {
                bytes.extend_from_slice(bytemuck::cast_slice(&parameters));
                bytes.resize(bytes.len() + PARAMETERS as usize - size_of_val(&parameters), 0);
            }
        }
        // Unlike `write_buffer`, this says whether the device lives.
        let written = gpu.guarded(|| {
            let size = wgpu::BufferSize::new(bytes.len() as u64)?;
            gpu.queue().write_buffer_with(&self.table.buffer, base, size)?.copy_from_slice(bytes);
            Some(())
        })?;
        written.ok_or_else(device::gone)?;
        self.written[at] = Written { generation: self.generation, made_of: self.made_of };
        Ok(())
    }
}

/// Writes the times when a pass begins and ends to the first two queries.
pub(super) fn timestamps(query_set: &wgpu::QuerySet) -> wgpu::ComputePassTimestampWrites<'_> {
    wgpu::ComputePassTimestampWrites {
        query_set,
        beginning_of_pass_write_index: Some(0),
        end_of_pass_write_index: Some(1),
    }
}

/// Records one operation once, on buffers made for it.
pub(super) fn once(
    gpu: &Gpu,
    encoder: &mut wgpu::CommandEncoder,
    pass: SummedOperation,
    of: (&Plan, &Penalties),
    placement: &Placement<'_>,
    step: &Step,
) -> Result<Recorded> {
    Recorder::for_one_step(gpu, pass, of, placement, step)?.record(gpu, encoder, of, step, None)
}
