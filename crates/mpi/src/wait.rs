//! How a transport waits for the other ranks.

use std::thread;
use std::time::{Duration, Instant};

/// For this long, the wait keeps the processor, since most ranks come at once.
const SPIN: Duration = Duration::from_micros(200);
/// How long it sleeps between two looks afterwards.
const NAP: Duration = Duration::from_micros(50);

/// A wait that ends when its time is up.
pub(crate) struct Wait {
    began: Instant,
    timeout: Duration,
}

impl Wait {
    pub(crate) fn new(timeout: Duration) -> Wait {
        Wait { began: Instant::now(), timeout }
    }

    /// What passes between two looks; the problem if the time is up.
    pub(crate) fn pause(&self) -> Result<(), String> {
        let waited = self.began.elapsed();
        if waited > self.timeout {
            return Err(format!("expected every rank within {:?}, found that one is late or lost", self.timeout));
        }
        if waited > SPIN {
            thread::sleep(NAP)
        } else {
            thread::yield_now()
        }
        Ok(())
    }
}
