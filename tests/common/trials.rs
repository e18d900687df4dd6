//! One trial for each test and each instruction set of the processor. So the output says which of them passed which
//! test.
//!
//! | environment variable | meaning |
//! | --- | --- |
//! | `PENALTY_SAMPLE` | a device computes one in this many of the catalogue's pairs of an operation and a type, and a part of what compiles many kernels elsewhere; default 32; 1: everything; `brief`: as 32, and leaves out more of the rest |

use libtest_mimic::{Arguments, Trial};
use penalty::cpu::InstructionSet;
use penalty::{Backend, Cpu};

/// The name of a test, and the test. It runs on every backend, including the CPU with each instruction set.
pub(crate) type BackendTest = (&'static str, fn(&Backend));

/// Tests with their names.
macro_rules! named {
    ($($test:ident),* $(,)?) => {
        &[$((concat!(module_path!(), "::", stringify!($test)), $test)),*]
    };
}

/// The smallest sample that a device takes: one in 32 pairs. It still has every penalty, operation and type.
pub(crate) const LEAST_SAMPLE: usize = 32;

/// If each case needs another kernel, a device computes one in this many.
pub(crate) fn sample() -> usize {
    let asked = std::env::var("PENALTY_SAMPLE").ok().filter(|text| text != BRIEF);
    let one_in = asked.map_or(LEAST_SAMPLE, |text| text.parse().expect("PENALTY_SAMPLE is a number, or `brief`"));
    assert!((1..=LEAST_SAMPLE).contains(&one_in), "PENALTY_SAMPLE must be from 1 to {LEAST_SAMPLE}, found {one_in}");
    one_in
}

const BRIEF: &str = "brief";

/// Whether a device also leaves out tests that compile many kernels for paths that other trials take too.
pub(crate) fn is_brief() -> bool {
    std::env::var("PENALTY_SAMPLE").is_ok_and(|text| text == BRIEF)
}

/// Whether a device runs case number `turn` if each case needs another kernel: it runs all of them, or every third.
pub(crate) fn has_turn(turn: usize) -> bool {
    turn.is_multiple_of(sample().min(3))
}

/// A trial for each of these tests and each instruction set of the processor.
pub(crate) fn on_every_cpu(tests: &[BackendTest]) -> Vec<Trial> {
    let trial = |&(name, test): &BackendTest| {
        InstructionSet::available().into_iter().map(move |set| {
            let run = move || {
                test(&Backend::Cpu(Cpu::with_instructions(set).expect("the processor has them")));
                Ok(())
            };
            Trial::test(name, run).with_kind(format!("CPU, {set:?}"))
        })
    };
    tests.iter().flat_map(trial).collect()
}

/// The `main` of a test binary without devices. It runs trials that need no device, and tests of every CPU.
pub(crate) fn run(mut host: Vec<Trial>, everywhere: &[BackendTest]) -> ! {
    host.extend(on_every_cpu(everywhere));
    libtest_mimic::run(&Arguments::from_args(), host).exit()
}
