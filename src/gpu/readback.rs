//! Reading results back: mapping memory, and waiting for a recorded step or a copy. `ring.rs` and `poller.rs` poll the
//! device too.

use std::sync::{Arc, MutexGuard};
#[cfg(not(target_family = "wasm"))]
use std::time::{Duration, Instant};

use futures_intrusive::channel::shared::oneshot_channel;

use super::device::Gpu;
use super::lock::lock;
use super::reply::Reply;
use super::ring::{Phase, Slot, State};
use super::table::HEADER;
use super::wait::WaitMode;
#[cfg(not(target_family = "wasm"))]
use super::wait::pause;
use crate::numeric::accumulator::{Sums, WORDS};
use crate::plan::Segment;
use crate::report::{Partial, Report, Reports};
use crate::{Error, Penalty, Result};

const LOST: &str = "it was lost";

/// The device's callback. If the device drops it uncalled, no answer will ever come.
struct Callback(Reply);

impl Drop for Callback {
    fn drop(&mut self) {
        self.0.send(Err(Error::Device(LOST.into())));
    }
}

/// A recorded step, and the slot that it was recorded in. A later step may have taken the slot.
#[derive(Debug)]
pub(super) struct Pending {
    gpu: Gpu,
    slot: Arc<Slot>,
    serial: u32,
}

impl Pending {
    pub(super) fn new(gpu: Gpu, slot: Arc<Slot>, serial: u32) -> Pending {
        Pending { gpu, slot, serial }
    }

    /// The slot's state, as long as the slot is this step's.
    pub(super) fn state(&self) -> Result<MutexGuard<'_, State>> {
        let state = lock(&self.slot.state);
        if state.serial == self.serial {
            Ok(state)
        } else {
            Err(Error::SlotReused { expected: self.serial, found: state.serial })
        }
    }

    /// Whether the step was recorded in this slot.
    pub(super) fn is_in(&self, slot: &Arc<Slot>) -> bool {
        Arc::ptr_eq(&self.slot, slot)
    }

    /// Waits until the step is done. Returns each segment's sums with the penalty whose value they give.
    pub(super) async fn partials(&self, wait: WaitMode) -> Result<Vec<(Partial, Penalty)>> {
        self.gpu.alive()?;
        match wait {
            #[cfg(not(target_family = "wasm"))]
            WaitMode::Block(timeout) => self.block(timeout)?,
            WaitMode::PolledElsewhere => self.listen().await?,
        }
        let state = self.state()?;
        if let Phase::Failed(error) = &state.phase {
            return Err(error.clone());
        }
        let Some(staging) = &self.slot.staging else { return Ok(Vec::new()) };
        // Mapped memory of a destroyed or lost device cannot be trusted.
        self.gpu.lives()?;
        let mapped = self.gpu.guarded(|| staging.get_mapped_range(..))?;
        let bytes = mapped.map_err(|error| Error::Device(error.to_string()))?;
        // The mapped bytes need not be aligned to words, so this copies.
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        let (header, results) = words.split_at(HEADER);
        if header[0] != self.serial {
            return Err(Error::NotSubmitted { expected: self.serial, found: header[0] });
        }
        let results = results.as_chunks::<WORDS>().0.iter().zip(&*self.slot.segments).zip(&state.penalties);
        let partial = |((words, segment), penalty): ((&[u32; WORDS], &Segment), &Penalty)| {
            let sums = Sums::from_words(words, segment.len);
            (Partial::new(sums, penalty, segment.dtype), penalty.clone())
        };
        Ok(results.map(partial).collect())
    }

    #[cfg(not(target_family = "wasm"))]
    fn block(&self, timeout: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let status = self.gpu.poll()?;
            // While this is locked, no other step can take the slot and its memory.
            let state = self.state()?;
            match &state.phase {
                Phase::Recorded if status.is_queue_empty() && !self.is_mapped() => {
                    return Err(Error::NotSubmitted { expected: self.serial, found: 0 });
                }
                Phase::Recorded => {}
                Phase::Failed(error) => return Err(error.clone()),
                Phase::Free | Phase::Done => return Ok(()),
            }
            drop(state);
            if began.elapsed() >= timeout {
                return Err(Error::Timeout(timeout));
            }
            pause(began);
        }
    }

    /// Whether the results are mapped. The poll that collects them maps them before it runs the callbacks. If that poll
    /// runs on another thread, the callback may come later than this.
    #[cfg(not(target_family = "wasm"))]
    fn is_mapped(&self) -> bool {
        self.slot.staging.as_ref().is_some_and(|staging| staging.get_mapped_range(..).is_ok())
    }

    async fn listen(&self) -> Result<()> {
        let (sender, receiver) = oneshot_channel();
        {
            let mut state = self.state()?;
            match &state.phase {
                Phase::Recorded => {}
                Phase::Failed(error) => return Err(error.clone()),
                Phase::Free | Phase::Done => return Ok(()),
            }
            let reply = Reply::new(sender);
            state.replies.push(reply.clone());
            self.gpu.inner.waiting.add(reply);
        }
        receiver.receive().await.unwrap_or_else(|| Err(Error::Device(LOST.into())))
    }
}

/// A recorded evaluation. Its report is on the device once the encoder was submitted and has run.
///
/// It may be read any number of times, and merged with others as a [`Partial`]. Reading checks the serial number that
/// the device wrote behind the evaluation. If the encoder was never submitted, or the device was lost since, reading is
/// [`Error::NotSubmitted`] or [`Error::Device`], never an older report.
#[derive(Debug)]
pub struct PendingReport(pub(super) Pending);

