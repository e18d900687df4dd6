//! Spans of elements, each with its kernel and where it reads and writes.

use super::kernel::{Access, Kernel, ROLES};
use super::placement::{Limits, Placement, Roles, Window, bind, roles};
use crate::plan::Span;
use crate::plan::operation::Operation;

/// When a span runs among the dispatches of its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turns {
    Once,
    /// This many times, once for each sum over its groups.
    Each(u32),
    /// Once, when this many sums are known.
    After(u32),
}

/// A span with its kernel, and the byte at which each of its operands begins.
#[derive(Debug)]
pub(super) struct Placed {
    /// Which of the operation's parts it is in.
    pub(super) order: usize,
    pub(super) kernel: Kernel,
    pub(super) turns: Turns,
    pub(super) roles: Roles,
    /// A span of elements, or of groups.
    pub(super) span: Span,
    /// The index of its segment's geometry, if that has groups.
    pub(super) geometry: usize,
    /// If many workgroups share a group: the first member that this span sums, the end of its members, and the first
    /// word of the group's partial sums.
    pub(super) places: [u32; 3],
    /// The byte that the indices of its elements count from, for each role.
    pub(super) origins: [u64; ROLES.len()],
    /// The byte at which it starts to read or write, for each role, and how many bytes it reads or writes.
    pub(super) starts: [u64; ROLES.len()],
    pub(super) bytes: u64,
}

impl Placed {
    /// The window that each binding must hold.
    pub(super) fn needed(&self) -> [Window; ROLES.len()] {
        let mut windows = [Window::default(); ROLES.len()];
        for (binding, &start) in self.kernel.bindings.of.iter().zip(&self.starts) {
            if let Some(binding) = binding {
                let window = &mut windows[usize::from(*binding)];
                *window = window.union(Window { start, end: start + self.bytes });
            }
        }
        windows
    }
}

/// The spans of an operation, and what kernels read of their segments' groups.
#[derive(Debug)]
pub(super) struct Spans {
    pub(super) operation: Operation,
    /// If the one tensor is a part of a group that other ranks have parts of: how many weights the group has.
    pub(super) whole: Option<u64>,
    pub(super) placed: Vec<Placed>,
    pub(super) geometries: Vec<[[u32; 4]; 2]>,
    /// How many groups there are.
    pub(super) groups: u64,
    /// The indices of those groups that are lists.
    pub(super) lists: Vec<u32>,
    /// The lists of the previous layout.
    former_lists: Vec<u32>,
    /// How many words of partial sums many workgroups need.
    pub(super) partial_sums: u64,
}

impl Spans {
    pub(super) fn new(operation: Operation) -> Spans {
        Spans {
            operation,
            whole: None,
            placed: Vec::new(),
            geometries: Vec::new(),
            groups: 0,
            lists: Vec::new(),
            former_lists: Vec::new(),
            partial_sums: 0,
        }
    }

    /// Clears everything, keeps the memory, and remembers the previous lists.
    pub(super) fn clear(&mut self) {
        self.placed.clear();
        self.geometries.clear();
        std::mem::swap(&mut self.lists, &mut self.former_lists);
        self.lists.clear();
        self.groups = 0;
        self.partial_sums = 0;
    }

    /// Whether the lists differ from the previous layout's.
    pub(super) fn lists_differ(&self) -> bool {
        self.lists != self.former_lists
    }

    /// Adds a span of elements.
    pub(super) fn put(
        &mut self,
        placement: &Placement<'_>,
        limits: Limits,
        (order, kernel): (usize, Kernel),
        span: Span,
    ) {
        let size = kernel.dtype.size() as u64;
        let roles = roles(self.operation, kernel.part);
        let located = placement.in_roles(span.segment, roles);
        let bytes = (u64::from(span.len) * size).next_multiple_of(4);
        let starts = located.map(|l| l.map_or(0, |l| l.offset + span.start * size));
        let aligned = starts.iter().all(|start| start.is_multiple_of(16)) && span.len.is_multiple_of(4);
        let access = if aligned { Access::Vector } else { Access::Scalar };
        let kernel = Kernel { access, bindings: bind(located, starts, bytes, limits), ..kernel };
        let geometry = self.geometries.len().saturating_sub(1);
        let (turns, places, origins) = (Turns::Once, [0; 3], starts);
        self.placed.push(Placed { order, kernel, turns, roles, span, geometry, places, origins, starts, bytes });
    }
}
