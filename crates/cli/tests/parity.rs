//! The CPU and a device give the same numbers and the same files, byte for byte.
//!
//! PENALTY_ADAPTER names the adapter; without it, the best adapter is used. If there is no adapter, the trials are
//! ignored and say so; with PENALTY_REQUIRE_ADAPTER=1 they fail instead. PENALTY_TRIALS=cpu leaves them all out.

mod common;

use std::fs;
use std::process::ExitCode;

use common::*;
use libtest_mimic::{Arguments, Failed, Trial};
use penalty::half::f16;
use serde_json::Value;

fn main() -> ExitCode {
    if std::env::var("PENALTY_TRIALS").is_ok_and(|trials| trials == "cpu") {
        return libtest_mimic::run(&Arguments::from_args(), Vec::new()).exit_code();
    }
    let name = std::env::var("PENALTY_ADAPTER").unwrap_or_default();
    let adapter: Vec<String> = match name.as_str() {
        "" => vec!["--backend".into(), "gpu".into()],
        name => vec!["--adapter".into(), name.into()],
    };
    let digits = data("digits_mlp_f32.safetensors").display().to_string();
    let probe = penalty(["eval".to_owned(), digits, "--json".to_owned()].iter().chain(&adapter));
    let required = std::env::var("PENALTY_REQUIRE_ADAPTER").is_ok_and(|value| value == "1");
    let missing = probe.code == 3 && !required;
    let answered = match probe.code {
        0 => probe.json()["device"].to_string(),
        _ => probe.err.trim().to_owned(),
    };
    eprintln!("adapter: {answered}");
    let trial = |name: &str, test: fn(&[String]) -> Result<(), Failed>| {
        let adapter = adapter.clone();
        Trial::test(name.to_owned(), move || test(&adapter)).with_ignored_flag(missing)
    };
    let trials = vec![
        trial("digits_checkpoints", digits_checkpoints),
        trial("scales_and_edges", scales_and_edges),
        trial("weights_of_elements", weights_of_elements),
        trial("weights_taken_together", weights_taken_together),
        trial("arrays_in_other_orders", arrays_in_other_orders),
        trial("pruned_checkpoints", pruned_checkpoints),
        trial("the_device_says_its_name", the_device_says_its_name),
        trial("a_benchmark_outlives_a_row_that_the_device_cannot_hold", a_benchmark_outlives_a_row),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The arguments that evaluate each file, and those that shrink it.
const RUNS: [(&[&str], &[&str]); 4] = [
    (&["--l1", "0.3", "--l2", "0.1"], &["--lambda", "0.05", "--alpha", "0.75", "--step", "0.7"]),
    (&["--penalty", "mcp:lambda=0.1,gamma=2"], &["--penalty", "mcp:lambda=0.1,gamma=2", "--step", "0.7"]),
    (
        &["--penalty", "log-sum:lambda=0.2,epsilon=0.1"],
        &["--penalty", "log-sum:lambda=0.02,epsilon=0.1", "--step", "0.7"],
    ),
    (&["--penalty", "box:lower=-0.3,upper=0.1"], &["--project", "box:lower=-0.3,upper=0.1"]),
];

fn same(file: &str, adapter: &[String]) -> Result<(), Failed> {
    RUNS.iter().try_for_each(|(eval, shrink)| same_run(file, adapter, eval, shrink))
}

/// Evaluates and shrinks a file on both backends.
fn same_run(file: &str, adapter: &[String], evaluated: &[&str], shrunk: &[&str]) -> Result<(), Failed> {
    let folder = folder();
    let out = |name: &str| folder.path().join(name).display().to_string();
    let cpu = ["--backend".to_owned(), "cpu".to_owned()];
    let eval = |on: &[String]| {
        penalty(["eval", file, "--json"].iter().chain(evaluated).copied().chain(on.iter().map(String::as_str))).json()
    };
    let shrink = |on: &[String], out: &str| {
        let args = ["shrink", file, "--out", out, "--json"];
        penalty(args.iter().chain(shrunk).copied().chain(on.iter().map(String::as_str))).json()
    };
    let (host, device) = (eval(&cpu), eval(adapter));
    if device["device"]["backend"] != "gpu" {
        return Err("the CPU answered for the device".into());
    }
    if let Some(difference) = difference(host, device) {
        return Err(format!("eval {file} {evaluated:?}: {difference}").into());
    }
    if let Some(difference) = difference(shrink(&cpu, &out("cpu")), shrink(adapter, &out("gpu"))) {
        return Err(format!("shrink {file} {shrunk:?}: {difference}").into());
    }
    let files = (fs::read(out("cpu")).map_err(|e| e.to_string())?, fs::read(out("gpu")).map_err(|e| e.to_string())?);
    if files.0 == files.1 { Ok(()) } else { Err(format!("the shrunk files of {file} {shrunk:?} differ").into()) }
}

fn digits_checkpoints(adapter: &[String]) -> Result<(), Failed> {
    ["f32", "f16", "bf16"]
        .iter()
        .try_for_each(|dtype| same(&data(&format!("digits_mlp_{dtype}.safetensors")).display().to_string(), adapter))
}

/// One file with tensors of every scale and of odd lengths, with zeros, infinities and a NaN.
fn scales_and_edges(adapter: &[String]) -> Result<(), Failed> {
    let folder = folder();
    let file = folder.path().join("scales");
    let scaled =
        |exponent: i32| weights(4999, 5).iter().map(|&w| (f64::from(w) * 2f64.powi(exponent)) as f32).collect();
    let mut runs: Vec<(String, Vec<f32>)> = (-150..=127).step_by(9).map(|e| (format!("2^{e}"), scaled(e))).collect();
    let mut spoilt: Vec<f32> = scaled(0);
    spoilt[17] = f32::NAN;
    spoilt[4098] = f32::NEG_INFINITY;
    runs.push(("spoilt".into(), spoilt));
    runs.extend([1, 2, 3, 4095, 4096, 4097].map(|len| (format!("len {len}"), weights(len, 6))));
    let tensors: Vec<Stored> =
        runs.iter().map(|(name, w)| (name.as_str(), "F32", vec![w.len() as u64], f32s(w))).collect();
    safetensors(&file, &tensors, 0);
    same(&file.display().to_string(), adapter)
}

fn weights_of_elements(adapter: &[String]) -> Result<(), Failed> {
    let folder = folder();
    let [model, element_weights] = ["model", "weights"].map(|name| folder.path().join(name));
    let tensor = |values: &[f32]| -> [Stored<'_>; 1] { [("w", "F32", vec![values.len() as u64], f32s(values))] };
    safetensors(&model, &tensor(&weights(5001, 7)), 0);
    safetensors(&element_weights, &tensor(&weights(5001, 8).into_iter().map(f32::abs).collect::<Vec<_>>()), 0);
    let element_weights = element_weights.display().to_string();
    let asked = ["--penalty", "weighted-elastic-net:lambda=0.4,alpha=0.5", "--weights", &element_weights];
    same_run(&model.display().to_string(), adapter, &asked, &[&asked[..], &["--step", "0.7"]].concat())
}

/// The arguments that evaluate a matrix with non-separable penalties, and those that shrink it.
const TOGETHER: [(&[&str], &[&str]); 6] = [
    (
        &["--penalty", "group-lasso:lambda=0.1", "--groups", "rows"],
        &["--penalty", "group-lasso:lambda=0.1", "--groups", "columns", "--step", "0.7"],
    ),
    (
        &["--penalty", "sparse-group-lasso:lambda=0.1,alpha=0.5", "--groups", "tiles:4x8"],
        &["--penalty", "linf-norm:lambda=0.1", "--groups", "tiles:4x8", "--step", "0.7"],
    ),
    (
        &["--penalty", "l2-norm:lambda=0.1", "--groups", "runs:24"],
        &["--project", "l1-ball:radius=2", "--groups", "rows"],
    ),
    (
        &["--penalty", "linf-norm:lambda=0.1", "--groups", "columns"],
        &["--project", "simplex:radius=2", "--groups", "columns"],
    ),
    (
        &["--penalty", "l2-ball:radius=2", "--groups", "rows"],
        &["--project", "l2-ball:radius=2", "--groups", "tiles:16x24"],
    ),
    (&["--penalty", "n-of-m:n=2,m=4"], &["--keep", "top-k:k=5", "--groups", "rows"]),
];

fn weights_taken_together(adapter: &[String]) -> Result<(), Failed> {
    let folder = folder();
    let file = folder.path().join("matrices");
    let wide = weights(64 * 48, 9);
    let narrow: Vec<u8> = weights(16 * 8 * 9, 10).iter().flat_map(|w| f16::from_f32(*w).to_le_bytes()).collect();
    safetensors(&file, &[("wide", "F32", vec![64, 48], f32s(&wide)), ("conv", "F16", vec![16, 8, 9], narrow)], 0);
    let file = file.display().to_string();
    TOGETHER.iter().try_for_each(|(eval, shrink)| same_run(&file, adapter, eval, shrink))
}

/// Weights in column-major order and in the other byte order.
fn arrays_in_other_orders(adapter: &[String]) -> Result<(), Failed> {
    let (model, element_weights) = (folder(), folder());
    let [file, element_weights] = [&model, &element_weights].map(|folder| folder.path().join("w.npy"));
    let values: Vec<u8> = weights(64 * 96, 9).iter().flat_map(|w| f16::from_f32(*w).to_be_bytes()).collect();
    npy(&file, "'>f2'", "True", "(64, 96)", &values);
    let factors: Vec<f32> = weights(64 * 96, 8).into_iter().map(f32::abs).collect();
    npy(&element_weights, "'<f4'", "False", "(64, 96)", &f32s(&factors));
    let [file, element_weights] = [file, element_weights].map(|path| path.display().to_string());
    let asked = ["--penalty", "weighted-l1:lambda=0.4", "--weights", &element_weights];
    same_run(&file, adapter, &asked, &[&asked[..], &["--step", "0.7"]].concat())?;
    let together = [TOGETHER[0], TOGETHER[5]];
    [RUNS[0]].iter().chain(&together).try_for_each(|(eval, shrink)| same_run(&file, adapter, eval, shrink))
}

/// The device gives the statistics, of chunks of any length.
fn pruned_checkpoints(adapter: &[String]) -> Result<(), Failed> {
    let folder = folder();
    let out = |name: &str| folder.path().join(name).display().to_string();
    let (wide, narrow) = (weights(64 * 999, 9), weights(16 * 12 * 9, 10));
    let narrow: Vec<u8> = narrow.iter().flat_map(|w| f16::from_f32(*w).to_le_bytes()).collect();
    let tensors = [("wide", "F32", vec![64, 999], f32s(&wide)), ("conv", "F16", vec![16, 12, 9], narrow)];
    safetensors(out("in").as_ref(), &tensors, 0);
    for args in [
        &["--sparsity", "0.5"][..],
        &["--sparsity", "0.3", "--scope", "row"],
        &["--sparsity", "0.4", "--structure", "rows"],
        &["--structure", "2:4", "--pad"],
    ] {
        let prune = |name: &str, on: &[&str]| {
            let file = ["prune", &out("in"), "--out", &out(name), "--force", "--json"].map(str::to_owned);
            penalty(file.iter().map(String::as_str).chain(args.iter().copied()).chain(on.iter().copied())).json()
        };
        let adapter: Vec<&str> = adapter.iter().map(String::as_str).collect();
        let (host, device) = (prune("cpu", &["--backend", "cpu"]), prune("gpu", &adapter));
        if device["device"]["backend"] != "gpu" {
            return Err("the CPU answered for the device".into());
        }
        if let Some(difference) = difference(host, device) {
            return Err(format!("prune {args:?}: {difference}").into());
        }
        let [cpu, gpu] = ["cpu", "gpu"].map(|name| fs::read(out(name)));
        if cpu? != gpu? {
            return Err(format!("the pruned files of {args:?} differ").into());
        }
    }
    Ok(())
}

fn the_device_says_its_name(adapter: &[String]) -> Result<(), Failed> {
    let file = data("digits_mlp_f32.safetensors").display().to_string();
    let run = penalty(["eval".to_owned(), file].iter().chain(adapter));
    if run.out.lines().any(|line| line.starts_with("gpu: ")) { Ok(()) } else { Err(run.out.into()) }
}

/// No device holds four arrays of 16 GiB.
fn a_benchmark_outlives_a_row(adapter: &[String]) -> Result<(), Failed> {
    let args = ["bench", "--sizes", "2^32,3x100", "--json-lines", "--include", "^adam F32 .* dense"];
    let run = penalty(args.iter().copied().chain(adapter.iter().map(String::as_str)));
    assert_eq!((run.code, run.err.lines().last()), (1, Some("penalty: 3 of 5 rows failed")), "{run:?}");
    let rows = bench_rows(&run);
    let failed: Vec<bool> = rows.iter().map(|row| row["error"].is_string()).collect();
    assert_eq!(failed, [true, false, true, true, false], "{run:?}");

    let args = ["bench", "--sizes", "1000", "--json-lines", "--include", "^(evaluate|prox) .* dense"];
    let rows = timed_rows(&penalty(args.iter().copied().chain(adapter.iter().map(String::as_str))));
    let measures: Vec<String> = rows.iter().map(|row| row["measure"].to_string().replace('"', "")).collect();
    assert_eq!(
        measures,
        ["step", "step", "step", "step", "step", "step", "latency", "latency", "recording", "recording"]
    );
    assert!(rows.iter().all(|row| row["determinism"].is_string()), "{rows:?}");
    // A device with a clock also times the dispatches of a step by themselves.
    let both = |row: &Value| row["device_microseconds"].is_null() || row["dispatch_microseconds"].is_object();
    assert!(rows.iter().all(both), "{rows:?}");
    Ok(())
}
