//! How a group's numbers are found, and what for.

use crate::numeric::wgsl::Constant;

/// How a group's numbers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A norm that is shrunk by the bound; times the root of the group's size where it is sized.
    Shrink {
        /// Whether larger groups weigh more.
        sized: bool,
    },
    /// A norm that is at most the bound.
    Scale,
    /// A sum of magnitudes that is at most the bound.
    Soft,
    /// A largest magnitude, which is lowered until what is cut off sums to the bound.
    Clamp,
    /// A sum of what is no less than 0 that is the bound.
    Simplex,
    /// As many weights as the bound says.
    Select,
}

impl Rule {
    /// Whether squares are compared with the bound's square.
    pub(crate) fn squares(self) -> bool {
        matches!(self, Rule::Shrink { .. } | Rule::Scale)
    }
}

/// What a group's numbers are for.
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

/// What WGSL is told: a number for each rule, and for each purpose, and one for none.
pub(crate) fn constants() -> Vec<Constant> {
    let numbered = |names: Vec<&'static str>| (0..).zip(names).map(|(number, name)| Constant::U32(name, number));
    let rules = Rule::ALL.map(Rule::constant).to_vec();
    let purposes = [&["NONE"][..], &Purpose::ALL.map(Purpose::constant)].concat();
    numbered(rules).chain(numbered(purposes)).collect()
}
