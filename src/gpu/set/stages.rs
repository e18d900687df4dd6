//! A set's steps under sums of penalties: the elastic nets first, then what follows them.

use super::pass::{EVALUATE, PROX};
use super::recorders::Recorders;
use crate::gpu::readback::Recorded;
use crate::gpu::recorder::{Step, SummedOperation};
use crate::plan::coefficients::coefficients;
use crate::{Penalty, Result};

/// What records the two passes.
#[derive(Debug)]
pub(super) struct Stages {
    passes: [Recorders; 2],
    /// The versions of the set's penalties and operands that they have.
    of: (u64, u64),
}

impl Stages {
    /// What records an operation of this set that takes two passes; `None` if one is enough.
    pub(super) fn of<'a>(
        kept: &'a mut Option<Box<Stages>>,
        set: &Recorders,
        (operation, _): SummedOperation,
    ) -> Result<Option<&'a mut Stages>> {
        let penalties = set.penalties.list();
        if !operation.takes_prox() || !penalties.iter().any(Penalty::is_sum) {
            return Ok(None);
        }
        for (segment, penalty) in set.plan.segments.iter().zip(penalties) {
            segment.about(operation.admits_stages(penalty))?;
        }
        let of = (set.penalties.version(), set.generation());
        if kept.as_ref().is_none_or(|kept| kept.of != of) {
            let (first, then): (Vec<_>, Vec<_>) = penalties.iter().map(Penalty::stages).map(|[a, b]| (a, b)).unzip();
            match kept {
                Some(kept) => {
                    let moved = kept.of.1 != of.1;
                    for (pass, penalties) in kept.passes.iter_mut().zip([first, then]) {
                        pass.follow(set, penalties, moved);
                    }
                    kept.of = of;
                }
                None => {
                    let passes = [first, then].map(|penalties| set.with_penalties(penalties));
                    *kept = Some(Box::new(Stages { passes, of }));
                }
            }
        }
        Ok(kept.as_deref_mut())
    }

    pub(super) fn prepare(&mut self, set: &mut Recorders, (operation, sums): SummedOperation) -> Result<()> {
        let [first, then] = &mut self.passes;
        first.prepare((operation, false))?;
        then.prepare(PROX)?;
        if sums { set.prepare(EVALUATE) } else { Ok(()) }
    }

    pub(super) fn record(
        &mut self,
        set: &mut Recorders,
        encoder: &mut wgpu::CommandEncoder,
        (operation, sums): SummedOperation,
        step: &Step,
    ) -> Result<Recorded> {
        let [first, then] = &mut self.passes;
        let prox = Step { size: step.size, ..Step::NONE };
        // All that may be rejected comes before the first command.
        first.admit((operation, false))?;
        then.admit(PROX)?;
        coefficients(&then.plan.segments, then.penalties.list(), PROX.0, prox.size)?;
        if sums {
            set.admit(EVALUATE)?;
        }
        first.record(encoder, (operation, false), step)?;
        let recorded = then.record(encoder, PROX, &prox)?;
        if sums { set.record(encoder, EVALUATE, &Step::NONE) } else { Ok(recorded) }
    }
}
