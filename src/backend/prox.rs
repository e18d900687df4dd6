//! The proximal operator of a penalty.

use super::Backend;
use super::runner;
#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::numeric::element::Element;
#[cfg(doc)]
use crate::penalty::Penalty;
use crate::penalty::element_weights::Weighted;
use crate::report::Report;

impl Backend {
    /// prox(v) = argmin over x of step·R(x) + ½‖x − v‖², for each weight.
    ///
    /// A weight that is not finite comes back with the same bits. With [`Penalty::none`], every weight does. With other
    /// penalties, a number below 2^-120 in magnitude, read or written, is +0.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// assert_eq!(Backend::cpu().prox(&Penalty::l1(0.5)?, &[2.0f32, -1.0, 0.25], 1.0)?, [1.5, -0.5, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless the step is finite and ≥ 0 and 2·step·λ₂ is below 2^119 (step·λ for
    /// [`Penalty::huber`]), else as [`evaluate`](Backend::evaluate).
    pub fn prox<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &[E],
        step: f64,
    ) -> Result<Vec<E>> {
        let (term, mut shrunk) = (penalty.into().into(), vec![E::zeroed(); weights.len()]);
        self.block_on(|runner| runner::prox(runner, term, step, Some(weights.into()), shrunk[..].as_mut().into()))?;
        Ok(shrunk)
    }

    /// [`prox`](Backend::prox) without blocking.
    ///
    /// # Errors
    ///
    /// As `prox`.
    pub async fn prox_async<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &[E],
        step: f64,
    ) -> Result<Vec<E>> {
        let (term, mut shrunk) = (penalty.into().into(), vec![E::zeroed(); weights.len()]);
        runner::prox(self.waiting(), term, step, Some(weights.into()), shrunk[..].as_mut().into()).end().await?;
        Ok(shrunk)
    }

    /// [`prox`](Backend::prox) in place: the step of a training loop that makes weights exactly zero. If it fails, the
    /// weights stay as they were.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let mut weights = [2.0f32, -1.0, 0.25];
    /// Backend::cpu().prox_in_place(&Penalty::l1(0.5)?, &mut weights, 1.0)?;
    /// assert_eq!(weights, [1.5, -0.5, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prox`](Backend::prox).
    pub fn prox_in_place<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &mut [E],
        step: f64,
    ) -> Result<()> {
        let term = penalty.into().into();
        self.block_on(|runner| runner::prox(runner, term, step, None, weights.into()))
    }

    /// [`prox_in_place`](Backend::prox_in_place) without blocking. If the future is dropped, the weights stay as they were.
    ///
    /// # Errors
    ///
    /// As [`prox`](Backend::prox).
    pub async fn prox_in_place_async<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &mut [E],
        step: f64,
    ) -> Result<()> {
        let term = penalty.into().into();
        runner::prox(self.waiting(), term, step, None, weights.into()).end().await
    }

    /// [`prox_in_place`](Backend::prox_in_place), with the value and the statistics of the new weights, from one read.
    /// If it fails, the weights stay as they were.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let mut weights = [1.0f32, -0.25];
    /// let report = Backend::cpu().prox_and_evaluate_in_place(&Penalty::l1(0.5)?, &mut weights, 1.0)?;
    /// assert_eq!((weights, report.value, report.nonzero), ([0.5, 0.0], 0.25, 1));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prox`](Backend::prox).
    pub fn prox_and_evaluate_in_place<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &mut [E],
        step: f64,
    ) -> Result<Report> {
        let term = penalty.into().into();
        self.block_on(|runner| runner::prox_and_evaluate(runner, term, step, weights.into()))
    }

    /// [`prox_and_evaluate_in_place`](Backend::prox_and_evaluate_in_place) without blocking. If the future is dropped, the weights stay as they were.
    ///
    /// # Errors
    ///
    /// As [`prox`](Backend::prox).
    pub async fn prox_and_evaluate_in_place_async<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &mut [E],
        step: f64,
    ) -> Result<Report> {
        let term = penalty.into().into();
        runner::prox_and_evaluate(self.waiting(), term, step, weights.into()).end().await
    }
}
