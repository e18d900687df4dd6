//! Recorders of single tensors, kept to be used again: the next call of the same shape makes only bind groups. They hold no
//! buffer of the caller's.

use std::any::Any;
use std::fmt;
use std::sync::Mutex;

use super::device::{Gpu, Kept};
use super::lock::lock;
use super::operand::Located;
use super::placement::Placement;
use super::readback::Recorded;
use super::recorder::{Recorder, Step, SummedOperation};
use crate::formula::descriptor::Descriptor;
use crate::numeric::element::Dtype;
use crate::penalty::groups::Groups;
use crate::penalty::validate::finite_step;
use crate::plan::penalties::Penalties;
use crate::plan::{Plan, Segment};
use crate::{Penalty, Result};

/// How many recorders a device keeps: those of a training loop that records each tensor by itself.
const MOST: usize = 256;
/// How many bytes of the device's memory they take together. The host's lists take several times as much.
const MOST_BYTES: u64 = 8 << 20;

/// A tensor's weights; where the result goes, if any does; and its element weights, if it has any.
pub(super) type Operands = [Option<Located>; 3];

/// An operation on one tensor.
#[derive(Debug)]
pub(super) struct Single {
    shape: Shape,
    plan: Plan,
    penalties: Penalties,
    recorder: Recorder,
    /// When it was last used, by the count of the pool.
    used: u64,
}

/// What a recorder's layout depends on.
#[derive(Debug, PartialEq)]
struct Shape {
    pass: SummedOperation,
    len: u64,
    dtype: Dtype,
    formula: &'static Descriptor,
    groups: Option<Groups>,
    /// Each operand's offset, and the first operand in the same buffer.
    operands: [Option<(u64, usize)>; 3],
}

/// The recorders that wait to be used again. The device may still be at their last step.
#[derive(Default)]
pub(super) struct Pool {
    singles: Vec<Single>,
    bytes: u64,
    uses: u64,
}

impl Shape {
    fn new(pass: SummedOperation, segment: &Segment, penalty: &Penalty, operands: &Operands) -> Shape {
        let first = |l: &Located| operands.iter().position(|o| o.as_ref().is_some_and(|o| o.buffer == l.buffer));
        let place = |located: &Option<Located>| {
            let located = located.as_ref()?;
            Some((located.offset, first(located)?))
        };
        Shape {
            pass,
            len: segment.len,
            dtype: segment.dtype,
            formula: penalty.formula(),
            groups: penalty.groups().cloned(),
            operands: operands.each_ref().map(place),
        }
    }
}

impl Single {
    /// A recorder that is laid out and bound for these operands. Rejects all that can be rejected.
    pub(super) fn new(
        gpu: &Gpu,
        pass: SummedOperation,
        (segment, penalty): (Segment, &Penalty),
        operands: &Operands,
        step: &Step,
    ) -> Result<Single> {
        finite_step(step.size)?;
        segment.about(pass.0.coefficients(&segment, penalty, step.size))?;
        let shape = Shape::new(pass, &segment, penalty, operands);
        let [weights, output, element_weights] = operands;
        let roles = [weights.as_slice(), output.as_slice()].map(|located| Some(located).filter(|l| !l.is_empty()));
        let element_weights = std::slice::from_ref(element_weights);
        let placement = Placement { roles: [roles[0], roles[1], None, None], element_weights };
        let kept = pool(gpu).and_then(|pool| lock(pool).take(&shape));
        match kept {
            Some(mut single) => {
                // Even an equal penalty may differ, in its name or in the sign of a zero.
                single.penalties.list_mut().fill(penalty.clone());
                single.recorder.bind(gpu, &placement)?;
                Ok(single)
            }
            None => {
                let (plan, penalties) = (gpu.plan(vec![segment]), Penalties::new(vec![penalty.clone()]));
                let recorder = Recorder::new(gpu, pass, (&plan, &penalties), &placement, 1, 1)?;
                Ok(Single { shape, plan, penalties, recorder, used: 0 })
            }
        }
    }

    pub(super) fn record(mut self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, step: &Step) -> Result<Recorded> {
        let recorded = self.recorder.record(gpu, encoder, (&self.plan, &self.penalties), step, None)?;
        // The encoder holds what it needs of the caller's buffers.
        self.recorder.unbind();
        // Dropped when the lock is free.
        let _dropped = pool(gpu).map(|pool| lock(pool).keep(self));
        Ok(recorded)
    }
}

/// In short: a device and all that has one would be hundreds of recorders long.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = self.singles.iter().filter(|single| single.recorder.is_bound()).count();
        let Pool { singles, bytes, .. } = self;
        f.debug_struct("Pool").field("kept", &singles.len()).field("bound", &bound).field("bytes", bytes).finish()
    }
}

impl Kept for Mutex<Pool> {}

/// A device's pool. There always is one, since only this file keeps anything there.
fn pool(gpu: &Gpu) -> Option<&Mutex<Pool>> {
    let kept: &dyn Any = gpu.inner.singles.get_or_init(|| Box::<Mutex<Pool>>::default()).as_ref();
    kept.downcast_ref()
}

impl Pool {
    /// A recorder of this shape whose last step is done and whose report nobody keeps: the one that was used first.
    fn take(&mut self, shape: &Shape) -> Option<Single> {
        let free = |(_, single): &(usize, &Single)| single.shape == *shape && single.recorder.ring.is_idle();
        let (at, _) = self.singles.iter().enumerate().filter(free).min_by_key(|(_, single)| single.used)?;
        Some(self.remove(at))
    }

    /// Keeps a recorder, and returns those that it has no more room for: the ones that were not used for longest.
    fn keep(&mut self, mut single: Single) -> Vec<Single> {
        self.uses += 1;
        single.used = self.uses;
        self.bytes += single.recorder.bytes();
        self.singles.push(single);
        let mut dropped = Vec::new();
        while self.singles.len() > MOST || self.bytes > MOST_BYTES {
            let Some((at, _)) = self.singles.iter().enumerate().min_by_key(|(_, single)| single.used) else { break };
            dropped.push(self.remove(at));
        }
        dropped
    }

    fn remove(&mut self, at: usize) -> Single {
        let single = self.singles.swap_remove(at);
        self.bytes -= single.recorder.bytes();
        single
    }
}
