//! One pass over a plan: what is done, and with what memory.

use crate::Penalty;
use crate::formula::scalars::Scalars;
use crate::numeric::accumulator::Sums;
use crate::numeric::tile;
use crate::plan::Segment;
use crate::plan::coefficients::CoefficientRecord;
use crate::plan::operation::Operation;
use crate::report::partial::Partial;

/// How many tiles one task of the pool takes: a megabyte of `f32`, so that few partial sums are merged.
pub(super) const TILES_PER_SPAN: u32 = 64;

/// How many elements are processed at a time if several loops go over them: a row of a tile, whose bits stay in the
/// first-level cache.
pub(super) const BLOCK: usize = tile::LANES;

/// What one pass over a plan does.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) operation: Operation,
    pub(super) sums: bool,
    pub(super) segments: &'a [Segment],
    pub(super) penalties: &'a [Penalty],
    pub(super) coefficients: &'a [CoefficientRecord],
    pub(super) scalars: Scalars,
}

impl Pass<'_> {
    /// Empty sums: one per segment if the pass sums, else none.
    pub(super) fn no_sums(&self) -> Vec<Sums> {
        vec![Sums::default(); if self.sums { self.segments.len() } else { 0 }]
    }

    /// One partial per segment if the pass sums, else none.
    pub(super) fn partials(&self, sums: Vec<Sums>) -> impl Iterator<Item = Partial> {
        let of = self.penalties.iter().zip(self.segments);
        sums.into_iter().zip(of).map(|(sums, (penalty, s))| Partial::new(sums, penalty, s.dtype))
    }
}

/// A segment's operands, or a part of each. SegmentOperands that the operation does not have are empty.
pub(super) struct SegmentOperands<'a, E> {
    /// Only read: the weights, or the gradient that an optimizer steps against.
    pub(super) source: &'a [E],
    /// Only read: the element weights of a weighted penalty.
    pub(super) element_weights: &'a [E],
    /// Written: a gradient or weights (in place if there is no source), then the optimizer's state.
    pub(super) written: [&'a mut [E]; 3],
}

impl<'a, E> SegmentOperands<'a, E> {
    pub(super) fn read(source: &'a [E], element_weights: &'a [E]) -> SegmentOperands<'a, E> {
        SegmentOperands { source, element_weights, written: [&mut [], &mut [], &mut []] }
    }

    pub(super) fn update(
        source: Option<&'a [E]>,
        element_weights: &'a [E],
        output: &'a mut [E],
    ) -> SegmentOperands<'a, E> {
        SegmentOperands { source: source.unwrap_or_default(), element_weights, written: [output, &mut [], &mut []] }
    }

    pub(super) fn reborrow(&mut self) -> SegmentOperands<'_, E> {
        SegmentOperands { written: self.written.each_mut().map(|slice| &mut **slice), ..*self }
    }

    /// Splits off the first `len` elements of each operand.
    pub(super) fn take(&mut self, len: usize) -> SegmentOperands<'a, E> {
        // All that are not empty have one length. Splitting them would store the fields one by one, and reading a struct
        // as a whole just after its fields were stored stalls the processor. So they are moved at once.
        if self.source.len().max(self.written[0].len()) <= len {
            return std::mem::replace(self, SegmentOperands::read(&[], &[]));
        }
        let read = |slice: &mut &'a [E]| {
            let (part, left) = slice.split_at(len.min(slice.len()));
            *slice = left;
            part
        };
        let (source, element_weights) = (read(&mut self.source), read(&mut self.element_weights));
        let written = self.written.each_mut().map(|slice| {
            let whole = std::mem::take(slice);
            let (part, left) = whole.split_at_mut(len.min(whole.len()));
            *slice = left;
            part
        });
        SegmentOperands { source, element_weights, written }
    }
}
