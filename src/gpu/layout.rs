//! A plan and where its operands lie become windows of buffers, dispatches and the rows that kernels read of each span.

use super::kernel::{Access, Bindings, Grouped, Kernel, READ, ROLES};
use crate::groups::Geometry;
use crate::penalty::Kind;
use crate::plan::{Operation, Part, Plan, Segment, Span};
use crate::structure::Purpose;
use crate::{Error, Result};

/// Where one operand of one segment begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) buffer: wgpu::Buffer,
    pub(super) offset: u64,
}

/// Where the operands of every segment lie, by role; it may be another at every step, and the plan stays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement<'a> {
    /// Of the roles before the last.
    pub(super) roles: [Option<&'a [Located]>; ROLES.len() - 1],
    /// Of the last, where a segment has one.
    pub(super) penalty_weights: &'a [Option<Located>],
}

impl<'a> Placement<'a> {
    fn at(&self, segment: u32) -> [Option<&'a Located>; ROLES.len()] {
        let at = segment as usize;
        let [source, output, first, second] = self.roles.map(|located| located.and_then(|located| located.get(at)));
        [source, output, first, second, self.penalty_weights.get(at).and_then(Option::as_ref)]
    }

    /// A segment's operands in the roles that they have in a part of the operation.
    fn in_roles(&self, segment: u32, roles: Roles) -> [Option<&'a Located>; ROLES.len()] {
        let located = self.at(segment);
        roles.map(|role| role.and_then(|role| located[role]))
    }

    pub(super) fn buffers(&self, segment: u32, roles: Roles) -> [Option<&'a wgpu::Buffer>; ROLES.len()] {
        self.in_roles(segment, roles).map(|located| located.map(|l| &l.buffer))
    }
}

/// Which of the operation's operands has which role in a part of it.
pub(super) type Roles = [Option<usize>; ROLES.len()];

/// The same role for each.
fn all_roles() -> Roles {
    std::array::from_fn(Some)
}

/// The roles in a part for weights in groups.
fn roles(operation: Operation, part: Part) -> Roles {
    let (source, output) = (0, 1);
    let mut roles = [None; ROLES.len()];
    match (part, operation) {
        (Part::Each, _) => return all_roles(),
        (Part::Find(_), Operation::Evaluate | Operation::Gradient | Operation::AddGradient)
        | (Part::Find(Purpose::Prox), Operation::Prox) => roles[0] = Some(source),
        (Part::Find(_), _) => roles[0] = Some(output),
        (Part::Apply, Operation::Sgd(_) | Operation::Adam(_)) => roles[..2].fill(Some(output)),
        (Part::Apply, _) => (roles[0], roles[1]) = (Some(source), Some(output)),
    }
    roles
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
    /// Which of the operation's parts it is in.
    order: usize,
    kernel: Kernel,
    roles: Roles,
    /// Of elements, or of groups.
    span: Span,
    /// Which of the geometries is its segment's, where that has groups.
    geometry: usize,
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
    order: usize,
    pub(super) kernel: Kernel,
    pub(super) roles: Roles,
    /// One of the segments, to find the buffers by.
    pub(super) segment: u32,
    pub(super) first: usize,
    pub(super) spans: usize,
    /// Of each binding.
    pub(super) windows: [Window; ROLES.len()],
}

/// What the device must respect: the largest binding and the alignment of its start; and how many workgroups keep it busy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) binding: u64,
    pub(super) alignment: u64,
    pub(super) workgroups: u64,
}

/// The threads of a workgroup.
const THREADS: u64 = 256;
/// In groups of at most so many weights, a thread finds the numbers of a group, in larger ones a workgroup.
const ALONE: u64 = 64;

/// The dispatches of a plan, and each span's rows in the table. Laid out again, it allocates only to grow.
#[derive(Debug)]
pub(super) struct Layout {
    operation: Operation,
    pub(super) dispatches: Vec<Dispatch>,
    /// Of each span, then of each geometry.
    pub(super) rows: Vec<[[u32; 4]; 2]>,
    /// How many groups there are.
    pub(super) groups: u64,
    /// The indices of those groups that are lists.
    pub(super) lists: Vec<u32>,
    placed: Vec<Placed>,
    geometries: Vec<[[u32; 4]; 2]>,
}

