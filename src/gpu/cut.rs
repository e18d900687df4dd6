//! How plans are cut for a device: how much work a workgroup gets, and what a binding and a dispatch may hold.

use super::device::Gpu;
use super::placement::Limits;
use super::table::{PARAMETERS, THREADS};
use crate::numeric::tile::TILE;
use crate::plan::{Plan, Segment};

/// How many workgroups share a large group: a few for each core of a large GPU.
const WORKGROUPS: u64 = 2048;
/// How many workgroups a plan is cut for before its spans grow: as many as a large GPU runs at once. A workgroup starts and
/// ends once for a span, and finishes eight tiles together.
const SPANS: u64 = 512;
/// Longer spans save little, and leave cores idle at the end.
const LONGEST_SPAN: u64 = 16;
/// The same three for a software adapter, where more workgroups cost more than they gain.
const SOFTWARE_WORKGROUPS: u64 = 64;
const LONGEST_SOFTWARE_SPAN: u64 = 64;
/// How many threads take a part of a span together in a loop that does not sum: all of a workgroup read and write one range.
const NEIGHBOURS: u32 = THREADS as u32;
/// A software adapter runs the threads of a vector register to their end, then the next ones. So each such few take a
/// part of their own, and memory is passed through in order.
const SOFTWARE_NEIGHBOURS: u32 = 8;
/// How many iterations an invocation's loops may have in all, so that no dispatch takes long.
const ITERATIONS: u64 = 1 << 24;
/// Mesa's llvmpipe silently ends every loop of an invocation once its loops have had 65535 iterations in all.
const SOFTWARE_ITERATIONS: u64 = 1 << 15;

impl Gpu {
    /// Cuts segments into spans for this device.
    pub(super) fn plan(&self, segments: Vec<Segment>) -> Plan {
        let tiles: u64 = segments.iter().map(|s| s.len.div_ceil(TILE as u64)).sum();
        let fitting = (self.inner.window - PARAMETERS) / (4 * TILE as u64);
        let tiles_per_span = tiles_per_span(tiles, self.is_software()).min(fitting);
        Plan::new(segments, tiles_per_span as u32)
    }

    pub(super) fn limits(&self) -> Limits {
        let alignment = u64::from(self.device().limits().min_storage_buffer_offset_alignment);
        let iterations = if self.is_software() { SOFTWARE_ITERATIONS } else { ITERATIONS };
        let (bound_by, binding) = self.window();
        Limits { binding, bound_by, alignment, workgroups: self.workgroups(), iterations }
    }

    pub(super) fn is_software(&self) -> bool {
        self.adapter_info().device_type == wgpu::DeviceType::Cpu
    }

    pub(super) fn neighbours(&self) -> u32 {
        if self.is_software() { SOFTWARE_NEIGHBOURS } else { NEIGHBOURS }
    }

    /// How many workgroups keep the device busy.
    fn workgroups(&self) -> u64 {
        if self.is_software() { SOFTWARE_WORKGROUPS } else { WORKGROUPS }
    }
}

fn tiles_per_span(tiles: u64, is_software: bool) -> u64 {
    let (spans, longest) =
        if is_software { (SOFTWARE_WORKGROUPS, LONGEST_SOFTWARE_SPAN) } else { (SPANS, LONGEST_SPAN) };
    (tiles / spans).clamp(1, longest)
}

#[cfg(test)]
mod tests {
    use super::tiles_per_span;

    #[test]
    fn spans_grow_with_the_plan() {
        let cut = |is_software| [0, 1, 256, 4096, 65_536, 1 << 20].map(|tiles| tiles_per_span(tiles, is_software));
        assert_eq!(cut(false), [1, 1, 1, 8, 16, 16]);
        assert_eq!(cut(true), [1, 1, 4, 64, 64, 64]);
    }
}
