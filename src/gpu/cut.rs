//! How plans are cut for a device: how much work a workgroup gets, and what a binding and a dispatch may hold.

use super::device::Gpu;
use super::placement::Limits;
use super::table::PARAMETERS;
use crate::numeric::tile::TILE;
use crate::plan::{Plan, Segment};

/// How many workgroups a large plan is cut for: a few for each core of a large GPU.
const WORKGROUPS: u64 = 2048;
/// The same for a software adapter, where more workgroups cost more than they gain.
const SOFTWARE_WORKGROUPS: u64 = 64;
/// How many iterations an invocation's loops may have in all, so that no dispatch takes long.
const ITERATIONS: u64 = 1 << 24;
/// Mesa's llvmpipe silently ends every loop of an invocation once its loops have had 65535 iterations in all.
const SOFTWARE_ITERATIONS: u64 = 1 << 15;
/// Beyond this many tiles, longer spans save nothing.
const LONGEST_SPAN: u64 = 64;
impl Gpu {
    /// Cuts segments into spans for this device.
    pub(super) fn plan(&self, segments: Vec<Segment>) -> Plan {
        let tiles: u64 = segments.iter().map(|s| s.len.div_ceil(TILE as u64)).sum();
        let fitting = (self.inner.window - PARAMETERS) / (4 * TILE as u64);
        let tiles_per_span = (tiles / self.workgroups()).clamp(1, LONGEST_SPAN).min(fitting);
        Plan::new(segments, tiles_per_span as u32)
    }

    pub(super) fn limits(&self) -> Limits {
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
