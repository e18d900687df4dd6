//! Degrees of freedom of a fit.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use crate::Result;
use crate::loss::Loss;
use crate::regularizer::{Kind, Regularizer};
use crate::sample::Sample;
use crate::solution::Solution;

/// The degrees of freedom, and whether they are approximate.
pub(crate) fn degrees_of_freedom(
    sample: &Sample,
    regularizer: &Regularizer<'_>,
    loss: &dyn Loss,
    solution: &Solution,
) -> Result<(f64, bool)> {
    let count = solution.nonzero as f64;
    if !loss.is_quadratic() || !regularizer.is_elastic_net() {
        return Ok((count, true));
    }
    let active: Vec<usize> = (0..solution.coef.len()).filter(|j| solution.coef[*j] != 0.0).collect();
    let size = active.len();
    if size == 0 {
        return Ok((0.0, false));
    }
    let ridge: Vec<f64> = active
        .iter()
        .map(|j| match regularizer.kind(*j) {
            Kind::ElasticNet { l2, .. } => 2.0 * l2,
            _ => 0.0,
        })
        .collect();
    let gram = sample.design.gram(&active, sample.weights.as_deref());
    let entry = |a: usize, b: usize| gram[b * size + a];
    if ridge.iter().all(|ridge| *ridge == 0.0) {
        // The eigenvalues that are 0 up to rounding.
        let values = Mat::from_fn(size, size, entry).self_adjoint_eigenvalues(Side::Lower);
        let rank = values.map(|values| {
            let largest = values.iter().fold(0.0, |max: f64, value| max.max(*value));
            values.iter().filter(|value| **value > 1e-12 * size as f64 * largest).count() as f64
        });
        return Ok(rank.map_or((count, true), |rank| (rank, false)));
    }
    // tr G(G + D)⁻¹ = size − tr D(G + D)⁻¹.
    let ridged = Mat::from_fn(size, size, |a, b| entry(a, b) + if a == b { ridge[a] } else { 0.0 });
    let Ok(factors) = ridged.llt(Side::Lower) else { return Ok((count, true)) };
    let inverse = factors.solve(Mat::<f64>::identity(size, size));
    let lost: f64 = (0..size).map(|a| ridge[a] * inverse[(a, a)]).sum();
    Ok((count - lost, false))
}
