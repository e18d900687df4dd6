//! The tensors of a parameter set, on the host or on a device.

use std::sync::Arc;

use super::{Name, Segment};
use crate::Penalty;
use crate::numeric::element::Dtype;

/// One tensor of a parameter set.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// What it is called, for errors and for whoever looks for it.
    pub name: String,
    /// How many weights it has.
    pub len: u64,
    /// Their type.
    pub dtype: Dtype,
    /// Its penalty; [`Penalty::none`] for one that only takes part in statistics and steps.
    pub penalty: Penalty,
}

impl Parameter {
    /// A tensor with its penalty.
    pub fn new(name: impl Into<String>, len: u64, dtype: Dtype, penalty: Penalty) -> Parameter {
        Parameter { name: name.into(), len, dtype, penalty }
    }
}

/// The names of a set's tensors, and the tensors to plan with.
pub(crate) fn named(parameters: Vec<Parameter>) -> (Vec<Arc<str>>, Vec<Segment>) {
    let segment = |Parameter { name, len, dtype, penalty }| {
        let name: Arc<str> = name.into();
        (name.clone(), Segment { name: Name::Called(name), len, dtype, penalty })
    };
    parameters.into_iter().map(segment).unzip()
}
