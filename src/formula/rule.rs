//! How a group's coefficients are found, and for which purpose.

use crate::numeric::wgsl::Constant;

/// How a group's coefficients are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The norm is shrunk by the bound, times the root of the group's size if `sized`.
    Shrink {
        /// Whether larger groups are shrunk more.
        sized: bool,
    },
    /// The norm is at most the bound.
    Scale,
    /// The sum of magnitudes is at most the bound.
    Soft,
    /// The largest magnitude is lowered until the amounts cut off sum to the bound.
    Clamp,
    /// The weights are ≥ 0, and their sum equals the bound.
    Simplex,
    /// The bound says how many weights are kept.
    Select,
}

impl Rule {
    /// Whether squares are compared with the bound's square.
    pub(crate) fn squares(self) -> bool {
        matches!(self, Rule::Shrink { .. } | Rule::Scale)
    }
}

/// What a group's coefficients are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Value,
    Gradient,
    Prox,
}

impl Rule {
    const ALL: [Rule; 7] = [
        Rule::Shrink { sized: false },
        Rule::Shrink { sized: true },
        Rule::Scale,
        Rule::Soft,
        Rule::Clamp,
        Rule::Simplex,
        Rule::Select,
    ];

    /// Its name in WGSL.
    pub(crate) fn constant(self) -> &'static str {
        match self {
            Rule::Shrink { sized: false } => "SHRINK",
            Rule::Shrink { sized: true } => "SHRINK_SIZED",
            Rule::Scale => "SCALE",
            Rule::Soft => "SOFT",
            Rule::Clamp => "CLAMP",
            Rule::Simplex => "SIMPLEX",
            Rule::Select => "SELECT",
        }
    }
}

impl Purpose {
    const ALL: [Purpose; 3] = [Purpose::Value, Purpose::Gradient, Purpose::Prox];

    /// Its name in WGSL.
    pub(crate) fn constant(self) -> &'static str {
        match self {
            Purpose::Value => "VALUE",
            Purpose::Gradient => "GRADIENT",
            Purpose::Prox => "PROX",
        }
    }
}

/// The constants of WGSL: a number for each rule, one for each purpose, and one for no purpose.
pub(crate) fn constants() -> Vec<Constant> {
    let numbered = |names: Vec<&'static str>| (0..).zip(names).map(|(number, name)| Constant::U32(name, number));
    let rules = Rule::ALL.map(Rule::constant).to_vec();
    let purposes = [&["NONE"][..], &Purpose::ALL.map(Purpose::constant)].concat();
    numbered(rules).chain(numbered(purposes)).collect()
}
