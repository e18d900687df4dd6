//! What is to be done, as plain data: lengths, types and penalties become stages of spans. No device, no buffers.

use std::sync::Arc;

use crate::element::Dtype;
use crate::formula::{Numbers, TermNumbers};
use crate::optimizer::Metric;
use crate::penalty::finite_step;
use crate::structure::Purpose;
use crate::tile::TILE;
use crate::{Error, Penalty, Result};

/// What is done with each weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// Only reads it.
    Evaluate,
    /// Writes ∂R/∂θ.
    Gradient,
    /// Adds ∂R/∂θ to what is there.
    AddGradient,
    /// Writes prox(θ).
    Prox,
    /// A step against the gradient, then the prox.
    Sgd(Direction),
    /// Adam's step, then the prox.
    Adam(Metric),
}

/// Which way gradient descent goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// Along the gradient.
    Gradient,
    /// Along the momentum.
    Momentum,
    /// Along the gradient plus the next momentum.
    Nesterov,
}

/// A part of an operation that must be done before the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What is done with each weight alone; of weights in groups it is the step, without the prox.
    Each,
    /// The groups' numbers.
    Find(Purpose),
    /// The gradient or the prox, with the numbers of the weights' groups.
    Apply,
}

impl Operation {
    /// The parts for segments whose weights are in groups; of others there is one, [`Part::Each`].
    pub(crate) fn parts(self, sums: bool) -> impl Iterator<Item = Part> {
        let parts: &[Part] = match self {
            Operation::Evaluate => &[Part::Each],
            Operation::Gradient | Operation::AddGradient => &[Part::Find(Purpose::Gradient), Part::Apply],
            Operation::Prox => &[Part::Find(Purpose::Prox), Part::Apply],
            Operation::Sgd(_) | Operation::Adam(_) => &[Part::Each, Part::Find(Purpose::Prox), Part::Apply],
        };
        parts.iter().copied().chain(sums.then_some(Part::Find(Purpose::Value)))
    }

    /// What [`Part::Apply`] does with each weight.
    pub(crate) fn applied(self) -> Operation {
        match self {
            Operation::Gradient | Operation::AddGradient => self,
            _ => Operation::Prox,
        }
    }

    /// What errors call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Evaluate => "evaluating",
            Operation::Gradient | Operation::AddGradient => "adding gradients",
            Operation::Prox => "the prox",
            Operation::Sgd(Direction::Gradient) => "a step of gradient descent",
            Operation::Sgd(Direction::Momentum) => "a step with momentum",
            Operation::Sgd(Direction::Nesterov) => "a step with Nesterov's momentum",
            Operation::Adam(_) => "Adam's step",
        }
    }

    /// Whether the operation leaves every bit as it is under no penalty.
    fn spares_unpenalised(self) -> bool {
        matches!(self, Operation::AddGradient | Operation::Prox)
    }

    /// Refuses a penalty that has not what is asked of it.
    pub(crate) fn admits(self, penalty: &Penalty) -> Result<()> {
        match self {
            Operation::Gradient | Operation::AddGradient if !penalty.has_gradient() => {
                Err(Error::NoGradient { penalty: penalty.name() })
            }
            _ => Ok(()),
        }
    }

    /// What a kernel needs to know of a segment, at this step size.
    pub(crate) fn coefficients(self, segment: &Segment, step: f64) -> Result<Coefficients> {
        let Segment { penalty, dtype, len, .. } = segment;
        self.admits(penalty)?;
        penalty.geometry(*len)?;
        let c = match self {
            Operation::Evaluate => [0.0; 5],
            Operation::Gradient | Operation::AddGradient => penalty.gradient_numbers(),
            Operation::Prox | Operation::Sgd(_) => penalty.prox_numbers(step, Metric::Plain, *dtype)?,
            Operation::Adam(metric) => penalty.prox_numbers(step, metric, *dtype)?,
        };
        let terms = penalty.term_numbers(*dtype);
        let untouched = if self.spares_unpenalised() && penalty.is_none() { UNTOUCHED } else { 0 };
        // Of groups, the sum is not taken weight by weight.
        let flags = untouched | if terms.is_some() && penalty.rule().is_none() { SUMS_TERMS } else { 0 };
        Ok(Coefficients { c, flags, terms: terms.unwrap_or_default(), weights: penalty.value_numbers() })
    }
}

/// The coefficient record of a segment, as kernels read it.
#[derive(Debug, Clone, Copy, PartialEq, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Coefficients {
    /// Of the gradient or the prox.
    pub(crate) c: Numbers,
    flags: u32,
    /// Of the value's own sum.
    pub(crate) terms: TermNumbers,
    /// Of Σ|θ|, Σθ² and the value's own sum in the value.
    weights: [f32; 3],
}

