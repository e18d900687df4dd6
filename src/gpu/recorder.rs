//! Recording: one operation over a plan becomes commands in the caller's encoder. Nothing here waits.
//!
//! A step's coefficients, span rows and parameters lie in a slot of a ring, and so do its results: what is written for a
//! step takes effect before the whole submission, so steps of one encoder must not share them.

use super::Gpu;
use super::kernel::{BINDINGS, FIRST_OPERAND, JOURNAL, Kernel, LISTS, NUMBERS, PARAMETERS_BOUND, Pipeline, Team};
use super::layout::{Dispatch, Layout, Limits, Located, Placement, Window};
use super::limits::at_least;
use super::operand::Operand;
use super::readback::Pending;
use super::ring::{Phase, Ring, Slot, Ticket};
use crate::formula::scalars::Scalars;
use crate::numeric::accumulator::WORDS;
use crate::numeric::tile::TILE;
use crate::plan::coefficients::{Coefficients, coefficients, coefficients_into};
use crate::plan::operation::Operation;
use crate::plan::{Plan, Segment};
use crate::{Error, Result};

/// The workgroups that a plan is cut for, where it is large enough: a few for each core of a large GPU.
const WORKGROUPS: u64 = 2048;
/// The same for a software adapter, where each costs more than it gains.
const SOFTWARE_WORKGROUPS: u64 = 64;
/// How often an invocation's loops go round in all, so that no dispatch takes long.
const ITERATIONS: u64 = 1 << 24;
/// Mesa's llvmpipe ends every loop of an invocation without a word when they have gone round 65535 times in all.
const SOFTWARE_ITERATIONS: u64 = 1 << 15;
/// Beyond this many tiles, longer spans save nothing.
const LONGEST_SPAN: u64 = 64;
/// Workgroups along x; `ROW` in the prelude.
pub(super) const ROW: u32 = 32768;
/// The distance of parameter records, by WebGPU's default limit on dynamic offsets.
pub(super) const PARAMETERS: u64 = 256;
/// The words before the first segment's result; the first is the serial, copied there behind the kernels.
pub(super) const HEADER: usize = WORDS;
/// The rows of the table before the first segment's: the serial and the scalars. `COEFFICIENTS` in the prelude.
const SEGMENTS: usize = 3;
/// The bytes of a row.
const ROW_BYTES: u64 = 16;

/// One operation over one plan, with everything it needs on the device.
#[derive(Debug)]
pub(super) struct Recorder {
    gpu: Gpu,
    pub(super) operation: Operation,
    pub(super) sums: bool,
    layout: Layout,
    /// Which of the set's placements the layout is of.
    pub(super) generation: u64,
    commands: Vec<(Pipeline, wgpu::BindGroup)>,
    table: Table,
    groups: Option<Groups>,
    results: Option<Results>,
    /// The last output that results were finished to, with its pipeline.
    finish: Option<(Located, Pipeline, wgpu::BindGroup)>,
    ring: Ring,
    /// What each slot holds; only what differs is written.
    written: Vec<Written>,
    coefficients: Vec<Coefficients>,
    /// What the coefficients are of.
    made_of: Option<(u64, f64)>,
    /// What is uploaded.
    scratch: Vec<u8>,
}

/// What a slot's table was written from.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    /// The layout that its rows are of.
    generation: u64,
    /// The plan's edition and the step size that its coefficients are of.
    made_of: Option<(u64, f64)>,
}

/// A buffer with a table in each slot: serial, scalars, segments, spans, then behind `parameters` the parameters of each turn.
#[derive(Debug)]
struct Table {
    buffer: wgpu::Buffer,
    parameters: u64,
    stride: u64,
    /// The first generation whose steps lie in it.
    since: u64,
}

/// A buffer with every slot's results.
#[derive(Debug)]
struct Results {
    buffer: wgpu::Buffer,
    size: u64,
    stride: u64,
}

/// The numbers of one step.
pub(super) struct Step {
    /// What the penalties are multiplied with.
    pub(super) size: f64,
    pub(super) scalars: Scalars,
}

impl Step {
    /// Of what takes no step.
    pub(super) const NONE: Step = Step { size: 0.0, scalars: [0.0; 8] };
}

