//! The coefficients that a formula needs of a group, by the formula's rule.

use super::{Found, Group, norm, select, threshold};
use crate::formula::rule::{Purpose, Rule};
use crate::formula::{Coefficients, Formula};

/// A group reduction. The coefficients are the segment's; the last array has the bits of its term coefficients.
pub(crate) type Find = fn(&Group<'_>, Rule, Purpose, &Coefficients, [u32; 3]) -> Found;

/// A formula's group reduction. Each kind is compiled only for the formulas that have its rule.
pub(crate) const fn of<F: Formula>() -> Find {
    match F::RULE {
        Some(Rule::Shrink { .. } | Rule::Scale) => norm::find::<F>,
        Some(Rule::Soft | Rule::Clamp | Rule::Simplex) => threshold::find::<F>,
        Some(Rule::Select) => |group, _, purpose, c, value| select::find(group, purpose, c, value),
        // A separable formula has no groups to reduce.
        None => |_, _, _, _, _| Found::default(),
    }
}
