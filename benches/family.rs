//! Compares every separable penalty on the CPU with the machine's memory bandwidth.
//!
//! `cargo bench -p penalty-benches --bench family`. It compares each answer with its formula in `f64` before timing it.
//! Then the machine and the library take turns. The table has the medians in GB/s, counting the bytes that a perfect
//! implementation moves. With `--test`, everything runs once, on few weights.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/common/formulas.rs"]
mod formulas;

use std::hint::black_box;

use formulas::{Family, NAMES};
use penalty::{Backend, Error, Penalty, Result, Weighted};
use penalty_bandwidth::cpu as machine;
use penalty_benches::{interleaved, weights};
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
        let family = Family { name, p };
        check(&family, &weights)?;
        row(name, (&family.penalty()).into(), 0.0, &weights, &mut work, rounds)?;
    }
    // The magnitudes of the same weights, in reverse order.
    let element_weights: Vec<f32> = weights.iter().rev().map(|w| w.abs()).collect();
    let penalty = Penalty::weighted_l1(0.125)?;
    let weighted = penalty.with_element_weights(&element_weights)?;
    check_weighted(0.125, &element_weights, &weights, weighted)?;
    row("weighted_l1", weighted, 1.0, &weights, &mut work, rounds)
}

/// Times a penalty and prints its row. `further` is the number of additional arrays that it reads, each as long as the
/// weights.
fn row(
    name: &str,
    penalty: Weighted<'_, [f32]>,
    further: f64,
    weights: &[f32],
    work: &mut [f32],
    rounds: usize,
) -> Result<()> {
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
    let gradient = match backend.gradient_into(penalty, weights, work) {
        Err(Error::NoGradient { .. }) => None,
        made => {
            made?;
            Some(interleaved(rounds, |which| match which {
                0 => {
                    machine::copy(weights, work);
                    Ok(())
                }
                _ => backend.gradient_into(penalty, weights, work),
            })?)
        }
    };
    let mut run = |which| match which {
        0 => {
            machine::scale(work, black_box(-1.0));
            Ok(())
        }
        // With a step of 0 the weights stay the same, so every round does the same work.
        _ => backend.prox_in_place(penalty, work, 0.0),
    };
    run(0)?;
    let prox = interleaved(rounds, run)?;
    let column = |moved: f64, [machine, ours]: [f64; 2]| {
        let [machine, ours] = [moved / 1e9 / machine, (moved + further * bytes) / 1e9 / ours];
        format!("{machine:>7.1} {ours:>7.1} {:>5.2}", ours / machine)
    };
    let gradient = gradient.map_or(format!("{:>21}", "none"), |times| column(2.0 * bytes, times));
    let columns = [column(bytes, evaluate), gradient, column(2.0 * bytes, prox)];
    println!("{name:<16} {}", columns.join("  "));
    Ok(())
}

/// Checks the value of all weights, and the gradient and the prox of some.
fn check(family: &Family, weights: &[f32]) -> Result<()> {
    let (backend, penalty) = (Backend::cpu(), family.penalty());
    let chunk = |chunk: &[f32]| chunk.iter().map(|&w| family.value(w.into())).sum::<f64>();
    let want: f64 = weights.par_chunks(1 << 12).map(chunk).sum();
    let found = backend.evaluate(&penalty, weights)?.value;
    assert!(found == want || (found - want).abs() <= 1.3e-6 * want, "{family:?}: {found}, not {want}");
    let some = &weights[..1000];
    if family.has_gradient() {
        for (&w, gradient) in some.iter().zip(backend.gradient(&penalty, some)?) {
            let want = family.gradient(w.into());
            assert!((f64::from(gradient) - want).abs() <= 1e-6, "{family:?}: the gradient at {w}");
        }
    }
    for (&w, prox) in some.iter().zip(backend.prox(&penalty, some, STEP)?) {
        let (w, prox) = (f64::from(w), f64::from(prox));
        let objective = family.objective(STEP, 1.0, w, prox);
        assert!(objective <= family.least(STEP, 1.0, w) + 1e-6, "{family:?}: the prox of {w}");
    }
    Ok(())
}

/// The same for weighted L1.
fn check_weighted(lambda: f64, element_weights: &[f32], weights: &[f32], penalty: Weighted<'_, [f32]>) -> Result<()> {
    let backend = Backend::cpu();
    let share = |(&x, &w): (&f32, &f32)| f64::from(x.abs()) * f64::from(w);
    let chunk = |(x, w): (&[f32], &[f32])| x.iter().zip(w).map(share).sum::<f64>();
    let want = lambda * weights.par_chunks(1 << 12).zip(element_weights.par_chunks(1 << 12)).map(chunk).sum::<f64>();
    let found = backend.evaluate(penalty, weights)?.value;
    assert!((found - want).abs() <= 1.3e-6 * want, "weighted_l1: {found}, not {want}");
    let (gradients, proxes) = (backend.gradient(penalty, weights)?, backend.prox(penalty, weights, STEP)?);
    for (i, (&x, &w)) in weights.iter().zip(element_weights).enumerate().take(1000) {
        let (x, slope) = (f64::from(x), lambda * f64::from(w));
        let gradient = if x == 0.0 { 0.0 } else { slope.copysign(x) };
        assert!((f64::from(gradients[i]) - gradient).abs() <= 1e-6, "weighted_l1: the gradient at {x}");
        let prox = (x.abs() - STEP * slope).max(0.0).copysign(x);
        assert!((f64::from(proxes[i]) - prox).abs() <= 1e-6, "weighted_l1: the prox of {x}");
    }
    Ok(())
}
