//! The lists of operands of a set, and which of them an operation needs.

use super::operand::Operand;
#[cfg(doc)]
use crate::Penalty;
use crate::formula::scalars::Direction;
use crate::plan::operands::{FIRST, GRADIENT, SECOND, WEIGHTS};
use crate::plan::operation::Operation;
#[cfg(doc)]
use crate::plan::optimizer::{Adam, Sgd};

/// What errors call a set's lists of operands.
pub(super) const NAMES: [&str; 4] = [WEIGHTS, GRADIENT, FIRST, SECOND];

/// Where a set's operands lie. Each list has an [`Operand`] for each tensor, in the set's order. The weights say how
/// long each tensor is and of what type. A list other than the weights may be empty if no recorded operation needs it.
///
/// ```no_run
/// use penalty::gpu::{Operand, Operands};
///
/// # fn f(weights: &[Operand], gradients: &[Operand]) {
/// // For gradient descent without momentum: no states.
/// let operands = Operands { weights, gradients, ..Operands::default() };
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Operands<'a> {
    /// The weights θ.
    pub weights: &'a [Operand<'a>],
    /// The loss's gradients. A penalty's gradient is added to them; an optimizer steps against them.
    pub gradients: &'a [Operand<'a>],
    /// An optimizer's first state: the momentum v of [`Sgd`], or m of [`Adam`].
    pub first: &'a [Operand<'a>],
    /// An optimizer's second state: v of [`Adam`].
    pub second: &'a [Operand<'a>],
    /// The element weights of [weighted](Penalty::is_weighted) penalties, under the rules of
    /// [`with_operand`](Penalty::with_operand); `None` for the other tensors. Empty if no penalty is weighted.
    pub element_weights: &'a [Option<Operand<'a>>],
}

impl<'a> Operands<'a> {
    pub(super) fn lists(&self) -> [&'a [Operand<'a>]; NAMES.len()] {
        [self.weights, self.gradients, self.first, self.second]
    }
}

/// Which of the set's lists an operation reads, and which it writes.
pub(super) fn lists(operation: Operation) -> [Option<usize>; NAMES.len()] {
    let [weights, gradients, first, second] = [0, 1, 2, 3].map(Some);
    match operation {
        Operation::Evaluate => [weights, None, None, None],
        Operation::Gradient | Operation::AddGradient => [weights, gradients, None, None],
        Operation::Prox => [weights, weights, None, None],
        Operation::Sgd(Direction::Gradient) => [gradients, weights, None, None],
        Operation::Sgd(Direction::Momentum | Direction::Nesterov) => [gradients, weights, first, None],
        Operation::Adam(_) => [gradients, weights, first, second],
    }
}
