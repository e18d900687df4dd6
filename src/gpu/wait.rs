//! How a call waits for the end of device work.

#[cfg(not(target_family = "wasm"))]
use std::time::{Duration, Instant};

#[cfg(not(target_family = "wasm"))]
use super::device::Gpu;

/// How a call waits for the end of device work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WaitMode {
    /// Poll the device on this thread until it is done, or until this time is over.
    #[cfg(not(target_family = "wasm"))]
    Block(Duration),
    /// Somebody else polls the device: the caller's loop, or a [`Poller`](super::Poller).
    PolledElsewhere,
}

/// Up to here a waiting thread yields instead of sleeping. A sleep takes 55 µs longer than asked for, and most steps on
/// hardware are done in less than a millisecond.
#[cfg(not(target_family = "wasm"))]
const AWAKE: Duration = Duration::from_millis(1);
/// The same for a software adapter, which needs the processor itself.
#[cfg(not(target_family = "wasm"))]
const AWAKE_ON_SOFTWARE: Duration = Duration::from_micros(100);
/// The longest sleep: an answer, the end of the poller or a time-out is noticed at most this late.
#[cfg(not(target_family = "wasm"))]
const PAUSE: Duration = Duration::from_millis(1);

#[cfg(not(target_family = "wasm"))]
impl Gpu {
    /// What a thread does between two polls. It sleeps for an eighth of the time that it has waited, so the delay in
    /// noticing an answer is a small part of the wait.
    pub(super) fn pause(&self, began: Instant) {
        match sleep(began.elapsed(), self.is_software()) {
            None => std::thread::yield_now(),
            Some(time) => std::thread::sleep(time),
        }
    }
}

/// How long a thread that has waited for so long sleeps, if it sleeps.
#[cfg(not(target_family = "wasm"))]
fn sleep(waited: Duration, is_software: bool) -> Option<Duration> {
    let awake = if is_software { AWAKE_ON_SOFTWARE } else { AWAKE };
    (waited >= awake).then(|| (waited / 8).min(PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_stay_awake_for_a_millisecond_on_hardware() {
        let asleep = |micros, is_software| sleep(Duration::from_micros(micros), is_software);
        assert_eq!([0, 99, 999].map(|micros| asleep(micros, false)), [None; 3]);
        assert_eq!(asleep(1_000, false), Some(Duration::from_micros(125)));
        assert_eq!([99, 100].map(|micros| asleep(micros, true)), [None, Some(Duration::from_nanos(12_500))]);
        assert_eq!(asleep(1_000_000, false), Some(PAUSE));
    }
}
