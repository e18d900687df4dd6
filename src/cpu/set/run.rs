//! Runs a set's call over the slices of its tensors, after all that can be rejected.

use std::borrow::Cow;

use super::HostSet;
use super::call::{Call, Inputs, Outputs};
use crate::Result;
use crate::cpu::pass::{Pass, SegmentOperands, TILES_PER_SPAN};
use crate::numeric::accumulator::Sums;
use crate::numeric::element::Element;
use crate::numeric::slice::{Slice, with_element};
use crate::penalty::element_weights::matched;
use crate::plan::coefficients::{CoefficientRecord, coefficients};
use crate::plan::operands::{ELEMENT_WEIGHTS, Extent, WEIGHTS, disjoint, one_each, same_shape};
use crate::plan::{Plan, Segment, Stage};
use crate::report::reports::Reports;
use crate::transport::Across;

impl HostSet<'_> {
    /// The reports, from one partial per tensor if the call sums, else from none.
    pub(super) fn run(
        &self,
        call: &Call,
        read: Option<Inputs<'_>>,
        written: &mut [Outputs<'_, '_>],
    ) -> Result<Reports> {
        if self.has_stages(call) {
            return self.run_stages(call, read, written);
        }
        let (plan, coefficients) = self.accept(call, &read, written)?;
        let (segments, penalties, coefficients) = (&plan.segments[..], &self.penalties[..], &coefficients[..]);
        let (operation, sums, scalars) = (call.operation, call.sums, call.scalars);
        let pass = Pass { operation, sums, segments, penalties, coefficients, scalars };
        let mut sums = pass.no_sums();
        let Some(ranks) = &self.ranks else {
            for stage in &plan.stages {
                with_element!(stage.dtype, E => self.run_stage::<E>(stage, &pass, &read, written, &mut sums));
            }
            return Reports::of(pass.partials(sums).zip(penalties));
        };
        let across: Vec<Option<Across<'_>>> =
            penalties.iter().enumerate().map(|(tensor, penalty)| ranks.across(tensor, penalty)).collect();
        ranks.agree_on_call((operation, call.sums), (call.step, &scalars), penalties)?;
        // All ranks add up these groups in the set's order, whatever parts and types they have.
        for (tensor, across) in across.iter().enumerate() {
            let Some(across) = across else { continue };
            with_element!(segments[tensor].dtype, E => {
                let mut operands = self.operands::<E>(&pass, &read, written);
                self.cpu.run_group_across(&plan, &pass, tensor, &mut operands, &mut sums, across);
            });
            across.result()?;
        }
        for stage in &plan.stages {
            let spans = stage.spans.iter().filter(|span| across[span.segment as usize].is_none()).copied();
            let stage = &Stage { spans: spans.collect(), ..stage.clone() };
            with_element!(stage.dtype, E => self.run_stage::<E>(stage, &pass, &read, written, &mut sums));
        }
        match call.sums {
            true => Reports::of_all_ranks(&*ranks.transport, pass.partials(sums).zip(penalties)),
            false => Reports::of(pass.partials(sums).zip(penalties)),
        }
    }

    /// The plan, and the coefficients of every tensor: all that can be rejected is rejected before anything is written.
    pub(super) fn accept(
        &self,
        call: &Call,
        read: &Option<Inputs<'_>>,
        written: &[Outputs<'_, '_>],
    ) -> Result<(Cow<'_, Plan>, Vec<CoefficientRecord>)> {
        let plan = self.plan(call, read, written)?;
        self.validate(call, &plan.segments, read, written)?;
        let segments = match &self.ranks {
            Some(ranks) => Cow::Owned(ranks.accept(&plan.segments, &self.penalties)?),
            None => Cow::Borrowed(&plan.segments[..]),
        };
        let coefficients = coefficients(&segments, &self.penalties, call.operation, call.step)?;
        Ok((plan, coefficients))
    }

    /// The plan for weights of these lengths and types. In a training loop they stay, so the first call's plan is kept.
    fn plan(&self, call: &Call, read: &Option<Inputs<'_>>, written: &[Outputs<'_, '_>]) -> Result<Cow<'_, Plan>> {
        let shapes: Vec<_> = match (read, written) {
            (Some((WEIGHTS, slices)), _) => slices.iter().map(Slice::shape).collect(),
            (_, [(WEIGHTS, slices), ..]) => slices.iter().map(|slice| slice.as_slice().shape()).collect(),
            _ => Vec::new(),
        };
        one_each(call.operation.name(), WEIGHTS, self.names.len(), shapes.len())?;
        let fits =
            |plan: &&Plan| plan.segments.iter().map(|segment| (segment.len, segment.dtype)).eq(shapes.iter().copied());
        if let Some(kept) = self.plan.get().filter(fits) {
            return Ok(Cow::Borrowed(kept));
        }
        let segments = self.names.iter().zip(&shapes).map(|(name, &shape)| Segment::called(name.clone(), shape));
        let plan = Plan::new(segments.collect(), TILES_PER_SPAN);
        let kept = self.plan.get_or_init(|| plan.clone());
        Ok(if fits(&kept) { Cow::Borrowed(kept) } else { Cow::Owned(plan) })
    }

    /// Runs the tensors of one type.
    fn run_stage<E: Element>(
        &self,
        stage: &Stage,
        pass: &Pass<'_>,
        read: &Option<Inputs<'_>>,
        written: &mut [Outputs<'_, '_>],
        sums: &mut [Sums],
    ) {
        let mut operands = self.operands::<E>(pass, read, written);
        self.cpu.run(stage, pass, &mut operands, sums);
    }

    /// The operands of the tensors of one type. The others get empty ones.
    fn operands<'o, E: Element>(
        &'o self,
        pass: &Pass<'_>,
        read: &Option<Inputs<'o>>,
        written: &'o mut [Outputs<'_, '_>],
    ) -> Vec<SegmentOperands<'o, E>> {
        let of_type = |i: usize| pass.segments[i].dtype == E::DTYPE;
        let source = |i: usize| read.filter(|_| of_type(i)).map_or(&[][..], |(_, slices)| slices[i].elements());
        let element_weights = |i: usize| match self.element_weights.get(i) {
            Some(Some(slice)) if of_type(i) => slice.elements(),
            _ => &[],
        };
        let operands = (0..pass.segments.len()).map(|i| SegmentOperands::read(source(i), element_weights(i)));
        let mut operands: Vec<SegmentOperands<'_, E>> = operands.collect();
        for (role, (_, slices)) in written.iter_mut().enumerate() {
            for (operands, slice) in operands.iter_mut().zip(slices.iter_mut()) {
                if slice.as_slice().dtype() == E::DTYPE {
                    operands.written[role] = slice.reborrow().into_elements();
                }
            }
        }
        operands
    }

    fn validate(
        &self,
        call: &Call,
        segments: &[Segment],
        read: &Option<Inputs<'_>>,
        written: &[Outputs<'_, '_>],
    ) -> Result<()> {
        let fits = |operand, i: usize, slice: &Slice<'_>| {
            let segment: &Segment = &segments[i];
            segment.about(same_shape(operand, (segment.len, segment.dtype), slice.shape()))
        };
        for (i, (segment, penalty)) in segments.iter().zip(&self.penalties).enumerate() {
            let element_weights = self.element_weights.get(i).and_then(Option::as_ref);
            let matched = matched(penalty, element_weights.is_some());
            segment.about(matched.and_then(|()| call.operation.admits(penalty)))?;
            element_weights.map_or(Ok(()), |slice| fits(ELEMENT_WEIGHTS, i, slice))?;
        }
        if let Some((operand, slices)) = *read {
            one_each(call.operation.name(), operand, segments.len(), slices.len())?;
            slices.iter().enumerate().try_for_each(|(i, slice)| fits(operand, i, slice))?;
        }
        for (operand, slices) in written {
            one_each(call.operation.name(), operand, segments.len(), slices.len())?;
            slices.iter().enumerate().try_for_each(|(i, s)| fits(operand, i, &s.as_slice()))?;
        }
        let Some((operand, slices)) = *read else { return Ok(()) };
        // Only slices that are read can overlap: the compiler rules out the rest. Most lie in the order of their
        // addresses, and then there is nothing to sort.
        let ranges = slices.iter().map(|slice| slice.bytes().as_ptr_range()).filter(|range| !range.is_empty());
        if ranges.clone().zip(ranges.skip(1)).all(|(a, b)| a.end <= b.start) {
            return Ok(());
        }
        let extents = slices.iter().enumerate().filter(|(_, slice)| !slice.is_empty());
        let mut extents: Vec<Extent<()>> = extents
            .map(|(parameter, slice)| {
                let start = slice.bytes().as_ptr().addr() as u64;
                Extent { memory: (), start, end: start + slice.bytes().len() as u64, operand, parameter }
            })
            .collect();
        disjoint(segments, &mut extents)
    }
}
