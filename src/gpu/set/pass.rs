//! The operations of a set without an optimizer, and whether the weights that each leaves are summed.

use crate::gpu::recorder::SummedOperation;
use crate::plan::operation::Operation;

pub(super) const EVALUATE: SummedOperation = (Operation::Evaluate, true);
pub(super) const GRADIENT_INTO: SummedOperation = (Operation::Gradient, false);
pub(super) const GRADIENT_ADD: SummedOperation = (Operation::AddGradient, false);
pub(super) const EVALUATE_AND_GRADIENT_INTO: SummedOperation = (Operation::Gradient, true);
pub(super) const EVALUATE_AND_GRADIENT_ADD: SummedOperation = (Operation::AddGradient, true);
pub(super) const PROX: SummedOperation = (Operation::Prox, false);
pub(super) const PROX_AND_EVALUATE: SummedOperation = (Operation::Prox, true);
