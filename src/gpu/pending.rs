//! Results of recorded work, which stay on the device until somebody asks for them.

#[cfg(not(target_family = "wasm"))]
use std::time::Duration;

use super::readback::Recorded;
use super::wait::WaitMode;
#[cfg(doc)]
use crate::Error;
use crate::report::Report;
use crate::report::partial::Partial;
use crate::report::reports::{Reports, report_of_sum};
use crate::{Penalty, Result};

/// The result of a recorded evaluation: a [`Report`] of one tensor, or the [`Reports`] of a
/// [`ParameterSet`](super::ParameterSet). It is on the device once the encoder was submitted and has run.
///
/// It may be read any number of times. Values use the penalties as they were when the evaluation was recorded. Reading
/// checks the serial number that the device wrote behind the evaluation. If the encoder was never submitted, or the
/// device was lost since, reading is [`Error::NotSubmitted`] or [`Error::Device`], never an older result. The results
/// of a set lie in one of its slots. Once a later step has taken the slot, reading is [`Error::SlotReused`].
///
/// ```no_run
/// # use penalty::gpu::ParameterSet;
/// # use penalty::{Gpu, wgpu};
/// # fn step(gpu: &Gpu, set: &mut ParameterSet, mut encoder: wgpu::CommandEncoder) -> penalty::Result<()> {
/// let pending = set.record_evaluate(&mut encoder)?;
/// gpu.queue().submit([encoder.finish()]);
/// if let Some(reports) = pending.try_read()? {
///     println!("R = {}", reports.total.value); // it was done already
/// }
/// let reports = pending.wait(Gpu::TIMEOUT)?; // or `pending.read().await`
/// assert_eq!(reports.tensors.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pending<T> {
    pub(super) recorded: Recorded,
    /// Those of a sum's further terms. A step of a set has none, and allocates nothing.
    more: Vec<Recorded>,
    /// Makes the result of each tensor's sums and its penalty.
    outcome: fn(&[(Partial, Penalty)]) -> Result<T>,
}

impl<T> Pending<T> {
    pub(super) fn new(recorded: Recorded, outcome: fn(&[(Partial, Penalty)]) -> Result<T>) -> Pending<T> {
        Pending { recorded, more: Vec::new(), outcome }
    }

    /// The same with what a sum's further terms recorded.
    pub(super) fn and(self, more: Vec<Recorded>) -> Pending<T> {
        Pending { more, ..self }
    }

    fn steps(&self) -> impl Iterator<Item = &Recorded> {
        std::iter::once(&self.recorded).chain(&self.more)
    }

    /// Waits for the result, at most for `timeout`, and polls the device on this thread. Later steps may still run.
    ///
    /// ```no_run
    /// # use penalty::gpu::Pending;
    /// # use penalty::{Gpu, Report};
    /// # fn f(pending: Pending<Report>) -> penalty::Result<()> {
    /// let report = pending.wait(Gpu::TIMEOUT)?;
    /// println!("R = {}", report.value);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotSubmitted`] if the recorded commands did not run, [`Error::SlotReused`] if a later step took the
    /// slot, [`Error::Timeout`] if the device does not answer, [`Error::Device`] if it fails.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&self, timeout: Duration) -> Result<T> {
        pollster::block_on(self.partials(WaitMode::Block(timeout))).and_then(|partials| self.of(&partials))
    }

    /// The result, without blocking. The future completes while somebody else polls the device: your own loop, or a
    /// [`Poller`](super::Poller).
    ///
    /// ```no_run
    /// # use penalty::gpu::Pending;
    /// # use penalty::Report;
    /// # async fn f(pending: Pending<Report>) -> penalty::Result<()> {
    /// let report = pending.read().await?;
    /// println!("R = {}", report.value);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Pending::wait); the time-out is the poller's.
    pub async fn read(&self) -> Result<T> {
        self.partials(WaitMode::PolledElsewhere).await.and_then(|partials| self.of(&partials))
    }

    /// The result if it is there, else `None`. It polls the device once and waits for nothing, so a training loop may
    /// ask at each step.
    ///
    /// ```no_run
    /// # use penalty::gpu::Pending;
    /// # use penalty::Report;
    /// # fn f(pending: Pending<Report>) -> penalty::Result<()> {
    /// if let Some(report) = pending.try_read()? {
    ///     println!("R = {}", report.value);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotSubmitted`] if the encoder was dropped, [`Error::SlotReused`] if a later step took the slot,
    /// [`Error::Device`] if the device fails.
    pub fn try_read(&self) -> Result<Option<T>> {
        let mut partials = Vec::new();
        for recorded in self.steps() {
            let Some(more) = recorded.try_partials()? else { return Ok(None) };
            partials.extend(more);
        }
        self.of(&partials).map(Some)
    }

    /// Each tensor's exact sums, to merge with those of other chunks, devices or ranks; of a [`Sum`](crate::Sum), those
    /// of each term. It waits as [`wait`](Pending::wait) does.
    ///
    /// ```no_run
    /// # use penalty::exact::Partial;
    /// # use penalty::gpu::Pending;
    /// # use penalty::{Gpu, Reports};
    /// # fn f(pending: Pending<Reports>, mut earlier: Partial) -> penalty::Result<()> {
    /// for partial in pending.wait_partials(Gpu::TIMEOUT)? {
    ///     earlier.merge(&partial);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As `wait`.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait_partials(&self, timeout: Duration) -> Result<Vec<Partial>> {
        pollster::block_on(self.partials(WaitMode::Block(timeout))).map(alone)
    }

    /// Each tensor's exact sums, without blocking; see [`read`](Pending::read).
    ///
    /// ```no_run
    /// # use penalty::gpu::Pending;
    /// # use penalty::Reports;
    /// # async fn f(pending: Pending<Reports>) -> penalty::Result<()> {
    /// let bytes: Vec<_> = pending.read_partials().await?.iter().map(|partial| partial.to_bytes()).collect();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As `read`.
    pub async fn read_partials(&self) -> Result<Vec<Partial>> {
        self.partials(WaitMode::PolledElsewhere).await.map(alone)
    }

    async fn partials(&self, wait: WaitMode) -> Result<Vec<(Partial, Penalty)>> {
        // All are in one encoder, so once the last is done, none is waited for.
        if let Some(last) = self.more.last() {
            last.partials(wait).await?;
        }
        let mut partials = Vec::new();
        for recorded in self.steps() {
            partials.extend(recorded.partials(wait).await?);
        }
        Ok(partials)
    }

    fn of(&self, partials: &[(Partial, Penalty)]) -> Result<T> {
        (self.outcome)(partials)
    }
}

fn alone(partials: Vec<(Partial, Penalty)>) -> Vec<Partial> {
    partials.into_iter().map(|(partial, _)| partial).collect()
}

/// The report of the only tensor; the terms of a sum each have a partial.
pub(super) fn report(partials: &[(Partial, Penalty)]) -> Result<Report> {
    report_of_sum(partials.iter().map(|(partial, penalty)| (partial, penalty)))
}

/// A report for each tensor, and the total.
pub(super) fn reports(partials: &[(Partial, Penalty)]) -> Result<Reports> {
    Reports::new(partials.iter().map(|(partial, penalty)| (partial, penalty)))
}
