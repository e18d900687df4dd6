//! Sums of separable penalties, for their value and their gradient.

use super::Penalty;
use super::element_weights::Weighted;
use crate::{Error, Result};

/// R(θ) = R₁(θ) + R₂(θ) + …, a sum of separable penalties.
///
/// Calls for the value and the gradient take it for a penalty. They give the bits of one call per term, in the order of
/// the terms: the `f64` values are added, and so are the gradients, each rounded to the weights' type. So no kernel is
/// compiled for a combination, and the weights are read once per term.
///
/// On a GPU, a gradient of a sum takes memory for a copy of the result until all terms are added. If the device fails
/// while terms are recorded in your encoder, earlier terms may be in it.
///
/// It has no prox: in general, that of a sum does not follow from those of its terms. [`Penalty::sum`] makes one penalty
/// of terms for which it does. In a set, each tensor has one penalty; to add the gradients of a sum, record one set per
/// term.
///
/// ```
/// use penalty::{Backend, Penalty, Sum};
///
/// let sum = Sum::new([Penalty::l1(0.5)?, Penalty::huber(1.0, 1.0)?])?;
/// let weights = [2.0f32, -0.5];
/// let mut gradient = [0.0f32; 2]; // the loss's
/// let report = Backend::cpu().evaluate_and_gradient_add(&sum, &weights, &mut gradient)?;
/// assert_eq!(report.value, 0.5 * 2.5 + (1.5 + 0.125));
/// assert_eq!(gradient, [1.5, -1.0]);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    terms: Vec<Penalty>,
}

impl Sum {
    /// The sum of these penalties.
    ///
    /// ```
    /// use penalty::{Groups, Penalty, Sum};
    ///
    /// let error = Sum::new([Penalty::l1(0.5)?, Penalty::group_lasso(0.1, Groups::rows(8)?)?]).unwrap_err();
    /// assert_eq!(error.to_string(), "a sum must be of separable penalties without element weights, found group_lasso");
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Sum`] if one of them is a group penalty or [weighted](Penalty::is_weighted), or if there is none.
    pub fn new(terms: impl IntoIterator<Item = Penalty>) -> Result<Sum> {
        let terms: Vec<Penalty> = terms.into_iter().collect();
        if let Some(term) = terms.iter().find(|term| term.groups().is_some() || term.is_weighted()) {
            return Err(Error::Sum { found: term.name() });
        }
        if terms.is_empty() { Err(Error::Sum { found: "no penalty" }) } else { Ok(Sum { terms }) }
    }

    /// Its penalties, in the order in which they are added.
    ///
    /// ```
    /// use penalty::{Penalty, Sum};
    ///
    /// let sum = Sum::new([Penalty::l1(0.5)?, Penalty::l2_squared(1.0)?])?;
    /// assert_eq!(sum.terms().len(), 2);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn terms(&self) -> &[Penalty] {
        &self.terms
    }
}

/// What calls for values and gradients take for a penalty: a `&Penalty`, a [`Weighted`] one, or a `&`[`Sum`].
///
/// ```
/// use penalty::{Backend, Penalty, Result, Sum, Terms};
///
/// fn value<'a>(terms: impl Into<Terms<'a, [f32]>>) -> Result<f64> {
///     Ok(Backend::cpu().evaluate(terms, &[1.0f32, -2.0])?.value)
/// }
///
/// let l1 = Penalty::l1(1.0)?;
/// assert_eq!(value(&l1)?, 3.0);
/// assert_eq!(value(Penalty::weighted_l1(1.0)?.with_element_weights(&[1.0, 0.5])?)?, 2.0);
/// assert_eq!(value(&Sum::new([l1.clone(), l1.clone()])?)?, 6.0);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug)]
pub struct Terms<'a, W: ?Sized>(Of<'a, W>);

#[derive(Debug)]
enum Of<'a, W: ?Sized> {
    One(Weighted<'a, W>),
    Sum(&'a Sum),
}

impl<'a, W: ?Sized> From<&'a Penalty> for Terms<'a, W> {
    fn from(penalty: &'a Penalty) -> Self {
        Terms(Of::One(penalty.into()))
    }
}

impl<'a, W: ?Sized> From<Weighted<'a, W>> for Terms<'a, W> {
    fn from(penalty: Weighted<'a, W>) -> Self {
        Terms(Of::One(penalty))
    }
}

impl<'a, W: ?Sized> From<&'a Sum> for Terms<'a, W> {
    fn from(sum: &'a Sum) -> Self {
        Terms(Of::Sum(sum))
    }
}

impl<'a, W: ?Sized> Terms<'a, W> {
    /// The first term, and the others in order.
    pub(crate) fn list(self) -> (Weighted<'a, W>, impl Iterator<Item = Weighted<'a, W>>) {
        let (first, more): (_, &[Penalty]) = match self.0 {
            Of::One(penalty) => (penalty, &[]),
            // The constructor rejects a sum of nothing.
            Of::Sum(Sum { terms }) => ((&terms[0]).into(), &terms[1..]),
        };
        (first, more.iter().map(Weighted::from))
    }
}
