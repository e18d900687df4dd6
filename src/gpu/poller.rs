//! A thread that polls a device, for programs whose own loop does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::device::Gpu;
use super::lock::lock;
use crate::{Error, Result};

/// A thread that polls a device while futures wait for it. Futures that wait too long fail with [`Error::Timeout`].
///
/// Natively, a device runs its callbacks only while somebody polls it. A program with its own loop calls
/// `device.poll(…)` there. A program without one keeps a `Poller` for as long as it awaits. Dropping it ends the
/// thread.
///
/// ```no_run
/// use penalty::{Backend, Gpu, Penalty, gpu::Poller};
///
/// # async fn f() -> penalty::Result<()> {
/// let backend = Backend::gpu()?;
/// let poller = match &backend {
///     Backend::Gpu(gpu) => Some(Poller::spawn(gpu, Gpu::TIMEOUT)?),
///     _ => None,
/// };
/// let report = backend.evaluate_async(&Penalty::l1(0.1)?, &[1.0f32, 2.0]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Poller {
    gpu: Gpu,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Poller {
    /// Starts the thread. No future waits longer than `timeout`.
    ///
    /// ```no_run
    /// # use penalty::gpu::{Pending, Poller};
    /// # use penalty::{Gpu, Report};
    /// # async fn f(gpu: &Gpu, pending: Pending<Report>) -> penalty::Result<()> {
    /// let poller = Poller::spawn(gpu, Gpu::TIMEOUT)?;
    /// let report = pending.read().await?;
    /// drop(poller); // ends the thread
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the system refuses a thread.
    pub fn spawn(gpu: &Gpu, timeout: Duration) -> Result<Poller> {
        let stop = Arc::new(AtomicBool::new(false));
        let (gpu, stopped) = (gpu.clone(), stop.clone());
        let polled = gpu.clone();
        let thread = std::thread::Builder::new()
            .name("penalty poller".into())
            .spawn(move || poll(&polled, &stopped, timeout))
            .map_err(|error| Error::Device(format!("no thread to poll it from: {error}")))?;
        Ok(Poller { gpu, stop, thread: Some(thread) })
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        // The flag is set under the lock, so that the thread is either before its look at the flag or waiting to be
        // woken.
        let replies = lock(&self.gpu.inner.waiting.replies);
        self.stop.store(true, Ordering::Relaxed);
        self.gpu.inner.waiting.added.notify_all();
        drop(replies);
        if let Some(thread) = self.thread.take() {
            // The thread does not panic. If it did, there would be nothing left to stop.
            let _ = thread.join();
        }
    }
}

fn poll(gpu: &Gpu, stop: &AtomicBool, timeout: Duration) {
    let waiting = &gpu.inner.waiting;
    loop {
        let mut replies = lock(&waiting.replies);
        replies.retain(|(since, reply)| {
            if since.elapsed() >= timeout {
                reply.send(Err(Error::Timeout(timeout)));
            }
            !reply.sent()
        });
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Some((youngest, _)) = replies.last() else {
            // A new future or the end wakes this. After a spurious wake it only looks again.
            drop(waiting.added.wait(replies));
            continue;
        };
        let began = *youngest;
        drop(replies);
        // An error means that the device is lost. The futures learn that from their callbacks.
        let _ = gpu.poll();
        gpu.pause(began);
    }
}
