//! F64 tensors: held against integers of any length, and against a stable sort over all magnitudes.

use std::fs;
use std::path::Path;

use crate::common::*;
use num_bigint::BigUint;
use serde_json::{Value, json};

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn f64s(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Numbers of all magnitudes, a few of them zero, subnormal or huge, and many that tie.
fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let special = [0.0, -0.0, 5e-324, -3e-310, f64::MIN_POSITIVE, f64::MAX, -f64::MAX, 1.0, -1.0, 0.1, 2f64.powi(-530)];
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state >> 11
    };
    (0..len)
        .map(|i| match i % 4 {
            0 => special[next() as usize % special.len()],
            1 => f64::from_bits((next() << 11 | next()) & !(1 << 62)),
            _ => next() as f64 / (1u64 << 53) as f64 - 0.5,
        })
        .collect()
}

/// |x| in units of the smallest number.
fn integer(x: f64) -> BigUint {
    let bits = x.to_bits() << 1 >> 1;
    let (exponent, fraction) = (bits >> 52, bits & ((1 << 52) - 1));
    if exponent == 0 { fraction.into() } else { BigUint::from(fraction | 1 << 52) << (exponent - 1) }
}

/// The number nearest to an integer in units of 2^-`places`, ties to even.
fn nearest(of: &BigUint, places: i64) -> f64 {
    // A decimal that is exact is parsed to the nearest number.
    let digits = (of * BigUint::from(5u32).pow(places as u32)).to_string();
    format!("{digits}e-{places}").parse().unwrap()
}

fn exact(weights: &[f64]) -> [f64; 2] {
    let l1: BigUint = weights.iter().map(|x| integer(*x)).sum();
    let l2: BigUint = weights.iter().map(|x| integer(*x).pow(2)).sum();
    [nearest(&l1, 1074), nearest(&l2, 2148)]
}

fn float(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.as_str().expect("a number or its name").parse().unwrap())
}

#[test]
fn sums_are_rounded_once() {
    let folder = folder();
    let path = folder.path().join("m");
    let small: Vec<f64> = numbers(70_000, 2).into_iter().map(|x| if x.abs() > 1e150 { 0.25 } else { x }).collect();
    let tiny: Vec<f64> = (1..400).map(|i| f64::from(i) * 1e-163).collect();
    let all = [("all", numbers(1001, 1)), ("small", small), ("tiny", tiny), ("none", vec![])];
    for (name, weights) in &all {
        let mut turned = weights.clone();
        turned.reverse();
        safetensors(
            &path,
            &[
                ("a", "F64", vec![weights.len() as u64], f64s(weights)),
                ("b", "F64", vec![weights.len() as u64], f64s(&turned)),
            ],
            3,
        );
        for threads in [1, 3] {
            let run = penalty_on_threads(threads, &["eval", &text(&path), "--l1", "0.5", "--l2", "0.25", "--json"]);
            let found = run.json();
            let [l1, l2] = exact(weights);
            for tensor in found["tensors"].as_array().unwrap() {
                assert_eq!([float(&tensor["l1"]), float(&tensor["l2_squared"])], [l1, l2], "{name}");
                assert_eq!(float(&tensor["value"]), 0.5 * l1 + 0.25 * l2, "{name}");
                let largest = weights.iter().fold(0f64, |max, x| max.max(x.abs()));
                assert_eq!(float(&tensor["max_abs"]), largest);
                assert_eq!(tensor["nonzero"], weights.iter().filter(|x| **x != 0.0).count());
                assert_eq!(tensor["dtype"], "F64");
            }
        }
    }
}

#[test]
fn the_total_of_several_types_is_exact() {
    let folder = folder();
    let path = folder.path().join("m");
    let (wide, single) = (numbers(500, 5), weights(9000, 3));
    let wide: Vec<f64> = wide.into_iter().map(|x| if x.abs() > 1e30 { 1e-20 } else { x }).collect();
    // One number a tile: the library's own sum is then exact.
    let single: Vec<f32> = single.iter().enumerate().map(|(i, x)| if i % 4096 == 7 { *x } else { 0.0 }).collect();
    safetensors(
        &path,
        &[
            ("d", "F64", vec![500], f64s(&wide)),
            ("s", "F32", vec![9000], f32s(&single)),
            ("n", "F64", vec![1], f64s(&[2.0])),
        ],
        0,
    );
    let found = penalty(["eval", &text(&path), "--l1", "1", "--json"]).json();
    let mut all = wide.clone();
    all.extend(single.iter().map(|x| f64::from(*x)));
    all.push(2.0);
    assert_eq!(float(&found["total"]["l1"]), exact(&all)[0]);
    let values = found["tensors"].as_array().unwrap().iter().map(|tensor| float(&tensor["value"]));
    assert_eq!(float(&found["total"]["value"]), values.fold(0.0, |sum, value| sum + value));
    assert_eq!(found["total"]["len"], 9501);
    let shown = penalty(["eval", &text(&path), "--l1", "1"]);
    assert!(shown.out.contains("F64 tensors: on the CPU, in f64"), "{}", shown.out);
}

