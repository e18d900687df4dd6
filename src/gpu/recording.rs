//! What a set records, and which lists of operands that needs.

use super::operand::Operand;
#[cfg(doc)]
use super::set::ParameterSet;
#[cfg(doc)]
use crate::Penalty;
use crate::formula::scalars::{Direction, Metric};
use crate::plan::operands::{FIRST, GRADIENT, SECOND, WEIGHTS};
use crate::plan::operation::Operation;
#[cfg(doc)]
use crate::plan::optimizer::{Adam, Momentum, Sgd};

/// What errors call a set's lists of operands.
pub(super) const NAMES: [&str; 4] = [WEIGHTS, GRADIENT, FIRST, SECOND];

/// Where a set's operands lie. Each list has an [`Operand`] for each tensor, in the set's order, with the tensor's
/// length and type. A list may be empty if no recorded operation needs it.
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

/// A call that records a step of a [`ParameterSet`]: what [`prepare`](ParameterSet::prepare) takes. Calls that need
/// different kernels are different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// [`record_evaluate`](ParameterSet::record_evaluate).
    Evaluate,
    /// [`record_gradient_add`](ParameterSet::record_gradient_add).
    GradientAdd,
    /// [`record_evaluate_and_gradient_add`](ParameterSet::record_evaluate_and_gradient_add).
    EvaluateAndGradientAdd,
    /// [`record_prox`](ParameterSet::record_prox).
    Prox,
    /// [`record_prox_and_evaluate`](ParameterSet::record_prox_and_evaluate).
    ProxAndEvaluate,
    /// [`record_sgd`](ParameterSet::record_sgd) without momentum.
    Sgd,
    /// [`record_sgd`](ParameterSet::record_sgd) with [`Momentum::HeavyBall`].
    SgdHeavyBall,
    /// [`record_sgd`](ParameterSet::record_sgd) with [`Momentum::Nesterov`].
    SgdNesterov,
    /// [`record_adam`](ParameterSet::record_adam) in this metric.
    Adam(Metric),
}

impl Recording {
    /// The operation, and whether the weights that it leaves are summed.
    pub(super) fn pass(self) -> (Operation, bool) {
        match self {
            Recording::Evaluate => (Operation::Evaluate, true),
            Recording::GradientAdd => (Operation::AddGradient, false),
            Recording::EvaluateAndGradientAdd => (Operation::AddGradient, true),
            Recording::Prox => (Operation::Prox, false),
            Recording::ProxAndEvaluate => (Operation::Prox, true),
            Recording::Sgd => (Operation::Sgd(Direction::Gradient), true),
            Recording::SgdHeavyBall => (Operation::Sgd(Direction::Momentum), true),
            Recording::SgdNesterov => (Operation::Sgd(Direction::Nesterov), true),
            Recording::Adam(metric) => (Operation::Adam(metric), true),
        }
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
