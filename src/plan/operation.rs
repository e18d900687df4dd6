//! Operations on weights, and their parts.

use crate::formula::rule::Purpose;
use crate::formula::scalars::{Direction, Metric};

/// What an operation does with each weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// Only reads and sums it.
    Evaluate,
    /// Writes ∂R/∂θ.
    Gradient,
    /// Adds ∂R/∂θ to what is there.
    AddGradient,
    /// Writes prox(θ).
    Prox,
    /// A step against the gradient, then the prox.
    Sgd(Direction),
    /// Adam's step, then the prox.
    Adam(Metric),
}

/// A part of an operation, which must end before the next part begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What is done with each weight alone. For weights in groups, that is an evaluation, or the step without the prox.
    Each,
    /// The group reduction.
    Find(Purpose),
    /// The gradient or the prox, with the coefficients of the weights' groups.
    Apply,
}

impl Operation {
    /// The parts for segments with groups. Others have one part, [`Part::Each`].
    pub(crate) fn parts(self, sums: bool) -> impl Iterator<Item = Part> {
        let parts: &[Part] = match self {
            Operation::Evaluate => &[Part::Each],
            Operation::Gradient | Operation::AddGradient => &[Part::Find(Purpose::Gradient), Part::Apply],
            Operation::Prox => &[Part::Find(Purpose::Prox), Part::Apply],
            Operation::Sgd(_) | Operation::Adam(_) => &[Part::Each, Part::Find(Purpose::Prox), Part::Apply],
        };
        parts.iter().copied().chain(sums.then_some(Part::Find(Purpose::Value)))
    }

    /// What [`Part::Apply`] does with each weight.
    /// Whether it ends in a prox.
    pub(crate) fn takes_prox(self) -> bool {
        matches!(self, Operation::Prox | Operation::Sgd(_) | Operation::Adam(_))
    }

    pub(crate) fn applied(self) -> Operation {
        match self {
            Operation::Gradient | Operation::AddGradient => self,
            _ => Operation::Prox,
        }
    }

    /// What errors call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Evaluate => "evaluating",
            Operation::Gradient => "the gradient",
            Operation::AddGradient => "adding gradients",
            Operation::Prox => "the prox",
            Operation::Sgd(Direction::Gradient) => "a step of gradient descent",
            Operation::Sgd(Direction::Momentum) => "a step with momentum",
            Operation::Sgd(Direction::Nesterov) => "a step with Nesterov's momentum",
            Operation::Adam(_) => "Adam's step",
        }
    }

    /// Whether the operation leaves every bit unchanged if there is no penalty.
    pub(super) fn spares_unpenalised(self) -> bool {
        matches!(self, Operation::AddGradient | Operation::Prox)
    }
}
