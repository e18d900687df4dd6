//! What an optimizer's step is to the loops: numbers, a direction, a metric.

/// What a step needs besides each segment's coefficients; zeros for what takes no step.
pub(crate) type Scalars = [f32; 8];

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

/// What distance the prox after [`Adam`](crate::Adam)'s step is measured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Metric {
    /// ½‖x − u‖², as everywhere else: the threshold is ηλ for every weight. Every penalty has this prox, and it is what is mostly
    /// done; but the fixed points are not the minimizers of f + R: Adam scales the gradients of f, and nothing scales R's. They are
    /// stationary where −g/(√v̂ + ε) is in ∂R, which is another objective.
    Plain,
    /// Adam's own, ½Σ(√v̂ᵢ + ε)(xᵢ − uᵢ)²: the threshold is ηλ/(√v̂ᵢ + ε), so that a weight whose gradients are small, which
    /// Adam moves further for its gradient, is also shrunk further. The fixed points are the minimizers of f + R. Penalties that take
    /// weights together have no prox in closed form here, nor have those of the caller's [own](crate::custom::Elementwise) that give
    /// none: they are rejected with [`Error::NoMetricProx`](crate::Error::NoMetricProx).
    #[default]
    Adam,
}
