//! Compares pruning to a budget on the CPU with the machine's own copy of the same bytes, and with a partial sort of the
//! magnitudes.
//!
//! `cargo bench -p penalty-benches --bench budgets`. It compares the answer with that of the partial sort before timing
//! it. With `--test`, everything runs once, on few weights.

use std::cmp::Ordering;
use std::hint::black_box;

use penalty::cpu::InstructionSet;
use penalty::{Budget, Cpu, Result};
use penalty_bandwidth::cpu as machine;
use penalty_benches::{interleaved_seconds, seconds, weights};

fn main() -> Result<()> {
    let test = std::env::args().any(|argument| argument == "--test");
    let (len, rounds) = if test { (1 << 16, 1) } else { (1 << 24, 7) };
    let (weights, mut work) = (weights(len), vec![0f32; len]);
    println!("{:<9} {:<9} {:>9} {:>9} {:>11} {:>9}", "", "fraction", "copy, ms", "ours, ms", "sort, ms", "ours/copy");
    for set in InstructionSet::available() {
        let cpu = Cpu::with_instructions(set)?;
        for fraction in [0.5, 0.9] {
            let budget = Budget::prune(fraction)?;
            let pruned = budget.pruned(len as u64) as usize;
            let smallest = smallest_kept(&weights, pruned);
            work.copy_from_slice(&weights);
            cpu.prune_in_place(&budget, &mut [(&mut work[..]).into()])?;
            let is_right = |(found, x): (&f32, &f32)| match x.abs().total_cmp(&smallest) {
                Ordering::Less => *found == 0.0,
                Ordering::Equal => true,
                Ordering::Greater => found == x,
            };
            assert!(work.iter().zip(&weights).all(is_right), "{fraction}");
            assert_eq!(work.iter().filter(|x| **x == 0.0).count(), pruned, "{fraction}");
            let [copy, ours, sort] = interleaved_seconds(rounds, |which| {
                work.copy_from_slice(&weights);
                match which {
                    0 => seconds(|| {
                        machine::copy(&weights, &mut work);
                        Ok(())
                    }),
                    1 => seconds(|| cpu.prune_in_place(&budget, &mut [(&mut work[..]).into()]).map(drop)),
                    _ => seconds(|| {
                        black_box(smallest_kept(&weights, pruned));
                        Ok(())
                    }),
                }
            })?;
            let [copy, ours, sort] = [copy, ours, sort].map(|seconds| 1e3 * seconds);
            let name = format!("{set:?}");
            println!("{name:<9} {fraction:<9} {copy:>9.2} {ours:>9.2} {sort:>11.2} {:>9.2}", ours / copy);
        }
    }
    Ok(())
}

/// The smallest magnitude that is kept, by the standard library's partial sort.
fn smallest_kept(weights: &[f32], pruned: usize) -> f32 {
    let mut magnitudes: Vec<u32> = weights.iter().map(|x| x.abs().to_bits()).collect();
    f32::from_bits(*magnitudes.select_nth_unstable(pruned).1)
}
