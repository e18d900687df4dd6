//! The value of a penalty, and statistics.

use super::Backend;
use super::runner::{self, erased};
#[cfg(doc)]
use crate::Error;
#[cfg(all(doc, feature = "gpu"))]
use crate::gpu::Gpu;
use crate::numeric::element::Element;
#[cfg(doc)]
use crate::numeric::tile::TILE;
use crate::penalty::element_weights::Weighted;
use crate::penalty::sum::Terms;
use crate::report::Report;
use crate::report::partial::Partial;
use crate::report::reports::Reports;
use crate::{Penalty, Result};

impl Backend {
    /// The value of a penalty over some weights, and their statistics, from one read.
    ///
    /// A [weighted](Penalty::is_weighted) penalty comes [with its element weights](Penalty::with_element_weights), here
    /// and in the other calls. Calls for values and gradients also take a [`Sum`](crate::Sum).
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let report = Backend::cpu().evaluate(&Penalty::l1(0.5)?, &[1.0f32, -0.25, 0.0])?;
    /// assert_eq!((report.value, report.nonzero, report.max_abs), (0.625, 2, 1.0));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ElementWeights`] if a weighted penalty has no element weights, [`Error::Length`] if there are not as
    /// many of them as weights, [`Error::Groups`] if the penalty's groups do not cover the weights. On a GPU also
    /// [`Error::Device`], [`Error::Timeout`], [`Error::Limit`], and the errors of [`Gpu::check`] when a
    /// [`custom`](Penalty::custom) penalty is first used there.
    pub fn evaluate<'a, E: Element>(&self, penalty: impl Into<Terms<'a, [E]>>, weights: &[E]) -> Result<Report> {
        self.block_on(|runner| runner::evaluate(runner, erased(penalty), weights.into()))
    }

    /// [`evaluate`](Backend::evaluate) without blocking.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let (backend, l1) = (Backend::cpu(), Penalty::l1(0.5)?);
    /// let future = backend.evaluate_async(&l1, &[1.0f32, -0.25]);
    /// assert_eq!(pollster::block_on(future)?.value, 0.625); // or `future.await?` in async code
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As `evaluate`.
    pub async fn evaluate_async<'a, E: Element>(
        &self,
        penalty: impl Into<Terms<'a, [E]>>,
        weights: &[E],
    ) -> Result<Report> {
        runner::evaluate(self.waiting(), erased(penalty), weights.into()).end().await
    }

    /// One penalty over a list of tensors, like PyTorch's `lam * sum(w.abs().sum() for w in weights)`: a report for
    /// each tensor and the total, in one call.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let weights = [vec![1.0f32, -2.0], vec![0.5]];
    /// let reports = Backend::cpu().evaluate_all(&Penalty::l1(2.0)?, &weights)?;
    /// assert_eq!(reports.total.value, 7.0);
    /// assert_eq!(reports.tensors[1].value, 1.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Backend::evaluate). An error about one tensor is in an [`Error::InParameter`] with the tensor's
    /// index. Weighted penalties are rejected: for tensors with element weights, use a [`HostSet`](crate::HostSet).
    pub fn evaluate_all<E: Element, W: AsRef<[E]>>(&self, penalty: &Penalty, weights: &[W]) -> Result<Reports> {
        let weights = weights.iter().map(|weights| weights.as_ref().into()).collect();
        self.block_on(|runner| runner::evaluate_all(runner, penalty, weights))
    }

    /// [`evaluate_all`](Backend::evaluate_all) without blocking.
    ///
    /// # Errors
    ///
    /// As `evaluate_all`.
    pub async fn evaluate_all_async<E: Element, W: AsRef<[E]>>(
        &self,
        penalty: &Penalty,
        weights: &[W],
    ) -> Result<Reports> {
        let weights = weights.iter().map(|weights| weights.as_ref().into()).collect();
        runner::evaluate_all(self.waiting(), penalty, weights).end().await
    }

    /// The exact statistics of a chunk of a tensor that starts at element `start`. A program that never holds the whole
    /// tensor merges them.
    ///
    /// ```
    /// use penalty::exact::TILE;
    /// use penalty::{Backend, Penalty};
    ///
    /// let (cpu, weights) = (Backend::cpu(), vec![0.5f32; TILE + 10]);
    /// let mut total = cpu.partial(0, &weights[..TILE])?;
    /// total.merge(&cpu.partial(TILE as u64, &weights[TILE..])?);
    /// let l1 = Penalty::l1(0.1)?;
    /// assert_eq!(total.report(&l1)?, cpu.evaluate(&l1, &weights)?);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ChunkStart`] unless `start` is a multiple of [`TILE`], else as [`evaluate`](Backend::evaluate).
    pub fn partial<E: Element>(&self, start: u64, weights: &[E]) -> Result<Partial> {
        self.partial_for(&Penalty::none(), start, weights)
    }

    /// [`partial`](Backend::partial) without blocking.
    ///
    /// # Errors
    ///
    /// As `partial`.
    pub async fn partial_async<E: Element>(&self, start: u64, weights: &[E]) -> Result<Partial> {
        self.partial_for_async(&Penalty::none(), start, weights).await
    }

    /// The same, with the term sum that this penalty's value needs, if it needs one; see [`Partial`]. For a group
    /// penalty, the chunk must be the whole tensor.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let (cpu, l_half) = (Backend::cpu(), Penalty::l_half(1.0)?);
    /// let partial = cpu.partial_for(&l_half, 0, &[4.0f32, 9.0])?;
    /// assert_eq!(partial.report(&l_half)?.value, 5.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`partial`](Backend::partial). [`Error::GroupsOfChunk`] for a group penalty on a chunk that does not start at
    /// 0.
    pub fn partial_for<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        start: u64,
        weights: &[E],
    ) -> Result<Partial> {
        self.block_on(|runner| runner::partial(runner, penalty.into().into(), start, weights.into()))
    }

    /// [`partial_for`](Backend::partial_for) without blocking.
    ///
    /// # Errors
    ///
    /// As `partial_for`.
    pub async fn partial_for_async<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        start: u64,
        weights: &[E],
    ) -> Result<Partial> {
        runner::partial(self.waiting(), penalty.into().into(), start, weights.into()).end().await
    }
}
