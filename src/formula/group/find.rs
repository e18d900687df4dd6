//! The coefficients that a formula needs of a group, by the formula's rule.

use super::{Found, Group, norm, select, threshold};
use crate::formula::rule::{Purpose, Rule};
use crate::formula::{Coefficients, Formula};

/// `c` holds the segment's coefficients, `value` the bits of its term coefficients.
pub(crate) fn find<F: Formula>(
    group: &Group<'_>,
    rule: Rule,
    purpose: Purpose,
    c: &Coefficients,
    value: [u32; 3],
) -> Found {
    match rule {
        Rule::Shrink { .. } | Rule::Scale => norm::find::<F>(group, rule, purpose, c, value),
        Rule::Soft | Rule::Clamp | Rule::Simplex => threshold::find::<F>(group, rule, purpose, c, value),
        Rule::Select => select::find(group, purpose, c, value),
    }
}
