//! The tensors of a parameter set, on the host or on a device.

use super::penalties::Penalties;
use super::{Name, Segment};
use crate::Penalty;
use crate::numeric::element::Dtype;

/// One tensor of a parameter set.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, for errors and to find it.
    pub name: String,
    /// How many weights it has.
    pub len: u64,
    /// Their type.
    pub dtype: Dtype,
    /// Its penalty. With [`Penalty::none`], the tensor only takes part in statistics and steps.
    pub penalty: Penalty,
}

impl Parameter {
    /// A tensor with its penalty.
    pub fn new(name: impl Into<String>, len: u64, dtype: Dtype, penalty: Penalty) -> Parameter {
        Parameter { name: name.into(), len, dtype, penalty }
    }
}

/// The tensors to plan with, and their penalties.
pub(crate) fn segments(parameters: Vec<Parameter>) -> (Vec<Segment>, Penalties) {
    let split =
        |Parameter { name, len, dtype, penalty }| (Segment { name: Name::Called(name.into()), len, dtype }, penalty);
    let (segments, penalties) = parameters.into_iter().map(split).unzip();
    (segments, Penalties::new(penalties))
}
