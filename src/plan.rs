//! What is to be done, as plain data: lengths and types become stages of spans. A plan knows no device, buffers or
//! penalties.

pub(crate) mod budget;
pub(crate) mod coefficients;
mod expression;
pub(crate) mod operands;
pub(crate) mod operation;
pub(crate) mod optimizer;
pub(crate) mod parameter;
pub(crate) mod penalties;
pub(crate) mod ranks;
#[cfg(feature = "serde")]
mod serialized;

use std::sync::Arc;

use crate::numeric::element::Dtype;
use crate::numeric::tile::TILE;
use crate::{Error, Result};

/// A tensor: it owns an accumulator and a coefficient record.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) name: Name,
    pub(crate) len: u64,
    pub(crate) dtype: Dtype,
}

impl Segment {
    /// The name of a set's tensor.
    pub(crate) fn name(&self) -> &str {
        if let Name::Called(name) = &self.name { name } else { "" }
    }

    /// Adds to an error which tensor it is about.
    pub(crate) fn about<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            let parameter = match &self.name {
                Name::Alone => return error,
                Name::Listed(index) => format!("tensor {index}"),
                Name::Called(name) => format!("{name:?}"),
            };
            Error::InParameter { parameter, error: Box::new(error) }
        })
    }
}

/// What errors call a tensor.
#[derive(Debug, Clone)]
pub(crate) enum Name {
    /// Nothing: the call has only this tensor.
    Alone,
    /// Its index in a list without names.
    Listed(usize),
    /// The name of its [`Parameter`](crate::Parameter).
    Called(Arc<str>),
}

/// Consecutive tiles of one segment: the work of one workgroup or of one task of a thread pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) segment: u32,
    /// The index of the first element, a multiple of the tile.
    pub(crate) start: u64,
    /// How many elements: a multiple of the tile except at the segment's end.
    pub(crate) len: u32,
}

/// The spans of one element type, with no barrier between them.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) dtype: Dtype,
    pub(crate) spans: Vec<Span>,
}

/// The stages, and the segments that their spans belong to.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) segments: Arc<[Segment]>,
    pub(crate) stages: Vec<Stage>,
}

impl Plan {
    /// Cuts segments into spans of at most `tiles_per_span` tiles.
    pub(crate) fn new(segments: Vec<Segment>, tiles_per_span: u32) -> Plan {
        let span_len = u64::from(tiles_per_span.max(1)) * TILE as u64;
        let mut stages: Vec<Stage> = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            if segment.len == 0 {
                continue;
            }
            let known = stages.iter().position(|s| s.dtype == segment.dtype);
            let at = known.unwrap_or(stages.len());
            if known.is_none() {
                stages.push(Stage { dtype: segment.dtype, spans: Vec::new() });
            }
            stages[at].spans.extend((0..segment.len.div_ceil(span_len)).map(|i| Span {
                segment: index as u32,
                start: i * span_len,
                len: span_len.min(segment.len - i * span_len) as u32,
            }));
        }
        Plan { segments: segments.into(), stages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(len: u64, dtype: Dtype) -> Segment {
        Segment { name: Name::Alone, len, dtype }
    }

    #[test]
    fn spans_cover_every_segment_once_in_order_and_never_cross() {
        let lens = [0, 1, 4095, 4096, 4097, 5 * 4096, 40 * 4096 + 7, 1 << 33];
        let segments = lens.iter().map(|&len| segment(len, Dtype::F32)).collect();
        let plan = Plan::new(segments, 64);
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
    fn each_type_has_a_stage() {
        let dtypes = [Dtype::F32, Dtype::F16, Dtype::F32, Dtype::F32];
        let plan = Plan::new(dtypes.map(|dtype| segment(10, dtype)).into(), 4);
        let of = |s: &Stage| (s.dtype, s.spans.iter().map(|s| s.segment).collect::<Vec<_>>());
        let stages: Vec<_> = plan.stages.iter().map(of).collect();
        assert_eq!(stages, [(Dtype::F32, vec![0, 2, 3]), (Dtype::F16, vec![1])]);
    }
}
