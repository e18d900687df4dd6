//! A plan and where its operands lie become windows of buffers, dispatches and the rows that kernels read of each span.

use std::ops::Range;

use super::kernel::{Access, Bindings, Grouped, Kernel, READ, ROLES, Subject, Team};
use super::limits::at_least;
use crate::formula::group::{norm, threshold};
use crate::formula::rule::{Purpose, Rule};
use crate::numeric::tile::TILE;
use crate::penalty::groups::Geometry;
use crate::plan::operation::{Operation, Part};
use crate::plan::{Plan, Segment, Span};
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

/// When a span is run among the dispatches of its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turns {
    Once,
    /// So often, once for each sum over its groups.
    Each(u32),
    /// When so many sums are known.
    After(u32),
}

/// A span with its kernel and with the bytes that each of its operands begins at.
#[derive(Debug)]
struct Placed {
    /// Which of the operation's parts it is in.
    order: usize,
    kernel: Kernel,
    turns: Turns,
    roles: Roles,
    /// Of elements, or of groups.
    span: Span,
    /// Which of the geometries is its segment's, where that has groups.
    geometry: usize,
    /// Of what many workgroups sum: the first member, the end, and the journal's first word.
    places: [u32; 3],
    /// The bytes that its elements' indices count from.
    origins: [u64; ROLES.len()],
    /// The bytes that it reads or writes.
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
    turns: Turns,
    pub(super) roles: Roles,
    /// One of the segments, to find the buffers by.
    pub(super) segment: u32,
    pub(super) first: usize,
    pub(super) spans: usize,
    /// Of each binding.
    pub(super) windows: [Window; ROLES.len()],
}

/// What the device must respect: the largest binding and the alignment of its start; how many workgroups keep it busy; and how often
/// an invocation's loops may go round in all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) binding: u64,
    /// What errors call the largest binding.
    pub(super) bound_by: &'static str,
    pub(super) alignment: u64,
    pub(super) workgroups: u64,
    pub(super) iterations: u64,
}

/// The threads of a workgroup.
pub(super) const THREADS: u64 = 256;
/// In groups of at most so many weights, a thread finds the numbers of a group, in larger ones a workgroup.
const ALONE: u64 = 64;
/// Many workgroups find the numbers of a group of at least so many weights, where there are too few groups to keep the device busy.
const LARGE: u64 = 1 << 15;
/// A sum's loops of fixed lengths go round no more often.
const FIXED: u64 = 128;
/// As many groups for each workgroup are few.
const FEW: u64 = 8;

/// What is dispatched at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Which of the dispatches.
    pub(super) dispatch: usize,
    /// How many sums over its groups are known, and whether this is the last turn.
    pub(super) known: u32,
    pub(super) last: bool,
}

/// The dispatches of a plan, and each span's rows in the table. Laid out again, it allocates only to grow.
#[derive(Debug)]
pub(super) struct Layout {
    operation: Operation,
    pub(super) dispatches: Vec<Dispatch>,
    /// The order that they are run in.
    pub(super) turns: Vec<Turn>,
    /// Of each span, then of each geometry.
    pub(super) rows: Vec<[[u32; 4]; 2]>,
    /// How many groups there are.
    pub(super) groups: u64,
    /// The indices of those groups that are lists.
    pub(super) lists: Vec<u32>,
    /// Those of the layout before.
    former_lists: Vec<u32>,
    /// The words of what many workgroups have summed.
    pub(super) journal: u64,
    placed: Vec<Placed>,
    geometries: Vec<[[u32; 4]; 2]>,
}

impl Layout {
    pub(super) fn new(operation: Operation) -> Layout {
        Layout {
            operation,
            dispatches: Vec::new(),
            turns: Vec::new(),
            rows: Vec::new(),
            groups: 0,
            lists: Vec::new(),
            former_lists: Vec::new(),
            journal: 0,
            placed: Vec::new(),
            geometries: Vec::new(),
        }
    }