#[test]
fn what_is_not_finite_is_counted_and_stays() {
    let folder = folder();
    let (path, out) = (folder.path().join("m"), folder.path().join("out"));
    let nan = f64::from_bits(0xfff8_0000_0000_1234);
    let weights = [1.0, f64::INFINITY, nan, -3.0, f64::NEG_INFINITY, 0.25];
    safetensors(&path, &[("w", "F64", vec![2, 3], f64s(&weights))], 0);
    let found = penalty(["eval", &text(&path), "--l1", "1", "--json"]).json();
    assert_eq!([&found["total"]["nan"], &found["total"]["inf"]], [1, 2]);
    assert_eq!(found["total"]["value"], "NaN");
    for (asked, expected) in [
        (["--l1", "0.5", "--step", "1"], [0.5, f64::INFINITY, nan, -2.5, f64::NEG_INFINITY, 0.0]),
        // A group that has one stays.
        (["--project", "l2-ball:radius=1", "--groups", "rows"], weights),
    ] {
        let run = penalty(["shrink", &text(&path), "--out", &text(&out), "--force"].iter().chain(&asked));
        assert_eq!(run.code, 0, "{run:?}");
        assert!(fs::read(&out).unwrap().ends_with(&f64s(&expected)), "{asked:?}");
    }
}

#[test]
fn proxes_are_those_of_the_library_in_f64() {
    use penalty::{Groups, Penalty};
    let folder = folder();
    let (path, out) = (folder.path().join("m"), folder.path().join("out"));
    let weights: Vec<f64> = numbers(240, 9).into_iter().map(|x| if x.abs() > 1e6 { 7.5 } else { x }).collect();
    let tile = Groups::tiles(24, 2, 3).unwrap();
    let cases = [
        (vec!["--l1", "0.1", "--step", "0.7"], Penalty::l1(0.1).unwrap(), 0.7),
        (vec!["--penalty", "mcp:lambda=0.2,gamma=3", "--step", "1"], Penalty::mcp(0.2, 3.0).unwrap(), 1.0),
        (
            vec!["--project", "l1-ball:radius=2", "--groups", "rows"],
            Penalty::l1_ball(2.0).unwrap().over(Groups::rows(24).unwrap()).unwrap(),
            1.0,
        ),
        (
            vec!["--penalty", "group-lasso:lambda=0.1", "--groups", "tiles:2x3", "--step", "1"],
            Penalty::group_lasso(0.1, tile).unwrap(),
            1.0,
        ),
        (
            vec!["--penalty", "l2-norm:lambda=0.3", "--groups", "columns", "--step", "1"],
            Penalty::l2_norm(0.3).unwrap().over(Groups::columns(24).unwrap()).unwrap(),
            1.0,
        ),
        (vec!["--keep", "n-of-m:n=2,m=4"], Penalty::n_of_m(2, 4).unwrap(), 1.0),
    ];
    for (asked, penalty_of, step) in cases {
        safetensors(&path, &[("w", "F64", vec![10, 24], f64s(&weights))], 0);
        let run = penalty(["shrink", &text(&path), "--out", &text(&out), "--force"].iter().chain(&asked));
        assert_eq!(run.code, 0, "{run:?}");
        let mut expected = weights.clone();
        penalty_of.prox_of(&mut expected, step).unwrap();
        assert!(fs::read(&out).unwrap().ends_with(&f64s(&expected)), "{asked:?}");
        if asked[0] == "--penalty" {
            let found = penalty(["eval", &text(&path), "--json"].iter().chain(&asked[..asked.len() - 2])).json();
            let (found, expected) = (float(&found["total"]["value"]), penalty_of.value_of(&weights).unwrap());
            assert!((found - expected).abs() <= 1e-13 * expected, "{asked:?}: {found} {expected}");
        }
    }
}

/// The places that a stable sort prunes, among magnitudes of several tensors.
fn pruned(tensors: &[Vec<f64>], count: usize) -> Vec<Vec<bool>> {
    let mut order: Vec<(u64, usize, usize)> = Vec::new();
    for (i, weights) in tensors.iter().enumerate() {
        order.extend(weights.iter().enumerate().map(|(j, x)| (x.abs().to_bits(), i, j)));
    }
    order.sort_by_key(|(magnitude, ..)| *magnitude);
    let mut pruned: Vec<Vec<bool>> = tensors.iter().map(|weights| vec![false; weights.len()]).collect();
    order[..count].iter().for_each(|(_, i, j)| pruned[*i][*j] = true);
    pruned
}

