//! Where the operands of every segment lie, and which of them share a binding.

use super::kernel::{Bindings, READ, ROLES};
use super::operand::Located;
use crate::formula::rule::Purpose;
use crate::plan::operation::{Operation, Part};

/// Where the operands of every segment lie, by role. It may change at every step while the plan stays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement<'a> {
    /// For the roles before the last: the operands of all segments.
    pub(super) roles: [Option<&'a [Located]>; ROLES.len() - 1],
    /// For the last role: a segment's element weights, if it has any.
    pub(super) element_weights: &'a [Option<Located>],
}

impl<'a> Placement<'a> {
    fn at(&self, segment: u32) -> [Option<&'a Located>; ROLES.len()] {
        let at = segment as usize;
        let [source, output, first, second] = self.roles.map(|located| located.and_then(|located| located.get(at)));
        [source, output, first, second, self.element_weights.get(at).and_then(Option::as_ref)]
    }

    /// A segment's operands, in the roles that they have in a part of the operation.
    pub(super) fn in_roles(&self, segment: u32, roles: Roles) -> [Option<&'a Located>; ROLES.len()] {
        let located = self.at(segment);
        roles.map(|role| role.and_then(|role| located[role]))
    }

    pub(super) fn buffers(&self, segment: u32, roles: Roles) -> [Option<&'a wgpu::Buffer>; ROLES.len()] {
        self.in_roles(segment, roles).map(|located| located.map(|l| &l.buffer))
    }
}

/// For each role in a part of the operation, which of the operation's operands has it.
pub(super) type Roles = [Option<usize>; ROLES.len()];

/// Every operand has its own role.
fn all_roles() -> Roles {
    std::array::from_fn(Some)
}

/// The roles in a part of an operation.
pub(super) fn roles(operation: Operation, part: Part) -> Roles {
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
    /// The smallest range that holds both. An empty one holds nothing.
    pub(super) fn union(self, other: Window) -> Window {
        if self.end == 0 {
            return other;
        }
        Window { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// What a layout must respect: the largest binding and the alignment of its start, how many workgroups keep the device
/// busy, and how many iterations an invocation's loops may have in all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) binding: u64,
    /// What errors call the limit on bindings.
    pub(super) bound_by: &'static str,
    pub(super) alignment: u64,
    pub(super) workgroups: u64,
    pub(super) iterations: u64,
}

pub(super) fn aligned(window: Window, limits: Limits) -> Window {
    Window { start: window.start / limits.alignment * limits.alignment, ..window }
}

/// Gives each operand a binding: that of an earlier operand in the same buffer if one binding reaches both, else one of
/// its own.
pub(super) fn bind(
    located: [Option<&Located>; ROLES.len()],
    starts: [u64; ROLES.len()],
    bytes: u64,
    limits: Limits,
) -> Bindings {
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
