//! Slices of host memory on the CPU.

use super::Cpu;
use super::pass::{Operands, Pass, TILES_PER_SPAN};
use crate::Result;
use crate::formula::scalars::Scalars;
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::plan::Plan;
use crate::plan::operation::Operation;
use crate::report::Partial;
use crate::slices::{Slices, Tensor, Update};

impl Slices for Cpu {
    async fn partials(&self, tensors: &[Tensor<'_>]) -> Result<Vec<Partial>> {
        let (segments, coefficients) = Tensor::accept(tensors)?;
        let Some(first) = tensors.first() else { return Ok(Vec::new()) };
        let plan = Plan::new(segments, TILES_PER_SPAN);
        let (segments, coefficients) = (&plan.segments[..], &coefficients[..]);
        let (operation, scalars) = (Operation::Evaluate, Scalars::default());
        let pass = Pass { operation, sums: true, segments, coefficients, scalars };
        Ok(with_element!(first.weights.dtype(), E => {
            let operands = tensors.iter().map(|Tensor { weights, penalty_weights, .. }| {
                let own = penalty_weights.map_or(&[][..], |own| own.elements());
                Operands::<E>::read(weights.elements(), own)
            });
            self.run(&plan, &pass, operands.collect())
        }))
    }

    async fn update(&self, update: &Update<'_>, source: Option<Slice<'_>>, output: SliceMut<'_>) -> Result<Partial> {
        let (segment, coefficients) = update.accept(source, output.as_slice())?;
        let plan = Plan::new(vec![segment], TILES_PER_SPAN);
        let pass = Pass {
            operation: update.operation,
            sums: update.sums,
            segments: &plan.segments,
            coefficients: &[coefficients],
            scalars: Scalars::default(),
        };
        let partials = with_element!(output.dtype(), E => {
            let source = source.map(|source| source.elements());
            let own = update.penalty_weights.map_or(&[][..], |own| own.elements());
            self.run(&plan, &pass, vec![Operands::<E>::update(source, own, output.into_elements())])
        });
        Ok(partials.into_iter().next().unwrap_or_default())
    }
}
