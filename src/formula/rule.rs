//! How a group's numbers are found, and what for.

/// How a group's numbers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A norm that is shrunk by the amount; times the root of the group's size where it is sized.
    Shrink {
        /// Whether larger groups weigh more.
        sized: bool,
    },
    /// A norm that is at most the amount.
    Scale,
    /// A sum of magnitudes that is at most the amount.
    Soft,
    /// A largest magnitude, which is lowered until what is cut off sums to the amount.
    Clamp,
    /// A sum of what is no less than 0 that is the amount.
    Simplex,
    /// As many weights as the amount says.
    Select,
}

impl Rule {
    /// Whether squares are compared with the amount's square.
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
