//! What a kernel is compiled for: its key.

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
    /// Of a part that knows groups.
    pub(super) groups: Option<Grouped>,
    /// Whether it sums the weights as it leaves them.
    pub(super) sums: bool,
    pub(super) dtype: Dtype,
    pub(super) access: Access,
    pub(super) bindings: Bindings,
}

/// Whose functions a kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    /// Nobody's: it sums what every penalty's statistics are.
    Statistics,
    /// Nobody's: it takes an optimizer's step, whose prox another kernel does.
    StepOnly,
    Formula(&'static Descriptor),
}

impl Subject {
    /// The formula whose value has a sum of its own, or is a share of each group.
    pub(super) fn formula(self) -> Option<&'static Descriptor> {
        match self {
            Subject::Formula(formula) => Some(formula),
            _ => None,
        }
    }
}

/// What groups are to a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Grouped {
    /// Whether they are lists of indices, not tiles.
    pub(super) lists: bool,
    pub(super) team: Team,
}

/// Who finds a group's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Team {
    Thread,
    Workgroup,
    /// Many workgroups, in as many dispatches as sums are needed.
    Grid,
}

/// How four elements are loaded and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Access {
    /// At once: every range of the span is aligned to 16 bytes, and its length is a multiple of four.
    Vector,
    /// Word by word.
    Scalar,
}

/// What an operand is to a kernel: what it only reads, what it writes, the optimizer's state, also written, and the element weights,
/// only read.
pub(super) const ROLES: [&str; 5] = ["SOURCE", "OUTPUT", "FIRST", "SECOND", "WEIGHTS"];
/// Which of them are only read.
pub(super) const READ: [bool; ROLES.len()] = [true, false, false, false, true];

/// Which operand lies in which binding. Operands of one buffer share one, as far as a binding reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Bindings {
    /// The binding of each role that there is.
    pub(super) of: [Option<u8>; ROLES.len()],
    /// Which bindings are writable: those that something is written to, and those of the same buffer, which wgpu rejects
    /// to bind read-only beside them.
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
