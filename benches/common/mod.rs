//! What the benchmarks share.

use rayon::prelude::*;

/// Reproducible weights between −1 and 1, none of them zero, written by the pool's threads.
pub(crate) fn weights(len: usize) -> Vec<f32> {
    let mut weights = vec![0f32; len];
    weights.par_iter_mut().enumerate().for_each(|(i, w)| {
        // The last steps of SplitMix64.
        let mut z = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let uniform = ((z >> 40) as f32 + 0.5) / (1 << 24) as f32;
        *w = 2.0 * uniform - 1.0;
    });
    weights
}
