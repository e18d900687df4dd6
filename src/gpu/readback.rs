//! Reading results back: mapping memory, and waiting for a recorded step or a copy. `ring.rs` and `poller.rs` poll the
//! device too.

use std::sync::{Arc, MutexGuard};
#[cfg(not(target_family = "wasm"))]
use std::time::{Duration, Instant};

use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};

use super::device::Gpu;
use super::lock::lock;
use super::reply::Reply;
use super::ring::{Phase, Slot, State};
use super::table::HEADER;
use super::wait::WaitMode;
use crate::numeric::accumulator::{Sums, WORDS};
use crate::plan::Segment;
use crate::report::partial::Partial;
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
pub(super) struct Recorded {
    gpu: Gpu,
    slot: Arc<Slot>,
    serial: u32,
}

impl Recorded {
    pub(super) fn new(gpu: Gpu, slot: Arc<Slot>, serial: u32) -> Recorded {
        Recorded { gpu, slot, serial }
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
        self.results()
    }

    /// The same if the step is done, else `None`. Polls the device once.
    pub(super) fn try_partials(&self) -> Result<Option<Vec<(Partial, Penalty)>>> {
        self.gpu.alive()?;
        #[cfg(not(target_family = "wasm"))]
        self.gpu.poll()?;
        if matches!(self.state()?.phase, Phase::Recorded) { Ok(None) } else { self.results().map(Some) }
    }

    /// The results of a step that is done.
    fn results(&self) -> Result<Vec<(Partial, Penalty)>> {
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
            self.gpu.pause(began);
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
        self.read_after(|_| (), (buffer, 0), &self.staging_buffer(size)?, wait).await
    }

    /// Submits what is recorded, then copies what begins at an offset of a buffer to the host, through a staging buffer
    /// that it fills.
    pub(super) async fn read_after(
        &self,
        record: impl FnOnce(&mut wgpu::CommandEncoder),
        (buffer, offset): (&wgpu::Buffer, u64),
        staging: &wgpu::Buffer,
        wait: WaitMode,
    ) -> Result<Vec<u8>> {
        let mapping = self.submit(|gpu, encoder| {
            record(encoder);
            encoder.copy_buffer_to_buffer(buffer, offset, staging, 0, staging.size());
            Ok(gpu.map_on_submit(encoder, staging, wgpu::MapMode::Read))
        })?;
        mapping.done(self, wait).await?;
        let mapped = self.guarded(|| staging.get_mapped_range(..))?;
        let bytes = mapped.map_err(|error| Error::Device(error.to_string()))?.to_vec();
        staging.unmap();
        Ok(bytes)
    }

    /// Maps a buffer when the encoder's work is done.
    pub(super) fn map_on_submit(
        &self,
        encoder: &wgpu::CommandEncoder,
        buffer: &wgpu::Buffer,
        mode: wgpu::MapMode,
    ) -> Mapping {
        let (sender, receiver) = oneshot_channel();
        let reply = Reply::new(sender);
        let mapped = Callback(reply.clone());
        encoder.map_buffer_on_submit(buffer, mode, .., move |result| {
            mapped.0.send(result.map_err(|error| Error::Device(format!("mapping its memory failed: {error}"))));
        });
        Mapping { reply, receiver }
    }
}

/// A buffer that will be mapped. Its encoder must be submitted before anybody waits for it.
pub(super) struct Mapping {
    reply: Reply,
    receiver: OneshotReceiver<Result<()>>,
}

impl Mapping {
    /// Waits until the buffer is mapped.
    pub(super) async fn done(self, gpu: &Gpu, wait: WaitMode) -> Result<()> {
        let Mapping { reply, receiver } = self;
        match wait {
            #[cfg(not(target_family = "wasm"))]
            WaitMode::Block(timeout) => {
                let began = Instant::now();
                while !reply.sent() {
                    if let Err(error) = gpu.poll() {
                        reply.send(Err(error));
                    } else if reply.sent() {
                        break;
                    } else if began.elapsed() >= timeout {
                        reply.send(Err(Error::Timeout(timeout)));
                    } else {
                        gpu.pause(began);
                    }
                }
            }
            WaitMode::PolledElsewhere => gpu.inner.waiting.add(reply),
        }
        receiver.receive().await.unwrap_or_else(|| Err(Error::Device(LOST.into())))
    }
}
