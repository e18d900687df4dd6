//! The CPU's calls on slices of host memory.

use super::Cpu;
use super::pass::{Pass, SegmentOperands, TILES_PER_SPAN};
use crate::Result;
use crate::formula::scalars::Scalars;
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::plan::Plan;
use crate::plan::operation::Operation;
use crate::report::partial::Partial;
use crate::slices::{Accepted, Slices, Tensor, Update};

impl Slices for Cpu {
    async fn partials(&self, tensors: &[Tensor<'_>]) -> Result<Vec<Partial>> {
        let Accepted { segments, penalties, coefficients } = Tensor::accept(tensors)?;
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
        Ok(pass.partials(sums))
    }

    async fn update(&self, update: &Update<'_>, source: Option<Slice<'_>>, output: SliceMut<'_>) -> Result<Partial> {
        let (segment, coefficients) = update.accept(source, output.as_slice())?;
        let plan = Plan::new(vec![segment], TILES_PER_SPAN);
        let pass = Pass {
            operation: update.operation,
            sums: update.sums,
            segments: &plan.segments,
            penalties: std::slice::from_ref(update.penalty),
            coefficients: &[coefficients],
            scalars: Scalars::default(),
        };
        let mut sums = pass.no_sums();
        if let Some(stage) = plan.stages.first() {
            with_element!(stage.dtype, E => {
                let source = source.map(|source| source.elements());
                let element_weights = update.element_weights.map_or(&[][..], |weights| weights.elements());
                let operands = SegmentOperands::<'_, E>::update(source, element_weights, output.into_elements());
                self.run(stage, &pass, &mut [operands], &mut sums);
            });
        }
        Ok(pass.partials(sums).into_iter().next().unwrap_or_default())
    }
}
