//! A plan and where its operands lie become windows of buffers, dispatches and the rows that kernels read of each span.

use super::kernel::{Access, Bindings, Kernel, ROLES};
use crate::plan::{Operation, Plan, Span};

/// Where one operand of one segment begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) buffer: wgpu::Buffer,
    pub(super) offset: u64,
}

/// Where the operands of every segment lie, by role; it may be another at every step, and the plan stays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement<'a> {
    pub(super) roles: [Option<&'a [Located]>; ROLES.len()],
}

impl<'a> Placement<'a> {
    fn at(&self, segment: u32) -> [Option<&'a Located>; ROLES.len()] {
        self.roles.map(|located| located.and_then(|located| located.get(segment as usize)))
    }

    pub(super) fn buffers(&self, segment: u32) -> [Option<&'a wgpu::Buffer>; ROLES.len()] {
        self.at(segment).map(|located| located.map(|l| &l.buffer))
    }
}

/// A range of a buffer in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Window {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Window {
    /// The smallest range that holds both; an empty one holds nothing.
    fn union(self, other: Window) -> Window {
        if self.end == 0 {
            return other;
        }
        Window { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A span with its kernel and with the bytes that each of its operands begins at.
#[derive(Debug)]
struct Placed {
    kernel: Kernel,
    span: Span,
    starts: [u64; ROLES.len()],
    bytes: u64,
}

impl Placed {
    /// What each binding must hold.
    fn needed(&self) -> [Window; ROLES.len()] {
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

/// Consecutive spans of one kernel and of one window of the same buffers.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) kernel: Kernel,
    /// One of the segments, to find the buffers by.
    pub(super) segment: u32,
    pub(super) first: usize,
    pub(super) spans: usize,
    /// Of each binding.
    pub(super) windows: [Window; ROLES.len()],
}

/// What the device must respect: the largest binding and the alignment of its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) binding: u64,
    pub(super) alignment: u64,
}

/// The dispatches of a plan, and each span's rows in the table. Laid out again, it allocates only to grow.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) rows: Vec<[[u32; 4]; 2]>,
    placed: Vec<Placed>,
}

impl Layout {
    /// Groups the plan's spans into as few dispatches as kernels, buffers and the limit on bindings allow.
    pub(super) fn lay_out(
        &mut self,
        plan: &Plan,
        (operation, sums): (Operation, bool),
        placement: &Placement<'_>,
        limits: Limits,
    ) {
        self.place(plan, (operation, sums), placement, limits);
        self.dispatches.clear();
        for (at, p) in self.placed.iter().enumerate() {
            let needed = p.needed();
            let joined = self.dispatches.last_mut().and_then(|dispatch| {
                let same = dispatch.kernel == p.kernel
                    && placement.buffers(dispatch.segment) == placement.buffers(p.span.segment);
                let mut windows = dispatch.windows;
                for (window, needed) in windows.iter_mut().zip(needed) {
                    *window = aligned(window.union(needed), limits);
                }
                (same && windows.iter().all(|w| w.end - w.start <= limits.binding)).then_some((dispatch, windows))
            });
            match joined {
                Some((dispatch, windows)) => {
                    dispatch.spans += 1;
                    dispatch.windows = windows;
                }
                None => self.dispatches.push(Dispatch {
                    kernel: p.kernel,
                    segment: p.span.segment,
                    first: at,
                    spans: 1,
                    windows: needed.map(|window| aligned(window, limits)),
                }),
            }
        }
        self.rows.clear();
        for dispatch in &self.dispatches {
            for p in &self.placed[dispatch.first..dispatch.first + dispatch.spans] {
                let mut words = [0; ROLES.len()];
                for (word, (binding, start)) in words.iter_mut().zip(p.kernel.bindings.of.iter().zip(p.starts)) {
                    if let Some(binding) = binding {
                        *word = ((start - dispatch.windows[usize::from(*binding)].start) / 4) as u32;
                    }
                }
                self.rows.push([[p.span.segment, p.span.len, 0, 0], words]);
            }
        }
    }

    /// Chooses each span's kernel from where its operands lie, and puts those of one kernel and one window side by side.
    fn place(&mut self, plan: &Plan, (operation, sums): (Operation, bool), placement: &Placement<'_>, limits: Limits) {
        self.placed.clear();
        for stage in &plan.stages {
            for span in &stage.spans {
                let located = placement.at(span.segment);
                let start = span.start * stage.dtype.size() as u64;
                let bytes = (u64::from(span.len) * stage.dtype.size() as u64).next_multiple_of(4);
                let starts = located.map(|l| l.map_or(0, |l| l.offset + start));
                let aligned = starts.iter().all(|start| start.is_multiple_of(16)) && span.len.is_multiple_of(4);
                let access = if aligned { Access::Vector } else { Access::Scalar };
                let bindings = bind(located, starts, bytes, limits);
                let penalty = plan.segments[span.segment as usize].penalty.kind();
                let kernel = Kernel { operation, penalty, sums, dtype: stage.dtype, access, bindings };
                self.placed.push(Placed { kernel, span: *span, starts, bytes });
            }
        }
        self.placed.sort_unstable_by(|a, b| {
            let by_kernel = a.kernel.cmp(&b.kernel);
            let by_buffers = || placement.buffers(a.span.segment).cmp(&placement.buffers(b.span.segment));
            let by_place = || (a.starts, a.span.segment, a.span.start).cmp(&(b.starts, b.span.segment, b.span.start));
            by_kernel.then_with(by_buffers).then_with(by_place)
        });
    }
}

fn aligned(window: Window, limits: Limits) -> Window {
    Window { start: window.start / limits.alignment * limits.alignment, ..window }
}

/// Gives each operand a binding: that of an earlier one in the same buffer where one binding reaches both.
fn bind(located: [Option<&Located>; ROLES.len()], starts: [u64; ROLES.len()], bytes: u64, limits: Limits) -> Bindings {
    let mut bindings = Bindings::default();
    let mut bound: [Option<(&wgpu::Buffer, Window)>; ROLES.len()] = [None; ROLES.len()];
    for (role, (located, start)) in located.iter().zip(starts).enumerate() {
        let Some(located) = located else { continue };
        let range = Window { start, end: start + bytes };
        let reached = |b: &Option<(&wgpu::Buffer, Window)>| match b {
            None => true,
            Some((buffer, window)) => {
                let both = aligned(window.union(range), limits);
                **buffer == located.buffer && both.end - both.start <= limits.binding
            }
        };
        // There are as many bindings as roles, so one is free.
        let binding = bound.iter().position(reached).unwrap_or(role);
        let window = bound[binding].map_or(range, |(_, window)| window.union(range));
        bound[binding] = Some((&located.buffer, window));
        bindings.of[role] = Some(binding as u8);
        bindings.writable[binding] |= role > 0;
    }
    let writes = bindings.writable;
    for (binding, b) in bound.iter().enumerate() {
        let shares = |other: usize| matches!((b, bound[other]), (Some(b), Some(o)) if b.0 == o.0);
        bindings.writable[binding] = (0..ROLES.len()).any(|other| writes[other] && shares(other));
    }
    bindings
}
