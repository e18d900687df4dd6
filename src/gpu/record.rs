//! A plan and where its operands lie become commands in an encoder. Nothing here waits.

use super::kernel::{Access, Kernel, Operands};
use super::operand::Operand;
use super::readback::PendingReport;
use super::{Gpu, LARGEST_BINDING};
use crate::exact::WORDS;
use crate::plan::{Operation, Plan, Segment, Span};
use crate::tile::TILE;
use crate::{Error, Penalty, Result};

/// The workgroups that a plan is cut for, where it is large enough: a few for each core of a large GPU.
const WORKGROUPS: u64 = 2048;
/// The same for a software adapter, where each costs more than it gains.
const SOFTWARE_WORKGROUPS: u64 = 64;
/// Beyond this many tiles, longer spans save nothing.
const LONGEST_SPAN: u64 = 64;
/// Workgroups along x; `ROW` in the prelude.
const ROW: u32 = 32768;
/// The distance of parameter records, by WebGPU's default limit on dynamic offsets.
const PARAMETERS: u64 = 256;
/// The words before the first segment's result; the first is the serial, copied there behind the kernels.
pub(super) const HEADER: usize = WORDS;

/// Where the operands of each segment lie. It may be another at every step; the plan stays.
pub(super) struct Placement<'a> {
    pub(super) sources: &'a [Operand<'a>],
    /// What gradients and proxes write; none where they do so in place, or where nothing is written.
    pub(super) outputs: Option<&'a [Operand<'a>]>,
}

/// A span with its kernel and with where its operands are.
struct Placed {
    kernel: Kernel,
    span: Span,
    source: Window,
    output: Window,
}

impl Placed {
    /// What each binding must hold.
    fn needed(&self) -> Vec<Window> {
        let (a, b) = (self.source, self.output);
        match self.kernel.operands {
            Operands::Source => vec![a],
            Operands::Shared => vec![Window { start: a.start.min(b.start), end: a.end.max(b.end) }],
            Operands::Separate | Operands::Apart => vec![a, b],
        }
    }
}

/// Consecutive placed spans of one kernel and one window of the same buffers.
struct Dispatch {
    kernel: Kernel,
    segment: usize,
    first: usize,
    spans: usize,
    windows: Vec<Window>,
}

/// A range of a buffer in bytes, within the limit on bindings.
#[derive(Clone, Copy)]
struct Window {
    start: u64,
    end: u64,
}

impl Gpu {
    /// Records the evaluation of weights on the device. The report stays there until the [`PendingReport`] is asked for it,
    /// after the encoder was submitted.
    ///
    /// # Errors
    ///
    /// [`Error::Operand`] where the range breaks a rule of [`Operand`], [`Error::Device`] where memory cannot be had; then
    /// nothing is recorded.
    pub fn record_evaluate(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: &Penalty,
        weights: &Operand<'_>,
    ) -> Result<PendingReport> {
        weights.validate("the weights")?;
        let plan = self.plan(Operation::Evaluate, vec![segment(weights, penalty)]);
        let placement = Placement { sources: &[*weights], outputs: None };
        self.record_sums(encoder, plan, &placement)
    }

    /// Records `gradient = ∂R/∂θ`.
    ///
    /// # Errors
    ///
    /// [`Error::Operand`] where a range breaks a rule of [`Operand`] or the two overlap, [`Error::Length`] and
    /// [`Error::Type`] where they differ in those, [`Error::Device`] where memory cannot be had; then nothing is recorded.
    pub fn record_gradient(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: &Penalty,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        self.record_gradient_operation(encoder, Operation::Gradient, penalty, weights, gradient)
    }

    /// Records `gradient += ∂R/∂θ`; with [`Penalty::none`], nothing.
    ///
    /// # Errors
    ///
    /// As [`record_gradient`](Gpu::record_gradient).
    pub fn record_gradient_add(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: &Penalty,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        self.record_gradient_operation(encoder, Operation::AddGradient, penalty, weights, gradient)
    }

    /// Records `θ = prox(θ)` with this step; with [`Penalty::none`], nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] for a step that is no number ≥ 0 or too large, [`Error::Operand`] where the range breaks a rule
    /// of [`Operand`], [`Error::Device`] where memory cannot be had; then nothing is recorded.
    pub fn record_prox(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: &Penalty,
        weights: &Operand<'_>,
        step: f64,
    ) -> Result<()> {
        weights.validate("the weights")?;
        let plan = self.plan(Operation::Prox, vec![segment(weights, penalty)]);
        let placement = Placement { sources: &[*weights], outputs: None };
        self.record_update(encoder, &plan, &placement, &plan.coefficients(step)?)
    }

