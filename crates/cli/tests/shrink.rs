//! `penalty shrink`: what it writes, and when it writes nothing.

mod common;

use std::fs;

use common::*;
use penalty::half::{bf16, f16};
use penalty::{Backend, Penalty};
use serde_json::json;

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// A checkpoint of every type, its tensors neither in the order of their names nor aligned.
fn checkpoint(path: &std::path::Path) -> (Vec<f32>, Vec<f16>, Vec<bf16>) {
    let a = weights(10_001, 1);
    let b: Vec<f16> = weights(4097, 2).into_iter().map(f16::from_f32).collect();
    let c: Vec<bf16> = weights(255, 3).into_iter().map(bf16::from_f32).collect();
    let halves = |bits: Vec<u16>| bits.into_iter().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let tensors: [Stored; 4] = [
        ("z", "F16", vec![4097], halves(b.iter().map(|x| x.to_bits()).collect())),
        ("mask", "BOOL", vec![3], vec![1, 0, 1]),
        ("a", "F32", vec![73, 137], f32s(&a)),
        ("m", "BF16", vec![255], halves(c.iter().map(|x| x.to_bits()).collect())),
    ];
    safetensors(path, &tensors, 6);
    (a, b, c)
}

#[test]
fn the_file_is_the_prox_of_its_tensors_and_otherwise_the_same_bytes() {
    let folder = folder();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let (mut a, mut b, c) = checkpoint(&input);
    let args = ["--l1", "0.25", "--l2", "0.125", "--step", "0.5", "--exclude", "^m$"];
    let run = penalty(["shrink", &text(&input), "--out", &text(&output)].iter().chain(&args));
    assert_eq!((run.code, run.err.as_str()), (0, ""));

    let penalty = Penalty::keras(0.25, 0.125).unwrap();
    Backend::cpu().prox_in_place(&penalty, &mut a, 0.5).unwrap();
    Backend::cpu().prox_in_place(&penalty, &mut b, 0.5).unwrap();
    let (old, new) = (fs::read(&input).unwrap(), fs::read(&output).unwrap());
    let data = old.len() - 2 * 4097 - 3 - 4 * 10_001 - 2 * 255;
    let mut expected = old[..data].to_vec();
    expected.extend(b.iter().flat_map(|x| x.to_bits().to_le_bytes()));
    expected.extend([1, 0, 1]);
    expected.extend(f32s(&a));
    expected.extend(c.iter().flat_map(|x| x.to_bits().to_le_bytes()));
    assert!(new == expected);
    assert!(a.iter().filter(|&&x| x == 0.0).count() > 10_001 / 5);
}

#[test]
fn json_has_the_statistics_before_and_after() {
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    for asked in [["--l1", "0.1"], ["--penalty", "mcp:lambda=0.1,gamma=3"]] {
        let run = |args: &[&str]| penalty(args.iter().chain(&asked)).json();
        let shrunk = run(&["shrink", &input, "--out", &output, "--step", "1", "--force", "--json"]);
        let (before, after) = (run(&["eval", &input, "--json"]), run(&["eval", &output, "--json"]));
        assert_eq!(shrunk["penalty"], before["penalty"]);
        assert_eq!(shrunk["total"], json!({"before": before["total"], "after": after["total"]}));
        assert_eq!(shrunk["tensors"][1]["after"]["value"], after["tensors"][1]["value"]);
        assert_eq!((&shrunk["step"], &shrunk["out"]), (&json!(1.0), &json!(output)));
        assert_eq!(shrunk["skipped"][0]["name"], "mask");
        assert!(after["total"]["nonzero"].as_u64() < before["total"]["nonzero"].as_u64());
    }
}