    /// Groups the plan's spans into as few dispatches as kernels, buffers and the limit on bindings allow. Its table begins with so
    /// many rows before the spans'.
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] and [`Error::GroupMetric`] where weights cannot be grouped, or not stepped so, [`Error::Limit`] where those
    /// of one tensor do not fit a binding; each of the tensor that it is about.
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
                    && dispatch.turns == p.turns
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
                    turns: p.turns,
                    roles: p.roles,
                    segment: p.span.segment,
                    first: at,
                    spans: 1,
                    windows: needed.map(|window| aligned(window, limits)),
                }),
            }
        }
        self.write_rows(rows_before);
        self.take_turns();
        Ok(())
    }

    /// Whether the lists are others than before.
    pub(super) fn lists_differ(&self) -> bool {
        self.lists != self.former_lists
    }

    fn write_rows(&mut self, rows_before: usize) {
        self.rows.clear();
        let first_geometry = rows_before + 2 * self.placed.len();
        for dispatch in &self.dispatches {
            for p in &self.placed[dispatch.first..dispatch.first + dispatch.spans] {
                let mut words = [0; ROLES.len()];
                for (word, (binding, origin)) in words.iter_mut().zip(p.kernel.bindings.of.iter().zip(p.origins)) {
                    if let Some(binding) = binding {
                        let window = dispatch.windows[usize::from(*binding)];
                        // A tensor may begin before the window on it; indices into the window wrap to what they should be.
                        *word = (origin.wrapping_sub(window.start) as i64 / 4) as u32;
                    }
                }
                let [source, output, first, second, weights] = words;
                let geometry = (first_geometry + 2 * p.geometry) as u32;
                let third = if p.kernel.groups.is_some() { geometry } else { weights };
                let head = [p.span.segment, p.span.len, third, p.span.start as u32];
                let [begin, end, journal] = p.places;
                let sums = p.kernel.groups.is_some_and(|groups| groups.team == Team::Grid);
                let tail = if sums { [source, begin, end, journal] } else { [source, output, first, second] };
                self.rows.push([head, tail]);
            }
        }
        self.rows.extend(&self.geometries);
    }

    /// Every dispatch once, but those of sums over groups as often as there are sums, turn by turn.
    fn take_turns(&mut self) {
        self.turns.clear();
        let mut first = 0;
        for alike in self.dispatches.chunk_by(|a, b| a.order == b.order) {
            let dispatches = first..first + alike.len();
            first = dispatches.end;
            let most = |dispatch: &Dispatch| if let Turns::Each(sums) = dispatch.turns { sums } else { 1 };
            for known in 0..alike.iter().map(most).max().unwrap_or(0) {
                for (dispatch, d) in dispatches.clone().zip(alike) {
                    match d.turns {
                        Turns::Once if known == 0 => self.turns.push(Turn { dispatch, known: 0, last: true }),
                        Turns::Each(sums) if known < sums => self.turns.push(Turn { dispatch, known, last: false }),
                        Turns::After(sums) if known == 0 => {
                            self.turns.push(Turn { dispatch, known: sums, last: true });
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Chooses each span's kernel from where its operands lie, and puts those of one kernel and one window side by side.
    fn place(&mut self, plan: &Plan, sums: bool, placement: &Placement<'_>, limits: Limits) -> Result<()> {
        self.placed.clear();
        self.geometries.clear();
        std::mem::swap(&mut self.lists, &mut self.former_lists);
        self.lists.clear();
        self.groups = 0;
        self.journal = 0;
        for stage in &plan.stages {
            for spans in stage.spans.chunk_by(|a, b| a.segment == b.segment) {
                let segment = &plan.segments[spans[0].segment as usize];
                let kernel = Kernel {
                    operation: self.operation,
                    subject: Subject::Formula(segment.penalty.formula()),
                    part: Part::Each,
                    groups: None,
                    sums,
                    dtype: stage.dtype,
                    access: Access::Scalar,
                    bindings: Bindings::default(),
                };
                if segment.penalty.formula().custom {
                    // Its WGSL need not have what steps call that it does not take. Which sizes of a step it takes is no matter here.
                    if let Err(error @ Error::GroupMetric { .. }) = self.operation.coefficients(segment, 0.0) {
                        return segment.about(Err(error));
                    }
                }
                match segment.about(segment.penalty.geometry(segment.len))? {
                    // Evaluating those whose values follow from the statistics is one kernel.
                    None if self.operation == Operation::Evaluate && !segment.penalty.sums_terms() => {
                        let kernel = Kernel { subject: Subject::Statistics, ..kernel };
                        spans.iter().for_each(|span| self.put(placement, limits, (0, kernel), *span));
                    }
                    None => spans.iter().for_each(|span| self.put(placement, limits, (0, kernel), *span)),
                    Some(geometry) => self.put_groups(placement, limits, kernel, (segment, spans), &geometry)?,
                }
            }
        }
        self.placed.sort_unstable_by(|a, b| {
            let by_kernel = (a.order, a.kernel, a.turns, a.roles).cmp(&(b.order, b.kernel, b.turns, b.roles));
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
        segment.about(kernel.operation.coefficients(segment, 0.0))?;
        let bytes = segment.len * segment.dtype.size() as u64;
        let reaches = |bytes: u64| bytes + limits.alignment <= limits.binding;
        if !geometry.is_contiguous() {
            let purpose = "a tensor whose groups are no runs";
            segment.about(at_least(limits.bound_by, purpose, bytes + limits.alignment, limits.binding))?;
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
        let largest = geometry.largest();
        let sums_for = |part| match (part, segment.penalty.rule()) {
            (Part::Find(purpose), Some(rule)) => sums(rule, purpose),
            _ => [0, 0],
        };
        let most = kernel.operation.parts(kernel.sums).map(|part| u64::from(sums_for(part)[1])).max().unwrap_or(0);
        let fits = !geometry.is_contiguous() || reaches(largest * segment.dtype.size() as u64);
        let is_too_long = most * rounds(largest, THREADS) > limits.iterations;
        let team = if !fits || is_too_long || (largest >= LARGE && FEW * geometry.count <= limits.workgroups) {
            Team::Grid
        } else if largest > ALONE {
            Team::Workgroup
        } else {
            Team::Thread
        };
        let lists = geometry.lists.is_some();
        for part in (0..).step_by(2).zip(kernel.operation.parts(kernel.sums)) {
            let grouped = |team| Some(Grouped { lists, team });
            let kernel = match part.1 {
                // The kernels that know nothing of groups are the same for all.
                Part::Each if kernel.operation == Operation::Evaluate => {
                    Kernel { subject: Subject::Statistics, ..kernel }
                }
                Part::Each => Kernel { subject: Subject::StepOnly, sums: false, ..kernel },
                Part::Find(_) => Kernel {
                    operation: Operation::Evaluate,
                    sums: false,
                    part: part.1,
                    groups: grouped(team),
                    ..kernel
                },
                Part::Apply => Kernel {
                    operation: kernel.operation.applied(),
                    part: part.1,
                    groups: grouped(Team::Thread),
                    ..kernel
                },
            };
            match part.1 {
                Part::Find(_) => {
                    let (order, segment_at) = (part.0, spans[0].segment);
                    let find = Find { placement, limits, order, kernel, segment: segment_at, geometry, largest };
                    match team {
                        Team::Grid => self.put_sums(&find, sums_for(part.1), fits),
                        _ => self.put_finds(&find, team, most),
                    }
                }
                _ => spans.iter().for_each(|span| self.put(placement, limits, (part.0, kernel), *span)),
            }
        }
        Ok(())
    }

    /// Puts spans of groups, each of which a thread or a workgroup finds the numbers of.
    fn put_finds(&mut self, find: &Find<'_>, team: Team, most: u64) {
        let Find { limits, geometry, largest: size, .. } = *find;
        let fair = geometry.count.div_ceil(limits.workgroups).max(1);
        let at_once = |members| (limits.iterations / (most * rounds(size, members))).max(1);
        let each = match team {
            Team::Thread => fair.next_multiple_of(THREADS).min(THREADS * at_once(1)),
            _ => fair.min(at_once(THREADS)),
        };
        let each = if geometry.is_contiguous() { each.min(find.reachable() / size).max(1) } else { each };
        for start in (0..geometry.count).step_by(each as usize) {
            let len = each.min(geometry.count - start);
            let elements = start * size..(start + len) * size;
            self.put_find(find, Turns::Once, (start, len), [0; 3], elements);
        }
    }

    /// Puts chunks of groups, which many workgroups sum, and the groups themselves for when so many sums are known. What sums are
    /// missing then is taken by one workgroup a group, which must reach all of it and be done in time; else all that there can be are
    /// taken before.
    fn put_sums(&mut self, find: &Find<'_>, [usual, most]: [u32; 2], fits: bool) {
        let Find { limits, geometry, largest, .. } = *find;
        let missing = u64::from(most - usual);
        let alone = fits && missing * rounds(largest, THREADS) <= limits.iterations;
        let sums = if alone { usual } else { most };
        let all: u64 = (0..geometry.count).map(|group| geometry.size(group)).sum();
        let longest = find.reachable().min(THREADS * limits.iterations);
        let chunk = all.div_ceil(limits.workgroups).max(LARGE / 8).next_multiple_of(TILE as u64).min(longest);
        for group in 0..geometry.count {
            let (size, begin) = (geometry.size(group), group * largest);
            let journal = self.journal as u32;
            self.journal += 4 + 4 * u64::from(sums);
            for first in (0..size).step_by(chunk as usize) {
                let end = size.min(first + chunk);
                let places = [first as u32, end as u32, journal];
                self.put_find(find, Turns::Each(sums), (group, 1), places, begin + first..begin + end);
            }
            let reached = if alone { size } else { 0 };
            let places = [0, reached as u32, journal];
            self.put_find(find, Turns::After(sums), (group, 1), places, begin..begin + reached.max(1));
        }
    }

    /// Puts a span of groups of which these elements are read, where groups are runs; else any element may be.
    fn put_find(
        &mut self,
        find: &Find<'_>,
        turns: Turns,
        (start, len): (u64, u64),
        places: [u32; 3],
        elements: Range<u64>,
    ) {
        let Find { placement, limits, order, kernel, segment, geometry, .. } = *find;
        let elements = if geometry.is_contiguous() { elements } else { 0..geometry.len() };
        let size = kernel.dtype.size() as u64;
        let roles = roles(self.operation, kernel.part);
        let located = placement.in_roles(segment, roles);
        let origins = located.map(|l| l.map_or(0, |l| l.offset));
        let (begin, end) = (elements.start * size / 4 * 4, (elements.end * size).next_multiple_of(4));
        let starts = located.map(|l| l.map_or(0, |l| l.offset + begin));
        let bytes = end - begin;
        let kernel = Kernel { bindings: bind(located, starts, bytes, limits), ..kernel };
        let span = Span { segment, start, len: len as u32 };
        let geometry = self.geometries.len() - 1;
        let order = order + usize::from(matches!(turns, Turns::After(_)));
        self.placed.push(Placed { order, kernel, turns, roles, span, geometry, places, origins, starts, bytes });
    }

    /// Puts a span of elements.
    fn put(&mut self, placement: &Placement<'_>, limits: Limits, (order, kernel): (usize, Kernel), span: Span) {
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

/// A segment's groups, whose numbers are to be found.
#[derive(Clone, Copy)]
struct Find<'a> {
    placement: &'a Placement<'a>,
    limits: Limits,
    order: usize,
    kernel: Kernel,
    segment: u32,
    geometry: &'a Geometry,
    /// The size of the largest of them.
    largest: u64,
}

impl Find<'_> {
    /// How many elements a binding reaches, wherever it begins.
    fn reachable(&self) -> u64 {
        (self.limits.binding - self.limits.alignment) / self.kernel.dtype.size() as u64 / TILE as u64 * TILE as u64
    }
}

/// How many sums over a group its numbers mostly need at most, and how many they ever do.
fn sums(rule: Rule, purpose: Purpose) -> [u32; 2] {
    match (rule, purpose) {
        // That of the largest weight and that of squares, then one for each attempt.
        (Rule::Scale, Purpose::Prox) => [2 + 2, 2 + norm::ATTEMPTS],
        (Rule::Shrink { .. } | Rule::Scale, _) => [2, 2],
        // Those of the largest weight, of all units, of negative weights, then one for each step, and one for each attempt.
        (Rule::Soft | Rule::Clamp | Rule::Simplex, Purpose::Value) => [3, 3],
        (Rule::Soft | Rule::Clamp | Rule::Simplex, Purpose::Gradient) => [2, 2],
        (Rule::Clamp, Purpose::Prox) => [3 + threshold::USUAL_STEPS, 3 + threshold::STEPS],
        (Rule::Soft | Rule::Simplex, Purpose::Prox) => {
            [3 + threshold::USUAL_STEPS + 2, 3 + threshold::STEPS + threshold::ATTEMPTS]
        }
        (Rule::Select, Purpose::Value) => [1, 1],
        // Two bits at a time: 16 of the smallest magnitude, one of those above it, 16 of the last index.
        (Rule::Select, _) => [33, 33],
    }
}

/// How often the loops of one sum over a group go round, where so many threads share it.
fn rounds(size: u64, members: u64) -> u64 {
    size.div_ceil(members) + FIXED
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