    fn record_gradient_operation(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        operation: Operation,
        penalty: &Penalty,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        weights.validate("the weights")?;
        gradient.validate("the gradient")?;
        if weights.len != gradient.len {
            return Err(Error::Length { operand: "the gradient", expected: weights.len, found: gradient.len });
        }
        if weights.dtype != gradient.dtype {
            return Err(Error::Type { operand: "the gradient", expected: weights.dtype, found: gradient.dtype });
        }
        if weights.overlaps(gradient) {
            let rule = "it must not overlap the weights";
            return Err(Error::Operand { operand: "the gradient", rule, found: gradient.offset });
        }
        let plan = self.plan(operation, vec![segment(weights, penalty)]);
        let placement = Placement { sources: &[*weights], outputs: Some(&[*gradient]) };
        self.record_update(encoder, &plan, &placement, &plan.coefficients(0.0)?)
    }

    /// Cuts segments into spans for this device.
    pub(super) fn plan(&self, operation: Operation, segments: Vec<Segment>) -> Plan {
        let tiles: u64 = segments.iter().map(|s| s.len.div_ceil(TILE as u64)).sum();
        let software = self.adapter_info().device_type == wgpu::DeviceType::Cpu;
        let workgroups = if software { SOFTWARE_WORKGROUPS } else { WORKGROUPS };
        let fitting = (self.inner.window - PARAMETERS) / (4 * TILE as u64);
        let tiles_per_span = (tiles / workgroups).clamp(1, LONGEST_SPAN).min(fitting);
        Plan::new(operation, segments, tiles_per_span as u32)
    }

    /// Records a plan of sums into accumulators of its own.
    pub(super) fn record_sums(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        plan: Plan,
        placement: &Placement<'_>,
    ) -> Result<PendingReport> {
        let serial = self.next_serial();
        let words = HEADER + plan.segments.len() * WORDS;
        let size = 4 * words as u64;
        if size > LARGEST_BINDING.min(self.device().limits().max_storage_buffer_binding_size) {
            let rule = "their results must fit one binding";
            return Err(Error::Operand { operand: "the tensors", rule, found: plan.segments.len() as u64 });
        }
        // wgpu zeroes a new buffer before its first use.
        let results = self.guarded(|| {
            self.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("penalty results"),
                size,
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })?;
        let coefficients = plan.coefficients(0.0)?;
        let parameters = self.record_plan(encoder, &plan, placement, &coefficients, Some(&results), serial)?;
        encoder.copy_buffer_to_buffer(&parameters, 0, &results, 0, 4);
        Ok(PendingReport::new(self.clone(), results, serial, plan.segments))
    }

    /// Records a plan of gradients or proxes.
    pub(super) fn record_update(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        plan: &Plan,
        placement: &Placement<'_>,
        coefficients: &[[f32; 2]],
    ) -> Result<()> {
        self.record_plan(encoder, plan, placement, coefficients, None, 0).map(drop)
    }

    /// Records every stage; returns the buffer of parameters, which begins with the serial.
    fn record_plan(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        plan: &Plan,
        placement: &Placement<'_>,
        coefficients: &[[f32; 2]],
        results: Option<&wgpu::Buffer>,
        serial: u32,
    ) -> Result<wgpu::Buffer> {
        let alignment = u64::from(self.device().limits().min_storage_buffer_offset_alignment);
        let placed = place(plan, placement, self.inner.window);
        let (dispatches, spans) = dispatches(&placed, placement, self.inner.window, alignment);

        let mut table: Vec<[u32; 4]> = Vec::with_capacity(coefficients.len() + spans.len());
        table.extend(coefficients.iter().map(|c| [c[0].to_bits(), c[1].to_bits(), 0, 0]));
        table.extend(&spans);
        let mut parameters = vec![0u32; (dispatches.len() + 1) * PARAMETERS as usize / 4];
        parameters[0] = serial;
        for (dispatch, record) in dispatches.iter().zip(parameters.chunks_exact_mut(PARAMETERS as usize / 4).skip(1)) {
            record[0] = (coefficients.len() + dispatch.first) as u32;
            record[1] = dispatch.spans as u32;
        }
        let usages = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_SRC;
        let parameters = self.upload("penalty parameters", usages, bytemuck::cast_slice(&parameters))?;
        let table = self.upload("penalty table", wgpu::BufferUsages::STORAGE, bytemuck::cast_slice(&table))?;

        let mut commands = Vec::with_capacity(dispatches.len());
        for dispatch in &dispatches {
            let pipeline = self.pipeline(dispatch.kernel)?;
            let mut buffers = vec![placement.sources[dispatch.segment].buffer];
            buffers.extend(placement.outputs.map(|outputs| outputs[dispatch.segment].buffer));
            let mut resources = vec![range(&parameters, 0, 16), table.as_entire_buffer_binding()];
            resources.extend(dispatch.windows.iter().zip(buffers).map(|(w, b)| range(b, w.start, w.end - w.start)));
            resources.extend(results.map(|results| results.as_entire_buffer_binding()));
            let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
                .zip(resources)
                .map(|(binding, resource)| wgpu::BindGroupEntry {
                    binding,
                    resource: wgpu::BindingResource::Buffer(resource),
                })
                .collect();
            let group = self.guarded(|| {
                self.device().create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("penalty"),
                    layout: &pipeline.layout,
                    entries: &entries,
                })
            })?;
            commands.push((pipeline, group));
        }
        // All that can be refused has been: from here on the encoder is written to.
        if !commands.is_empty() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for (at, ((pipeline, group), dispatch)) in (1u32..).zip(commands.iter().zip(&dispatches)) {
                pass.set_pipeline(&pipeline.pipeline);
                pass.set_bind_group(0, group, &[at * PARAMETERS as u32]);
                let spans = dispatch.spans as u32;
                pass.dispatch_workgroups(spans.min(ROW), spans.div_ceil(ROW), 1);
            }
        }
        Ok(parameters)
    }

    fn upload(&self, label: &str, usage: wgpu::BufferUsages, bytes: &[u8]) -> Result<wgpu::Buffer> {
        let (buffer, written) = self.guarded(|| {
            let buffer = self.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: bytes.len().max(16) as u64,
                usage,
                mapped_at_creation: true,
            });
            let written = buffer.get_mapped_range_mut(..bytes.len().max(16) as u64).map(|mut range| {
                range.slice(..bytes.len()).copy_from_slice(bytes);
            });
            buffer.unmap();
            (buffer, written)
        })?;
        written.map_err(|error| Error::Device(error.to_string()))?;
        Ok(buffer)
    }
}

