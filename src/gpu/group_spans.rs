//! Spans of groups: whether a thread, a workgroup or many workgroups find a group's coefficients, and in how many
//! dispatches.

use std::ops::Range;

use super::element_spans::{Placed, Spans, Turns};
use super::kernel::{Grouped, Kernel, Subject, Team};
use super::limits::at_least;
use super::placement::{Limits, Placement, bind, roles};
use super::table::THREADS;
use crate::formula::group::{norm, threshold};
use crate::formula::rule::{Purpose, Rule};
use crate::numeric::tile::TILE;
use crate::penalty::groups::Geometry;
use crate::plan::operation::{Operation, Part};
use crate::plan::{Segment, Span};
use crate::{Penalty, Result};

/// If a tensor's largest group has at most this many weights, a thread reduces each group; otherwise a workgroup does.
const ALONE: u64 = 64;
/// From this many weights on, many workgroups share a group, if there are too few groups to keep the device busy.
const LARGE: u64 = 1 << 15;
/// A bound on the iterations of a sum's loops of fixed lengths.
const FIXED: u64 = 128;
/// Groups are few if the device has at least this many workgroups for each of them.
const FEW: u64 = 8;

impl Spans {
    /// Adds the parts of an operation of a group penalty, one after the other.
    pub(super) fn put_groups(
        &mut self,
        placement: &Placement<'_>,
        limits: Limits,
        kernel: Kernel,
        (segment, penalty, spans): (&Segment, &Penalty, &[Span]),
        geometry: &Geometry,
    ) -> Result<()> {
        let bytes = segment.len * segment.dtype.size() as u64;
        let reaches = |bytes: u64| bytes + limits.alignment <= limits.binding;
        if !geometry.is_contiguous() {
            let purpose = "a tensor whose groups are no runs";
            segment.about(at_least(limits.bound_by, purpose, bytes + limits.alignment, limits.binding))?;
        }
        let first = [self.groups as u32, 0, 0, 0];
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
        self.geometries.push([sides, first]);
        let largest = geometry.largest();
        let sums_for = |part| match (part, penalty.rule()) {
            (Part::Find(purpose), Some(rule)) => sums(rule, purpose),
            _ => [0, 0],
        };
        let most = kernel.operation.parts(kernel.sums).map(|part| u64::from(sums_for(part)[1])).max().unwrap_or(0);
        let fits = !geometry.is_contiguous() || reaches(largest * segment.dtype.size() as u64);
        let is_too_long = most * rounds(largest, THREADS) > limits.iterations;
        let team = if self.whole.is_some()
            || !fits
            || is_too_long
            || (largest >= LARGE && FEW * geometry.count <= limits.workgroups)
        {
            Team::Grid
        } else if largest > ALONE {
            Team::Workgroup
        } else {
            Team::Thread
        };
        let lists = geometry.lists.is_some();
        let here = self.whole.map(|_| segment.len);
        for part in (0..).step_by(2).zip(kernel.operation.parts(kernel.sums)) {
            let grouped = |team| Some(Grouped { lists, team });
            let kernel = match part.1 {
                // The kernels that know nothing of groups are the same for all group penalties.
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
                    let find =
                        Find { placement, limits, order, kernel, segment: segment_at, geometry, largest, part: here };
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

    /// Adds spans of groups that a thread or a workgroup reduces.
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

    /// Adds chunks of groups, which many workgroups sum, and the groups themselves for the dispatch after those sums.
    /// In that dispatch, one workgroup for each group takes the sums that are still missing. It must reach all of the
    /// group and be done in time. If it cannot, there are as many dispatches as there can ever be sums, and none is
    /// missing then.
    fn put_sums(&mut self, find: &Find<'_>, [usual, most]: [u32; 2], fits: bool) {
        let Find { limits, geometry, largest, .. } = *find;
        let missing = u64::from(most - usual);
        let alone = fits && find.part.is_none() && missing * rounds(largest, THREADS) <= limits.iterations;
        let sums = if alone { usual } else { most };
        let size_of = |group| find.part.unwrap_or_else(|| geometry.size(group));
        let all: u64 = (0..geometry.count).map(size_of).sum();
        let longest = find.reachable().min(THREADS * limits.iterations);
        let chunk = all.div_ceil(limits.workgroups).max(LARGE / 8).next_multiple_of(TILE as u64).min(longest);
        for group in 0..geometry.count {
            let (size, begin) = (size_of(group), group * largest);
            let partial_sums = self.partial_sums as u32;
            self.partial_sums += 4 + 4 * u64::from(sums);
            for first in (0..size).step_by(chunk as usize) {
                let end = size.min(first + chunk);
                let places = [first as u32, end as u32, partial_sums];
                self.put_find(find, Turns::Each(sums), (group, 1), places, begin + first..begin + end);
            }
            // The host finds the coefficients from the sums of all parts.
            if find.part.is_some() {
                continue;
            }
            let reached = if alone { size } else { 0 };
            let places = [0, reached as u32, partial_sums];
            self.put_find(find, Turns::After(sums), (group, 1), places, begin..begin + reached.max(1));
        }
    }

    /// Adds a span of groups. If groups are runs, only these elements are read; otherwise any element may be.
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
}

/// A segment's groups, whose coefficients are to be found.
#[derive(Clone, Copy)]
struct Find<'a> {
    placement: &'a Placement<'a>,
    limits: Limits,
    order: usize,
    kernel: Kernel,
    segment: u32,
    geometry: &'a Geometry,
    /// The size of the largest group.
    largest: u64,
    /// If other ranks have parts of the one group: how many weights this part has.
    part: Option<u64>,
}

impl Find<'_> {
    /// How many elements a binding reaches, wherever it begins; whole tiles.
    fn reachable(&self) -> u64 {
        (self.limits.binding - self.limits.alignment) / self.kernel.dtype.size() as u64 / TILE as u64 * TILE as u64
    }
}

/// How many sums over a group its reduction usually needs at most, and how many it can ever need.
fn sums(rule: Rule, purpose: Purpose) -> [u32; 2] {
    match (rule, purpose) {
        // The largest weight and the sum of squares, then one for each attempt.
        (Rule::Scale, Purpose::Prox) => [2 + 2, 2 + norm::ATTEMPTS],
        (Rule::Shrink { .. } | Rule::Scale, _) => [2, 2],
        // The largest weight, the sum of all units, the sum of negative weights, then one for each step, and one for
        // each attempt.
        (Rule::Soft | Rule::Clamp | Rule::Simplex, Purpose::Value) => [3, 3],
        (Rule::Soft | Rule::Clamp | Rule::Simplex, Purpose::Gradient) => [2, 2],
        (Rule::Clamp, Purpose::Prox) => [3 + threshold::USUAL_STEPS, 3 + threshold::STEPS],
        (Rule::Soft | Rule::Simplex, Purpose::Prox) => {
            [3 + threshold::USUAL_STEPS + 2, 3 + threshold::STEPS + threshold::ATTEMPTS]
        }
        (Rule::Select, Purpose::Value) => [1, 1],
        // Two bits at a time: 16 for the smallest magnitude, one for those above it, 16 for the last index.
        (Rule::Select, _) => [33, 33],
    }
}

/// How many iterations the loops of one sum over a group have, if this many threads share it.
fn rounds(size: u64, members: u64) -> u64 {
    size.div_ceil(members) + FIXED
}
