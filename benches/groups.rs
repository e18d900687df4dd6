//! Compares group penalties on the CPU with the machine's memory bandwidth: over the whole tensor, over rows and over
//! short runs.
//!
//! `cargo bench -p penalty-benches --bench groups`. It compares each answer with its formula in `f64` before timing it.
//! Then the machine and the library take turns. The table has the medians in GB/s, counting the bytes that a perfect
//! implementation moves: it reads each weight once and writes each result once. With `--test`, everything runs once, on
//! few weights.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/common/properties.rs"]
mod properties;

use std::hint::black_box;

use penalty::{Backend, Penalty, Result};
use penalty_bandwidth::cpu as machine;
use penalty_benches::{interleaved, interleaved_seconds, seconds, weights};
use properties::{Properties, largest, properties, wide};

const STEP: f64 = 0.25;
const ROW: usize = 1024;
const RUN: usize = 8;
/// The number of weights whose prox is compared with formulas that sort.
const CHECKED: usize = 1 << 16;

fn main() -> Result<()> {
    let test = std::env::args().any(|argument| argument == "--test");
    let (len, rounds) = if test { (1 << 16, 1) } else { (1 << 26, 5) };
    let (weights, mut work) = (weights(len), vec![0f32; len]);
    println!("{:<28} {:^22} {:^22} {:^22}", "", "evaluate, read", "gradient_into, copy", "prox_in_place, scale");
    for (of, size) in [("all", len), ("rows of 1024", ROW), ("runs of 8", RUN)] {
        for rule in 0..properties(1.0, 0.5, 1).len() {
            check(&known(rule, size.min(CHECKED)), size.min(CHECKED), &weights[..CHECKED.min(len)])?;
            let known = known(rule, size);
            row(&format!("{}, {of}", known.name), &known.penalty, &weights, &mut work, rounds)?;
        }
    }
    let two_of_four = Penalty::n_of_m(2, 4)?;
    check_two_of_four(&two_of_four, &weights)?;
    row("n_of_m, 2 of 4", &two_of_four, &weights, &mut work, rounds)
}

/// A rule over groups of this size. Its bound keeps about a tenth of the weights, or half of them if it is a count.
fn known(rule: usize, size: usize) -> Properties {
    let n = size as f64;
    let bound = match properties(1.0, 0.5, 1)[rule].name {
        "sparse_group_lasso" => 0.5,
        "l2_norm" => n.sqrt(),
        "linf_norm" => n / 5.0,
        "l2_ball" => n.sqrt() / 20.0,
        "top_k" => n / 2.0,
        _ => n / 20.0,
    };
    properties(bound, 0.5, size).swap_remove(rule)
}

fn row(name: &str, penalty: &Penalty, weights: &[f32], work: &mut [f32], rounds: usize) -> Result<()> {
    let backend = Backend::cpu();
    let bytes = size_of_val(weights) as f64;
    let evaluate = interleaved(rounds, |which| {
        match which {
            0 => _ = black_box(machine::read(weights)),
            _ => _ = black_box(backend.evaluate(penalty, weights)?),
        }
        Ok(())
    })?;
    // Some penalties have no gradient.
    let gradient = penalty.has_gradient().then(|| {
        interleaved(rounds, |which| match which {
            0 => {
                machine::copy(weights, work);
                Ok(())
            }
            _ => backend.gradient_into(penalty, weights, work),
        })
    });
    // Weights that are already inside a set need less work, so each run begins with the original weights.
    let prox = interleaved_seconds(rounds, |which| {
        machine::copy(weights, work);
        seconds(|| match which {
            0 => {
                machine::scale(work, black_box(-1.0));
                Ok(())
            }
            _ => backend.prox_in_place(penalty, work, STEP),
        })
    })?;
    let column = |moved: f64, times: [f64; 2]| {
        let [machine, ours] = times.map(|time| moved / 1e9 / time);
        format!("{machine:>7.1} {ours:>7.1} {:>5.2}", ours / machine)
    };
    let gradient = gradient.transpose()?.map_or(format!("{:>21}", "none"), |times| column(2.0 * bytes, times));
    let columns = [column(bytes, evaluate), gradient, column(2.0 * bytes, prox)];
    println!("{name:<28} {}", columns.join("  "));
    Ok(())
}

fn check(known: &Properties, size: usize, weights: &[f32]) -> Result<()> {
    let backend = Backend::cpu();
    let found = backend.evaluate(&known.penalty, weights)?.value;
    let want: f64 = weights.chunks(size).map(|group| (known.value)(&wide(group))).sum();
    assert!(found == want || (found - want).abs() <= 1e-6 * want, "{}: {found}, not {want}", known.name);
    let proxes = backend.prox(&known.penalty, weights, STEP)?;
    for (x, v) in proxes.chunks(size).zip(weights.chunks(size)) {
        let want = (known.prox)(v, STEP);
        let scale = largest(&want).max(largest(&wide(v)) / 16.0);
        for (x, want) in x.iter().zip(&want) {
            assert!((f64::from(*x) - want).abs() <= 1e-6 * scale, "{}: {x}, not {want}", known.name);
        }
    }
    Ok(())
}

fn check_two_of_four(penalty: &Penalty, weights: &[f32]) -> Result<()> {
    for (x, v) in Backend::cpu().prox(penalty, weights, STEP)?.chunks(4).zip(weights.chunks(4)) {
        let dropped: f32 = v.iter().zip(x).map(|(v, x)| if x == v { 0.0 } else { v.abs() }).fold(0.0, f32::max);
        let kept = x.iter().filter(|x| **x != 0.0);
        assert!(kept.clone().count() == 2 && kept.clone().all(|x| x.abs() >= dropped), "{x:?} of {v:?}");
    }
    Ok(())
}