fn segment(operand: &Operand<'_>, penalty: &Penalty) -> Segment {
    Segment { len: operand.len, dtype: operand.dtype, penalty: penalty.clone() }
}

fn range(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) }
}

/// Chooses each span's kernel from where its operands lie.
fn place(plan: &Plan, placement: &Placement<'_>, limit: u64) -> Vec<Placed> {
    let mut placed = Vec::new();
    for stage in &plan.stages {
        for span in &stage.spans {
            let at = span.segment as usize;
            let source = &placement.sources[at];
            let output = placement.outputs.map_or(source, |outputs| &outputs[at]);
            let aligned = (source.offset | output.offset).is_multiple_of(16) && span.len.is_multiple_of(4);
            let bytes = (u64::from(span.len) * stage.dtype.size() as u64).next_multiple_of(4);
            let operands = if stage.operation == Operation::Evaluate {
                Operands::Source
            } else if source.buffer != output.buffer {
                Operands::Separate
            } else if source.offset.abs_diff(output.offset) + bytes + PARAMETERS <= limit {
                Operands::Shared
            } else {
                Operands::Apart
            };
            let access = if aligned { Access::Vector } else { Access::Scalar };
            let kernel = Kernel { operation: stage.operation, dtype: stage.dtype, access, operands };
            let start = span.start * stage.dtype.size() as u64;
            placed.push(Placed {
                kernel,
                span: *span,
                source: Window { start: source.offset + start, end: source.offset + start + bytes },
                output: Window { start: output.offset + start, end: output.offset + start + bytes },
            });
        }
    }
    // Those of one kernel and of one window side by side, so that each takes one dispatch.
    let buffers = |p: &Placed| {
        let at = p.span.segment as usize;
        (placement.sources[at].buffer, placement.outputs.map(|outputs| outputs[at].buffer))
    };
    placed.sort_by(|a, b| {
        let by_kernel = a.kernel.cmp(&b.kernel).then_with(|| buffers(a).cmp(&buffers(b)));
        by_kernel.then(a.source.start.cmp(&b.source.start))
    });
    placed
}

/// Groups placed spans into dispatches whose windows fit the limit on bindings, and gives each span's record for the
/// device: its segment, where its words are in the windows, its elements.
fn dispatches(
    placed: &[Placed],
    placement: &Placement<'_>,
    limit: u64,
    alignment: u64,
) -> (Vec<Dispatch>, Vec<[u32; 4]>) {
    let mut dispatches: Vec<Dispatch> = Vec::new();
    let mut records = Vec::with_capacity(placed.len());
    for p in placed {
        let needed = p.needed();
        let joined = dispatches.last_mut().filter(|d| {
            let (a, b) = (d.segment, p.span.segment as usize);
            d.kernel == p.kernel
                && placement.sources[a].buffer == placement.sources[b].buffer
                && placement.outputs.is_none_or(|outputs| outputs[a].buffer == outputs[b].buffer)
                && d.windows.iter().zip(&needed).all(|(w, n)| n.start >= w.start && n.end - w.start <= limit)
        });
        match joined {
            Some(dispatch) => {
                dispatch.spans += 1;
                for (window, needed) in dispatch.windows.iter_mut().zip(&needed) {
                    window.end = window.end.max(needed.end);
                }
            }
            None => dispatches.push(Dispatch {
                kernel: p.kernel,
                segment: p.span.segment as usize,
                first: records.len(),
                spans: 1,
                windows: needed.iter().map(|n| Window { start: n.start / alignment * alignment, ..*n }).collect(),
            }),
        }
        let windows = dispatches.last().map(|d| d.windows.as_slice()).unwrap_or_default();
        let word = |operand: Window, bound: Option<&Window>| bound.map_or(0, |w| (operand.start - w.start) as u32 / 4);
        let (source, output) = (word(p.source, windows.first()), word(p.output, windows.last()));
        records.push([p.span.segment, source, output, p.span.len]);
    }
    (dispatches, records)
}
