//! The coefficients that kernels need for each segment, for an operation and a step size.

use super::Segment;
use super::operation::Operation;
use crate::formula::scalars::Metric;
use crate::formula::{Coefficients, TermCoefficients};
use crate::numeric::element::Dtype;
use crate::penalty::validate::finite_step;
use crate::{Error, Penalty, Result};

impl Operation {
    /// Rejects a sum of penalties without a prox in the operation's metric.
    pub(crate) fn admits_stages(self, penalty: &Penalty) -> Result<()> {
        match self {
            Operation::Adam(Metric::Adam) => penalty.admits_stages_in_metric(),
            _ => Ok(()),
        }
    }

    /// Rejects a penalty that lacks the gradient that the operation asks for.
    pub(crate) fn admits(self, penalty: &Penalty) -> Result<()> {
        match self {
            Operation::Gradient | Operation::AddGradient if !penalty.has_gradient() => {
                Err(Error::NoGradient { penalty: penalty.name() })
            }
            _ => Ok(()),
        }
    }

    /// Rejects a penalty that has no prox in the operation's metric. Only the formula knows that; the step is any.
    pub(crate) fn admits_metric(self, penalty: &Penalty) -> Result<()> {
        match self {
            Operation::Adam(metric) => match penalty.prox_coefficients(0.0, metric, Dtype::F32) {
                Err(error @ Error::NoMetricProx { .. }) => Err(error),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A segment's coefficient record at this step size.
    pub(crate) fn coefficients(self, segment: &Segment, penalty: &Penalty, step: f64) -> Result<CoefficientRecord> {
        let Segment { dtype, len, .. } = segment;
        self.admits(penalty)?;
        penalty.geometry(*len)?;
        let c = match self {
            Operation::Evaluate => [0.0; 5],
            Operation::Gradient | Operation::AddGradient => penalty.gradient_coefficients(),
            Operation::Prox | Operation::Sgd(_) => penalty.prox_coefficients(step, Metric::Plain, *dtype)?,
            Operation::Adam(metric) => penalty.prox_coefficients(step, metric, *dtype)?,
        };
        let terms = penalty.term_coefficients(*dtype);
        let untouched = if self.spares_unpenalised() && penalty.is_none() { UNTOUCHED } else { 0 };
        // A group penalty's term sum is not taken weight by weight.
        let flags = untouched | if terms.is_some() && penalty.rule().is_none() { SUMS_TERMS } else { 0 };
        Ok(CoefficientRecord { c, flags, terms: terms.unwrap_or_default(), factors: penalty.value_factors() })
    }
}

/// The coefficient record of a segment, as kernels read it.
#[derive(Debug, Clone, Copy, PartialEq, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct CoefficientRecord {
    /// The coefficients of the gradient or the prox.
    pub(crate) c: Coefficients,
    flags: u32,
    /// The coefficients of the term sum, Σterm(θ).
    pub(crate) terms: TermCoefficients,
    /// The factors of Σ|θ|, Σθ² and the term sum in the value.
    factors: [f32; 3],
}

/// A record's flag: the output keeps every bit.
pub(crate) const UNTOUCHED: u32 = 1;
/// A record's flag: the value needs a term sum, taken weight by weight.
const SUMS_TERMS: u32 = 2;

impl CoefficientRecord {
    pub(crate) fn untouched(&self) -> bool {
        self.flags & UNTOUCHED != 0
    }

    pub(crate) fn sums_terms(&self) -> bool {
        self.flags & SUMS_TERMS != 0
    }
}

/// The coefficient record of every segment.
///
/// # Errors
///
/// As [`coefficients_into`].
pub(crate) fn coefficients(
    segments: &[Segment],
    penalties: &[Penalty],
    operation: Operation,
    step: f64,
) -> Result<Vec<CoefficientRecord>> {
    let mut coefficients = Vec::with_capacity(segments.len());
    coefficients_into(segments, penalties, operation, step, &mut coefficients)?;
    Ok(coefficients)
}

/// Replaces the contents of `coefficients` with one coefficient record per segment.
///
/// # Errors
///
/// As [`Operation::coefficients`], with the segment that the error is about. The contents of `coefficients` are then
/// unspecified.
pub(crate) fn coefficients_into(
    segments: &[Segment],
    penalties: &[Penalty],
    operation: Operation,
    step: f64,
    coefficients: &mut Vec<CoefficientRecord>,
) -> Result<()> {
    coefficients.clear();
    // Checked first, because a bad step is no tensor's fault.
    finite_step(step)?;
    let mut last: Option<(&Segment, &Penalty, CoefficientRecord)> = None;
    for (segment, penalty) in segments.iter().zip(penalties) {
        // Neighbours usually share a penalty. Whether its groups cover a segment depends on the length too.
        let same = |(s, p, _): &(&Segment, &Penalty, CoefficientRecord)| {
            *p == penalty && s.dtype == segment.dtype && (penalty.groups().is_none() || s.len == segment.len)
        };
        let c = match last.filter(same) {
            Some((.., c)) => c,
            None => segment.about(operation.coefficients(segment, penalty, step))?,
        };
        last = Some((segment, penalty, c));
        coefficients.push(c);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::scalars::Direction;
    use crate::numeric::element::Dtype;
    use crate::plan::Name;

    #[test]
    fn what_is_left_alone_says_so() -> Result<()> {
        let l1 = Penalty::l1(1.0)?;
        let penalties = [l1.clone(), l1.clone(), Penalty::none(), Penalty::keras(0.0, 0.0)?, l1];
        let segments = penalties.each_ref().map(|_| Segment { name: Name::Alone, len: 10, dtype: Dtype::F32 });
        let untouched = |operation| -> Result<Vec<u32>> {
            Ok(coefficients(&segments, &penalties, operation, 0.5)?.iter().map(|c| u32::from(c.untouched())).collect())
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
