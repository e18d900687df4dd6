//! What solvers ask of a loss with its data.

use crate::Result;
use crate::regularizer::Regularizer;

/// The smooth part of an objective, as a function of the coefficients of one output: the loss at its best intercept.
pub(crate) trait Smooth {
    /// Goes to these coefficients, and writes the negative slope in each of them. Returns the loss.
    fn slopes(&mut self, w: &[f64], c: &mut [f64]) -> f64;
    /// A bound of the second derivative in each coefficient, or a measure of it if there is none. 0 marks a feature that
    /// cannot have a coefficient.
    fn curvatures(&self) -> &[f64];
    /// The dual function of the loss at s times the slopes of the place gone to; `None` if it is not known.
    fn dual(&self, s: f64) -> Option<f64>;
    /// The largest curvature of a row's loss, if there is a bound.
    fn smoothness(&self) -> Option<f64>;
    /// Minimizes over some blocks, given the negative slopes `c` at `w`. Returns the epochs.
    fn refine(
        &mut self,
        regularizer: &Regularizer<'_>,
        working: &Working,
        w: &mut [f64],
        c: &[f64],
        tolerance: f64,
    ) -> Result<usize>;
}

/// A working set: blocks, and the features of each one after the other.
pub(crate) struct Working {
    pub(crate) blocks: Vec<usize>,
    pub(crate) features: Vec<usize>,
}

impl Working {
    pub(crate) fn of(blocks: Vec<usize>, regularizer: &Regularizer<'_>) -> Working {
        let features = blocks.iter().flat_map(|block| regularizer.template().members(*block)).collect();
        Working { blocks, features }
    }
}
