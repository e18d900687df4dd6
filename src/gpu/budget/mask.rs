//! Masks of a set's weights, written on the device.

use super::stage::{OfSpans, Stage};
use super::{Command, bind, dispatch, table};
use crate::formula::budget::SHIFTS;
use crate::gpu::device::Gpu;
use crate::gpu::layout::Layout;
use crate::gpu::operand::Located;
use crate::gpu::placement::Placement;
use crate::gpu::slot_memory::rows_before;
use crate::gpu::table::PARAMETERS;
use crate::plan::operation::Operation;
use crate::plan::{Plan, Stage as PlanStage};
use crate::{Penalty, Result};

/// What writes the masks of a set's tensors.
#[derive(Debug)]
pub(crate) struct Masking {
    pub(crate) generation: u64,
    parameters: u64,
    /// For each dispatch of spans: how many there are, and its kernel.
    of_spans: Vec<(u32, Command)>,
}

impl Masking {
    /// Lays out the spans of those tensors whose penalty is a mask.
    pub(crate) fn new(
        gpu: &Gpu,
        (plan, penalties): (&Plan, &[Penalty]),
        placement: &Placement<'_>,
        generation: u64,
    ) -> Result<Masking> {
        gpu.lives()?;
        let is_mask = |segment: u32| penalties[segment as usize].formula() == Penalty::mask().formula();
        let stages = plan.stages.iter().map(|stage| PlanStage {
            dtype: stage.dtype,
            spans: stage.spans.iter().copied().filter(|span| is_mask(span.segment)).collect(),
        });
        let masks = Plan { segments: plan.segments.clone(), stages: stages.collect() };
        // The others' places are not used.
        let weights = placement.roles[0].unwrap_or_default();
        let place = |(at, weights): (usize, &Located)| {
            placement.element_weights.get(at).cloned().flatten().unwrap_or_else(|| weights.clone())
        };
        let written: Vec<Located> = weights.iter().enumerate().map(place).collect();
        let placement = Placement { roles: [Some(weights), Some(&written), None, None], element_weights: &[] };
        let mut layout = Layout::new(Operation::Gradient);
        let none = vec![Penalty::none(); plan.segments.len()];
        layout.lay_out((&masks, &none), false, &placement, gpu.limits(), rows_before(plan))?;
        let (table, parameters) = table(gpu, "masks", (plan, &layout), None)?;
        let of_spans = layout.dispatches.iter().map(|dispatch| {
            let stage = Stage::OfSpans(OfSpans::Mask, dispatch.kernel);
            let command = bind(gpu, stage, (&table, parameters), None, Some((dispatch, &placement)))?;
            Ok((dispatch.spans as u32, command))
        });
        Ok(Masking { generation, parameters, of_spans: of_spans.collect::<Result<_>>()? })
    }

    /// Records the masks.
    pub(crate) fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for (at, (spans, command)) in self.of_spans.iter().enumerate() {
            let record = (SHIFTS.len() * at) as u64;
            dispatch(&mut pass, command, self.parameters + record * PARAMETERS, *spans);
        }
    }
}
