//! Compares the CPU path with the machine's memory bandwidth, and with the loops that one would write without the
//! library.
//!
//! `cargo bench -p penalty-benches --bench cpu`. It checks the answers before timing anything. At the end it prints a
//! table of ratios. They come from rounds in which machine, library and loop take turns, so that a drift in the
//! machine's speed is fair to all three. With `--test`, everything runs once, on little data.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use half::{bf16, f16};
use penalty::{Backend, Element, Penalty, Report, Result, half};
use penalty_bandwidth::cpu as machine;
use penalty_benches::{interleaved, weights};
use rayon::prelude::*;

const STEP: f64 = 0.01;
/// λ of the elastic net, and the share of L1 in it.
const LAMBDA: f64 = 0.25;
const ALPHA: f64 = 0.5;
/// The number of rounds for the ratios.
const ROUNDS: usize = 9;

fn main() -> Result<()> {
    let test = std::env::args().any(|argument| argument == "--test");
    let len = if test { 1 << 18 } else { 1 << 28 };
    let mut bench = Bench {
        backend: Backend::cpu(),
        penalty: Penalty::elastic_net(LAMBDA, ALPHA)?,
        formula: Formula::new(),
        weights: weights(len),
        // The array that is written. Its pages exist before anything is timed.
        work: weights(len),
    };
    bench.check()?;

    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    bench.evaluate(&mut criterion);
    bench.prox(&mut criterion);
    bench.gradient(&mut criterion);
    bench.halves::<f16>(&mut criterion, "f16", f16::from_f32);
    bench.halves::<bf16>(&mut criterion, "bf16", bf16::from_f32);
    criterion.final_summary();
    bench.ratios()
}

struct Bench {
    backend: Backend,
    penalty: Penalty,
    formula: Formula,
    weights: Vec<f32>,
    work: Vec<f32>,
}

/// The elastic net's coefficients, as a loop over `f32` needs them.
#[derive(Clone, Copy)]
struct Formula {
    l1: f32,
    twice_l2: f32,
    threshold: f32,
    shrink: f32,
}

impl Formula {
    fn new() -> Formula {
        let (l1, l2) = (LAMBDA * ALPHA, LAMBDA * (1.0 - ALPHA));
        Formula {
            l1: l1 as f32,
            twice_l2: (2.0 * l2) as f32,
            threshold: (STEP * l1) as f32,
            shrink: (1.0 / (1.0 + 2.0 * STEP * l2)) as f32,
        }
    }

    fn gradient(self, w: f32) -> f32 {
        let sign = if w == 0.0 { 0.0 } else { w.signum() };
        self.l1 * sign + self.twice_l2 * w
    }

    fn prox(self, v: f32) -> f32 {
        (v.abs() - self.threshold).max(0.0).copysign(v) * self.shrink
    }
}

impl Bench {
    /// Compares the library's answers with the formulas.
    fn check(&mut self) -> Result<()> {
        let report = self.backend.evaluate(&self.penalty, &self.weights)?;
        assert_report(&report, &self.weights, f64::from);

        let formula = self.formula;
        let equal = |found: &[f32], expected: &(dyn Fn(f32, usize) -> f32 + Sync)| {
            found.par_iter().zip(&self.weights).enumerate().all(|(i, (&found, &w))| found == expected(w, i))
        };
        self.backend.gradient_into(&self.penalty, &self.weights, &mut self.work)?;
        assert!(equal(&self.work, &|w, _| formula.gradient(w)), "gradient_into");
        self.backend.gradient_add(&self.penalty, &self.weights, &mut self.work)?;
        assert!(equal(&self.work, &|w, _| formula.gradient(w) + formula.gradient(w)), "gradient_add");
        self.work.copy_from_slice(&self.weights);
        self.backend.prox_in_place(&self.penalty, &mut self.work, STEP)?;
        assert!(equal(&self.work, &|w, _| formula.prox(w)), "prox_in_place");
        Ok(())
    }

    fn evaluate(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("evaluate");
        let weights = &self.weights[..];
        group.throughput(Throughput::Bytes(size_of_val(weights) as u64));
        group.bench_function("machine", |b| b.iter(|| machine::read(weights)));
        group.bench_function("penalty", |b| b.iter(|| self.backend.evaluate(&self.penalty, weights)));
        group.bench_function("loop", |b| b.iter(|| loops::evaluate(weights)));
        group.finish();
    }

    fn prox(&mut self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("prox_in_place");
        let (formula, work) = (self.formula, &mut self.work[..]);
        work.copy_from_slice(&self.weights);
        group.throughput(Throughput::Bytes(2 * size_of_val(work) as u64));
        group.bench_function("machine", |b| b.iter(|| machine::scale(work, black_box(-1.0))));
        group.bench_function("penalty", |b| b.iter(|| self.backend.prox_in_place(&self.penalty, work, STEP)));
        group.bench_function("loop", |b| b.iter(|| loops::prox(formula, work)));
        group.finish();
    }

    fn gradient(&mut self, criterion: &mut Criterion) {
        let (formula, weights, work) = (self.formula, &self.weights[..], &mut self.work[..]);
        let bytes = size_of_val(weights) as u64;
        let mut group = criterion.benchmark_group("gradient_into");
        group.throughput(Throughput::Bytes(2 * bytes));
        group.bench_function("machine", |b| b.iter(|| machine::copy(weights, work)));
        group.bench_function("penalty", |b| b.iter(|| self.backend.gradient_into(&self.penalty, weights, work)));
        group.bench_function("loop", |b| b.iter(|| loops::gradient(formula, weights, work)));
        group.finish();

        let mut group = criterion.benchmark_group("gradient_add");
        group.throughput(Throughput::Bytes(3 * bytes));
        work.fill(0.0);
        group.bench_function("penalty", |b| b.iter(|| self.backend.gradient_add(&self.penalty, weights, work)));
        work.fill(0.0);
        group.bench_function("loop", |b| b.iter(|| loops::gradient_add(formula, weights, work)));
        group.finish();
    }

