//! The tensors of a parameter set, on the host or on a device.

use std::sync::Arc;

use super::{Name, Segment};
use crate::Penalty;
use crate::numeric::element::Dtype;

/// One tensor of a parameter set. How long it is and of what type, its weights say.
///
/// ```
/// use penalty::{Parameter, Penalty};
///
/// let weight = Parameter::new("layer1.weight", Penalty::l1(1e-4)?);
/// let bias = Parameter::new("layer1.bias", Penalty::none()); // takes part in statistics and steps only
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, for errors and to find it.
    pub name: String,
    /// Its penalty. With [`Penalty::none`], the tensor only takes part in statistics and steps.
    pub penalty: Penalty,
}

impl Parameter {
    /// A tensor of this name, with its penalty.
    ///
    /// ```
    /// use penalty::{Parameter, Penalty};
    ///
    /// let bias = Parameter::new("layer1.bias", Penalty::none());
    /// assert!(bias.penalty.is_none());
    /// ```
    pub fn new(name: impl Into<String>, penalty: Penalty) -> Parameter {
        Parameter { name: name.into(), penalty }
    }
}

impl Segment {
    /// A set's tensor of this length and type.
    pub(crate) fn called(name: impl Into<Arc<str>>, (len, dtype): (u64, Dtype)) -> Segment {
        Segment { name: Name::Called(name.into()), len, dtype }
    }
}
