//! The gradient of a penalty.

use super::Backend;
use super::runner::{self, erased};
#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::numeric::element::Element;
#[cfg(doc)]
use crate::penalty::Penalty;
use crate::penalty::sum::Terms;
use crate::plan::operation::Operation;
use crate::report::Report;

impl Backend {
    /// ∂R/∂θ, and 0 at a kink of R.
    ///
    /// The gradient of a NaN weight is that NaN. The gradient of an infinite weight is the limit there: ±λ for L1, ±∞
    /// with a squared term.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// assert_eq!(Backend::cpu().gradient(&Penalty::l1(0.5)?, &[2.0f32, -1.0, 0.0])?, [0.5, -0.5, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoGradient`] if the penalty [has none](Penalty::has_gradient), else as [`evaluate`](Backend::evaluate).
    pub fn gradient<'a, E: Element>(&self, penalty: impl Into<Terms<'a, [E]>>, weights: &[E]) -> Result<Vec<E>> {
        let mut gradient = vec![E::zeroed(); weights.len()];
        self.gradient_into(penalty, weights, &mut gradient)?;
        Ok(gradient)
    }

    /// [`gradient`](Backend::gradient) without blocking.
    ///
    /// # Errors
    ///
    /// As `gradient`.
    pub async fn gradient_async<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
    ) -> Result<Vec<E>> {
        let mut gradient = vec![E::zeroed(); weights.len()];
        self.gradient_into_async(penalty, weights, &mut gradient).await?;
        Ok(gradient)
    }

    /// Writes ∂R/∂θ over what `gradient` holds. If it fails, `gradient` stays as it was.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let mut gradient = [7.0f32; 2];
    /// Backend::cpu().gradient_into(&Penalty::l2_squared(0.5)?, &[2.0f32, -1.0], &mut gradient)?;
    /// assert_eq!(gradient, [2.0, -1.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the slices differ in length, else as [`gradient`](Backend::gradient).
    pub fn gradient_into<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<()> {
        let (operation, terms) = (Operation::Gradient, erased(penalty));
        self.block_on(|runner| runner::gradient(runner, operation, terms, weights.into(), gradient.into()))
    }

    /// [`gradient_into`](Backend::gradient_into) without blocking. If the future is dropped, `gradient` stays as it was.
    ///
    /// # Errors
    ///
    /// As `gradient_into`.
    pub async fn gradient_into_async<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<()> {
        let (operation, terms) = (Operation::Gradient, erased(penalty));
        runner::gradient(self.waiting(), operation, terms, weights.into(), gradient.into()).end().await
    }

    /// Adds ∂R/∂θ to what `gradient` holds, as a training loop adds a penalty to its loss.
    ///
    /// With [`Penalty::none`], nothing is read or written. A NaN stays that NaN; if both are NaN, the gradient's stays.
    /// If the call fails, nothing is added.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let mut gradient = [1.0f32; 3]; // the loss's
    /// Backend::cpu().gradient_add(&Penalty::l1(0.5)?, &[2.0f32, -1.0, 0.0], &mut gradient)?;
    /// assert_eq!(gradient, [1.5, 0.5, 1.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](Backend::gradient_into).
    pub fn gradient_add<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<()> {
        let (operation, terms) = (Operation::AddGradient, erased(penalty));
        self.block_on(|runner| runner::gradient(runner, operation, terms, weights.into(), gradient.into()))
    }

    /// [`gradient_add`](Backend::gradient_add) without blocking. If the future is dropped, nothing is added.
    ///
    /// # Errors
    ///
    /// As `gradient_add`.
    pub async fn gradient_add_async<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<()> {
        let (operation, terms) = (Operation::AddGradient, erased(penalty));
        runner::gradient(self.waiting(), operation, terms, weights.into(), gradient.into()).end().await
    }

    /// [`gradient_into`](Backend::gradient_into), with the value and the statistics of the weights, from one read.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let mut gradient = [7.0f32; 2];
    /// let report = Backend::cpu().evaluate_and_gradient_into(&Penalty::l1(0.5)?, &[2.0f32, -1.0], &mut gradient)?;
    /// assert_eq!((report.value, gradient), (1.5, [0.5, -0.5]));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](Backend::gradient_into).
    pub fn evaluate_and_gradient_into<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<Report> {
        let (operation, terms) = (Operation::Gradient, erased(penalty));
        self.block_on(|runner| runner::evaluate_and_gradient(runner, operation, terms, weights.into(), gradient.into()))
    }

    /// [`evaluate_and_gradient_into`](Backend::evaluate_and_gradient_into) without blocking. If the future is dropped, `gradient` stays as it was.
    ///
    /// # Errors
    ///
    /// As `evaluate_and_gradient_into`.
    pub async fn evaluate_and_gradient_into_async<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<Report> {
        let (operation, terms) = (Operation::Gradient, erased(penalty));
        runner::evaluate_and_gradient(self.waiting(), operation, terms, weights.into(), gradient.into()).end().await
    }

    /// [`gradient_add`](Backend::gradient_add), with the value and the statistics of the weights, from one read: what a
    /// training loop adds to its loss and to the loss's gradient.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let (mut loss, mut gradient) = (3.0, [1.0f32; 2]);
    /// loss += Backend::cpu().evaluate_and_gradient_add(&Penalty::l1(0.5)?, &[2.0f32, -1.0], &mut gradient)?.value;
    /// assert_eq!((loss, gradient), (4.5, [1.5, 0.5]));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](Backend::gradient_into).
    pub fn evaluate_and_gradient_add<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<Report> {
        let (operation, terms) = (Operation::AddGradient, erased(penalty));
        self.block_on(|runner| runner::evaluate_and_gradient(runner, operation, terms, weights.into(), gradient.into()))
    }

    /// [`evaluate_and_gradient_add`](Backend::evaluate_and_gradient_add) without blocking. If the future is dropped, nothing is added.
    ///
    /// # Errors
    ///
    /// As `evaluate_and_gradient_add`.
    pub async fn evaluate_and_gradient_add_async<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<Report> {
        let (operation, terms) = (Operation::AddGradient, erased(penalty));
        runner::evaluate_and_gradient(self.waiting(), operation, terms, weights.into(), gradient.into()).end().await
    }
}
