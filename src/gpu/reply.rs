//! What futures wait for, until the device or a poller answers them.

#[cfg(not(target_family = "wasm"))]
use std::sync::Condvar;
use std::sync::{Arc, Mutex};
#[cfg(not(target_family = "wasm"))]
use std::time::Instant;

use futures_intrusive::channel::shared::OneshotSender;

use super::lock::lock;
use crate::Result;

/// What a future waits for. It is sent once, by the device's callback or by a poller whose time-out is over.
#[derive(Debug, Clone)]
pub(super) struct Reply(Arc<Mutex<Option<OneshotSender<Result<()>>>>>);

impl Reply {
    pub(super) fn new(sender: OneshotSender<Result<()>>) -> Reply {
        Reply(Arc::new(Mutex::new(Some(sender))))
    }

    pub(super) fn send(&self, result: Result<()>) {
        if let Some(sender) = lock(&self.0).take() {
            // An error means that nobody waits any more, which is the future's choice.
            let _ = sender.send(result);
        }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(super) fn sent(&self) -> bool {
        lock(&self.0).is_none()
    }
}

/// The futures of a device that are not answered yet, so that a poller can end those that wait too long. A browser
/// polls by itself.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    #[cfg(not(target_family = "wasm"))]
    pub(super) replies: Mutex<Vec<(Instant, Reply)>>,
    #[cfg(not(target_family = "wasm"))]
    pub(super) added: Condvar,
}

impl Waiting {
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn add(&self, reply: Reply) {
        let mut replies = lock(&self.replies);
        replies.retain(|(_, reply)| !reply.sent());
        replies.push((Instant::now(), reply));
        self.added.notify_all();
    }

    #[cfg(target_family = "wasm")]
    pub(super) fn add(&self, _reply: Reply) {}
}
