//! What errors call operands, and which operands are rejected, on the host and on a device.

use super::Segment;
use crate::numeric::element::Dtype;
use crate::{Error, Result};

/// What errors call θ, on the CPU and on devices, for one tensor and for sets.
pub(crate) const WEIGHTS: &str = "the weights";
/// What errors call the gradient: the loss's, the penalty's, or their sum.
pub(crate) const GRADIENT: &str = "the gradient";
/// What errors call the momentum of gradient descent, and Adam's m.
pub(crate) const FIRST: &str = "the first state";
/// What errors call Adam's v.
pub(crate) const SECOND: &str = "the second state";
/// What errors call the element weights.
pub(crate) const ELEMENT_WEIGHTS: &str = "the element weights";

/// A range of memory that a step reads, or reads and writes, and the operand that it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent<M> {
    /// The memory, such as a buffer.
    pub(crate) memory: M,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The operand, and the index of its tensor.
    pub(crate) operand: &'static str,
    pub(crate) parameter: usize,
}

/// Rejects ranges that share an element. Reorders `extents`.
pub(crate) fn disjoint<M: Ord>(segments: &[Segment], extents: &mut [Extent<M>]) -> Result<()> {
    extents.sort_unstable_by(|a, b| (&a.memory, a.start, a.end).cmp(&(&b.memory, b.start, b.end)));
    for pair in extents.windows(2) {
        let [a, b] = pair else { continue };
        if a.memory == b.memory && b.start < a.end {
            let name = |e: &Extent<M>| format!("{} of {:?}", e.operand, segments[e.parameter].name());
            return Err(Error::Overlap { first: name(a), second: name(b) });
        }
    }
    Ok(())
}

/// Rejects a list that does not have one operand per tensor.
pub(crate) fn one_each(operation: &'static str, operand: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Missing { operation, operand, expected, found }) }
}

/// Rejects an operand whose length or type is not the expected one.
pub(crate) fn same_shape(operand: &'static str, expected: (u64, Dtype), found: (u64, Dtype)) -> Result<()> {
    if expected.0 != found.0 {
        return Err(Error::Length { operand, expected: expected.0, found: found.0 });
    }
    if expected.1 != found.1 {
        return Err(Error::Type { operand, expected: expected.1, found: found.1 });
    }
    Ok(())
}
