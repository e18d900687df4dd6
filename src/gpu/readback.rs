//! The one place that maps, polls and waits.

use std::time::{Duration, Instant};

use futures_intrusive::channel::shared::oneshot_channel;

use super::Gpu;
use super::poller::Reply;
use super::record::HEADER;
use crate::backend::Patience;
use crate::exact::{Partial, Report, WORDS};
use crate::plan::Segment;
use crate::{Error, Result};

/// How often a thread looks whether another one has handed it its answer.
const HANDOVER: Duration = Duration::from_micros(100);
const LOST: &str = "it was lost";

/// What the device calls back; where it drops the callback uncalled, nothing will ever answer.
struct Callback(Reply);

impl Drop for Callback {
    fn drop(&mut self) {
        self.0.send(Err(Error::Device(LOST.into())));
    }
}

/// An evaluation that was recorded: its report is on the device, or will be once the encoder was submitted.
///
/// It may be read any number of times, and merged with others as a [`Partial`]. Reading checks the serial number that the
/// device wrote behind the evaluation: where the encoder was never submitted, or the device was lost since, reading is
/// [`Error::NotSubmitted`] or [`Error::Device`], never an older report.
#[derive(Debug)]
pub struct PendingReport {
    gpu: Gpu,
    results: wgpu::Buffer,
    serial: u32,
    segments: Vec<Segment>,
}

impl PendingReport {
    pub(super) fn new(gpu: Gpu, results: wgpu::Buffer, serial: u32, segments: Vec<Segment>) -> PendingReport {
        PendingReport { gpu, results, serial, segments }
    }

    /// Waits for the report, polling the device on this thread, at most so long.
    ///
    /// # Errors
    ///
    /// [`Error::NotSubmitted`] where the recorded commands did not run, [`Error::Timeout`] where the device does not answer,
    /// [`Error::Device`] where it fails.
    pub fn wait(&self, timeout: Duration) -> Result<Report> {
        pollster::block_on(self.report(Patience::Block(timeout)))
    }

    /// The report, without blocking: the future completes while somebody else polls the device, the caller's own loop or a
    /// [`Poller`](super::Poller).
    ///
    /// # Errors
    ///
    /// As [`wait`](PendingReport::wait); the time-out is the poller's.
    pub async fn read(&self) -> Result<Report> {
        self.report(Patience::PolledElsewhere).await
    }

    /// The exact sums, to merge with those of other chunks, devices or ranks; waits as [`wait`](PendingReport::wait) does.
    ///
    /// # Errors
    ///
    /// As `wait`.
    pub fn wait_partial(&self, timeout: Duration) -> Result<Partial> {
        let partials = pollster::block_on(self.partials(Patience::Block(timeout)))?;
        Ok(partials.into_iter().next().unwrap_or_default())
    }

    async fn report(&self, patience: Patience) -> Result<Report> {
        let partials = self.partials(patience).await?;
        match (partials.first(), self.segments.first()) {
            (Some(partial), Some(segment)) => Ok(partial.report(&segment.penalty)),
            _ => Err(Error::Device("it returned no results".into())),
        }
    }

    /// The sums of every segment of the plan.
    pub(super) async fn partials(&self, patience: Patience) -> Result<Vec<Partial>> {
        let words = 4 * (HEADER + self.segments.len() * WORDS) as u64;
        let bytes = self.gpu.read_buffer(&self.results, words, patience).await?;
        // Bytes, which need not be aligned as words are.
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        let (header, results) = words.split_at(HEADER);
        if header[0] != self.serial {
            return Err(Error::NotSubmitted { expected: self.serial, found: header[0] });
        }
        let (results, _) = results.as_chunks::<WORDS>();
        Ok(results.iter().zip(&self.segments).map(|(words, s)| Partial::from_words(words, s.len)).collect())
    }
}

impl Gpu {
    /// Copies the first `size` bytes of a buffer to the host, behind everything submitted so far.
    pub(super) async fn read_buffer(&self, buffer: &wgpu::Buffer, size: u64, patience: Patience) -> Result<Vec<u8>> {
        let (sender, receiver) = oneshot_channel();
        let reply = Reply::new(sender);
        let mapped = Callback(reply.clone());
        let (staging, submission) = self.guarded(|| {
            let staging = self.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("penalty staging"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder = self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, size);
            let submission = self.queue().submit([encoder.finish()]);
            staging.map_async(wgpu::MapMode::Read, .., move |result| {
                mapped.0.send(result.map_err(|error| Error::Device(format!("mapping its memory failed: {error}"))));
            });
            (staging, submission)
        })?;
        match patience {
            Patience::Block(timeout) => {
                let began = Instant::now();
                let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(timeout) };
                match self.device().poll(wait) {
                    Ok(_) | Err(wgpu::PollError::Timeout) => {}
                    Err(error) => reply.send(Err(Error::Device(error.to_string()))),
                }
                // Another thread's poll may have collected the callback, and be busy with somebody else's before it.
                while !reply.sent() && began.elapsed() < timeout {
                    std::thread::sleep(HANDOVER);
                }
                reply.send(Err(Error::Timeout(timeout)));
            }
            Patience::PolledElsewhere => self.inner.waiting.add(reply),
        }
        receiver.receive().await.unwrap_or_else(|| Err(Error::Device(LOST.into())))?;
        let mapped = self.guarded(|| staging.get_mapped_range(..))?;
        let bytes = mapped.map_err(|error| Error::Device(error.to_string()))?.to_vec();
        staging.unmap();
        Ok(bytes)
    }
}
