//! A set's steps under sums of penalties: the elastic nets first, then what follows them.

use super::HostSet;
use super::call::{Call, Inputs, Outputs};
use crate::numeric::slice::SliceMut;
use crate::plan::Segment;
use crate::plan::operands::WEIGHTS;
use crate::plan::operation::Operation;
use crate::report::reports::Reports;
use crate::{Dtype, Penalty, Result};

impl<'w> HostSet<'w> {
    /// Whether a call takes two passes.
    pub(super) fn has_stages(&self, call: &Call) -> bool {
        call.operation.takes_prox() && self.penalties.iter().any(Penalty::is_sum)
    }

    pub(super) fn run_stages(
        &self,
        call: &Call,
        read: Option<Inputs<'_>>,
        written: &mut [Outputs<'_, '_>],
    ) -> Result<Reports> {
        for (name, penalty) in self.names.iter().zip(&self.penalties) {
            Segment::called(name.clone(), (0, Dtype::F32)).about(call.operation.admits_stages(penalty))?;
        }
        let [first, then] = self.stages();
        // All that may be rejected comes before the first pass.
        let prox = Call { step: call.step, ..Call::new(Operation::Prox, false) };
        then.accept(&prox, &None, &written[..1])?;
        if let Some(ranks) = &self.ranks {
            ranks.agree_on_call((call.operation, call.sums), (call.step, &call.scalars), &self.penalties)?;
        }
        first.run(&Call { sums: false, ..*call }, read, written)?;
        let reports = then.run(&prox, None, &mut written[..1])?;
        match &written[0].1 {
            weights if call.sums => {
                let weights: Vec<_> = weights.iter().map(SliceMut::as_slice).collect();
                self.run(&Call::EVALUATE, Some((WEIGHTS, &weights)), &mut [])
            }
            _ => Ok(reports),
        }
    }

    /// The set with the first of each penalty's stages, and with the second.
    fn stages(&self) -> [HostSet<'w>; 2] {
        let (mut first, mut then) = (self.clone(), self.clone());
        for (at, penalty) in self.penalties.iter().enumerate() {
            [first.penalties[at], then.penalties[at]] = penalty.stages();
        }
        for set in [&mut first, &mut then] {
            for (weights, penalty) in set.element_weights.iter_mut().zip(&set.penalties) {
                *weights = weights.filter(|_| penalty.is_weighted());
            }
        }
        [first, then]
    }
}
