//! The promise: every operation on every penalty and type has the same bits from every instruction set and every adapter, and those
//! of `tests/data/hashes.txt`.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;

use common::adapters::{self, Device};
use common::catalogue::{Entry, Hashes, Sample, entries};
use libtest_mimic::{Failed, Trial};
use penalty::{Backend, Cpu, Gpu, InstructionSet, Penalty};

/// Each line is a hash, a type, an operation, and an entry of the catalogue.
const HASHES: &str = include_str!("data/hashes.txt");

fn main() {
    let mut host = vec![
        Trial::test("every_name_is_in_the_catalogue", || {
            every_name_is_in_the_catalogue();
            Ok(())
        }),
        Trial::test("print_the_hashes", || {
            let cpu = Cpu::new();
            entries().iter().for_each(|entry| print!("{}", lines(entry, &on_cpu(&cpu, entry))));
            Ok(())
        })
        .with_ignored_flag(true),
    ];
    for set in InstructionSet::available() {
        let run = move || {
            let cpu = Cpu::with_instructions(set).expect("the processor has them");
            as_recorded(false, |_, entry| on_cpu(&cpu, entry)).map_err(Failed::from)
        };
        host.push(Trial::test("operations_have_their_recorded_bits", run).with_kind(format!("CPU, {set:?}")));
    }
    adapters::run(
        host,
        &[("operations_have_their_recorded_bits", |device: &Device| {
            let long = adapters::long_samples();
            let sample = |i| if long { Sample::Whole } else { Sample::Third(i) };
            let compared = as_recorded(!long, |i, entry| on_device(device.plain(), entry, sample(i)));
            compared.unwrap_or_else(|wrong| panic!("{wrong}"));
        })],
    );
}

fn on_cpu(cpu: &Cpu, entry: &Entry) -> Hashes {
    [entry.slices(&Backend::Cpu(cpu.clone()), Sample::Whole), entry.host_set(cpu)].concat()
}

fn on_device(gpu: &Gpu, entry: &Entry, sample: Sample) -> Hashes {
    [entry.slices(&Backend::Gpu(gpu.clone()), sample), entry.device_set(gpu, sample)].concat()
}

fn lines(entry: &Entry, results: &Hashes) -> String {
    results.iter().fold(String::new(), |mut text, (operation, hash)| {
        let _ = writeln!(text, "{hash:016x} {operation}: {}", entry.name);
        text
    })
}

/// Holds results against those recorded; of a sample there may be fewer.
fn as_recorded(sampled: bool, run: impl Fn(usize, &Entry) -> Hashes) -> Result<(), String> {
    let mut recorded: BTreeSet<String> = HASHES.lines().map(String::from).collect();
    let mut wrong = String::new();
    for (i, entry) in entries().iter().enumerate() {
        let found = run(i, entry);
        assert!(!found.is_empty(), "nothing was computed of {}", entry.name);
        for line in lines(entry, &found).lines().filter(|line| !recorded.remove(*line)) {
            let _ = writeln!(wrong, "not recorded: {line}");
        }
    }
    if !sampled {
        recorded.iter().for_each(|line| {
            let _ = writeln!(wrong, "not found: {line}");
        });
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn every_name_is_in_the_catalogue() {
    let entries = entries();
    for named in Penalty::all() {
        let is_named = |entry: &Entry| entry.name.split(' ').next() == Some(named.name);
        assert!(entries.iter().any(is_named), "{} is missing", named.name);
    }
}