/// Shrinks the digits and compares each weight with the formula's of it, rounded to its type.
fn shrinks(dtype: &str, args: &[&str], formula: impl Fn(f64) -> f64) {
    let folder = folder();
    let (input, output) = (data(&format!("digits_mlp_{dtype}.safetensors")), folder.path().join("out"));
    let run = penalty(["shrink", &text(&input), "--out", &text(&output), "--backend", "cpu"].iter().chain(args));
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let tolerance = match dtype {
        "f32" => 2f64.powi(-22),
        "f16" => 2f64.powi(-11),
        _ => 2f64.powi(-8),
    };
    let (old, new) = (widened(&input), widened(&output));
    assert_eq!(old.len(), new.len());
    let mut zeros = 0;
    for ((name, old), (_, new)) in old.iter().zip(&new) {
        assert_eq!(old.len(), new.len());
        for (&v, &x) in old.iter().zip(new) {
            let expected = formula(v);
            // Of v: near a threshold the difference is small, and the threshold is rounded.
            assert!((x - expected).abs() <= tolerance * v.abs(), "{name} {args:?}: {v} {x} {expected}");
            zeros += usize::from(x == 0.0);
        }
    }
    assert!((1..50_826).contains(&zeros), "{zeros} zeros");
}

#[test]
fn named_penalties_shrink_by_their_formulas() {
    for dtype in ["f32", "f16", "bf16"] {
        // √(2ηλ) = 0.1.
        shrinks(dtype, &["--penalty", "l0:lambda=0.01", "--step", "0.5"], |v| if v.abs() > 0.1 { v } else { 0.0 });
        let firm = |v: f64| match v.abs() {
            a if a <= 0.05 => 0.0,
            a if a <= 0.2 => (a - 0.05).copysign(v) * 2.0 / 1.5,
            _ => v,
        };
        shrinks(dtype, &["--penalty", "mcp:lambda=0.1,gamma=2", "--step", "0.5"], firm);
        // η ≥ γ: the hard threshold at λ√(γη) = 0.15.
        let hard = |v: f64| if v.abs() > 0.15 { v } else { 0.0 };
        shrinks(dtype, &["--penalty", "mcp:lambda=0.05,gamma=2", "--step", "4.5"], hard);
    }
}

#[test]
fn a_projection_takes_the_nearest_point_and_no_step() {
    for dtype in ["f32", "f16", "bf16"] {
        // Of each type exactly.
        shrinks(dtype, &["--project", "box:lower=0,upper=0.125"], |v| v.clamp(0.0, 0.125));
    }
    let folder = folder();
    let out = |name: &str| text(&folder.path().join(name));
    let input = text(&data("digits_mlp_bf16.safetensors"));
    let shrink = |name: &str, args: &[&str]| {
        penalty(["shrink", &input, "--out", &out(name), "--json"].iter().chain(args)).json()
    };
    let bounds = "box:lower=-0.1,upper=0.2";
    let projected = shrink("projected", &["--project", bounds]);
    assert_eq!(projected["penalty"], json!({"name": "box", "parameters": {"lower": -0.1, "upper": 0.2}}));
    assert_eq!(projected["step"], json!(null));
    let value = |when: &str| projected["total"][when]["value"].clone();
    assert_eq!((value("before"), value("after")), (json!("inf"), json!(0.0)));
    let stepped = shrink("stepped", &["--penalty", bounds, "--step", "0.25"]);
    assert_eq!((&stepped["step"], &stepped["tensors"]), (&json!(0.25), &projected["tensors"]));
    assert!(fs::read(out("projected")).unwrap() == fs::read(out("stepped")).unwrap());
}

#[test]
fn npy_is_shrunk_too() {
    let folder = folder();
    let (input, output) = (folder.path().join("w.npy"), folder.path().join("out.npy"));
    npy(&input, "'<f4'", "False", "(3,)", &f32s(&[1.0, -0.25, f32::NAN]));
    assert_eq!(penalty(["shrink", &text(&input), "--out", &text(&output), "--l1", "0.5", "--step", "1"]).code, 0);
    let (old, new) = (fs::read(&input).unwrap(), fs::read(&output).unwrap());
    let (header, data) = new.split_at(new.len() - 12);
    assert_eq!(header, &old[..old.len() - 12]);
    assert_eq!(data, f32s(&[0.5, 0.0, f32::NAN]));
}

