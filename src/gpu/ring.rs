//! Slots for steps that are recorded and not yet read. Each step sees its own coefficients, and leaves its own results.
//!
//! A slot is taken when a step is recorded. It is free again once the device has done the step and nobody keeps its
//! report, or once the encoder is dropped unsubmitted. For both, there is one callback for each step: wgpu calls it, or
//! drops it uncalled.

use std::sync::{Arc, Mutex};

use super::lock::lock;
use super::reply::Reply;
use crate::plan::Segment;
use crate::{Error, Penalty, Result};

/// One step's place in the ring.
#[derive(Debug)]
pub(super) struct Slot {
    /// Where the device's results are copied to; `None` if the operation has no results.
    pub(super) staging: Option<wgpu::Buffer>,
    pub(super) segments: Arc<[Segment]>,
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The serial of the last step recorded here.
    pub(super) serial: u32,
    pub(super) phase: Phase,
    /// The penalties as they were when the step was recorded; they may have changed since.
    pub(super) penalties: Vec<Penalty>,
    /// The futures that wait for the step.
    pub(super) replies: Vec<Reply>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Phase {
    #[default]
    Free,
    /// In an encoder, or on the device.
    Recorded,
    /// Done. A staging buffer is mapped now.
    Done,
    /// The step will never be done.
    Failed(Error),
}

impl Slot {
    /// A free slot. If it has a staging buffer, it has room for a penalty for each segment, so that taking it allocates
    /// nothing.
    pub(super) fn new(staging: Option<wgpu::Buffer>, segments: Arc<[Segment]>) -> Arc<Slot> {
        let penalties = Vec::with_capacity(if staging.is_some() { segments.len() } else { 0 });
        Arc::new(Slot { staging, segments, state: Mutex::new(State { penalties, ..State::default() }) })
    }

    /// Takes the slot for a step. `penalties` is `None` if they are those of the slot's last step.
    pub(super) fn take(&self, serial: u32, penalties: Option<&[Penalty]>) {
        let mut state = lock(&self.state);
        if let (Phase::Done, Some(staging)) = (&state.phase, &self.staging) {
            staging.unmap();
        }
        state.serial = serial;
        state.phase = Phase::Recorded;
        if let (Some(penalties), Some(_)) = (penalties, &self.staging) {
            penalties.clone_into(&mut state.penalties);
        }
    }

    fn finish(&self, serial: u32, phase: Phase) {
        let mut state = lock(&self.state);
        if state.serial == serial && state.phase == Phase::Recorded {
            let result = match &phase {
                Phase::Failed(error) => Err(error.clone()),
                _ => Ok(()),
            };
            state.phase = phase;
            for reply in state.replies.drain(..) {
                reply.send(result.clone());
            }
        }
    }
}

/// What wgpu calls, or drops uncalled, once it knows what became of a step.
pub(super) struct Ticket {
    slot: Arc<Slot>,
    serial: u32,
}

impl Ticket {
    pub(super) fn new(slot: Arc<Slot>, serial: u32) -> Ticket {
        Ticket { slot, serial }
    }

    pub(super) fn done(self, result: Result<(), wgpu::BufferAsyncError>) {
        self.slot.finish(
            self.serial,
            match result {
                Ok(()) => Phase::Done,
                Err(error) => Phase::Failed(Error::Device(format!("mapping its memory failed: {error}"))),
            },
        );
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let error = Error::NotSubmitted { expected: self.serial, found: 0 };
        self.slot.finish(self.serial, Phase::Failed(error));
    }
}

/// The slots of one operation.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) slots: Vec<Arc<Slot>>,
    next: usize,
}

impl Ring {
    pub(super) fn new(slots: Vec<Arc<Slot>>) -> Ring {
        Ring { slots, next: 0 }
    }

    /// The index of a slot for the next step: one that nobody needs, else the oldest one that is done but unread.
    ///
    /// # Errors
    ///
    /// [`Error::RingFull`] if every slot's step is not submitted or not done.
    pub(super) fn next(&mut self, device: &wgpu::Device) -> Result<usize> {
        let found = self.free().or_else(|| {
            // The device may have finished some steps without anybody having polled it.
            let _ = device.poll(wgpu::PollType::Poll);
            self.free()
        });
        let at = found.ok_or(Error::RingFull { slots: self.slots.len() })?;
        self.next = (at + 1) % self.slots.len();
        Ok(at)
    }

    /// Whether every step is done or was dropped, and nobody keeps a report.
    pub(super) fn is_idle(&self) -> bool {
        self.slots.iter().all(|slot| Arc::strong_count(slot) == 1 && lock(&slot.state).phase != Phase::Recorded)
    }

    fn free(&self) -> Option<usize> {
        let count = self.slots.len();
        let mut unread: Option<(u32, usize)> = None;
        for at in (self.next..self.next + count).map(|at| at % count) {
            let slot = &self.slots[at];
            let state = lock(&slot.state);
            match state.phase {
                Phase::Recorded => {}
                Phase::Done if Arc::strong_count(slot) > 1 && slot.staging.is_some() => {
                    if unread.is_none_or(|(serial, _)| state.serial < serial) {
                        unread = Some((state.serial, at));
                    }
                }
                Phase::Free | Phase::Done | Phase::Failed(_) => return Some(at),
            }
        }
        unread.map(|(_, at)| at)
    }
}
