//! Does every operation on every penalty and type have the bits in `tests/data/hashes.txt`?

use std::collections::BTreeSet;
use std::fmt::Write;

use libtest_mimic::{Failed, Trial};
use penalty::cpu::InstructionSet;
use penalty::{Backend, Cpu, Penalty};

use crate::common::catalogue::{Entry, Hashes, Sample, entries};
use crate::common::trials::LEAST_SAMPLE;

/// Each line is a hash, a type, an operation, and an entry of the catalogue.
const HASHES: &str = include_str!("../data/hashes.txt");

pub(crate) fn on_the_cpu() -> Vec<Trial> {
    let every_name = || {
        every_name_is_in_the_catalogue();
        Ok(())
    };
    let print = || {
        let cpu = Cpu::new();
        entries().iter().for_each(|entry| print!("{}", lines(entry, &on_cpu(&cpu, entry, Sample::WHOLE))));
        Ok(())
    };
    let samples = || {
        let cpu = Cpu::new();
        (2..=LEAST_SAMPLE).try_for_each(|one_in| {
            as_recorded(one_in, |from, entry| on_cpu(&cpu, entry, Sample { one_in, from })).map_err(Failed::from)
        })
    };
    let mut trials = vec![
        Trial::test("parity::catalogue::every_sample_has_every_penalty_operation_and_type", samples),
        Trial::test("parity::catalogue::every_name_is_in_the_catalogue", every_name),
        Trial::test("parity::catalogue::print_the_hashes", print).with_ignored_flag(true),
    ];
    for set in InstructionSet::available() {
        let run = move || {
            let cpu = Cpu::with_instructions(set).expect("the processor has them");
            as_recorded(1, |_, entry| on_cpu(&cpu, entry, Sample::WHOLE)).map_err(Failed::from)
        };
        let trial = Trial::test("parity::catalogue::operations_have_their_recorded_bits", run);
        trials.push(trial.with_kind(format!("CPU, {set:?}")));
    }
    trials
}

fn on_cpu(cpu: &Cpu, entry: &Entry, sample: Sample) -> Hashes {
    [entry.slices(&Backend::Cpu(cpu.clone()), sample), entry.host_set(cpu, sample)].concat()
}

fn lines(entry: &Entry, results: &Hashes) -> String {
    results.iter().fold(String::new(), |mut text, (operation, hash)| {
        let _ = writeln!(text, "{hash:016x} {operation}: {}", entry.name);
        text
    })
}

/// Compares results with the recorded ones. A sample may have fewer, but some for every penalty, operation and type.
pub(crate) fn as_recorded(one_in: usize, run: impl Fn(usize, &Entry) -> Hashes) -> Result<(), String> {
    let mut missing: BTreeSet<&str> = HASHES.lines().collect();
    let mut wrong = String::new();
    for (i, entry) in entries().iter().enumerate() {
        let found = run(i, entry);
        assert!(!found.is_empty(), "nothing was computed of {}", entry.name);
        for line in lines(entry, &found).lines() {
            if !missing.remove(line) {
                let _ = writeln!(wrong, "not recorded: {line}");
            }
        }
    }
    if one_in == 1 {
        missing.iter().for_each(|line| {
            let _ = writeln!(wrong, "not found: {line}");
        });
    }
    let of = |line: &'static str| line[17..].split(": ").next().and_then(|rest| rest.split_once(' '));
    let found = HASHES.lines().filter(|line| !missing.contains(line)).filter_map(of);
    let (types, operations): (BTreeSet<&str>, BTreeSet<&str>) = found.unzip();
    let (all_types, all_operations): (BTreeSet<&str>, BTreeSet<&str>) = HASHES.lines().filter_map(of).unzip();
    assert_eq!(types, all_types, "the types in the sample");
    assert_eq!(operations, all_operations, "the operations in the sample");
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn every_name_is_in_the_catalogue() {
    let entries = entries();
    for named in Penalty::all() {
        let is_named = |entry: &Entry| entry.name.split(' ').next() == Some(named.name);
        assert!(entries.iter().any(is_named), "{} is missing", named.name);
    }
}
