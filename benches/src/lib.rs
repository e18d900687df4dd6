//! Code that the benchmarks share.

use std::time::Instant;

use penalty::Result;
use rayon::prelude::*;

/// Reproducible weights between −1 and 1, none of them zero, written by the pool's threads.
pub fn weights(len: usize) -> Vec<f32> {
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

/// The seconds that a call takes.
pub fn seconds(run: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Runs each of `N` contenders in every round, with a different one first each time. Returns the medians of their
/// times.
pub fn interleaved<const N: usize>(rounds: usize, mut run: impl FnMut(usize) -> Result<()>) -> Result<[f64; N]> {
    interleaved_seconds(rounds, |which| seconds(|| run(which)))
}

/// The same for contenders that report their own seconds.
pub fn interleaved_seconds<const N: usize>(
    rounds: usize,
    mut run: impl FnMut(usize) -> Result<f64>,
) -> Result<[f64; N]> {
    let mut times = [const { Vec::new() }; N];
    for round in 0..=rounds {
        for turn in 0..N {
            let which = (round + turn) % N;
            let seconds = run(which)?;
            // The first round only warms up.
            if round > 0 {
                times[which].push(seconds);
            }
        }
    }
    Ok(times.map(median))
}

/// The upper median of the times.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
