//! What precedes a penalty's own prox, if it is a sum.

use crate::formula::Parameters;

/// What precedes a penalty's own prox.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) enum Before {
    #[default]
    Nothing,
    /// The prox of λ₁Σ|θ| + λ₂Σθ², which has not been taken yet: the penalty is a sum.
    Net(Parameters),
    /// That prox has been taken with this λ₂. It has shortened the step of what follows.
    Taken(f64),
}

/// What errors call a sum.
pub(super) const NAME: &str = "sum";
