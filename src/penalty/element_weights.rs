//! A penalty with its element weights, and which element weights are rejected.

use rayon::prelude::*;

use super::Penalty;
use crate::numeric::bits::INFINITY;
use crate::numeric::element::Element;
use crate::numeric::slice::{Slice, with_element};
use crate::numeric::tile::TILE;
use crate::{Error, Result};

/// How many element weights a thread checks at a time.
const CHUNK: usize = 64 * TILE;

/// A penalty and its element weights wᵢ: what a call on one tensor takes for a penalty that [is
/// weighted](Penalty::is_weighted). A `&Penalty` becomes one without element weights.
///
/// [`Penalty::with_element_weights`] makes it for slices of `E`: a `Weighted<[E]>`. [`Penalty::with_operand`] makes it
/// for a buffer range on a device: a `Weighted<gpu::Operand>`.
///
/// ```
/// use penalty::{Backend, Penalty, Weighted};
///
/// let penalty = Penalty::weighted_l1(0.5)?;
/// let weighted: Weighted<[f32]> = penalty.with_element_weights(&[1.0, 4.0])?; // checked once
/// assert_eq!(Backend::cpu().evaluate(weighted, &[2.0, 1.0])?.value, 0.5 * (2.0 + 4.0));
/// assert_eq!(Backend::cpu().gradient(weighted, &[2.0, 1.0])?, [0.5, 2.0]);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug)]
pub struct Weighted<'a, W: ?Sized> {
    penalty: &'a Penalty,
    element_weights: Option<&'a W>,
}

impl<W: ?Sized> Clone for Weighted<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: ?Sized> Copy for Weighted<'_, W> {}

impl<'a, W: ?Sized> From<&'a Penalty> for Weighted<'a, W> {
    fn from(penalty: &'a Penalty) -> Self {
        Weighted { penalty, element_weights: None }
    }
}

impl<'a, E: Element> Weighted<'a, [E]> {
    /// The penalty and its element weights, if any. Whether it takes any is not checked here.
    pub(crate) fn erased(self) -> (&'a Penalty, Option<Slice<'a>>) {
        (self.penalty, self.element_weights.map(Slice::from))
    }
}

impl<'a, W: ?Sized> Weighted<'a, W> {
    /// A penalty with element weights whose values are not checked.
    ///
    /// # Errors
    ///
    /// [`Error::ElementWeights`] if the penalty takes none.
    pub(crate) fn new(penalty: &'a Penalty, element_weights: &'a W) -> Result<Weighted<'a, W>> {
        matched(penalty, true)?;
        Ok(Weighted { penalty, element_weights: Some(element_weights) })
    }

    /// The penalty, and its element weights if it takes any.
    ///
    /// # Errors
    ///
    /// [`Error::ElementWeights`] if it takes element weights and has none.
    pub(crate) fn parts(self) -> Result<(&'a Penalty, Option<&'a W>)> {
        matched(self.penalty, self.element_weights.is_some())?;
        Ok((self.penalty, self.element_weights))
    }
}

impl Penalty {
    /// This penalty with element weights wᵢ: one for each weight θ, of the same type.
    ///
    /// An element weight is a number ≥ 0. Below 2^-120 it is 0, and an infinite one counts as `f32::MAX`. They are
    /// checked once, here: in a loop, keep the result.
    ///
    /// ```
    /// use penalty::{Backend, Error, Penalty};
    ///
    /// let penalty = Penalty::weighted_l1(0.5)?;
    /// let mut theta = [1.0f32, 1.0];
    /// Backend::cpu().prox_in_place(penalty.with_element_weights(&[1.0, 0.0])?, &mut theta, 1.0)?;
    /// assert_eq!(theta, [0.5, 1.0]);
    /// assert_eq!(penalty.with_element_weights(&[1.0f32, -2.0]).unwrap_err(), Error::ElementWeight { index: 1, found: -2.0 });
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ElementWeight`] for the first one that is negative or NaN. [`Error::ElementWeights`] if the penalty
    /// takes none.
    pub fn with_element_weights<'a, E: Element>(&'a self, element_weights: &'a [E]) -> Result<Weighted<'a, [E]>> {
        let weighted = Weighted::new(self, element_weights)?;
        valid(element_weights.into())?;
        Ok(weighted)
    }
}

/// Rejects element weights for a penalty that takes none, and a weighted penalty without them.
pub(crate) fn matched(penalty: &Penalty, given: bool) -> Result<()> {
    if penalty.is_weighted() == given {
        return Ok(());
    }
    let (expected, found) = if given { ("no element weights", "some") } else { ("element weights", "none") };
    Err(Error::ElementWeights { penalty: penalty.name(), expected, found })
}

/// Rejects element weights that are negative or NaN.
pub(crate) fn valid(element_weights: Slice<'_>) -> Result<()> {
    with_element!(element_weights.dtype(), E => valid_of::<E>(element_weights.elements()))
}

fn valid_of<E: Element>(element_weights: &[E]) -> Result<()> {
    // −0 counts as 0.
    let bad = |weight: &E| weight.decode() > INFINITY && weight.decode() != 1 << 31;
    let any_bad = |chunk: &[E]| chunk.iter().fold(false, |any, weight| any | bad(weight));
    let Some(chunk) = element_weights.par_chunks(CHUNK).position_first(any_bad) else { return Ok(()) };
    let Some(index) = (chunk * CHUNK..element_weights.len()).find(|&i| bad(&element_weights[i])) else { return Ok(()) };
    Err(Error::ElementWeight { index: index as u64, found: f32::from_bits(element_weights[index].decode()).into() })
}