    /// Times the operations on 16-bit weights.
    fn halves<E: Element>(&self, criterion: &mut Criterion, name: &str, from: impl Fn(f32) -> E + Sync)
    where
        f64: From<E>,
    {
        let mut weights: Vec<E> = self.weights.par_iter().map(|&w| from(w)).collect();
        if let Ok(report) = self.backend.evaluate(&self.penalty, &weights) {
            assert_report(&report, &weights, f64::from);
        }
        let bytes = size_of_val(&weights[..]) as u64;
        let mut group = criterion.benchmark_group("halves");
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(BenchmarkId::new("evaluate", name), |b| {
            b.iter(|| self.backend.evaluate(&self.penalty, &weights));
        });
        group.throughput(Throughput::Bytes(2 * bytes));
        group.bench_function(BenchmarkId::new("prox_in_place", name), |b| {
            b.iter(|| self.backend.prox_in_place(&self.penalty, &mut weights, STEP));
        });
        group.finish();
    }

    /// Prints the share of the machine's speed that the library and the loop reach.
    fn ratios(&mut self) -> Result<()> {
        let (backend, penalty, formula) = (&self.backend, &self.penalty, self.formula);
        let (weights, work) = (&self.weights[..], &mut self.work[..]);
        let bytes = size_of_val(weights) as f64;
        work.copy_from_slice(weights);
        println!("\n{:<14} {:>24} {:>16} {:>16}   goal", "", "machine", "penalty", "loop");
        let row = |name: &str,
                   yardstick: &str,
                   moved: f64,
                   goal: &str,
                   run: &mut dyn FnMut(usize) -> Result<()>|
         -> Result<()> {
            let [machine, ours, peer] = interleaved(ROUNDS, run)?;
            let rate = |seconds: f64| moved / 1e9 / seconds;
            println!(
                "{name:<14} {yardstick:>5} {:>13.1} GB/s {:>6.1} GB/s {:.2} {:>6.1} GB/s {:.2}   {goal}",
                rate(machine),
                rate(ours),
                machine / ours,
                rate(peer),
                machine / peer,
            );
            Ok(())
        };
        row("evaluate", "read", bytes, "0.80", &mut |which| {
            match which {
                0 => _ = black_box(machine::read(weights)),
                1 => _ = black_box(backend.evaluate(penalty, weights)?),
                _ => _ = black_box(loops::evaluate(weights)),
            }
            Ok(())
        })?;
        row("prox_in_place", "scale", 2.0 * bytes, "0.85", &mut |which| {
            match which {
                0 => machine::scale(work, black_box(-1.0)),
                1 => backend.prox_in_place(penalty, work, STEP)?,
                _ => loops::prox(formula, work),
            }
            Ok(())
        })?;
        row("gradient_into", "copy", 2.0 * bytes, "", &mut |which| {
            match which {
                0 => machine::copy(weights, work),
                1 => backend.gradient_into(penalty, weights, work)?,
                _ => loops::gradient(formula, weights, work),
            }
            Ok(())
        })
    }
}

/// The code that a Rust program would have without the library: straightforward rayon loops.
mod loops {
    use super::*;

    /// Σ|w| and Σw².
    pub(super) fn evaluate(weights: &[f32]) -> (f64, f64) {
        let sums = |chunk: &[f32]| {
            chunk.iter().map(|&w| f64::from(w)).fold((0.0, 0.0), |(l1, l2), w| (l1 + w.abs(), l2 + w * w))
        };
        weights.par_chunks(1 << 16).map(sums).reduce(|| (0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1))
    }

    pub(super) fn prox(formula: Formula, weights: &mut [f32]) {
        weights.par_iter_mut().for_each(|w| *w = formula.prox(*w));
    }

    pub(super) fn gradient(formula: Formula, weights: &[f32], gradient: &mut [f32]) {
        gradient.par_iter_mut().zip(weights).for_each(|(g, &w)| *g = formula.gradient(w));
    }

    pub(super) fn gradient_add(formula: Formula, weights: &[f32], gradient: &mut [f32]) {
        gradient.par_iter_mut().zip(weights).for_each(|(g, &w)| *g += formula.gradient(w));
    }
}

/// Asserts that a report agrees with a pass in `f64`.
fn assert_report<E: Element>(report: &Report, weights: &[E], to_f64: impl Fn(E) -> f64 + Sync) {
    let sums = |chunk: &[E]| {
        chunk.iter().fold([0.0, 0.0, 0.0], |[l1, l2, nonzero], &w| {
            let w = to_f64(w);
            [l1 + w.abs(), l2 + w * w, nonzero + f64::from(u8::from(w != 0.0))]
        })
    };
    let add = |a: [f64; 3], b: [f64; 3]| [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
    let [l1, l2_squared, nonzero] = weights.par_chunks(1 << 16).map(sums).reduce(|| [0.0; 3], add);
    let value = LAMBDA * (ALPHA * l1 + (1.0 - ALPHA) * l2_squared);
    let pairs = [(report.l1, l1), (report.l2_squared, l2_squared), (report.value, value)];
    for (found, expected) in pairs {
        assert!((found - expected).abs() <= 9e-7 * expected, "found {found}, expected {expected}");
    }
    assert_eq!(report.nonzero as f64, nonzero);
}