#[test]
fn a_budget_is_one_over_all_types() {
    let folder = folder();
    let (path, out) = (folder.path().join("m"), folder.path().join("out"));
    let single = weights(1000, 4);
    // Some tie with the others exactly, some lie between two f32.
    let near = |(i, x): (usize, &f32)| f64::from(*x) * (1.0 + (i % 3) as f64 * f64::EPSILON);
    let mut wide: Vec<f64> = single.iter().enumerate().map(near).collect();
    wide.extend(numbers(400, 8));
    let tensors =
        [("d", "F64", vec![1400], f64s(&wide)), ("s", "F32", vec![1000], f32s(&single)), ("e", "F64", vec![0], vec![])];
    safetensors(&path, &tensors, 0);
    let all = [wide.clone(), single.iter().map(|x| f64::from(*x)).collect(), vec![]];
    for sparsity in ["0", "0.1", "0.5", "0.77", "1"] {
        let run = penalty([
            "prune",
            &text(&path),
            "--out",
            &text(&out),
            "--sparsity",
            sparsity,
            "--force",
            "--backend",
            "cpu",
        ]);
        assert_eq!(run.code, 0, "{run:?}");
        let expected = pruned(&all, (sparsity.parse::<f64>().unwrap() * 2400.0) as usize);
        let wide: Vec<f64> =
            wide.iter().copied().zip(&expected[0]).map(|(x, pruned)| if *pruned { 0.0 } else { x }).collect();
        let single: Vec<f32> =
            single.iter().copied().zip(&expected[1]).map(|(x, pruned)| if *pruned { 0.0 } else { x }).collect();
        let mut bytes = f64s(&wide);
        bytes.extend(f32s(&single));
        assert!(fs::read(&out).unwrap().ends_with(&bytes), "{sparsity}");
    }
}

#[test]
fn structures_and_scopes_of_f64_are_those_of_f32() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let single = weights(8 * 36, 11);
    let wide: Vec<f64> = single.iter().map(|x| f64::from(*x)).collect();
    safetensors(&path("s"), &[("w", "F32", vec![8, 36], f32s(&single))], 0);
    safetensors(&path("d"), &[("w", "F64", vec![8, 36], f64s(&wide))], 0);
    for asked in [
        &["--structure", "2:4"][..],
        &["--structure", "3:5", "--pad"],
        &["--structure", "1:4", "--dim", "0"],
        &["--structure", "rows", "--sparsity", "0.4"],
        &["--structure", "columns", "--sparsity", "0.3"],
        &["--structure", "tiles:2x3", "--sparsity", "0.6"],
        &["--scope", "row", "--sparsity", "0.35"],
        &["--scope", "tensor", "--sparsity", "0.9"],
        &["--sparsity", "0.5", "--min-per-tensor", "0.2"],
    ] {
        let [a, b] = ["s", "d"].map(|name| {
            let out = path(&format!("{name}.out"));
            let run = penalty(["prune", &text(&path(name)), "--out", &text(&out), "--force"].iter().chain(asked));
            assert_eq!(run.code, 0, "{run:?}");
            out
        });
        let expected: Vec<f64> = widened(&a)["w"].clone();
        assert!(fs::read(&b).unwrap().ends_with(&f64s(&expected)), "{asked:?}");
        if asked[1].contains(':') && asked[0] == "--structure" && !asked.contains(&"--sparsity") {
            let check = penalty(["check", &text(&b), "--structure", asked[1]].iter().chain(&asked[2..]));
            assert_eq!(check.code, 0, "{check:?}");
            assert_eq!(
                penalty(["check", &text(&path("d")), "--structure", asked[1]].iter().chain(&asked[2..])).code,
                1
            );
        }
    }
    let diff = penalty(["diff", &text(&path("d")), &text(&path("d.out")), "--json"]);
    let found: Value = serde_json::from_str(&diff.out).unwrap();
    assert_eq!((diff.code, &found["tensors"][0]["kind"]), (1, &json!("F64")));
    // Values that are the same in two types have no difference, but other bits.
    let found: Value =
        serde_json::from_str(&penalty(["diff", &text(&path("d")), &text(&path("s")), "--json"]).out).unwrap();
    assert_eq!([&found["tensors"][0]["l1"], &found["tensors"][0]["bits_equal"]], [&json!(0.0), &json!(false)]);
}

#[test]
fn npy_files_of_any_order() {
    let folder = folder();
    let path = folder.path().join("w.npy");
    let wide = numbers(12, 6);
    let swapped: Vec<u8> = wide.iter().flat_map(|x| x.to_be_bytes()).collect();
    let [l1, _] = exact(&wide);
    for (descr, data) in [("'<f8'", f64s(&wide)), ("'>f8'", swapped), ("'float64'", f64s(&wide))] {
        for fortran in ["False", "True"] {
            npy(&path, descr, fortran, "(3, 4)", &data);
            let found = penalty(["eval", &text(&path), "--l1", "1", "--json"]).json();
            assert_eq!(float(&found["total"]["l1"]), l1);
            let out = folder.path().join("out.npy");
            let prune = ["prune", &text(&path), "--out", &text(&out), "--sparsity", "0", "--force"];
            assert_eq!(penalty(prune).code, 0);
            assert!(fs::read(&out).unwrap() == fs::read(&path).unwrap(), "{descr} {fortran}");
        }
    }
}
