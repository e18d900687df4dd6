//! The CPU's calls on slices of host memory.

use super::Cpu;
use super::pass::{Pass, SegmentOperands, TILES_PER_SPAN};
use crate::Result;
use crate::formula::scalars::Scalars;
use crate::numeric::accumulator::Sums;
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::plan::Plan;
use crate::plan::operation::Operation;
use crate::report::partial::Partial;
use crate::slices::{Accepted, Slices, Tensor, Update};

impl Slices for Cpu {
    async fn partials(&self, tensors: &[Tensor<'_>]) -> Result<Vec<Partial>> {
        let Accepted { segments, penalties, coefficients } = Tensor::accept_all(tensors)?;
        let plan = Plan::new(segments, TILES_PER_SPAN);
        let pass = Pass {
            operation: Operation::Evaluate,
            sums: true,
            segments: &plan.segments,
            penalties: &penalties,
            coefficients: &coefficients,
            scalars: Scalars::default(),
        };
        let mut sums = pass.no_sums();
        for stage in &plan.stages {
            with_element!(stage.dtype, E => {
            let operands = tensors.iter().map(|Tensor { weights, element_weights, .. }| {
                let element_weights = element_weights.map_or(&[][..], |weights| weights.elements());
                SegmentOperands::read(weights.elements(), element_weights)
            });
                let mut operands: Vec<SegmentOperands<'_, E>> = operands.collect();
                self.run(stage, &pass, &mut operands, &mut sums);
            });
        }
        Ok(pass.partials(sums).collect())
    }

    async fn update(&self, update: &Update<'_>, source: Option<Slice<'_>>, output: SliceMut<'_>) -> Result<Partial> {
        self.evaluate_update(update, source, output)
    }
}

/// The calls on one tensor, which wait for nothing.
impl Cpu {
    pub(crate) fn evaluate(&self, tensor: Tensor<'_>) -> Result<Partial> {
        let (segment, coefficients) = tensor.accept()?;
        let pass = Pass {
            operation: Operation::Evaluate,
            sums: true,
            segments: std::slice::from_ref(&segment),
            penalties: std::slice::from_ref(tensor.penalty),
            coefficients: &[coefficients],
            scalars: Scalars::default(),
        };
        let sums = with_element!(segment.dtype, E => {
            let element_weights = tensor.element_weights.map_or(&[][..], |weights| weights.elements());
            self.run_one::<E>(&pass, SegmentOperands::read(tensor.weights.elements(), element_weights))
        });
        Ok(Partial::new(sums.unwrap_or_default(), tensor.penalty, segment.dtype))
    }

    /// Runs an operation, and gives the partial of its result if the update sums.
    pub(crate) fn evaluate_update(
        &self,
        update: &Update<'_>,
        source: Option<Slice<'_>>,
        output: SliceMut<'_>,
    ) -> Result<Partial> {
        let dtype = output.as_slice().dtype();
        let sums = self.update_now(update, source, output)?;
        Ok(Partial::new(sums.unwrap_or_default(), update.penalty, dtype))
    }

    /// Runs an operation, and gives the sums of its result if the update sums.
    pub(crate) fn update_now(
        &self,
        update: &Update<'_>,
        source: Option<Slice<'_>>,
        output: SliceMut<'_>,
    ) -> Result<Option<Sums>> {
        let (segment, coefficients) = update.accept(source, output.as_slice())?;
        let pass = Pass {
            operation: update.operation,
            sums: update.sums,
            segments: std::slice::from_ref(&segment),
            penalties: std::slice::from_ref(update.penalty),
            coefficients: &[coefficients],
            scalars: Scalars::default(),
        };
        Ok(with_element!(segment.dtype, E => {
            let source = source.map(|source| source.elements());
            let element_weights = update.element_weights.map_or(&[][..], |weights| weights.elements());
            self.run_one(&pass, SegmentOperands::<'_, E>::update(source, element_weights, output.into_elements()))
        }))
    }
}
