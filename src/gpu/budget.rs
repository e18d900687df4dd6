//! Pruning a set to a budget on the device.
//!
//! A level counts digits, adds the tensors' counts up, and finds every cut's next digit: three dispatches and one read of
//! the weights. After the last level, the ties are shared out, and the weights are cleared. Nothing waits.

pub(super) mod mask;
pub(super) mod stage;

use stage::{CUT, HEADER, MEMORY, OfSpans, OfTensors, Stage};

use super::device::{self, Gpu};
use super::dispatch::Dispatch;
use super::layout::Layout;
use super::limits::at_least;
use super::pipeline::{Pipeline, compile};
use super::placement::{Placement, Window};
use super::slot_memory::{entry, rows_before, whole};
use super::table::{BINDINGS, FIRST_OPERAND, PARAMETERS, PARAMETERS_BOUND, ROW, ROW_BYTES};
#[cfg(not(target_family = "wasm"))]
use super::wait::WaitMode;
#[cfg(not(target_family = "wasm"))]
use crate::formula::budget::Cut;
use crate::formula::budget::{BINS, SHIFTS};
use crate::plan::Plan;
use crate::plan::budget::Budget;
use crate::plan::operation::Operation;
use crate::{Penalty, Result};

/// The words of the sums over all tensors.
const BEFORE: usize = 2 * SHIFTS.len() * BINS;

/// A set's budgets, with all that they need on the device. Steps follow one another there, so they share it.
#[derive(Debug)]
pub(super) struct Pruning {
    pub(super) generation: u64,
    /// Where the table has the parameters: a record for each level of each dispatch, then of the tensors. Before them are
    /// the spans' rows.
    parameters: u64,
    memory: wgpu::Buffer,
    /// In the order of `OfTensors`.
    of_tensors: [Command; 3],
    /// For each dispatch of spans: how many there are, and its kernels in the order of `OfSpans`.
    of_spans: Vec<(u32, [Command; 3])>,
    tensors: u32,
}

type Command = (Pipeline, wgpu::BindGroup);

impl Gpu {
    fn stage(&self, stage: Stage) -> Result<Pipeline> {
        let compile = || {
            let label = format!("penalty budget {stage:?}");
            compile(self.device(), &label, stage.source(), &stage.layout(), self.inner.checked)
        };
        self.inner.stages.get(stage, || self.guarded(compile))
    }
}

impl Pruning {
    /// Lays the spans of a plan out for this placement, compiles the kernels and allocates their memory.
    pub(super) fn new(gpu: &Gpu, plan: &Plan, placement: &Placement<'_>, generation: u64) -> Result<Pruning> {
        gpu.lives()?;
        for segment in plan.segments.iter() {
            segment.about(at_least("the largest length", "counts of 32 bits", segment.len, u32::MAX.into()))?;
        }
        let tensors = plan.segments.len();
        let mut layout = Layout::new(Operation::Prox);
        let none = vec![Penalty::none(); tensors];
        layout.lay_out((plan, &none), false, placement, gpu.limits(), rows_before(plan))?;
        number_spans(&mut layout);
        let spans = layout.spans.placed.len();
        let words = HEADER + CUT * tensors + BEFORE + spans + BINS * tensors;
        let purpose = format!("a budget of {tensors} tensors");
        gpu.binds(&purpose, 4 * words as u64)?;
        let memory = gpu.storage_buffer("penalty budget", 4 * words as u64)?;

        let (table, parameters) = table(gpu, &purpose, (plan, &layout), Some(tensors))?;
        let bound = |stage, dispatch: Option<&Dispatch>| {
            bind(gpu, stage, (&table, parameters), Some(&memory), dispatch.map(|dispatch| (dispatch, placement)))
        };
        let of_tensors = |stage| bound(Stage::OfTensors(stage), None);
        let of_tensors = [of_tensors(OfTensors::Before)?, of_tensors(OfTensors::Narrow)?, of_tensors(OfTensors::Ties)?];
        let of_dispatch = |dispatch: &Dispatch| {
            let of = |stage| bound(Stage::OfSpans(stage, dispatch.kernel), Some(dispatch));
            Ok((dispatch.spans as u32, [of(OfSpans::Count)?, of(OfSpans::Equal)?, of(OfSpans::Clear)?]))
        };
        let of_spans = layout.dispatches.iter().map(of_dispatch).collect::<Result<_>>()?;
        Ok(Pruning { generation, parameters, memory, of_tensors, of_spans, tensors: tensors as u32 })
    }

