//! A recorder's memory on the device: tables and results of every slot, and the coefficients of groups.

use super::device::Gpu;
use super::layout::Layout;
use super::limits::at_least;
use super::placement::Window;
use super::table::{HEADER, PARAMETERS, ROW_BYTES, SEGMENTS};
use crate::Result;
use crate::numeric::accumulator::WORDS;
use crate::plan::Plan;
use crate::plan::coefficients::CoefficientRecord;

/// A buffer with a table in each slot: serial, scalars, segments and spans, then, from `parameters` on, the parameters
/// of each turn.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) buffer: wgpu::Buffer,
    pub(super) parameters: u64,
    pub(super) stride: u64,
    /// The first generation whose steps use this buffer.
    pub(super) since: u64,
}

/// A buffer with every slot's results.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) buffer: wgpu::Buffer,
    pub(super) size: u64,
    pub(super) stride: u64,
}

impl Table {
    pub(super) fn new(gpu: &Gpu, plan: &Plan, layout: &Layout, slots: usize, since: u64) -> Result<Table> {
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
    pub(super) fn new(gpu: &Gpu, plan: &Plan, slots: usize) -> Result<Results> {
        // The total's result follows the segments' results.
        let size = 4 * (HEADER + (plan.segments.len() + 1) * WORDS) as u64;
        let stride = slot_stride(gpu, size);
        fits(gpu, "the results", plan, size, slots as u64 * stride)?;
        let buffer = gpu.storage_buffer("penalty results", slots as u64 * stride)?;
        Ok(Results { buffer, size, stride })
    }
}

/// What a recorder keeps of groups on the device.
#[derive(Debug)]
pub(super) struct GroupMemory {
    /// Two coefficients for each group. Steps follow one another on the device, so they share this buffer.
    pub(super) coefficients: wgpu::Buffer,
    /// The indices of groups that are lists.
    pub(super) lists: Option<wgpu::Buffer>,
    /// The partial sums of many workgroups.
    pub(super) partial_sums: Option<wgpu::Buffer>,
    /// The bytes of each of the three.
    pub(super) sizes: [u64; 3],
}

/// The bytes of the groups' coefficients, of their lists, and of the partial sums.
pub(super) fn group_sizes(layout: &Layout) -> [u64; 3] {
    [8 * layout.spans.groups, 4 * layout.spans.lists.len() as u64, 4 * layout.spans.partial_sums]
}

impl GroupMemory {
    pub(super) fn new(gpu: &Gpu, layout: &Layout) -> Result<Option<GroupMemory>> {
        if layout.spans.groups == 0 {
            return Ok(None);
        }
        let sizes = group_sizes(layout);
        for (purpose, size) in
            ["the groups' coefficients", "the groups' indices", "the groups' sums"].into_iter().zip(sizes)
        {
            gpu.binds(purpose, size)?;
        }
        let [coefficients, _, partial_sums] = sizes;
        let coefficients = gpu.storage_buffer("penalty groups", coefficients)?;
        let lists = if layout.spans.lists.is_empty() {
            None
        } else {
            let bytes: &[u8] = bytemuck::cast_slice(&layout.spans.lists);
            let lists = gpu.storage_buffer("penalty groups", bytes.len() as u64)?;
            gpu.guarded(|| gpu.queue().write_buffer(&lists, 0, bytes))?;
            Some(lists)
        };
        let partial_sums = match partial_sums {
            0 => None,
            size => Some(gpu.storage_buffer("penalty groups", size)?),
        };
        Ok(Some(GroupMemory { coefficients, lists, partial_sums, sizes }))
    }
}

/// How many rows of the table come before the spans' rows.
pub(super) fn rows_before(plan: &Plan) -> usize {
    SEGMENTS + size_of::<CoefficientRecord>() / ROW_BYTES as usize * plan.segments.len()
}

/// The bytes of a slot's rows.
pub(super) fn rows_size(plan: &Plan, layout: &Layout) -> u64 {
    (rows_before(plan) + 2 * layout.rows.len()) as u64 * ROW_BYTES
}

pub(super) fn whole(buffer: &wgpu::Buffer) -> Window {
    Window { start: 0, end: buffer.size() }
}

/// The bytes of a slot's parameters: one record for resolving, and one for each turn.
pub(super) fn parameters_size(layout: &Layout) -> u64 {
    (layout.turns.len() as u64 + 1) * PARAMETERS
}

/// The distance between slots of this size: a multiple of what dynamic offsets must be multiples of.
fn slot_stride(gpu: &Gpu, size: u64) -> u64 {
    let limits = gpu.device().limits();
    let alignment = limits.min_storage_buffer_offset_alignment.max(limits.min_uniform_buffer_offset_alignment);
    size.next_multiple_of(PARAMETERS.max(alignment.into()))
}

/// Rejects a table or results that the device cannot bind, or whose slots do not fit a buffer.
fn fits(gpu: &Gpu, what: &str, plan: &Plan, binding: u64, buffer: u64) -> Result<()> {
    let purpose = format!("{what} of {} tensors", plan.segments.len());
    gpu.binds(&purpose, binding)?;
    gpu.holds(&purpose, buffer)?;
    // Offsets of slots have 32 bits.
    at_least("the largest buffer of slots that the library uses", &purpose, buffer, u32::MAX.into())
}

pub(super) fn entry(binding: usize, buffer: &wgpu::Buffer, window: Window) -> wgpu::BindGroupEntry<'_> {
    let size = wgpu::BufferSize::new(window.end - window.start);
    let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: window.start, size });
    wgpu::BindGroupEntry { binding: binding as u32, resource }
}
