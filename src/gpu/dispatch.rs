//! What is dispatched, and when.

use super::element_spans::Turns;
use super::kernel::{Kernel, ROLES};
use super::placement::{Placement, Roles, Window};

/// Consecutive spans of one kernel and of one window of the same buffers.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) order: usize,
    pub(super) kernel: Kernel,
    pub(super) turns: Turns,
    pub(super) roles: Roles,
    /// One of its segments, to find the buffers by.
    pub(super) segment: u32,
    pub(super) first: usize,
    pub(super) spans: usize,
    /// The window of each binding.
    pub(super) windows: [Window; ROLES.len()],
}

impl Dispatch {
    /// Its bindings, each with its buffer.
    pub(super) fn buffers<'a>(&self, placement: &Placement<'a>) -> impl Iterator<Item = (usize, &'a wgpu::Buffer)> {
        let buffers = placement.buffers(self.segment, self.roles).into_iter();
        buffers.zip(self.kernel.bindings.of).filter_map(|(buffer, binding)| Some((usize::from(binding?), buffer?)))
    }
}

/// One run of a dispatch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// The index of the dispatch.
    pub(super) dispatch: usize,
    /// How many sums over its groups are known, and whether this is the last turn.
    pub(super) known: u32,
    pub(super) last: bool,
}