    /// What a budget asks of these tensors, in memory that the device can copy from.
    pub(super) fn upload(&self, gpu: &Gpu, plan: &Plan, budget: &Budget) -> Result<wgpu::Buffer> {
        let lens: Vec<u64> = plan.segments.iter().map(|segment| segment.len).collect();
        let (pruned, quotas) = budget.quotas(&lens)?;
        let mut words = vec![pruned as u32, (pruned >> 32) as u32, self.tensors, self.spans()];
        for (len, quota) in lens.iter().zip(quotas) {
            words.extend([0, 0, *len as u32, quota.least as u32, quota.most as u32, 0]);
        }
        let size = 4 * words.len() as u64;
        let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffer = gpu.buffer("penalty budget", size, usage)?;
        // Unlike `write_buffer`, this says whether the device lives.
        let written = gpu.guarded(|| {
            let size = wgpu::BufferSize::new(size)?;
            gpu.queue().write_buffer_with(&buffer, 0, size)?.copy_from_slice(bytemuck::cast_slice(&words));
            Some(())
        })?;
        written.ok_or_else(device::gone)?;
        Ok(buffer)
    }

    /// Counts the weights of each tensor by the next digits of its cut, and waits for the counts.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn count(&self, gpu: &Gpu, level: usize, cuts: &[Cut]) -> Result<Vec<[u64; BINS]>> {
        let (first, size) = (self.counts(), 4 * (BINS * cuts.len()) as u64);
        if size == 0 {
            return Ok(Vec::new());
        }
        self.write(gpu, cuts.iter().map(|cut| (cut, 0)))?;
        let count = |encoder: &mut wgpu::CommandEncoder| {
            encoder.clear_buffer(&self.memory, first, Some(size));
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for (at, (spans, [count, ..])) in self.of_spans.iter().enumerate() {
                let record = (SHIFTS.len() * at + level) as u64;
                dispatch(&mut pass, count, self.parameters + record * PARAMETERS, *spans);
            }
        };
        let (staging, wait) = (gpu.staging_buffer(size)?, WaitMode::Block(Gpu::TIMEOUT));
        let bytes = pollster::block_on(gpu.read_after(count, (&self.memory, first), &staging, wait))?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        Ok(words.as_chunks().0.iter().map(|row: &[u32; BINS]| row.map(u64::from)).collect())
    }

    /// Clears what lies before these cuts, and so many of each tensor's weights of its cut's magnitude.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn clear(&self, gpu: &Gpu, cuts: &[Cut], ties: &[u64]) -> Result<()> {
        self.write(gpu, cuts.iter().zip(ties.iter().copied()))?;
        gpu.submit(|_, encoder| {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for command in [1, 2] {
                for (at, (spans, commands)) in self.of_spans.iter().enumerate() {
                    let record = (SHIFTS.len() * at) as u64;
                    dispatch(&mut pass, &commands[command], self.parameters + record * PARAMETERS, *spans);
                }
            }
            Ok(())
        })
    }

    /// Writes the records of cuts that the host has found.
    #[cfg(not(target_family = "wasm"))]
    fn write<'a>(&self, gpu: &Gpu, cuts: impl Iterator<Item = (&'a Cut, u64)>) -> Result<()> {
        let mut words = vec![0, 0, self.tensors, self.spans()];
        words.extend(cuts.flat_map(|(cut, ties)| [cut.magnitude, 0, cut.equal as u32, 0, 0, ties as u32]));
        gpu.guarded(|| gpu.queue().write_buffer(&self.memory, 0, bytemuck::cast_slice(&words)))
    }

    fn spans(&self) -> u32 {
        self.of_spans.iter().map(|(spans, _)| spans).sum()
    }

    /// Where the memory has the counts.
    #[cfg(not(target_family = "wasm"))]
    fn counts(&self) -> u64 {
        4 * (HEADER + CUT * self.tensors as usize + BEFORE + self.spans() as usize) as u64
    }

    /// Records the pruning.
    pub(super) fn record(&self, encoder: &mut wgpu::CommandEncoder, upload: &wgpu::Buffer) {
        encoder.copy_buffer_to_buffer(upload, 0, &self.memory, 0, upload.size());
        encoder.clear_buffer(&self.memory, upload.size(), None);
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let levels = SHIFTS.len();
        let mut dispatch = |command: &Command, record: usize, workgroups: u32| {
            dispatch(&mut pass, command, self.parameters + record as u64 * PARAMETERS, workgroups);
        };
        let [before, narrow, ties] = &self.of_tensors;
        let of_tensors = levels * self.of_spans.len();
        for level in 0..levels {
            for (at, (spans, [count, ..])) in self.of_spans.iter().enumerate() {
                dispatch(count, levels * at + level, *spans);
            }
            dispatch(before, of_tensors + level, self.tensors);
            dispatch(narrow, of_tensors + level, self.tensors);
        }
        dispatch(ties, of_tensors, self.tensors);
        for (at, (spans, [_, equal, _])) in self.of_spans.iter().enumerate() {
            dispatch(equal, levels * at, *spans);
        }
        for (at, (spans, [.., clear])) in self.of_spans.iter().enumerate() {
            dispatch(clear, levels * at, *spans);
        }
    }
}

