//! The one error type: every rejection names the parameter, what was expected and what was found.

use std::time::Duration;

use burn_core::tensor::DType;

/// What went wrong. A call that returns one has changed neither the module nor the gradients.
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
    /// A pattern that is no regular expression.
    #[error("{pattern:?} is no regular expression: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A pattern that names no parameter: a slip of the pen, which would silently penalize other weights than was meant.
    #[error("{pattern:?} matches no float parameter; there are {paths}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// The paths that there are.
        paths: String,
    },
    /// A parameter or a gradient of a type that there are no kernels for.
    #[error("{operand} of {parameter:?} must hold F32, F16 or BF16, found {found:?}")]
    Type {
        /// The weights or the gradient.
        operand: &'static str,
        /// The parameter's path.
        parameter: String,
        /// The type it has.
        found: DType,
    },
    /// A gradient that is not as its parameter is.
    #[error("the gradient of {parameter:?} must be {expected}, found {found}")]
    Gradient {
        /// The parameter's path.
        parameter: String,
        /// The parameter's type and shape.
        expected: String,
        /// The gradient's.
        found: String,
    },
    /// A tensor on another device than the regularizer's, or a gradient on another than its parameter's.
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
    /// A device that is not wgpu's was given to [`Regularizer::wgpu`](crate::Regularizer::wgpu).
    #[error("expected a wgpu device, found {found}; a regularizer for it is Regularizer::host")]
    NotWgpu {
        /// The device.
        found: String,
    },
    /// Burn did not hand out a tensor's memory, or its own work on it failed.
    #[error("{operand} of {parameter:?}: expected its memory, found {problem}")]
    Storage {
        /// The weights or the gradient.
        operand: &'static str,
        /// The parameter's path.
        parameter: String,
        /// What Burn reports.
        problem: String,
    },
    /// The device takes no more work, or none of it is done in this time.
    #[error("the device did not finish an earlier step within {0:?}")]
    Busy(Duration),
    /// What the library rejects: a step out of its range, a device that failed.
    #[error(transparent)]
    Penalty(#[from] penalty::Error),
}

/// A module that a call could not take its step with, as it was, and why.
///
/// `?` turns it into an [`Error`] where a function returns one, and drops the module; a `match` keeps it.
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
    /// The module, with the values that it had.
    pub module: M,
    /// Why.
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
