//! Compares what `eval --json` prints and `shrink` writes for the digits checkpoints with
//! `tests/data/command_hashes.txt`, so that a change of any bit or key shows.

use std::fmt::Write;
use std::fs;
use std::hash::Hasher;

use fnv::FnvHasher;

use crate::common::*;

/// Each line has a hash and the command's arguments.
const HASHES: &str = include_str!("../../../../tests/data/command_hashes.txt");

const EVALUATED: [&str; 9] = [
    "--l1 0.3 --l2 0.1",
    "--penalty mcp:lambda=0.1,gamma=2",
    "--penalty log-sum:lambda=0.2,epsilon=0.1",
    "--penalty l-half:lambda=0.2",
    "--penalty box:lower=-0.3,upper=0.1",
    "--penalty group-lasso:lambda=0.1 --groups rows --include weight$",
    "--penalty linf-norm:lambda=0.1 --groups columns --include weight$",
    "--penalty n-of-m:n=2,m=4 --include weight$",
    "--l1 0.3 --exclude bias$",
];

const SHRUNK: [&str; 10] = [
    "--lambda 0.05 --alpha 0.75 --step 0.7",
    "--penalty mcp:lambda=0.05,gamma=2 --step 0.7",
    "--penalty scad:lambda=0.02,a=3.7 --step 0.7",
    "--penalty l0:lambda=0.0005 --step 0.7",
    "--project box:lower=-0.1,upper=0.1",
    "--project l1-ball:radius=2 --groups rows --include weight$",
    "--project l2-ball:radius=1",
    "--penalty sparse-group-lasso:lambda=0.05,alpha=0.5 --groups rows --step 0.7 --include weight$",
    "--keep top-k:k=5 --groups columns --include weight$",
    "--keep n-of-m:n=2,m=4 --include weight$",
];

/// The results for every file and every set of arguments, one line each.
fn found() -> String {
    let (folder, mut lines) = (folder(), String::new());
    for dtype in ["f32", "f16", "bf16"] {
        let file = format!("digits_mlp_{dtype}.safetensors");
        for args in EVALUATED {
            let json = known(penalty_in(&data(""), ["eval", &file, "--json", "--backend", "cpu"], args));
            let _ = writeln!(lines, "{:016x} eval {file} {args}", hash(json.as_bytes()));
        }
        for args in SHRUNK {
            let out = folder.path().join(&file).display().to_string();
            let fixed = ["shrink", &file, "--json", "--backend", "cpu", "--out", &out, "--force"];
            let json = known(penalty_in(&data(""), fixed, args));
            let bytes = fs::read(&out).expect("it was written");
            let _ = writeln!(lines, "{:016x} shrink {file} {args}", hash(&[json.as_bytes(), &bytes].concat()));
        }
    }
    lines
}

/// The part of a result that is the same in every run.
fn known(run: Run) -> String {
    let mut json = run.json();
    forget(&mut json);
    json.to_string()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

#[test]
fn the_command_has_its_recorded_results() {
    let found = found();
    let differ = |(found, recorded): &(&str, &str)| found != recorded;
    let wrong: Vec<(&str, &str)> = found.lines().zip(HASHES.lines()).filter(differ).collect();
    assert_eq!(wrong, [], "on the left what was found, on the right what was recorded");
    assert_eq!(found.lines().count(), HASHES.lines().count());
}

#[test]
#[ignore = "prints the lines to record"]
fn print_the_hashes() {
    print!("{}", found());
}
