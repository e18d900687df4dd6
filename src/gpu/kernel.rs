//! The key of a compiled kernel: what it is compiled for.

use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Purpose;
use crate::numeric::element::Dtype;
use crate::plan::operation::{Operation, Part};

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Kernel {
    pub(super) operation: Operation,
    pub(super) subject: Subject,
    pub(super) part: Part,
    /// The kind of groups, if the part knows groups.
    pub(super) groups: Option<Grouped>,
    /// Whether it sums the weights that it leaves.
    pub(super) sums: bool,
    pub(super) dtype: Dtype,
    pub(super) access: Access,
    pub(super) bindings: Bindings,
}

/// Whose functions a kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    /// None: it sums only the statistics that every penalty has.
    Statistics,
    /// None: it takes an optimizer's step, and another kernel does the prox.
    StepOnly,
    Formula(&'static Descriptor),
}

impl Subject {
    /// The formula, if the kernel has one.
    pub(super) fn formula(self) -> Option<&'static Descriptor> {
        match self {
            Subject::Formula(formula) => Some(formula),
            _ => None,
        }
    }
}

/// The kind of groups that a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Grouped {
    /// Whether they are lists of indices, not tiles.
    pub(super) lists: bool,
    pub(super) team: Team,
}

/// Who finds a group's coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Team {
    Thread,
    Workgroup,
    /// Many workgroups, in a dispatch for each sum.
    Grid,
}

/// How four elements are loaded and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Access {
    /// All four at once. Every range of the span is aligned to 16 bytes, and its length is a multiple of four.
    Vector,
    /// Word by word.
    Scalar,
}

/// The roles of a kernel's operands: what it only reads; what it writes; an optimizer's two states, also written; and
/// the element weights, only read.
pub(super) const ROLES: [&str; 5] = ["SOURCE", "OUTPUT", "FIRST", "SECOND", "WEIGHTS"];
/// Which of the roles are only read.
pub(super) const READ: [bool; ROLES.len()] = [true, false, false, false, true];

/// Which operand lies in which binding. Operands in one buffer share a binding, as far as one reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Bindings {
    /// The binding of each role that exists.
    pub(super) of: [Option<u8>; ROLES.len()],
    /// Which bindings are writable: those that are written to, and those of the same buffer, since wgpu rejects a
    /// read-only binding of a buffer beside a writable one.
    pub(super) writable: [bool; ROLES.len()],
}

impl Bindings {
    pub(super) fn count(&self) -> usize {
        self.of.iter().flatten().map(|&binding| usize::from(binding) + 1).max().unwrap_or(0)
    }
}

impl Kernel {
    /// Whether it adds to the results.
    pub(super) fn has_results(self) -> bool {
        self.sums || self.part == Part::Find(Purpose::Value)
    }
}
