//! Degrees of freedom of a fit.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use crate::regularizer::{Kind, Regularizer};
use crate::solution::Solution;

/// The degrees of freedom, and whether they are approximate. `products` gives those of columns with each other, if the loss
/// is squared, and `independent` says that those with coefficients are known to be so.
pub(crate) fn degrees_of_freedom(
    products: impl FnOnce(&[usize]) -> Option<Vec<f64>>,
    independent: bool,
    regularizer: &Regularizer<'_>,
    solution: &Solution,
) -> (f64, bool) {
    let count = solution.nonzero as f64;
    let approximate = (count, true);
    let active: Vec<usize> = (0..solution.coef.len()).filter(|j| solution.coef[*j] != 0.0).collect();
    let size = active.len();
    if !regularizer.is_elastic_net() || solution.outputs > 1 {
        return approximate;
    }
    if size == 0 {
        return (0.0, false);
    }
    let ridge = |j: &usize| match regularizer.kind(*j) {
        Kind::ElasticNet { l2, .. } => 2.0 * l2,
        _ => 0.0,
    };
    let ridge: Vec<f64> = active.iter().map(ridge).collect();
    if independent && ridge.iter().all(|ridge| *ridge == 0.0) {
        return (count, false);
    }
    let Some(gram) = products(&active) else { return approximate };
    let with_ridge = |a: usize, b: usize| gram[b * size + a] + if a == b { ridge[a] } else { 0.0 };
    let matrix = Mat::from_fn(size, size, with_ridge);
    if ridge.iter().all(|ridge| *ridge == 0.0) {
        if is_independent(size, |a, b| gram[b * size + a]) {
            return (count, false);
        }
        // The eigenvalues that are not 0 up to rounding.
        let Ok(values) = matrix.self_adjoint_eigenvalues(Side::Lower) else { return approximate };
        let largest = values.iter().fold(0.0, |max: f64, value| max.max(*value));
        let rank = values.iter().filter(|value| **value > 1e-12 * size as f64 * largest).count();
        return (rank as f64, false);
    }
    // tr G(G + D)⁻¹ = size − tr D(G + D)⁻¹.
    let Ok(factors) = matrix.llt(Side::Lower) else { return approximate };
    let inverse = factors.solve(Mat::<f64>::identity(size, size));
    let lost: f64 = (0..size).map(|a| ridge[a] * inverse[(a, a)]).sum();
    (count - lost, false)
}

/// Whether a matrix of products is that of linearly independent columns: each has something beside the ones before it.
pub(crate) fn is_independent(size: usize, products: impl Fn(usize, usize) -> f64) -> bool {
    let Ok(factors) = Mat::from_fn(size, size, &products).llt(Side::Lower) else { return false };
    (0..size).all(|a| factors.L()[(a, a)] * factors.L()[(a, a)] > 1e-10 * products(a, a))
}
