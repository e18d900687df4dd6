//! How the end of device work is waited for.

#[cfg(not(target_family = "wasm"))]
use std::time::{Duration, Instant};

/// How the end of device work is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WaitMode {
    /// Poll the device on this thread until it is done, at most so long.
    #[cfg(not(target_family = "wasm"))]
    Block(Duration),
    /// Somebody else polls the device: the caller's loop, or a [`Poller`](super::Poller).
    PolledElsewhere,
}

/// What is ready sooner is waited for awake: the system's shortest sleep is about as long.
#[cfg(not(target_family = "wasm"))]
const AWAKE: Duration = Duration::from_micros(100);
/// The longest that an answer, the end of the thread or a time-out is noticed late.
#[cfg(not(target_family = "wasm"))]
const PAUSE: Duration = Duration::from_millis(1);

/// What a thread does between two polls: it sleeps for an eighth of the time that it has waited, so that it notices an answer late by
/// a part of what that took.
#[cfg(not(target_family = "wasm"))]
pub(super) fn pause(began: Instant) {
    let waited = began.elapsed();
    if waited < AWAKE { std::thread::yield_now() } else { std::thread::sleep((waited / 8).min(PAUSE)) }
}