impl PendingReport {
    /// Waits for the report, at most for `timeout`, and polls the device on this thread.
    ///
    /// # Errors
    ///
    /// [`Error::NotSubmitted`] if the recorded commands did not run, [`Error::Timeout`] if the device does not answer,
    /// [`Error::Device`] if it fails.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&self, timeout: Duration) -> Result<Report> {
        let (partial, penalty) = pollster::block_on(self.first(WaitMode::Block(timeout)))?;
        partial.report(&penalty)
    }

    /// The report, without blocking. The future completes while somebody else polls the device: your own loop, or a
    /// [`Poller`](super::Poller).
    ///
    /// # Errors
    ///
    /// As [`wait`](PendingReport::wait); the time-out is the poller's.
    pub async fn read(&self) -> Result<Report> {
        let (partial, penalty) = self.first(WaitMode::PolledElsewhere).await?;
        partial.report(&penalty)
    }

    /// The exact sums, to merge with those of other chunks, devices or ranks. It waits as [`wait`](PendingReport::wait)
    /// does.
    ///
    /// # Errors
    ///
    /// As `wait`.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait_partial(&self, timeout: Duration) -> Result<Partial> {
        pollster::block_on(self.first(WaitMode::Block(timeout))).map(|(partial, _)| partial)
    }

    async fn first(&self, wait: WaitMode) -> Result<(Partial, Penalty)> {
        let partials = self.0.partials(wait).await?;
        partials.into_iter().next().ok_or_else(|| Error::Device("it returned no results".into()))
    }
}

/// A recorded evaluation of a [`ParameterSet`](super::ParameterSet): a report for each tensor, and the total.
///
/// The values use the penalties as they were when the evaluation was recorded. The results lie in one of the set's
/// slots. As long as the slot is this evaluation's, they may be read any number of times. Once a later step has taken
/// the slot, reading is [`Error::SlotReused`]. Otherwise as [`PendingReport`].
#[derive(Debug)]
pub struct PendingReports(pub(super) Pending);

impl PendingReports {
    /// Waits for the reports, at most for `timeout`, and polls the device on this thread. Later steps may still run.
    ///
    /// # Errors
    ///
    /// [`Error::NotSubmitted`] if the recorded commands did not run, [`Error::SlotReused`] if a later step took the
    /// slot, [`Error::Timeout`] if the device does not answer, [`Error::Device`] if it fails.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&self, timeout: Duration) -> Result<Reports> {
        pollster::block_on(self.0.partials(WaitMode::Block(timeout))).and_then(reports)
    }

    /// The reports, without blocking; see [`PendingReport::read`].
    ///
    /// # Errors
    ///
    /// As [`wait`](PendingReports::wait); the time-out is the poller's.
    pub async fn read(&self) -> Result<Reports> {
        self.0.partials(WaitMode::PolledElsewhere).await.and_then(reports)
    }

    /// Each tensor's exact sums, to merge with those of other devices or ranks. It waits as
    /// [`wait`](PendingReports::wait) does.
    ///
    /// # Errors
    ///
    /// As `wait`.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait_partials(&self, timeout: Duration) -> Result<Vec<Partial>> {
        let partials = pollster::block_on(self.0.partials(WaitMode::Block(timeout)))?;
        Ok(partials.into_iter().map(|(partial, _)| partial).collect())
    }
}

fn reports(partials: Vec<(Partial, Penalty)>) -> Result<Reports> {
    Reports::new(partials.iter().map(|(partial, penalty)| (partial, penalty)))
}

impl Gpu {
    /// Runs the callbacks of the work that the device has done. It never lets wgpu wait: in wgpu 30, a wait panics if
    /// it times out while another thread's poll collects what it waited for
    /// (<https://github.com/gfx-rs/wgpu/pull/9958>).
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn poll(&self) -> Result<wgpu::PollStatus> {
        self.device().poll(wgpu::PollType::Poll).map_err(|error| Error::Device(error.to_string()))
    }

    /// Copies the first `size` bytes of a buffer to the host, after everything submitted so far.
    pub(super) async fn read_buffer(&self, buffer: &wgpu::Buffer, size: u64, wait: WaitMode) -> Result<Vec<u8>> {
        let (sender, receiver) = oneshot_channel();
        let reply = Reply::new(sender);
        let mapped = Callback(reply.clone());
        let staging = self.staging_buffer(size)?;
        self.guarded(|| {
            let mut encoder = self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
            self.queue().submit([encoder.finish()]);
            staging.map_async(wgpu::MapMode::Read, .., move |result| {
                mapped.0.send(result.map_err(|error| Error::Device(format!("mapping its memory failed: {error}"))));
            });
        })?;
        match wait {
            #[cfg(not(target_family = "wasm"))]
            WaitMode::Block(timeout) => {
                let began = Instant::now();
                loop {
                    if let Err(error) = self.poll() {
                        reply.send(Err(error));
                    }
                    if reply.sent() {
                        break;
                    }
                    if began.elapsed() >= timeout {
                        reply.send(Err(Error::Timeout(timeout)));
                    }
                    pause(began);
                }
            }
            WaitMode::PolledElsewhere => self.inner.waiting.add(reply),
        }
        receiver.receive().await.unwrap_or_else(|| Err(Error::Device(LOST.into())))?;
        let mapped = self.guarded(|| staging.get_mapped_range(..))?;
        let bytes = mapped.map_err(|error| Error::Device(error.to_string()))?.to_vec();
        staging.unmap();
        Ok(bytes)
    }
}
