//! Operations on slices in host memory, for every backend.

use crate::numeric::element::Element;
use crate::numeric::slice::{Slice, SliceMut};
use crate::penalty::element_weights::{Weighted, matched};
use crate::penalty::validate::finite_step;
use crate::plan::coefficients::CoefficientRecord;
use crate::plan::operands::{ELEMENT_WEIGHTS, GRADIENT, same_shape};
use crate::plan::operation::Operation;
use crate::plan::{Name, Segment};
use crate::report::partial::Partial;
use crate::{Error, Penalty, Result};

/// A backend's two calls on slices. Both reject everything that can be rejected before they write anything.
pub(crate) trait Slices {
    /// One partial per tensor.
    async fn partials(&self, tensors: &[Tensor<'_>]) -> Result<Vec<Partial>>;

    /// Runs an operation from a source to an output, or in place. If the update sums, the partial is that of the
    /// result.
    async fn update(&self, update: &Update<'_>, source: Option<Slice<'_>>, output: SliceMut<'_>) -> Result<Partial>;
}

/// A penalty, and the element weights if it takes some.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term<'a> {
    pub(crate) penalty: &'a Penalty,
    pub(crate) element_weights: Option<Slice<'a>>,
}

impl<'a> From<&'a Penalty> for Term<'a> {
    fn from(penalty: &'a Penalty) -> Term<'a> {
        Term { penalty, element_weights: None }
    }
}

impl<'a, E: Element> From<Weighted<'a, [E]>> for Term<'a> {
    fn from(weighted: Weighted<'a, [E]>) -> Term<'a> {
        let (penalty, element_weights) = weighted.erased();
        Term { penalty, element_weights }
    }
}

/// Weights with their penalty, and the element weights if it takes some.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tensor<'a> {
    pub(crate) weights: Slice<'a>,
    pub(crate) penalty: &'a Penalty,
    pub(crate) element_weights: Option<Slice<'a>>,
    /// Its index, if it is one of a list.
    pub(crate) index: Option<usize>,
}

impl<'a> Tensor<'a> {
    pub(crate) fn new(term: Term<'a>, weights: Slice<'a>) -> Tensor<'a> {
        let Term { penalty, element_weights } = term;
        Tensor { weights, penalty, element_weights, index: None }
    }

    pub(crate) fn segment(&self) -> Segment {
        let (len, dtype) = self.weights.shape();
        Segment { name: self.index.map_or(Name::Alone, Name::Listed), len, dtype }
    }

    /// The segment and the coefficients that an evaluation needs.
    ///
    /// # Errors
    ///
    /// Those of every backend.
    pub(crate) fn accept(&self) -> Result<(Segment, CoefficientRecord)> {
        let segment = self.segment();
        let term = Term { penalty: self.penalty, element_weights: self.element_weights };
        let coefficients = segment.about(accept(term, self.weights, &segment, Operation::Evaluate, 0.0))?;
        Ok((segment, coefficients))
    }

    /// The segments, penalties and coefficients that an evaluation of several tensors needs.
    pub(crate) fn accept_all(tensors: &[Tensor<'_>]) -> Result<Accepted> {
        let mut accepted = Accepted {
            segments: Vec::with_capacity(tensors.len()),
            penalties: tensors.iter().map(|tensor| tensor.penalty.clone()).collect(),
            coefficients: Vec::with_capacity(tensors.len()),
        };
        for tensor in tensors {
            let (segment, coefficients) = tensor.accept()?;
            accepted.segments.push(segment);
            accepted.coefficients.push(coefficients);
        }
        Ok(accepted)
    }
}

/// Tensors that can be evaluated.
pub(crate) struct Accepted {
    pub(crate) segments: Vec<Segment>,
    pub(crate) penalties: Vec<Penalty>,
    pub(crate) coefficients: Vec<CoefficientRecord>,
}

/// A gradient or a prox, with its inputs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update<'a> {
    pub(crate) operation: Operation,
    /// Whether the result is summed.
    pub(crate) sums: bool,
    pub(crate) step: f64,
    pub(crate) penalty: &'a Penalty,
    pub(crate) element_weights: Option<Slice<'a>>,
}

impl<'a> Update<'a> {
    /// An update that does not sum, with the step 0.
    pub(crate) fn new(operation: Operation, term: Term<'a>) -> Update<'a> {
        let Term { penalty, element_weights } = term;
        Update { operation, sums: false, step: 0.0, penalty, element_weights }
    }

    /// The segment and the coefficients that the update needs.
    ///
    /// # Errors
    ///
    /// Those of every backend.
    pub(crate) fn accept(&self, source: Option<Slice<'_>>, output: Slice<'_>) -> Result<(Segment, CoefficientRecord)> {
        if let Some(source) = source.filter(|source| source.len() != output.len()) {
            let (expected, found) = (source.len() as u64, output.len() as u64);
            // Only a gradient's output can have another length: that of a prox is as long as the weights.
            return Err(Error::Length { operand: GRADIENT, expected, found });
        }
        let (len, dtype) = output.shape();
        let segment = Segment { name: Name::Alone, len, dtype };
        let term = Term { penalty: self.penalty, element_weights: self.element_weights };
        let coefficients = accept(term, output, &segment, self.operation, self.step)?;
        Ok((segment, coefficients))
    }
}

/// The coefficients of a term over these elements. Rejects element weights that the penalty does not take or lacks, or
/// whose length or type is not that of the elements.
fn accept(
    term: Term<'_>,
    elements: Slice<'_>,
    segment: &Segment,
    operation: Operation,
    step: f64,
) -> Result<CoefficientRecord> {
    let Term { penalty, element_weights } = term;
    matched(penalty, element_weights.is_some())?;
    if let Some(weights) = element_weights {
        same_shape(ELEMENT_WEIGHTS, elements.shape(), weights.shape())?;
    }
    finite_step(step)?;
    operation.coefficients(segment, penalty, step)
}
