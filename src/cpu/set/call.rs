//! What a call on a set does, and the slices that it is given.

use crate::formula::scalars::Scalars;
use crate::numeric::slice::{Slice, SliceMut};
use crate::plan::operation::Operation;

/// What a call does, apart from its slices.
pub(super) struct Call {
    pub(super) operation: Operation,
    pub(super) sums: bool,
    pub(super) step: f64,
    pub(super) scalars: Scalars,
}

/// Slices, and what errors call them.
pub(super) type Inputs<'a> = (&'static str, &'a [Slice<'a>]);
pub(super) type Outputs<'a, 'b> = (&'static str, &'a mut [SliceMut<'b>]);

impl Call {
    pub(super) const EVALUATE: Call = Call::new(Operation::Evaluate, true);

    pub(super) const fn new(operation: Operation, sums: bool) -> Call {
        Call { operation, sums, step: 0.0, scalars: [0.0; 8] }
    }
}