impl Gpu {
    /// Cuts segments into spans for this device.
    pub(super) fn plan(&self, segments: Vec<Segment>) -> Plan {
        let tiles: u64 = segments.iter().map(|s| s.len.div_ceil(TILE as u64)).sum();
        let fitting = (self.inner.window - PARAMETERS) / (4 * TILE as u64);
        let tiles_per_span = (tiles / self.workgroups()).clamp(1, LONGEST_SPAN).min(fitting);
        Plan::new(segments, tiles_per_span as u32)
    }

    fn limits(&self) -> Limits {
        let alignment = u64::from(self.device().limits().min_storage_buffer_offset_alignment);
        let iterations = if self.is_software() { SOFTWARE_ITERATIONS } else { ITERATIONS };
        let (bound_by, binding) = self.window();
        Limits { binding, bound_by, alignment, workgroups: self.workgroups(), iterations }
    }

    fn is_software(&self) -> bool {
        self.adapter_info().device_type == wgpu::DeviceType::Cpu
    }

    /// How many workgroups keep the device busy.
    fn workgroups(&self) -> u64 {
        if self.is_software() { SOFTWARE_WORKGROUPS } else { WORKGROUPS }
    }
}

impl Recorder {
    /// Lays the operation out for this placement, with room for `slots` steps.
    pub(super) fn new(
        gpu: &Gpu,
        (operation, sums): (Operation, bool),
        plan: &Plan,
        placement: &Placement<'_>,
        generation: u64,
        slots: usize,
    ) -> Result<Recorder> {
        gpu.lives()?;
        let mut layout = Layout::new(operation);
        layout.lay_out(plan, sums, placement, gpu.limits(), rows_before(plan))?;
        let results = if sums { Some(Results::new(gpu, plan, slots)?) } else { None };
        let slot = |_| {
            let staging = results.as_ref().map(|r| gpu.staging_buffer(r.size)).transpose()?;
            Ok(Slot::new(staging, plan.segments.len()))
        };
        let ring = (0..slots).map(slot).collect::<Result<Vec<_>>>()?;
        let mut recorder = Recorder {
            gpu: gpu.clone(),
            operation,
            sums,
            generation,
            commands: Vec::new(),
            table: Table::new(gpu, plan, &layout, slots, generation)?,
            groups: Groups::new(gpu, &layout)?,
            layout,
            results,
            finish: None,
            ring: Ring::new(ring),
            written: vec![Written::default(); slots],
            coefficients: Vec::with_capacity(plan.segments.len()),
            made_of: None,
            scratch: Vec::new(),
        };
        recorder.bind(placement)?;
        Ok(recorder)
    }

    /// Lays the operation out anew: the operands have moved.
    pub(super) fn place(&mut self, plan: &Plan, placement: &Placement<'_>, generation: u64) -> Result<()> {
        // A layout that fails leaves lists that nobody has uploaded, so nothing is kept behind it.
        let held = self.groups.take();
        self.layout.lay_out(plan, self.sums, placement, self.gpu.limits(), rows_before(plan))?;
        let same = |groups: &Groups| groups.sizes == group_sizes(&self.layout) && !self.layout.lists_differ();
        self.groups = match held.filter(same) {
            Some(held) => Some(held),
            None => Groups::new(&self.gpu, &self.layout)?,
        };
        let (rows, parameters) = (rows_size(plan, &self.layout), parameters_size(&self.layout));
        if rows > self.table.parameters || parameters > self.table.stride - self.table.parameters {
            // Recorded steps keep the old buffer.
            self.table = Table::new(&self.gpu, plan, &self.layout, self.ring.slots.len(), generation)?;
            self.finish = None;
        }
        self.bind(placement)?;
        self.generation = generation;
        Ok(())
    }

