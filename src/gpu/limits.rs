//! Which of the device's limits the library depends on, and what it rejects if one is too small.

use super::device::Gpu;
use super::table::{BINDINGS, PARAMETERS_BOUND, ROW, THREADS};
use crate::numeric::tile::TILE;
use crate::{Error, Result};

/// No binding is larger, whatever the adapter reports: larger ones have silently given wrong results.
pub(super) const LARGEST_BINDING: u64 = (1 << 31) - 4;
/// No window is smaller: one tile of `f32`, and what the alignment of a binding's start may cost.
pub(super) const SMALLEST_WINDOW: u64 = 4 * TILE as u64 + 256;

/// The bytes of workgroup memory of the largest kernel, which is one that has a term sum.
const WORKGROUP_STORAGE: u64 = 15_592;

macro_rules! limits {
    ($($limit:ident: $least:expr,)*) => {
        [$((concat!("the device's limit ", stringify!($limit)), $least, |l| l.$limit.into()),)*]
    };
}

/// A limit's name, its least value, and how to read it.
type Needed = (&'static str, u64, fn(&wgpu::Limits) -> u64);

/// What every device must have. A kernel may need more storage buffers; that is found when the kernel is compiled.
const NEEDED: [Needed; 12] = limits! {
    max_storage_buffer_binding_size: SMALLEST_WINDOW,
    max_storage_buffers_per_shader_stage: 3,
    max_dynamic_storage_buffers_per_pipeline_layout: 2,
    max_uniform_buffers_per_shader_stage: 1,
    max_uniform_buffer_binding_size: PARAMETERS_BOUND,
    max_dynamic_uniform_buffers_per_pipeline_layout: 1,
    max_bind_groups: 1,
    max_bindings_per_bind_group: BINDINGS as u64,
    max_compute_workgroup_storage_size: WORKGROUP_STORAGE,
    max_compute_invocations_per_workgroup: THREADS,
    max_compute_workgroup_size_x: THREADS,
    max_compute_workgroups_per_dimension: ROW as u64,
};

/// Rejects a device that no kernel can run on.
pub(super) fn sufficient(limits: &wgpu::Limits) -> Result<()> {
    NEEDED.iter().try_for_each(|(limit, least, of)| at_least(limit, "the kernels", *least, of(limits)))
}

/// Rejects a limit that is too small for something.
pub(super) fn at_least(limit: &'static str, purpose: &str, expected: u64, found: u64) -> Result<()> {
    if expected <= found { Ok(()) } else { Err(Error::Limit { limit, purpose: purpose.into(), expected, found }) }
}

impl Gpu {
    /// What limits the windows of weights, and to how many bytes.
    pub(super) fn window(&self) -> (&'static str, u64) {
        let (limit, largest) = self.largest_binding();
        let window = self.inner.window;
        if window < largest { ("Options::window", window) } else { (limit, largest) }
    }

    fn largest_binding(&self) -> (&'static str, u64) {
        match self.device().limits().max_storage_buffer_binding_size {
            limit @ 0..LARGEST_BINDING => ("the device's limit max_storage_buffer_binding_size", limit),
            _ => ("the largest binding that the library uses", LARGEST_BINDING),
        }
    }

    /// Rejects data that must be bound as a whole and is larger than a binding of the device.
    pub(super) fn binds(&self, purpose: &str, bytes: u64) -> Result<()> {
        let (limit, largest) = self.largest_binding();
        at_least(limit, purpose, bytes, largest)
    }

    /// Rejects a buffer that the device cannot hold.
    pub(super) fn holds(&self, purpose: &str, bytes: u64) -> Result<()> {
        let limit = self.device().limits().max_buffer_size;
        at_least("the device's limit max_buffer_size", purpose, bytes, limit)
    }
}