/// The table of a plan's spans, and where its parameters begin: a record for each level of each dispatch, then, if there
/// are any, of the tensors.
fn table(
    gpu: &Gpu,
    purpose: &str,
    (plan, layout): (&Plan, &Layout),
    tensors: Option<usize>,
) -> Result<(wgpu::Buffer, u64)> {
    let before = rows_before(plan);
    let mut bytes = vec![0; before * ROW_BYTES as usize];
    bytes.extend_from_slice(bytemuck::cast_slice(&layout.rows));
    bytes.resize(bytes.len().next_multiple_of(PARAMETERS as usize), 0);
    let parameters = bytes.len() as u64;
    let of_spans = layout.dispatches.iter().map(|dispatch| (before + 2 * dispatch.first, dispatch.spans));
    for (first, spans) in of_spans.chain(tensors.map(|tensors| (0, tensors))) {
        for level in 0..SHIFTS.len() {
            let record = [first as u32, spans as u32, 0, level as u32, 0, 0, 0, 0];
            bytes.extend_from_slice(bytemuck::cast_slice(&record));
            bytes.resize(bytes.len().next_multiple_of(PARAMETERS as usize), 0);
        }
    }
    gpu.binds(purpose, parameters)?;
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let table = gpu.buffer("penalty budget", bytes.len() as u64, usage)?;
    gpu.guarded(|| gpu.queue().write_buffer(&table, 0, &bytes))?;
    Ok((table, parameters))
}

/// Compiles a stage's kernel and binds it.
fn bind(
    gpu: &Gpu,
    stage: Stage,
    (table, parameters): (&wgpu::Buffer, u64),
    memory: Option<&wgpu::Buffer>,
    dispatch: Option<(&Dispatch, &Placement<'_>)>,
) -> Result<Command> {
    let pipeline = gpu.stage(stage)?;
    let mut entries: [Option<wgpu::BindGroupEntry<'_>>; BINDINGS] = Default::default();
    entries[0] = Some(entry(0, table, Window { start: 0, end: PARAMETERS_BOUND }));
    entries[1] = Some(entry(1, table, Window { start: 0, end: parameters }));
    entries[MEMORY] = memory.map(|memory| entry(MEMORY, memory, whole(memory)));
    if let Some((dispatch, placement)) = dispatch {
        for (binding, buffer) in dispatch.buffers(placement) {
            let at = FIRST_OPERAND + binding;
            entries[at] = Some(entry(at, buffer, dispatch.windows[binding]));
        }
    }
    let entries: Vec<wgpu::BindGroupEntry<'_>> = entries.into_iter().flatten().collect();
    let descriptor =
        wgpu::BindGroupDescriptor { label: Some("penalty budget"), layout: &pipeline.layout, entries: &entries };
    let group = gpu.guarded(|| gpu.device().create_bind_group(&descriptor))?;
    Ok((pipeline, group))
}

/// Sets the next dispatch of a pass.
fn dispatch(pass: &mut wgpu::ComputePass<'_>, (pipeline, group): &Command, parameters: u64, workgroups: u32) {
    pass.set_pipeline(&pipeline.pipeline);
    pass.set_bind_group(0, group, &[parameters as u32, 0]);
    pass.dispatch_workgroups(workgroups.min(ROW), workgroups.div_ceil(ROW), 1);
}

/// Writes to each span's rows its number in the order of tensors and of places in them, and that of its tensor's first
/// span. They take the places of an optimizer's states.
fn number_spans(layout: &mut Layout) {
    let spans = &layout.spans.placed;
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_unstable_by_key(|at| (spans[*at].span.segment, spans[*at].span.start));
    let mut first = 0;
    for (number, at) in order.into_iter().enumerate() {
        if spans[at].span.start == 0 {
            first = number;
        }
        let [.., third, fourth] = &mut layout.rows[at][1];
        (*third, *fourth) = (number as u32, first as u32);
    }
}

#[cfg(test)]
mod tests {
    use wgpu::naga;

    use super::*;
    use crate::Dtype;
    use crate::gpu::kernel::{Access, Bindings, Kernel, Subject};
    use crate::plan::operation::Part;

    #[test]
    fn every_kernel_is_valid_without_any_capability_of_a_device() {
        let mut stages = [OfTensors::Before, OfTensors::Narrow, OfTensors::Ties].map(Stage::OfTensors).to_vec();
        let mut bindings = Bindings::default();
        bindings.of[..2].fill(Some(0));
        bindings.writable[0] = true;
        for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
            for access in [Access::Vector, Access::Scalar] {
                let (operation, subject, part) = (Operation::Prox, Subject::Statistics, Part::Each);
                let kernel = Kernel { operation, subject, part, groups: None, sums: false, dtype, access, bindings };
                stages.extend(
                    [OfSpans::Count, OfSpans::Equal, OfSpans::Clear, OfSpans::Mask]
                        .map(|of| Stage::OfSpans(of, kernel)),
                );
            }
        }
        for stage in stages {
            let module = naga::front::wgsl::parse_str(&stage.source());
            let module = module.unwrap_or_else(|error| panic!("{stage:?}: {}", error.emit_to_string(&stage.source())));
            let flags = naga::valid::ValidationFlags::all();
            let mut validator = naga::valid::Validator::new(flags, naga::valid::Capabilities::empty());
            validator.validate(&module).unwrap_or_else(|error| panic!("{stage:?}: {error:?}"));
        }
    }
}