    /// Compiles what the dispatches need, and binds it; makes room for all that a slot may be sent.
    fn bind(&mut self, placement: &Placement<'_>) -> Result<()> {
        self.scratch.clear();
        self.scratch.reserve(self.table.stride as usize);
        self.commands.clear();
        for dispatch in &self.layout.dispatches {
            let pipeline = self.gpu.pipeline(dispatch.kernel)?;
            let mut entries: [Option<wgpu::BindGroupEntry<'_>>; BINDINGS] = Default::default();
            let table = &self.table;
            entries[0] = Some(entry(0, &table.buffer, Window { start: 0, end: PARAMETERS_BOUND }));
            entries[1] = Some(entry(1, &table.buffer, Window { start: 0, end: table.parameters }));
            if let Some(results) = self.results.as_ref().filter(|_| dispatch.kernel.has_results()) {
                entries[2] = Some(entry(2, &results.buffer, Window { start: 0, end: results.size }));
            }
            for (buffer, binding) in operands(dispatch, placement) {
                let at = FIRST_OPERAND + binding;
                entries[at] = Some(entry(at, buffer, dispatch.windows[binding]));
            }
            if let (Some(groups), Some(grouped)) = (&self.groups, dispatch.kernel.groups) {
                entries[NUMBERS] = Some(entry(NUMBERS, &groups.numbers, whole(&groups.numbers)));
                let lists = groups.lists.as_ref().filter(|_| grouped.lists);
                entries[LISTS] = lists.map(|lists| entry(LISTS, lists, whole(lists)));
                let journal = groups.journal.as_ref().filter(|_| grouped.team == Team::Grid);
                entries[JOURNAL] = journal.map(|journal| entry(JOURNAL, journal, whole(journal)));
            }
            let entries: Vec<wgpu::BindGroupEntry<'_>> = entries.into_iter().flatten().collect();
            let descriptor =
                wgpu::BindGroupDescriptor { label: Some("penalty"), layout: &pipeline.layout, entries: &entries };
            let group = self.gpu.guarded(|| self.gpu.device().create_bind_group(&descriptor))?;
            self.commands.push((pipeline, group));
        }
        Ok(())
    }

    /// Records one step of the plan that this was laid out for; with sums, its report stays on the device until it is asked for.
    pub(super) fn record(&mut self, encoder: &mut wgpu::CommandEncoder, plan: &Plan, step: &Step) -> Result<Pending> {
        let made_of = Some((plan.edition, step.size));
        if self.made_of != made_of {
            self.made_of = None;
            coefficients_into(&plan.segments, self.operation, step.size, &mut self.coefficients)?;
            self.made_of = made_of;
        }
        let at = self.ring.next(self.gpu.device())?;
        let serial = self.gpu.next_serial();
        let before = self.written[at].made_of.map(|(edition, _)| edition);
        self.upload(at, serial, &step.scalars)?;
        // All that can be refused has been: from here on the encoder is written to.
        let slot = &self.ring.slots[at];
        slot.take(serial, (before != Some(plan.edition)).then_some(&plan.segments));
        let base = at as u64 * self.table.stride;
        let results_base = self.results.as_ref().map_or(0, |results| at as u64 * results.stride);
        if let Some(results) = &self.results {
            encoder.clear_buffer(&results.buffer, results_base, Some(results.size));
        }
        if let Some(journal) = self.groups.as_ref().and_then(|groups| groups.journal.as_ref()) {
            encoder.clear_buffer(journal, 0, None);
        }
        if !self.commands.is_empty() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let parameters = base + self.table.parameters;
            for (i, turn) in (1..).zip(&self.layout.turns) {
                let ((pipeline, group), dispatch) =
                    (&self.commands[turn.dispatch], &self.layout.dispatches[turn.dispatch]);
                pass.set_pipeline(&pipeline.pipeline);
                let offsets = [(parameters + i * PARAMETERS) as u32, base as u32, results_base as u32];
                pass.set_bind_group(0, group, &offsets[..if dispatch.kernel.has_results() { 3 } else { 2 }]);
                let spans = dispatch.spans as u32;
                pass.dispatch_workgroups(spans.min(ROW), spans.div_ceil(ROW), 1);
            }
        }
        let ticket = Ticket::new(slot.clone(), serial);
        match (&self.results, &slot.staging) {
            (Some(results), Some(staging)) => {
                encoder.copy_buffer_to_buffer(&self.table.buffer, base, &results.buffer, results_base, 4);
                encoder.copy_buffer_to_buffer(&results.buffer, results_base, staging, 0, results.size);
                encoder.map_buffer_on_submit(staging, wgpu::MapMode::Read, .., move |result| ticket.done(result));
            }
            _ => encoder.on_submitted_work_done(move || ticket.done(Ok(()))),
        }
        Ok(Pending::new(self.gpu.clone(), slot.clone(), serial))
    }

