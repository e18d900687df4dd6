//! The crate's errors. A rejection names the parameter, what was expected and what was found.

use std::time::Duration;

use burn_core::tensor::DType;

/// What went wrong. A call that returns an error has changed neither the module nor the gradients.
///
/// ```
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::Device;
/// # use penalty::Penalty;
/// # use penalty_burn::Rules;
/// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
/// let error = Rules::new(Penalty::l1(0.5)?).exclude("no such layer")?.select(&layer).unwrap_err();
/// println!("{error}"); // which pattern matches nothing, and what there is
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The pattern is not a regular expression.
    #[error("{pattern:?} is no regular expression: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The pattern matches no parameter. It is probably a typo, which would silently penalize the wrong weights.
    #[error("{pattern:?} matches no float parameter; there are {paths}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// The paths of the module's float parameters.
        paths: String,
    },
    /// A parameter or a gradient has a type without kernels.
    #[error("{operand} of {parameter:?} must hold F32, F16 or BF16, found {found:?}")]
    Type {
        /// The weights or the gradient.
        operand: &'static str,
        /// The parameter's path.
        parameter: String,
        /// Its type.
        found: DType,
    },
    /// A weighted penalty has no element weights for a parameter, or not one for each of its weights.
    #[error(
        "{parameter:?} has a weighted penalty and {expected} weights: expected as many element weights, found {found}"
    )]
    ElementWeights {
        /// The parameter's path.
        parameter: String,
        /// How many weights it has.
        expected: u64,
        /// How many element weights there are.
        found: String,
    },
    /// A gradient's type or shape differs from its parameter's.
    #[error("the gradient of {parameter:?} must be {expected}, found {found}")]
    Gradient {
        /// The parameter's path.
        parameter: String,
        /// The parameter's type and shape.
        expected: String,
        /// The gradient's type and shape.
        found: String,
    },
    /// A tensor is not on the regularizer's device, or a gradient is not on its parameter's device.
    #[error("{operand} of {parameter:?} must be on {expected}, found on {found}")]
    Device {
        /// The weights or the gradient.
        operand: &'static str,
        /// The parameter's path.
        parameter: String,
        /// The device it must be on.
        expected: String,
        /// The device it is on.
        found: String,
    },
    /// [`Wgpu::new`](crate::Wgpu::new) was given a device that is not a wgpu device.
    #[error("expected a wgpu device, found {found}; regularizers and optimizers for it need no Wgpu")]
    NotWgpu {
        /// The device.
        found: String,
    },
    /// Burn did not hand out a tensor's memory, or Burn's work on it failed.
    #[error("{operand} of {parameter:?}: expected its memory, found {problem}")]
    Storage {
        /// The weights or the gradient.
        operand: &'static str,
        /// The parameter's path.
        parameter: String,
        /// What Burn reports.
        problem: String,
    },
    /// Too many steps are under way on the device, and it finished none of them within this time.
    #[error("the device did not finish an earlier step within {0:?}")]
    Busy(Duration),
    /// The `penalty` library reports an error, such as a step out of its range or a failed device.
    #[error(transparent)]
    Penalty(#[from] penalty::Error),
}

/// What is wrong, whichever parameter it is about.
pub(crate) fn cause(error: &penalty::Error) -> &penalty::Error {
    match error {
        penalty::Error::InParameter { error, .. } => cause(error),
        error => error,
    }
}

/// A rejected [`prox`](crate::Regularizer::prox): the unchanged module, and the reason.
///
/// In a function that returns an [`Error`], `?` converts it and drops the module. A `match` keeps the module.
///
/// ```
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::Device;
/// # use penalty::Penalty;
/// # use penalty_burn::{Regularizer, Rules};
/// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
/// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.5)?));
/// let Err(rejected) = regularizer.prox(layer, f64::NAN) else { panic!("NaN is no step") };
/// let layer = rejected.module; // as it was
/// println!("{}", rejected.error);
/// # drop(layer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Rejected<M> {
    /// The module, with its values unchanged.
    pub module: M,
    /// Why the call was rejected.
    pub error: Error,
}

impl<M> std::fmt::Debug for Rejected<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rejected").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<M> std::fmt::Display for Rejected<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl<M> std::error::Error for Rejected<M> {}

impl<M> From<Rejected<M>> for Error {
    fn from(rejected: Rejected<M>) -> Error {
        rejected.error
    }
}
