//! `penalty diff` and `penalty check`.

use std::fs;

use crate::common::*;
use penalty::half::f16;
use serde_json::json;

#[test]
fn differences_are_counted() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let a = [0.5, 0.0, -1.0, f32::NAN, 3.0, f32::INFINITY, f32::INFINITY, -0.0, 2.0];
    let b = [0.25, 1.0, 0.0, 1.0, f32::NAN, f32::INFINITY, 0.0, 0.0, 2.0];
    let halves = |x: f32| f16::from_f32(x).to_le_bytes().to_vec();
    safetensors(
        path("a").as_ref(),
        &[
            ("changed", "F32", vec![3, 3], f32s(&a)),
            ("same", "F32", vec![3], f32s(&[f32::NAN, -0.0, 1.0])),
            ("halved", "F32", vec![1], f32s(&[0.1])),
            ("shape", "F32", vec![2, 1], f32s(&[1.0, 2.0])),
            ("gone", "F32", vec![1], f32s(&[1.0])),
            ("ids", "I64", vec![1], vec![1; 8]),
            ("mask", "BOOL", vec![1], vec![1]),
        ],
        0,
    );
    safetensors(
        path("b").as_ref(),
        &[
            ("changed", "F32", vec![3, 3], f32s(&b)),
            ("same", "F32", vec![3], f32s(&[f32::NAN, -0.0, 1.0])),
            ("halved", "F16", vec![1], halves(0.1)),
            ("shape", "F32", vec![1, 2], f32s(&[1.0, 2.0])),
            ("new", "F32", vec![1], f32s(&[1.0])),
            ("ids", "I64", vec![1], vec![2; 8]),
            ("mask", "BOOL", vec![1], vec![1]),
        ],
        4,
    );
    let diff = |args: &[&str]| penalty(["diff", &path("a"), &path("b")].iter().chain(args));
    let run = diff(&["--json"]);
    assert_eq!((run.code, run.err.as_str()), (1, ""));
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let find = |name: &str| json["tensors"].as_array().unwrap().iter().find(|tensor| tensor["name"] == name).unwrap();
    // Infinity became 0, so Δ is infinite; two equal infinities have no Δ, and neither has a NaN.
    let changed = find("changed");
    assert_eq!((&changed["max_abs"], &changed["l1"]), (&json!("inf"), &json!("inf")));
    let counts = ["zeros_gained", "zeros_lost", "nan_gained"].map(|key| changed[key].as_u64().unwrap());
    assert_eq!((counts, &changed["bits_equal"]), ([2, 1, 1], &json!(false)));
    let halved = f64::from(f16::from_f32(0.1)) - f64::from(0.1f32);
    assert_eq!((&find("halved")["max_abs"], &find("halved")["kind"]), (&json!(halved.abs()), &json!("F32 → F16")));
    for (name, kind, same) in [
        ("same", "F32", true),
        ("shape", "[2,1] → [1,2]", false),
        ("gone", "only in A", false),
        ("new", "only in B", false),
        ("ids", "I64", false),
        ("mask", "BOOL", true),
    ] {
        assert_eq!((&find(name)["kind"], &find(name)["bits_equal"]), (&json!(kind), &json!(same)), "{name}");
    }
    let run = diff(&["--include", "same|mask"]);
    assert_eq!((run.code, run.err.as_str(), run.out.lines().count()), (0, "", 3));
    assert_eq!(diff(&["--include", "same", "--include", "new"]).code, 1);
    // As diff does, 2 says that there was trouble.
    assert_fails(&diff(&["--include", "typo"]), 2, &["matches no tensor"]);
    assert_fails(&penalty(["diff", &path("a"), &path("missing")]), 2, &["no such file"]);
}

#[test]
fn a_pruned_model_differs_by_its_zeros() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let values = weights(300_000, 3);
    safetensors(path("a").as_ref(), &[("w", "F32", vec![300, 1000], f32s(&values))], 0);
    assert_eq!(penalty(["prune", &path("a"), "--out", &path("b"), "--sparsity", "0.5"]).code, 0);
    let run = penalty(["diff", &path("a"), &path("b"), "--json"]);
    assert_eq!(run.code, 1);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let mut magnitudes: Vec<f32> = values.iter().map(|x| x.abs()).collect();
    magnitudes.sort_by(f32::total_cmp);
    let zeros = magnitudes.iter().filter(|x| **x == 0.0).count() as u64;
    let pruned = &magnitudes[..150_000];
    let tensor = &json["tensors"][0];
    assert_eq!(tensor["zeros_gained"], json!(150_000 - zeros));
    assert_eq!((&tensor["zeros_lost"], &tensor["max_abs"]), (&json!(0), &json!(f64::from(pruned[149_999]))));
    let sum: f64 = pruned.iter().map(|x| f64::from(*x)).sum();
    assert!((tensor["l1"].as_f64().unwrap() / sum - 1.0).abs() < 1e-12);
    assert_eq!(penalty(["diff", &path("b"), &path("b")]).code, 0);
}

#[test]
fn groups_that_do_not_conform_are_counted() {
    let folder = folder();
    let file = folder.path().join("in").display().to_string();
    let mut conv = vec![1.0f32; 8 * 8 * 9];
    // Along dimension 1, weights are 9 apart. All groups have two zeros but one, which has one, and one with a NaN.
    for (i, x) in conv.iter_mut().enumerate() {
        *x = if i / 9 % 2 == 0 { 0.0 } else { 1.0 };
    }
    (conv[0], conv[72]) = (-1e-45, f32::NAN);
    safetensors(file.as_ref(), &[("conv", "F32", vec![8, 8, 3, 3], f32s(&conv)), ("b", "F32", vec![2], vec![0; 8])], 0);
    let run = penalty(["check", &file, "--structure", "2:4", "--json"]);
    assert_eq!((run.code, run.err.as_str()), (1, ""));
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((&json["tensors"][0]["groups"], &json["tensors"][0]["wrong_groups"]), (&json!(144), &json!(2)));
    assert_eq!((&json["conforms"], &json["skipped"][0]["name"]), (&json!(false), &json!("b")));
    assert_eq!(penalty(["check", &file, "--structure", "3:4"]).code, 0);
    fs::write(&file, "text of some length").unwrap();
    assert_fails(&penalty(["check", &file, "--structure", "2:4"]), 1, &["is no safetensors file"]);
}