#[test]
fn a_dry_run_writes_nothing_and_says_the_same() {
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    let args = ["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1", "--json"];
    let dry = penalty(args.iter().chain(&["--dry-run"])).json();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(dry["out"], json!(null));
    assert_eq!(difference(dry, penalty(args).json()), None);
}

#[test]
fn an_existing_file_is_kept_unless_forced_and_no_run_leaves_a_temporary_file() {
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    fs::write(&output, "precious").unwrap();
    let args = ["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1"];
    assert_fails(&penalty(args), 1, &[&output, "exists", "--force"]);
    assert_eq!(fs::read(&output).unwrap(), b"precious");
    assert_eq!(penalty(args.iter().chain(&["--force"])).code, 0);
    assert!(fs::read(&output).unwrap() != b"precious");
    // In place.
    let expected = fs::read(&output).unwrap();
    assert_eq!(penalty(["shrink", &input, "--out", &input, "--l1", "0.1", "--step", "1", "--force"]).code, 0);
    assert!(fs::read(&input).unwrap() == expected);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_an_existing_file() {
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    std::os::unix::fs::symlink("nowhere", &output).unwrap();
    let args = ["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1"];
    assert_fails(&penalty(args), 1, &[&output, "exists", "--force"]);
    assert_eq!(penalty(args.iter().chain(&["--force"])).code, 0);
    assert_eq!(penalty(["eval", &output]).code, 0);
}

#[cfg(unix)]
#[test]
fn a_kill_at_any_moment_leaves_the_old_file_or_the_new_one() {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    safetensors(input.as_ref(), &[("w", "F32", vec![8 << 20], f32s(&weights(8 << 20, 1)))], 0);
    let args = ["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1", "--force", "--backend", "cpu"];
    assert_eq!(penalty(args).code, 0);
    let new = fs::read(&output).unwrap();
    let mut killed = 0;
    for delay in (0..20).map(|i| Duration::from_millis(3 * i)) {
        fs::write(&output, "old").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_penalty")).args(args).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(delay);
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let found = fs::read(&output).unwrap();
        assert!(found == b"old" || found == new, "{} bytes after {delay:?}", found.len());
    }
    assert!(killed > 0, "no run was killed before its end");
}

#[test]
fn weights_that_are_taken_together_are_never_cut() {
    // More than travel to a device at a time, and than a thread sums at a time.
    const LEN: usize = 2048 * 4096 + 5;
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    let theta = weights(LEN, 1);
    safetensors(input.as_ref(), &[("w", "F32", vec![LEN as u64], f32s(&theta))], 0);

    let norm = penalty(["eval", &input, "--penalty", "l2-norm:lambda=0.5", "--backend", "cpu", "--json"]).json();
    let want = Backend::cpu().evaluate(&Penalty::l2_norm(0.5).unwrap(), &theta).unwrap().value;
    assert_eq!(norm["total"]["value"], json!(want));

    let args = ["shrink", &input, "--out", &output, "--penalty", "top-k:k=1000", "--step", "1", "--backend", "cpu"];
    let kept = penalty(args.into_iter().chain(["--json"])).json();
    assert_eq!(kept["total"]["after"]["nonzero"], json!(1000));
    let want = Backend::cpu().prox(&Penalty::top_k(1000).unwrap(), &theta, 1.0).unwrap();
    let bytes = fs::read(&output).unwrap();
    assert_eq!(bytes[bytes.len() - 4 * LEN..], f32s(&want));
}

#[cfg(unix)]
#[test]
fn the_result_has_the_checkpoints_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let (input, output) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    checkpoint(input.as_ref());
    fs::set_permissions(&input, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(penalty(["shrink", &input, "--out", &output, "--l1", "0.1", "--step", "1"]).code, 0);
    assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o640);
}