    /// Compiles what finishes results to f32, and binds it with this output, where it is not the last one.
    pub(super) fn prepare_finish(&mut self, output: &Operand<'_>) -> Result<()> {
        let Some(results) = &self.results else { return Ok(()) };
        let known = self.finish.as_ref().is_some_and(|(o, ..)| o.offset == output.offset && o.buffer == *output.buffer);
        if known {
            return Ok(());
        }
        let pipeline = self.gpu.finish_pipeline()?;
        let entries = [
            entry(0, &self.table.buffer, Window { start: 0, end: PARAMETERS_BOUND }),
            entry(1, &self.table.buffer, Window { start: 0, end: self.table.parameters }),
            entry(2, &results.buffer, Window { start: 0, end: results.size }),
            entry(3, output.buffer, Window { start: output.offset, end: output.end() }),
        ];
        let layout = &pipeline.layout;
        let descriptor = wgpu::BindGroupDescriptor { label: Some("penalty finish"), layout, entries: &entries };
        let group = self.gpu.guarded(|| self.gpu.device().create_bind_group(&descriptor))?;
        self.finish = Some((output.located(), pipeline, group));
        Ok(())
    }

    /// Records that a step's results are finished to f32, behind the step in the same encoder or a later one; whether the step was
    /// recorded here.
    pub(super) fn record_finish(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        pending: &Pending,
        output: &Operand<'_>,
    ) -> Result<bool> {
        let Some(at) = self.ring.slots.iter().position(|slot| pending.is_in(slot)) else { return Ok(false) };
        if let Phase::Failed(error) = &pending.state()?.phase {
            return Err(error.clone());
        }
        if self.written[at].generation < self.table.since {
            let rule = "it must be finished before the operands move to more buffers";
            return Err(Error::Operand { operand: "the step", rule, found: "operands that have moved".into() });
        }
        self.prepare_finish(output)?;
        let base = at as u64 * self.table.stride;
        let parameters = base + self.table.parameters;
        if let (Some(results), Some((_, pipeline, group))) = (&self.results, &self.finish) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, group, &[parameters as u32, base as u32, (at as u64 * results.stride) as u32]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        Ok(true)
    }

    /// Where a step's exact results are, if it was recorded here.
    pub(super) fn results_of(&self, pending: &Pending) -> Option<(&wgpu::Buffer, u64, u64)> {
        let at = self.ring.slots.iter().position(|slot| pending.is_in(slot))?;
        self.results.as_ref().map(|results| (&results.buffer, at as u64 * results.stride, results.size))
    }

    /// Writes a slot's numbers, and its coefficients and rows where it does not hold them yet.
    fn upload(&mut self, at: usize, serial: u32, scalars: &Scalars) -> Result<()> {
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
                [first(dispatch), dispatch.spans as u32, 0, turn.known, turn.last.into()]
            });
            for parameters in std::iter::once([0, self.coefficients.len() as u32, 0, 0, 0]).chain(turns) {
                bytes.extend_from_slice(bytemuck::cast_slice(&parameters));
                bytes.resize(bytes.len() + PARAMETERS as usize - size_of_val(&parameters), 0);
            }
        }
        self.gpu.guarded(|| self.gpu.queue().write_buffer(&self.table.buffer, base, bytes))?;
        self.written[at] = Written { generation: self.generation, made_of: self.made_of };
        Ok(())
    }
}

impl Table {
    fn new(gpu: &Gpu, plan: &Plan, layout: &Layout, slots: usize, since: u64) -> Result<Table> {
        let parameters = rows_size(plan, layout).next_multiple_of(PARAMETERS);
        let stride = slot_stride(gpu, parameters + parameters_size(layout));
        fits(gpu, "the table", plan, parameters, slots as u64 * stride)?;
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM;
        let copied = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffer = gpu.buffer("penalty table", slots as u64 * stride, usage | copied)?;
        Ok(Table { buffer, parameters, stride, since })
    }
}

impl Results {
    fn new(gpu: &Gpu, plan: &Plan, slots: usize) -> Result<Results> {
        // Behind the segments' results, the total's.
        let size = 4 * (HEADER + (plan.segments.len() + 1) * WORDS) as u64;
        let stride = slot_stride(gpu, size);
        fits(gpu, "the results", plan, size, slots as u64 * stride)?;
        let buffer = gpu.storage_buffer("penalty results", slots as u64 * stride)?;
        Ok(Results { buffer, size, stride })
    }
}

/// What a recorder keeps of groups on the device.
#[derive(Debug)]
struct Groups {
    /// Two of each group. Steps follow one another on the device, so they share it.
    numbers: wgpu::Buffer,
    /// The indices of those groups that are lists.
    lists: Option<wgpu::Buffer>,
    /// What many workgroups have summed.
    journal: Option<wgpu::Buffer>,
    /// Of each, in bytes.
    sizes: [u64; 3],
}

