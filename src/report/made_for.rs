//! Which penalty a partial's term sum belongs to.

use crate::numeric::element::Dtype;
use crate::numeric::hash::fnv1a;
use crate::penalty::catalogue;
use crate::penalty::groups::Groups;
use crate::{Error, Penalty, Result};

/// Whose term sum a partial holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum MadeFor {
    /// Any penalty's: there are no weights, so the term sum is 0.
    #[default]
    Any,
    /// No penalty's: the partial was made for statistics alone, or merged from partials made for several penalties.
    Nobody,
    /// That of one formula, identified by its name, with these coefficients and groups.
    Formula {
        /// Whether the formula is a custom penalty's.
        custom: bool,
        /// The hash of its name, which no release changes.
        name: u64,
        /// The bits of the term coefficients.
        coefficients: [u32; 3],
        /// The hash of the groups; 0 for a separable penalty.
        groups: u64,
    },
}

/// The words of a serialized [`MadeFor`].
pub(super) const MADE_FOR_WORDS: usize = 8;

impl MadeFor {
    pub(super) fn this(penalty: &Penalty, dtype: Dtype) -> MadeFor {
        let Some(coefficients) = penalty.term_coefficients(dtype) else { return MadeFor::Nobody };
        MadeFor::Formula {
            custom: penalty.formula().custom,
            name: fnv1a(penalty.formula().name.bytes()),
            coefficients: coefficients.map(f32::to_bits),
            groups: penalty.groups().map_or(0, Groups::hash),
        }
    }

    pub(super) fn to_words(self) -> [u32; MADE_FOR_WORDS] {
        let mut words = [0; MADE_FOR_WORDS];
        match self {
            MadeFor::Any => {}
            MadeFor::Nobody => words[0] = 1,
            MadeFor::Formula { custom, name, coefficients, groups } => {
                words[0] = if custom { 3 } else { 2 };
                words[1..3].copy_from_slice(&[name as u32, (name >> 32) as u32]);
                words[3..6].copy_from_slice(&coefficients);
                words[6..].copy_from_slice(&[groups as u32, (groups >> 32) as u32]);
            }
        }
        words
    }

    pub(super) fn from_words(words: [u32; MADE_FOR_WORDS]) -> Result<MadeFor> {
        let [kind, name, name_above, a, b, c, groups, groups_above] = words;
        let reject = |expected, found| Err(Error::PartialBytes { expected, found });
        let long = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let (name, groups) = (long(name, name_above), long(groups, groups_above));
        let formula = |custom| MadeFor::Formula { custom, name, coefficients: [a, b, c], groups };
        match kind {
            0 | 1 if words[1..] != [0; MADE_FOR_WORDS - 1] => reject("0 for the name of no penalty", name),
            0 => Ok(MadeFor::Any),
            1 => Ok(MadeFor::Nobody),
            2 if !catalogue::formulas().any(|formula| formula.sums_terms && fnv1a(formula.name.bytes()) == name) => {
                reject("the name of a penalty of this version", name)
            }
            2 => Ok(formula(false)),
            3 => Ok(formula(true)),
            _ => reject("0, 1, 2 or 3 for whose sum it holds", kind.into()),
        }
    }
}
