//! What futures wait for, until the device or a poller answers them.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use futures_intrusive::channel::shared::OneshotSender;

use super::lock::lock;
use crate::Result;

/// What a future waits for: sent once, by the device's callback or by a poller whose patience ended.
#[derive(Debug, Clone)]
pub(super) struct Reply(Arc<Mutex<Option<OneshotSender<Result<()>>>>>);

impl Reply {
    pub(super) fn new(sender: OneshotSender<Result<()>>) -> Reply {
        Reply(Arc::new(Mutex::new(Some(sender))))
    }

    pub(super) fn send(&self, result: Result<()>) {
        if let Some(sender) = lock(&self.0).take() {
            // An error says that nobody waits any more, which is theirs to decide.
            let _ = sender.send(result);
        }
    }

    pub(super) fn sent(&self) -> bool {
        lock(&self.0).is_none()
    }
}

/// The futures of a device that nobody has answered yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) replies: Mutex<Vec<(Instant, Reply)>>,
    pub(super) added: Condvar,
}

impl Waiting {
    pub(super) fn add(&self, reply: Reply) {
        let mut replies = lock(&self.replies);
        replies.retain(|(_, reply)| !reply.sent());
        replies.push((Instant::now(), reply));
        self.added.notify_all();
    }
}
