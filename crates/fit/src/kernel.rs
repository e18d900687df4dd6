//! Loops over columns of numbers, with the vectors that the processor has.

use pulp::Arch;

/// Sums in this many lanes hide the latency of additions, and let the compiler use vectors.
const LANES: usize = 32;

/// Σ aᵢbᵢ, always in the same order.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    Arch::new().dispatch(
        #[inline(always)]
        || dot_here(a, b),
    )
}

#[inline(always)]
fn dot_here(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0] + rest
}

/// y += a·x.
pub(crate) fn add_scaled(a: f64, x: &[f64], y: &mut [f64]) {
    Arch::new().dispatch(
        #[inline(always)]
        || y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x),
    );
}
