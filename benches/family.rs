//! Every penalty on the CPU beside what the machine's memory allows.
//!
//! `cargo bench --bench family`. Each answer is held against its formula in `f64` before it is timed; then machine and library take
//! turns, and the table has the medians in GB/s of the bytes that a perfect implementation moves. With `--test` everything runs once,
//! on few weights.

mod common;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/common/formulas.rs"]
mod formulas;

use std::hint::black_box;

use common::{interleaved, weights};
use formulas::{Family, NAMES};
use penalty::{Backend, Result};
use penalty_bandwidth::cpu as machine;
use rayon::prelude::*;

const STEP: f64 = 0.25;

fn main() -> Result<()> {
    let test = std::env::args().any(|argument| argument == "--test");
    let (len, rounds) = if test { (1 << 16, 1) } else { (1 << 26, 7) };
    let (weights, mut work) = (weights(len), vec![0f32; len]);
    println!("{:<16} {:^22} {:^22} {:^22}", "", "evaluate, read", "gradient_into, copy", "prox_in_place, scale");
    for (name, _) in NAMES {
        let p = match name {
            "scad" => [0.125, 3.7],
            "box" => [-0.5, 0.25],
            "mcp" => [0.125, 3.0],
            _ => [0.125, 0.5],
        };
        row(Family { name, p }, &weights, &mut work, rounds)?;
    }
    Ok(())
}

fn row(family: Family, weights: &[f32], work: &mut [f32], rounds: usize) -> Result<()> {
    let (backend, penalty) = (Backend::cpu(), family.penalty());
    check(&family, weights)?;
    let bytes = size_of_val(weights) as f64;
    let evaluate = interleaved(rounds, |which| {
        match which {
            0 => _ = black_box(machine::read(weights)),
            _ => _ = black_box(backend.evaluate(&penalty, weights)?),
        }
        Ok(())
    })?;
    let gradient = interleaved(rounds, |which| match which {
        0 => {
            machine::copy(weights, work);
            Ok(())
        }
        _ => backend.gradient_into(&penalty, weights, work),
    })?;
    let mut run = |which| match which {
        0 => {
            machine::scale(work, black_box(-1.0));
            Ok(())
        }
        // Of a step of 0 the weights stay as they are, and every formula has the same work.
        _ => backend.prox_in_place(&penalty, work, 0.0),
    };
    run(0)?;
    let prox = interleaved(rounds, run)?;
    let column = |moved: f64, [machine, ours]: [f64; 2]| {
        format!("{:>7.1} {:>7.1} {:>5.2}", moved / 1e9 / machine, moved / 1e9 / ours, machine / ours)
    };
    let columns = [column(bytes, evaluate), column(2.0 * bytes, gradient), column(2.0 * bytes, prox)];
    println!("{:<16} {}", family.name, columns.join("  "));
    Ok(())
}

/// The value of all weights, and the gradient and the prox of some.
fn check(family: &Family, weights: &[f32]) -> Result<()> {
    let (backend, penalty) = (Backend::cpu(), family.penalty());
    let chunk = |chunk: &[f32]| chunk.iter().map(|&w| family.value(w.into())).sum::<f64>();
    let want: f64 = weights.par_chunks(1 << 12).map(chunk).sum();
    let found = backend.evaluate(&penalty, weights)?.value;
    assert!(found == want || (found - want).abs() <= 1.3e-6 * want, "{family:?}: {found}, not {want}");
    let some = &weights[..1000];
    let (gradients, proxes) = (backend.gradient(&penalty, some)?, backend.prox(&penalty, some, STEP)?);
    for ((&w, gradient), prox) in some.iter().zip(gradients).zip(proxes) {
        let (w, gradient, prox) = (f64::from(w), f64::from(gradient), f64::from(prox));
        assert!((gradient - family.gradient(w)).abs() <= 1e-6, "{family:?}: the gradient at {w}");
        let objective = family.objective(STEP, 1.0, w, prox);
        assert!(objective <= family.least(STEP, 1.0, w) + 1e-6, "{family:?}: the prox of {w}");
    }
    Ok(())
}