impl Layout {
    pub(super) fn new(operation: Operation) -> Layout {
        Layout {
            operation,
            dispatches: Vec::new(),
            rows: Vec::new(),
            groups: 0,
            lists: Vec::new(),
            placed: Vec::new(),
            geometries: Vec::new(),
        }
    }

    /// Groups the plan's spans into as few dispatches as kernels, buffers and the limit on bindings allow. Its table begins with so
    /// many rows before the spans'.
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] and [`Error::GroupMetric`] where weights cannot be grouped, or not stepped so, [`Error::Operand`] where those
    /// of one tensor do not fit a binding.
    pub(super) fn lay_out(
        &mut self,
        plan: &Plan,
        sums: bool,
        placement: &Placement<'_>,
        limits: Limits,
        rows_before: usize,
    ) -> Result<()> {
        self.place(plan, sums, placement, limits)?;
        self.dispatches.clear();
        for (at, p) in self.placed.iter().enumerate() {
            let needed = p.needed();
            let joined = self.dispatches.last_mut().and_then(|dispatch| {
                let buffers = |segment| placement.buffers(segment, p.roles);
                let same = dispatch.order == p.order
                    && dispatch.kernel == p.kernel
                    && dispatch.roles == p.roles
                    && buffers(dispatch.segment) == buffers(p.span.segment);
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
                    order: p.order,
                    kernel: p.kernel,
                    roles: p.roles,
                    segment: p.span.segment,
                    first: at,
                    spans: 1,
                    windows: needed.map(|window| aligned(window, limits)),
                }),
            }
        }
        self.rows.clear();
        let first_geometry = rows_before + 2 * self.placed.len();
        for dispatch in &self.dispatches {
            for p in &self.placed[dispatch.first..dispatch.first + dispatch.spans] {
                let mut words = [0; ROLES.len()];
                for (word, (binding, start)) in words.iter_mut().zip(p.kernel.bindings.of.iter().zip(p.starts)) {
                    if let Some(binding) = binding {
                        *word = ((start - dispatch.windows[usize::from(*binding)].start) / 4) as u32;
                    }
                }
                let [source, output, first, second, weights] = words;
                let geometry = (first_geometry + 2 * p.geometry) as u32;
                let third = if p.kernel.groups.is_some() { geometry } else { weights };
                let head = [p.span.segment, p.span.len, third, p.span.start as u32];
                self.rows.push([head, [source, output, first, second]]);
            }
        }
        self.rows.extend(&self.geometries);
        Ok(())
    }

    /// Chooses each span's kernel from where its operands lie, and puts those of one kernel and one window side by side.
    fn place(&mut self, plan: &Plan, sums: bool, placement: &Placement<'_>, limits: Limits) -> Result<()> {
        self.placed.clear();
        self.geometries.clear();
        self.lists.clear();
        self.groups = 0;
        for stage in &plan.stages {
            for spans in stage.spans.chunk_by(|a, b| a.segment == b.segment) {
                let segment = &plan.segments[spans[0].segment as usize];
                let kernel = Kernel {
                    operation: self.operation,
                    penalty: segment.penalty.kind(),
                    part: Part::Each,
                    groups: None,
                    sums,
                    dtype: stage.dtype,
                    access: Access::Scalar,
                    bindings: Bindings::default(),
                };
                match segment.penalty.geometry(segment.len)? {
                    None => spans.iter().for_each(|span| self.put(placement, limits, (0, kernel), *span, None)),
                    Some(geometry) => self.put_groups(placement, limits, kernel, (segment, spans), &geometry)?,
                }
            }
        }
        self.placed.sort_unstable_by(|a, b| {
            let by_kernel = (a.order, a.kernel, a.roles).cmp(&(b.order, b.kernel, b.roles));
            let buffers = |p: &Placed| placement.buffers(p.span.segment, p.roles);
            let by_buffers = || buffers(a).cmp(&buffers(b));
            let by_place = || (a.starts, a.span.segment, a.span.start).cmp(&(b.starts, b.span.segment, b.span.start));
            by_kernel.then_with(by_buffers).then_with(by_place)
        });
        Ok(())
    }

    /// Puts the parts of an operation on weights in groups: one after the other.
    fn put_groups(
        &mut self,
        placement: &Placement<'_>,
        limits: Limits,
        kernel: Kernel,
        (segment, spans): (&Segment, &[Span]),
        geometry: &Geometry,
    ) -> Result<()> {
        // Refuses steps that groups do not take.
        kernel.operation.coefficients(segment, 0.0)?;
        let bytes = segment.len * segment.dtype.size() as u64;
        if bytes + limits.alignment > limits.binding {
            let rule = "a tensor whose weights are in groups must fit one binding of the device";
            return Err(Error::Operand { operand: "the weights", rule, found: bytes });
        }
        let numbers = [self.groups as u32, 0, 0, 0];
        self.groups += geometry.count;
        let sides = match &geometry.lists {
            None => [geometry.columns, geometry.height, geometry.width, geometry.across].map(|side| side as u32),
            Some(lists) => {
                let parts = [&lists.first, &lists.members, &lists.group_of];
                let firsts = parts.map(|part| {
                    let first = self.lists.len() as u32;
                    self.lists.extend(part);
                    first
                });
                [firsts[0], firsts[1], firsts[2], 0]
            }
        };
        self.geometries.push([sides, numbers]);
        let lists = geometry.lists.is_some();
        let together = geometry.largest() > ALONE;
        for part in (0..).zip(kernel.operation.parts(kernel.sums)) {
            let groups = Some(Grouped { lists, together: together && part.1 != Part::Apply });
            let kernel = match part.1 {
                // The kernels that know nothing of groups are the same for all.
                Part::Each if kernel.operation == Operation::Evaluate => Kernel { penalty: Kind::ElasticNet, ..kernel },
                Part::Each => Kernel { penalty: Kind::L2Norm, sums: false, ..kernel },
                Part::Find(_) => Kernel { operation: Operation::Evaluate, sums: false, part: part.1, groups, ..kernel },
                Part::Apply => Kernel { operation: kernel.operation.applied(), part: part.1, groups, ..kernel },
            };
            if let Part::Find(_) = part.1 {
                let fair = geometry.count.div_ceil(limits.workgroups).max(1);
                let each = if together { fair } else { fair.next_multiple_of(THREADS) };
                for start in (0..geometry.count).step_by(each as usize) {
                    let len = each.min(geometry.count - start) as u32;
                    let span = Span { segment: spans[0].segment, start, len };
                    self.put(placement, limits, (part.0, kernel), span, Some(segment.len));
                }
            } else {
                spans.iter().for_each(|span| self.put(placement, limits, (part.0, kernel), *span, None));
            }
        }
        Ok(())
    }

    /// Puts a span of elements, or one of groups, which can be anywhere in their segment of so many elements.
    fn put(
        &mut self,
        placement: &Placement<'_>,
        limits: Limits,
        (order, kernel): (usize, Kernel),
        span: Span,
        whole: Option<u64>,
    ) {
        let (start, len) = whole.map_or((span.start, span.len.into()), |len| (0, len));
        let size = kernel.dtype.size() as u64;
        let roles = roles(self.operation, kernel.part);
        let located = placement.in_roles(span.segment, roles);
        let bytes = (len * size).next_multiple_of(4);
        let starts = located.map(|l| l.map_or(0, |l| l.offset + start * size));
        let aligned = starts.iter().all(|start| start.is_multiple_of(16)) && len.is_multiple_of(4);
        let access = if aligned && whole.is_none() { Access::Vector } else { Access::Scalar };
        let kernel = Kernel { access, bindings: bind(located, starts, bytes, limits), ..kernel };
        let geometry = self.geometries.len().saturating_sub(1);
        self.placed.push(Placed { order, kernel, roles, span, geometry, starts, bytes });
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
        bindings.writable[binding] |= !READ[role];
    }
    let writes = bindings.writable;
    for (binding, b) in bound.iter().enumerate() {
        let shares = |other: usize| matches!((b, bound[other]), (Some(b), Some(o)) if b.0 == o.0);
        bindings.writable[binding] = (0..ROLES.len()).any(|other| writes[other] && shares(other));
    }
    bindings
}