/// In a record's flags: the output keeps every bit.
const UNTOUCHED: u32 = 1;
/// In a record's flags: the value has a sum of its own.
const SUMS_TERMS: u32 = 2;

impl Coefficients {
    pub(crate) fn untouched(&self) -> bool {
        self.flags & UNTOUCHED != 0
    }

    pub(crate) fn sums_terms(&self) -> bool {
        self.flags & SUMS_TERMS != 0
    }
}

/// What owns an accumulator and a coefficient record: a tensor.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) name: Name,
    pub(crate) len: u64,
    pub(crate) dtype: Dtype,
    pub(crate) penalty: Penalty,
}

impl Segment {
    /// Says which tensor an error is about.
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
    /// Nothing: its call is about no other.
    Alone,
    /// Its index in a list without names.
    Listed(usize),
    /// The name of its [`Parameter`](crate::Parameter).
    Called(Arc<str>),
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
    pub(crate) dtype: Dtype,
    pub(crate) spans: Vec<Span>,
}

/// The stages, in the order that they must run in, and the segments that their spans are of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) segments: Vec<Segment>,
    pub(crate) stages: Vec<Stage>,
    /// Counts the changes of penalties, so that what was made of them need not be made again.
    pub(crate) edition: u64,
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
        Plan { segments, stages, edition: 0 }
    }

    /// The coefficient record of every segment.
    ///
    /// # Errors
    ///
    /// As [`Operation::coefficients`].
    pub(crate) fn coefficients(&self, operation: Operation, step: f64) -> Result<Vec<Coefficients>> {
        let mut coefficients = Vec::with_capacity(self.segments.len());
        coefficients_into(&self.segments, operation, step, &mut coefficients)?;
        Ok(coefficients)
    }
}

/// Writes a coefficient record for each segment over what `coefficients` holds.
///
/// # Errors
///
/// As [`Operation::coefficients`], of the segment that it is about; then what it holds is unspecified.
pub(crate) fn coefficients_into(
    segments: &[Segment],
    operation: Operation,
    step: f64,
    coefficients: &mut Vec<Coefficients>,
) -> Result<()> {
    coefficients.clear();
    // First of all, since it is no tensor's fault.
    finite_step(step)?;
    // Neighbours mostly share a penalty. Whether its groups cover a segment depends on the length too.
    let same = |a: &Segment, b: &Segment| {
        a.penalty == b.penalty && a.dtype == b.dtype && (a.penalty.groups().is_none() || a.len == b.len)
    };
    for alike in segments.chunk_by(same) {
        let c = alike[0].about(operation.coefficients(&alike[0], step))?;
        coefficients.extend(alike.iter().map(|_| c));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(len: u64, dtype: Dtype, penalty: Penalty) -> Segment {
        Segment { name: Name::Alone, len, dtype, penalty }
    }

    #[test]
    fn spans_cover_every_segment_once_in_order_and_never_cross() {
        let lens = [0, 1, 4095, 4096, 4097, 5 * 4096, 40 * 4096 + 7, 1 << 33];
        let none = Penalty::none();
        let segments = lens.iter().map(|&len| segment(len, Dtype::F32, none.clone())).collect();
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
    fn each_type_has_a_stage_and_what_is_left_alone_says_so() -> Result<()> {
        let l1 = Penalty::l1(1.0)?;
        let segments = vec![
            segment(10, Dtype::F32, l1.clone()),
            segment(10, Dtype::F16, l1.clone()),
            segment(10, Dtype::F32, Penalty::none()),
            segment(10, Dtype::F32, Penalty::keras(0.0, 0.0)?),
            segment(10, Dtype::F32, l1),
        ];
        let plan = Plan::new(segments, 4);
        let of = |s: &Stage| (s.dtype, s.spans.iter().map(|s| s.segment).collect::<Vec<_>>());
        let stages: Vec<_> = plan.stages.iter().map(of).collect();
        assert_eq!(stages, [(Dtype::F32, vec![0, 2, 3, 4]), (Dtype::F16, vec![1])]);
        let untouched = |operation| -> Result<Vec<u32>> {
            Ok(plan.coefficients(operation, 0.5)?.iter().map(|c| u32::from(c.untouched())).collect())
        };
        for operation in [Operation::AddGradient, Operation::Prox] {
            assert_eq!(untouched(operation)?, [0, 0, 1, 1, 0]);
        }
        for operation in [Operation::Evaluate, Operation::Gradient, Operation::Sgd(Direction::Gradient)] {
            assert_eq!(untouched(operation)?, [0; 5]);
        }
        Ok(())
    }
}
