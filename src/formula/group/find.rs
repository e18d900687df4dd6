//! The coefficients that a formula needs of a group, by the formula's rule.

use super::lanes::{self, FindRuns};
use super::{Found, Group, Search, norm, select, threshold};
use crate::formula::Formula;
use crate::formula::rule::Rule;

/// A formula's group reductions.
#[derive(Clone, Copy)]
pub(crate) struct Find {
    /// Of one group.
    pub(crate) one: fn(&Group<'_>, &Search<'_>) -> Found,
    /// Of one group whose weights are at hand, which may be anything, if floats leave nothing open. The same result.
    pub(crate) by_floats: fn(&Group<'_>, &Search<'_>) -> Option<Found>,
    /// Of many groups, with the same results.
    pub(crate) runs: FindRuns,
}

/// Each rule is compiled only for the formulas that have it.
pub(crate) const fn of<F: Formula>() -> Find {
    let one: fn(&Group<'_>, &Search<'_>) -> Found = match F::RULE {
        Some(Rule::Shrink { .. } | Rule::Scale) => norm::find::<F>,
        Some(Rule::Soft | Rule::Clamp | Rule::Simplex) => threshold::find::<F>,
        Some(Rule::Select) => select::find,
        // A separable formula has no groups to reduce.
        None => |_, _| Found::default(),
    };
    let by_floats: fn(&Group<'_>, &Search<'_>) -> Option<Found> = match F::RULE {
        Some(Rule::Shrink { .. } | Rule::Scale) => norm::by_floats::<F>,
        Some(Rule::Soft | Rule::Clamp | Rule::Simplex) => threshold::floats::find::<F>,
        Some(Rule::Select) => select::floats::find,
        None => |_, _| None,
    };
    Find { one, by_floats, runs: lanes::of::<F>() }
}