/// The bytes of the groups' numbers, of their lists, and of what many workgroups sum.
fn group_sizes(layout: &Layout) -> [u64; 3] {
    [8 * layout.groups, 4 * layout.lists.len() as u64, 4 * layout.journal]
}

impl Groups {
    fn new(gpu: &Gpu, layout: &Layout) -> Result<Option<Groups>> {
        if layout.groups == 0 {
            return Ok(None);
        }
        let sizes = group_sizes(layout);
        for (purpose, size) in ["the groups' numbers", "the groups' indices", "the groups' sums"].into_iter().zip(sizes)
        {
            gpu.binds(purpose, size)?;
        }
        let [numbers, _, journal] = sizes;
        let numbers = gpu.storage_buffer("penalty groups", numbers)?;
        let lists = if layout.lists.is_empty() {
            None
        } else {
            let bytes: &[u8] = bytemuck::cast_slice(&layout.lists);
            let lists = gpu.storage_buffer("penalty groups", bytes.len() as u64)?;
            gpu.guarded(|| gpu.queue().write_buffer(&lists, 0, bytes))?;
            Some(lists)
        };
        let journal = match journal {
            0 => None,
            size => Some(gpu.storage_buffer("penalty groups", size)?),
        };
        Ok(Some(Groups { numbers, lists, journal, sizes }))
    }
}

/// The rows of the table before the spans'.
fn rows_before(plan: &Plan) -> usize {
    SEGMENTS + size_of::<Coefficients>() / ROW_BYTES as usize * plan.segments.len()
}

/// The bytes of a slot's rows.
fn rows_size(plan: &Plan, layout: &Layout) -> u64 {
    (rows_before(plan) + 2 * layout.rows.len()) as u64 * ROW_BYTES
}

fn whole(buffer: &wgpu::Buffer) -> Window {
    Window { start: 0, end: buffer.size() }
}

/// The bytes of a slot's parameters: of finishing, and of each turn.
fn parameters_size(layout: &Layout) -> u64 {
    (layout.turns.len() as u64 + 1) * PARAMETERS
}

/// The distance of slots of this size: what dynamic offsets must be multiples of.
fn slot_stride(gpu: &Gpu, size: u64) -> u64 {
    let limits = gpu.device().limits();
    let alignment = limits.min_storage_buffer_offset_alignment.max(limits.min_uniform_buffer_offset_alignment);
    size.next_multiple_of(PARAMETERS.max(alignment.into()))
}

/// Refuses a table or results that the device cannot bind, or whose slots it cannot hold.
fn fits(gpu: &Gpu, what: &str, plan: &Plan, binding: u64, buffer: u64) -> Result<()> {
    let purpose = format!("{what} of {} tensors", plan.segments.len());
    gpu.binds(&purpose, binding)?;
    gpu.holds(&purpose, buffer)?;
    // Offsets of slots have 32 bits.
    at_least("the largest buffer of slots that the library uses", &purpose, buffer, u32::MAX.into())
}

/// A dispatch's buffers, each with its binding.
fn operands<'a>(dispatch: &'a Dispatch, placement: &Placement<'a>) -> impl Iterator<Item = (&'a wgpu::Buffer, usize)> {
    let buffers = placement.buffers(dispatch.segment, dispatch.roles);
    let Kernel { bindings, .. } = dispatch.kernel;
    buffers.into_iter().zip(bindings.of).filter_map(|(buffer, binding)| Some((buffer?, usize::from(binding?))))
}

pub(super) fn entry(binding: usize, buffer: &wgpu::Buffer, window: Window) -> wgpu::BindGroupEntry<'_> {
    let size = wgpu::BufferSize::new(window.end - window.start);
    let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: window.start, size });
    wgpu::BindGroupEntry { binding: binding as u32, resource }
}

/// One operation recorded once, on buffers made for it.
pub(super) fn once(
    gpu: &Gpu,
    encoder: &mut wgpu::CommandEncoder,
    pass: (Operation, bool),
    plan: &Plan,
    placement: &Placement<'_>,
    step: &Step,
) -> Result<Pending> {
    // Refuses bad steps before anything is made.
    coefficients(&plan.segments, pass.0, step.size)?;
    Recorder::new(gpu, pass, plan, placement, 1, 1)?.record(encoder, plan, step)
}
