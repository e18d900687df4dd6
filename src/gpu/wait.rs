//! How a call waits for the end of device work.

#[cfg(not(target_family = "wasm"))]
use std::time::{Duration, Instant};

/// How a call waits for the end of device work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WaitMode {
    /// Poll the device on this thread until it is done, or until this time is over.
    #[cfg(not(target_family = "wasm"))]
    Block(Duration),
    /// Somebody else polls the device: the caller's loop, or a [`Poller`](super::Poller).
    PolledElsewhere,
}

/// Up to here a waiting thread yields instead of sleeping: the system's shortest sleep is about this long.
#[cfg(not(target_family = "wasm"))]
const AWAKE: Duration = Duration::from_micros(100);
/// The longest sleep: an answer, the end of the poller or a time-out is noticed at most this late.
#[cfg(not(target_family = "wasm"))]
const PAUSE: Duration = Duration::from_millis(1);

/// What a thread does between two polls. It sleeps for an eighth of the time that it has waited, so the delay in
/// noticing an answer is a small part of the wait.
#[cfg(not(target_family = "wasm"))]
pub(super) fn pause(began: Instant) {
    let waited = began.elapsed();
    if waited < AWAKE { std::thread::yield_now() } else { std::thread::sleep((waited / 8).min(PAUSE)) }
}
