//! Compares group penalties on the CPU with the machine's memory bandwidth: over the whole tensor, over rows, over short
//! runs and over columns.
//!
//! `cargo bench -p penalty-benches --bench groups -- [CASE…]`. A case is a part of a row's name, such as `l2_norm` or
//! `runs of 8`. Each answer is first compared with its formula in `f64`, and its bits with those for lists of the same
//! groups. Then the machine and the library take turns. The table has the library's share of the machine's speed for
//! each instruction set, with one thread and with all: of reading for `evaluate`, else of copying. With `--test`,
//! everything runs once, on few weights.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/common/properties.rs"]
mod properties;

use std::hint::black_box;

use penalty::cpu::InstructionSet;
use penalty::{Backend, Cpu, Groups, Penalty, Result};
use penalty_bandwidth::cpu as machine;
use penalty_benches::{interleaved, interleaved_seconds, seconds, weights};
use properties::{Properties, largest, properties, wide};

const STEP: f64 = 0.25;
const ROW: usize = 1024;
const RUNS: [usize; 5] = [4, 8, 12, 16, 32];
/// The number of weights whose prox is compared with formulas that sort.
const CHECKED: usize = 3 << 14;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let test = arguments.iter().any(|argument| argument == "--test");
    let cases: Vec<&String> = arguments.iter().filter(|argument| *argument != "--test").collect();
    // A multiple of every size of groups.
    let (len, rounds) = if test { (CHECKED, 1) } else { (3 << 23, 3) };
    let (weights, mut work) = (weights(len), vec![0f32; len]);
    let sets: Vec<InstructionSet> =
        InstructionSet::available().into_iter().filter(|set| *set != InstructionSet::Baseline).collect();
    let all = rayon::current_num_threads();
    let ways: Vec<(InstructionSet, usize)> = sets.iter().flat_map(|&set| [(set, 1), (set, all)]).collect();
    println!(
        "{:<30} {:<8}{}",
        "",
        "",
        ways.iter().map(|(set, threads)| format!("{:>14}", format!("{set:?} ×{threads}"))).collect::<String>()
    );
    for (what, bytes) in [("read", 4 * len), ("copy", 8 * len)] {
        let mut speeds = String::new();
        for &(_, threads) in &ways {
            let time = pool(threads).install(|| {
                interleaved::<1>(rounds, |_| {
                    match what {
                        "read" => _ = black_box(machine::read(&weights)),
                        _ => machine::copy(&weights, &mut work),
                    }
                    Ok(())
                })
            })?[0];
            speeds += &format!("{:>14.1}", bytes as f64 / 1e9 / time);
        }
        println!("{:<30} {what:<8}{speeds}", "machine, GB/s");
    }
    let runs = RUNS.iter().map(|&run| (format!("runs of {run}"), run));
    for (of, size) in [("all".into(), len), (format!("rows of {ROW}"), ROW)].into_iter().chain(runs) {
        for rule in 0..properties(1.0, 0.5, 1).len() {
            let known = known(rule, size);
            let name = format!("{}, {of}", known.name);
            if cases.is_empty() || cases.iter().any(|case| name.contains(*case)) {
                check(&self::known(rule, size.min(CHECKED)), size.min(CHECKED), &weights[..CHECKED], &sets)?;
                row(&name, &known.penalty, &ways, &weights, &mut work, rounds)?;
            }
        }
    }
    Ok(())
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start")
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

/// A row for each operation that the penalty has.
fn row(
    name: &str,
    penalty: &Penalty,
    ways: &[(InstructionSet, usize)],
    weights: &[f32],
    work: &mut [f32],
    rounds: usize,
) -> Result<()> {
    let mut rows = [("evaluate", String::new()), ("gradient", String::new()), ("prox", String::new())];
    for &(set, threads) in ways {
        let backend = Backend::Cpu(Cpu::with_instructions(set)?);
        let shares = pool(threads).install(|| shares(&backend, penalty, weights, work, rounds))?;
        for ((_, row), share) in rows.iter_mut().zip(shares) {
            *row += &share.map_or(format!("{:>14}", "none"), |share| format!("{share:>14.3}"));
        }
    }
    rows.iter().for_each(|(operation, row)| println!("{name:<30} {operation:<8}{row}"));
    Ok(())
}

/// The library's share of the machine's speed: evaluating of reading, the gradient and the prox of copying.
fn shares(
    backend: &Backend,
    penalty: &Penalty,
    weights: &[f32],
    work: &mut [f32],
    rounds: usize,
) -> Result<[Option<f64>; 3]> {
    let share = |[machine, ours]: [f64; 2]| Some(machine / ours);
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
        if which == 0 {
            return seconds(|| {
                machine::copy(weights, work);
                Ok(())
            });
        }
        machine::copy(weights, work);
        seconds(|| backend.prox_in_place(penalty, work, STEP))
    })?;
    Ok([share(evaluate), gradient.transpose()?.and_then(share), share(prox)])
}

fn check(known: &Properties, size: usize, weights: &[f32], sets: &[InstructionSet]) -> Result<()> {
    let lists: Vec<Vec<u64>> =
        (0..weights.len() as u64).collect::<Vec<u64>>().chunks(size).map(<[u64]>::to_vec).collect();
    let listed = known.penalty.clone().over(Groups::lists(&lists)?)?;
    let bits = |weights: Vec<f32>| weights.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
    for &set in sets {
        let backend = Backend::Cpu(Cpu::with_instructions(set)?);
        let found = backend.evaluate(&known.penalty, weights)?.value;
        assert_eq!(found.to_bits(), backend.evaluate(&listed, weights)?.value.to_bits(), "{}", known.name);
        let want: f64 = weights.chunks(size).map(|group| (known.value)(&wide(group))).sum();
        assert!(found == want || (found - want).abs() <= 1e-6 * want, "{}: {found}, not {want}", known.name);
        if known.penalty.has_gradient() {
            let [found, want] = [&known.penalty, &listed].map(|penalty| backend.gradient(penalty, weights));
            assert!(bits(found?) == bits(want?), "{}", known.name);
        }
        let proxes = backend.prox(&known.penalty, weights, STEP)?;
        assert!(bits(proxes.clone()) == bits(backend.prox(&listed, weights, STEP)?), "{}", known.name);
        for (x, v) in proxes.chunks(size).zip(weights.chunks(size)) {
            let want = (known.prox)(v, STEP);
            let scale = largest(&want).max(largest(&wide(v)) / 16.0);
            for (x, want) in x.iter().zip(&want) {
                assert!((f64::from(*x) - want).abs() <= 1e-6 * scale, "{}: {x}, not {want}", known.name);
            }
        }
    }
    Ok(())
}
