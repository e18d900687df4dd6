//! An optimizer's step as the loops see it: scalars, a direction, a metric.

/// What a step needs besides each segment's coefficients; zeros for operations that take no step.
pub(crate) type Scalars<F = f32> = [F; 8];

/// Which way gradient descent goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// Along the gradient.
    Gradient,
    /// Along the momentum.
    Momentum,
    /// Along the gradient plus the next momentum.
    Nesterov,
}

/// How the prox after [`Adam`](crate::Adam)'s step measures distance.
///
/// ```
/// use penalty::{Adam, Metric};
///
/// assert_eq!(Adam::default().metric, Metric::Adam);
/// let for_group_penalties = Adam { metric: Metric::Plain, ..Adam::default() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Metric {
    /// ½‖x − u‖², as everywhere else: the threshold is ηλ for every weight. Every penalty has this prox, and it is the
    /// usual choice. But its fixed points do not minimize f + R: Adam scales the gradients of f, and nothing scales
    /// those of R. At the fixed points −g/(√v̂ + ε) is in ∂R, which belongs to another objective.
    Plain,
    /// Adam's metric, ½Σ(√v̂ᵢ + ε)(xᵢ − uᵢ)²: the threshold is ηλ/(√v̂ᵢ + ε). A weight with small gradients, which Adam
    /// moves further per gradient, is also shrunk further. The fixed points are the minimizers of f + R. Group
    /// penalties have no closed-form prox in this metric, nor have [custom](crate::custom::Elementwise) penalties that
    /// define none. Both are rejected with [`Error::NoMetricProx`](crate::Error::NoMetricProx).
    #[default]
    Adam,
}
