//! What is to be done, as plain data: lengths, types and penalties become stages of spans. No device, no buffers.

use crate::element::Dtype;
use crate::tile::TILE;
use crate::{Penalty, Result};

/// What a kernel does with each weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// Sums and counts, one accumulator a segment.
    Evaluate,
    /// Writes ∂R/∂θ.
    Gradient,
    /// Adds ∂R/∂θ to what is there.
    AddGradient,
    /// Writes prox(θ).
    Prox,
}

/// What owns an accumulator and a coefficient record: a tensor.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) len: u64,
    pub(crate) dtype: Dtype,
    pub(crate) penalty: Penalty,
}

/// Consecutive tiles of one segment: what one workgroup or one task of a thread pool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) segment: u32,
    /// The first element, a multiple of the tile.
    pub(crate) start: u64,
    /// How many elements; a multiple of the tile except at the segment's end.
    pub(crate) len: u32,
}

/// Spans that one kernel does, with no barrier between them.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) operation: Operation,
    pub(crate) dtype: Dtype,
    pub(crate) spans: Vec<Span>,
}

/// The stages, in the order that they must run in, and the segments that their spans are of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) operation: Operation,
    pub(crate) segments: Vec<Segment>,
    pub(crate) stages: Vec<Stage>,
}

impl Plan {
    /// Cuts segments into spans of at most `tiles_per_span` tiles.
    ///
    /// A segment that an operation leaves as it is, such as one without a penalty under a prox, has no spans.
    pub(crate) fn new(operation: Operation, segments: Vec<Segment>, tiles_per_span: u32) -> Plan {
        let span_len = u64::from(tiles_per_span.max(1)) * TILE as u64;
        let mut stages: Vec<Stage> = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            let untouched = matches!(operation, Operation::Prox | Operation::AddGradient) && segment.penalty.is_none();
            if untouched || segment.len == 0 {
                continue;
            }
            let known = stages.iter().position(|s| s.dtype == segment.dtype);
            let at = known.unwrap_or(stages.len());
            if known.is_none() {
                stages.push(Stage { operation, dtype: segment.dtype, spans: Vec::new() });
            }
            stages[at].spans.extend((0..segment.len.div_ceil(span_len)).map(|i| Span {
                segment: index as u32,
                start: i * span_len,
                len: span_len.min(segment.len - i * span_len) as u32,
            }));
        }
        Plan { operation, segments, stages }
    }

    /// The coefficient record of every segment, for a prox with this step; other operations take no step.
    pub(crate) fn coefficients(&self, step: f64) -> Result<Vec<[f32; 2]>> {
        self.segments
            .iter()
            .map(|segment| match self.operation {
                Operation::Evaluate => Ok([0.0; 2]),
                Operation::Gradient | Operation::AddGradient => Ok(segment.penalty.gradient_coefficients()),
                Operation::Prox => segment.penalty.prox_coefficients(step),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(len: u64, dtype: Dtype, penalty: Penalty) -> Segment {
        Segment { len, dtype, penalty }
    }

    #[test]
    fn spans_cover_every_segment_once_in_order_and_never_cross() {
        let lens = [0, 1, 4095, 4096, 4097, 5 * 4096, 40 * 4096 + 7, 1 << 33];
        let none = Penalty::none();
        let segments = lens.iter().map(|&len| segment(len, Dtype::F32, none.clone())).collect();
        let plan = Plan::new(Operation::Evaluate, segments, 64);
        let mut reached = [0u64; 8];
        for span in &plan.stages[0].spans {
            let at = &mut reached[span.segment as usize];
            assert_eq!(span.start, *at);
            assert!(span.start % TILE as u64 == 0 && span.len > 0 && span.len <= 64 * TILE as u32);
            *at += u64::from(span.len);
        }
        assert_eq!(reached, lens);
    }

    #[test]
    fn each_type_has_a_stage_and_what_is_left_alone_has_no_span() -> Result<()> {
        let l1 = Penalty::l1(1.0)?;
        let segments = vec![
            segment(10, Dtype::F32, l1.clone()),
            segment(10, Dtype::F16, l1.clone()),
            segment(10, Dtype::F32, Penalty::none()),
            segment(10, Dtype::F32, Penalty::keras(0.0, 0.0)?),
            segment(10, Dtype::F32, l1),
        ];
        let touched = |operation| {
            let plan = Plan::new(operation, segments.clone(), 4);
            let of = |s: &Stage| (s.dtype, s.spans.iter().map(|s| s.segment).collect::<Vec<_>>());
            plan.stages.iter().map(of).collect::<Vec<_>>()
        };
        let all = vec![(Dtype::F32, vec![0, 2, 3, 4]), (Dtype::F16, vec![1])];
        let penalised = vec![(Dtype::F32, vec![0, 4]), (Dtype::F16, vec![1])];
        assert_eq!(touched(Operation::Evaluate), all);
        assert_eq!(touched(Operation::Gradient), all);
        assert_eq!(touched(Operation::AddGradient), penalised);
        assert_eq!(touched(Operation::Prox), penalised);
        Ok(())
    }
}
