//! Non-separable penalties: `--groups`, the projections and `--keep`. Tests compare them with formulas in f64 over
//! indices computed here, and check what is rejected before anything is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::*;
use penalty::half::f16;
use serde_json::{Value, json};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The tensors of the file below as matrices: rows, columns, and the tolerance of a result relative to the largest
/// weight.
const MATRICES: [(&str, usize, usize, f64); 2] =
    [("conv", 12, 24, 1.0 / (1 << 20) as f64), ("half", 8, 40, 1.0 / 512.0)];

/// A checkpoint with two matrices, a tensor of four dimensions and a vector. Rows, columns and tiles differ in size.
fn matrices(path: &Path) {
    let values = |rows: usize, columns: usize, seed| -> Vec<f32> {
        let scale = |i: usize| ((i / columns + 1) * (i % columns + 2)) as f32 / (rows * columns) as f32;
        weights(rows * columns, seed).iter().enumerate().map(|(i, w)| w * scale(i)).collect()
    };
    let half: Vec<u8> = values(8, 40, 2).into_iter().flat_map(|w| f16::from_f32(w).to_le_bytes()).collect();
    let tensors: [Stored; 3] = [
        ("conv", "F32", vec![12, 4, 3, 2], f32s(&values(12, 24, 1))),
        ("bias", "F32", vec![5], f32s(&[1.0, -2.0, 0.5, 3.0, 0.0])),
        ("half", "F16", vec![8, 40], half),
    ];
    safetensors(path, &tensors, 3);
}

/// The group of a weight, given its row, its column and its index `i` in the matrix.
type GroupOf = fn(usize, usize, usize) -> (usize, usize);

/// The values of `--groups`, each with its meaning.
const GROUPS: [(&str, GroupOf); 5] = [
    ("whole", |_, _, _| (0, 0)),
    ("rows", |row, _, _| (row, 0)),
    ("columns", |_, column, _| (0, column)),
    ("tiles:4x8", |row, column, _| (row / 4, column / 8)),
    ("runs:16", |_, _, i| (i / 16, 0)),
];

/// The indices of each group of a matrix, ascending.
fn grouped(groups: &str, (rows, columns): (usize, usize)) -> Vec<Vec<usize>> {
    let (_, group) = GROUPS.iter().find(|(name, _)| *name == groups).expect("the groups have a name");
    let mut lists = BTreeMap::<_, Vec<usize>>::new();
    for i in 0..rows * columns {
        lists.entry(group(i / columns, i % columns, i)).or_default().push(i);
    }
    lists.into_values().collect()
}

fn norm(w: &[f64]) -> f64 {
    w.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn l1(w: &[f64]) -> f64 {
    w.iter().map(|x| x.abs()).sum()
}

/// λ√n‖w‖.
fn lasso(lambda: f64, w: &[f64]) -> f64 {
    lambda * (w.len() as f64).sqrt() * norm(w)
}

/// R of a group, as a formula.
type Value64 = fn(&[f64]) -> f64;

#[test]
fn a_value_is_the_sum_of_its_groups() {
    let folder = folder();
    let file = folder.path().join("m");
    matrices(&file);
    let penalties: [(&str, Value64); 5] = [
        ("group-lasso:lambda=0.5", |w| lasso(0.5, w)),
        ("sparse-group-lasso:lambda=0.5,alpha=0.25", |w| 0.125 * l1(w) + lasso(0.375, w)),
        ("l2-norm:lambda=0.5", |w| 0.5 * norm(w)),
        ("linf-norm:lambda=0.5", |w| 0.5 * w.iter().fold(0.0, |max: f64, x| max.max(x.abs()))),
        ("l1-ball:radius=0.5", |w| if l1(w) <= 0.5 { 0.0 } else { f64::INFINITY }),
    ];
    let tensors = widened(&file);
    for (groups, _) in GROUPS {
        for (given, value) in penalties {
            let args = ["eval", &text(&file), "--penalty", given, "--groups", groups, "--exclude", "bias", "--json"];
            let found = penalty(args).json();
            assert_eq!(found["penalty"]["groups"], groups);
            for (at, (name, rows, columns, _)) in MATRICES.into_iter().enumerate() {
                let lists = grouped(groups, (rows, columns));
                let of = |list: &Vec<usize>| value(&list.iter().map(|&i| tensors[name][i]).collect::<Vec<_>>());
                let expected: f64 = lists.iter().map(of).sum();
                let found = &found["tensors"][at];
                assert_eq!(found["name"], name);
                match found["value"].as_f64() {
                    Some(value) => {
                        assert!((value / expected - 1.0).abs() < 1e-6, "{given} {groups}: {value} {expected}")
                    }
                    None => assert_eq!((&found["value"], expected), (&json!("inf"), f64::INFINITY), "{given} {groups}"),
                }
            }
        }
    }
    let whole = ["eval", &text(&file), "--penalty", "l2-norm:lambda=1", "--json"];
    let said = penalty(whole.iter().chain(&["--groups", "whole"])).json();
    assert_eq!(said["penalty"], json!({"name": "l2_norm", "parameters": {"lambda": 1.0}, "groups": "whole"}));
    assert_eq!(said["tensors"], penalty(whole).json()["tensors"]);
}

/// The prox of a group, as a formula.
type Prox64<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;

/// Shrinks the matrices with each kind of groups. Each weight must match the formula of its group, and the bias must
/// stay the same. `also` receives each group's weights before and after.
fn shrinks(args: &[&str], formula: Prox64<'_>, also: impl Fn(&[f64], &[f64])) {
    let folder = folder();
    let [file, out] = ["in", "out"].map(|name| folder.path().join(name));
    matrices(&file);
    for (groups, _) in GROUPS {
        let run = ["shrink", &text(&file), "--out", &text(&out), "--force", "--exclude", "bias", "--json"];
        let shrunk = penalty(run.iter().chain(args).chain(&["--groups", groups])).json();
        assert_eq!(shrunk["penalty"]["groups"], groups);
        let (old, new) = (widened(&file), widened(&out));
        assert_eq!(old["bias"], new["bias"]);
        for (name, rows, columns, tolerance) in MATRICES {
            for list in grouped(groups, (rows, columns)) {
                let [before, after] = [&old, &new].map(|all| list.iter().map(|&i| all[name][i]).collect::<Vec<_>>());
                let wanted = formula(&before);
                let largest = before.iter().chain(&wanted).fold(0.0, |max: f64, x| max.max(x.abs()));
                for (expected, found) in wanted.iter().zip(&after) {
                    let close = (expected - found).abs() <= tolerance * largest;
                    assert!(close, "{args:?} {groups} {name}: {found} {expected} of {before:?}");
                }
                also(&before, &after);
            }
        }
    }
}

#[test]
fn groups_are_shrunk_together() {
    let zeros = std::cell::Cell::new((0, 0));
    let formula = |w: &[f64]| {
        let factor = (1.0 - lasso(0.03, w) / norm(w).powi(2)).max(0.0);
        w.iter().map(|x| x * factor).collect()
    };
    let args = ["--penalty", "group-lasso:lambda=0.06", "--step", "0.5"];
    shrinks(&args, &formula, |_, after| {
        let (none, some) = zeros.get();
        let gone = after.iter().all(|&x| x == 0.0);
        zeros.set(if gone { (none + 1, some) } else { (none, some + 1) });
    });
    let (none, some) = zeros.get();
    assert!(none > 10 && some > 10, "{none} groups are zero and {some} are not");
}

/// max(|v| − τ, 0), with the τ that makes the sum equal to the radius.
fn onto_simplex(magnitudes: &[f64], radius: f64) -> Vec<f64> {
    let mut sorted = magnitudes.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let thresholds = sorted.iter().enumerate().map(|(i, x)| {
        sum += x;
        (sum - radius) / (i + 1) as f64
    });
    // The thresholds rise as long as the added magnitude exceeds them, and then fall, so the largest is τ.
    let threshold = thresholds.fold(f64::NEG_INFINITY, f64::max);
    magnitudes.iter().map(|x| (x - threshold).max(0.0)).collect()
}

#[test]
fn one_projection_a_group() {
    for radius in [0.25, 1.0] {
        let inside = std::cell::Cell::new((0, 0));
        let count = |is: bool, before: &[f64], after: &[f64]| {
            let (yes, no) = inside.get();
            inside.set(if is { (yes + 1, no) } else { (yes, no + 1) });
            assert!(!is || before == after, "{before:?} is inside and became {after:?}");
        };
        let ball = |w: &[f64]| match l1(w) <= radius {
            true => w.to_vec(),
            false => {
                let magnitudes: Vec<f64> = w.iter().map(|x| x.abs()).collect();
                onto_simplex(&magnitudes, radius).iter().zip(w).map(|(x, v)| x.copysign(*v)).collect()
            }
        };
        let named = |name: &str| format!("{name}:radius={radius}");
        shrinks(&["--project", &named("l1-ball")], &ball, |before, after| {
            assert!(l1(after) <= radius, "{} is above {radius}", l1(after));
            count(l1(before) <= radius, before, after);
        });
        let ball = |w: &[f64]| w.iter().map(|x| x * (radius / norm(w)).min(1.0)).collect();
        shrinks(&["--project", &named("l2-ball")], &ball, |before, after| {
            // This test's sum of squares rounds, so it needs a tolerance.
            assert!(norm(after) <= radius * (1.0 + 1e-12), "{} is above {radius}", norm(after));
            count(norm(before) <= radius, before, after);
        });
        let (inside, outside) = inside.get();
        assert!(inside > 10 && outside > 10, "{inside} groups were inside, {outside} not");
        let simplex = |w: &[f64]| onto_simplex(w, radius);
        shrinks(&["--project", &named("simplex")], &simplex, |_, after| {
            let sum = after.iter().sum::<f64>();
            assert!(after.iter().all(|&x| x >= 0.0) && sum <= radius && sum >= radius * 0.98, "{sum} is not {radius}");
        });
    }
}

/// Keeps the k weights of largest magnitude, the lower index first among equals, and sets the others to zero.
fn largest(k: usize, w: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..w.len()).collect();
    order.sort_by(|&a, &b| w[b].abs().total_cmp(&w[a].abs()));
    let mut kept = vec![0.0; w.len()];
    order.into_iter().take(k).for_each(|i| kept[i] = w[i]);
    kept
}

fn bits(w: &[f64]) -> Vec<u64> {
    w.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn the_largest_of_each_group_are_kept_bit_by_bit() {
    for k in [1, 3, 200] {
        shrinks(&["--keep", &format!("top-k:k={k}")], &|w| largest(k, w), |before, after| {
            assert_eq!(bits(after), bits(&largest(k, before)));
        });
    }
    let folder = folder();
    let [file, out] = ["in", "out"].map(|name| folder.path().join(name));
    matrices(&file);
    let keep = |keep: &str| {
        let args = ["shrink", &text(&file), "--out", &text(&out), "--exclude", "bias", "--force", "--json"];
        penalty(args.iter().chain(&["--keep", keep])).json()
    };
    // Without `--groups`, the group is the whole tensor.
    assert_eq!(keep("top-k:k=7")["total"]["after"]["nonzero"], json!(14));
    for (name, ..) in MATRICES {
        assert_eq!(bits(&widened(&out)[name]), bits(&largest(7, &widened(&file)[name])));
    }
    let found = keep("n-of-m:n=2,m=4");
    assert_eq!(found["penalty"], json!({"name": "n_of_m", "parameters": {"n": 2.0, "m": 4.0}}));
    assert_eq!(found["step"], Value::Null);
    assert_eq!(found["total"]["after"]["value"], json!(0.0));
    for (name, ..) in MATRICES {
        let (old, new) = (&widened(&file)[name], &widened(&out)[name]);
        for (four, kept) in old.chunks(4).zip(new.chunks(4)) {
            assert_eq!(bits(kept), bits(&largest(2, four)));
            assert!(kept.iter().filter(|&&x| x == 0.0).count() >= 2);
        }
    }
}

/// Runs eval and shrink. Both must fail alike, in one line, and leave nothing behind.
fn rejected(file: &Path, asked: &[&str], code: i32, message: &str) {
    let file = text(file);
    let folder = Path::new(&file).parent().expect("the file is in a folder");
    let before = fs::read_dir(folder).unwrap().count();
    let out = text(&folder.join("out"));
    let shrink = ["shrink", &file, "--out", &out, "--step", "1"];
    for run in [&["eval", &file][..], &shrink, &[&shrink[..], &["--dry-run"]].concat()] {
        assert_fails(&penalty(run.iter().chain(asked)), code, &["penalty: ", message]);
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), before, "{asked:?} leaves nothing behind");
}

#[test]
fn what_groups_do_not_cover() {
    let folder = folder();
    let file = folder.path().join("m");
    let ones = |len: usize| f32s(&vec![1.0; len]);
    let tensors: [Stored; 3] = [
        ("fine", "F32", vec![4, 6], ones(24)),
        ("w", "F32", vec![3, 2, 5], ones(30)),
        ("scalar", "F32", vec![], ones(1)),
    ];
    safetensors(&file, &tensors, 0);
    let of = |name: &str, shape: &str, reason: &str| {
        format!("penalty: {}: its tensor {name:?} of shape {shape}: {reason}\n", text(&file))
    };
    let w = |reason: &str| of("w", "[3, 2, 5]", reason);
    let matrix = |groups: &str, found: usize| {
        let choose = "--include and --exclude choose tensors";
        format!("--groups {groups}: expected a matrix, of two dimensions or more, found {found} ({choose})")
    };
    let norm = ["--penalty", "l2-norm:lambda=1", "--groups"];
    let cases = [
        ("rows", "", of("scalar", "[]", &matrix("rows", 0))),
        ("columns", "", of("scalar", "[]", &matrix("columns", 0))),
        ("tiles:1x1", "", of("scalar", "[]", &matrix("tiles:1x1", 0))),
        (
            "tiles:2x2",
            "w",
            w("groups of tiles of 2x2 in 10 columns must cover the tensor: its 30 weights do not divide so"),
        ),
        ("tiles:3x4", "w", w("groups of tiles of 3x4 in 10 columns must divide the columns: 10")),
        ("tiles:4x6", "", w("groups of tiles of 4x6 in 10 columns must divide the columns: 10")),
        ("runs:8", "", w("groups of runs of 8 must cover the tensor: its 30 weights do not divide so")),
        (
            "runs:18446744073709551615",
            "w",
            w("groups of runs of 18446744073709551615 must cover the tensor: its 30 weights do not divide so"),
        ),
    ];
    for (groups, include, message) in &cases {
        rejected(&file, &[&norm[..], &[groups, "--include", include]].concat(), 1, message);
    }
    let four = w("groups of runs of 4 must cover the tensor: its 30 weights do not divide so");
    rejected(&file, &["--penalty", "group-lasso:lambda=1,group-size=4"], 1, &four);
    let shrink = ["shrink", &text(&file), "--out", &text(&folder.path().join("out"))];
    let simplex = ["--project", "simplex:radius=1", "--groups", "runs:4"];
    assert_fails(&penalty(shrink.iter().chain(&simplex)), 1, &[&four]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    // The error names the shard, not the index.
    let index = folder.path().join("m.index.json");
    fs::write(&index, json!({"weight_map": {"fine": "m", "w": "m"}}).to_string()).unwrap();
    let rows = penalty(["eval", &text(&index), "--penalty", "l2-norm:lambda=1", "--groups", "rows", "--json"]).json();
    assert!((rows["total"]["value"].as_f64().unwrap() - 4.0 * 6f64.sqrt() - 3.0 * 10f64.sqrt()).abs() < 1e-5);
    assert_fails(&penalty(["eval", &text(&index)].iter().chain(&norm).chain(&["tiles:2x2"])), 1, &[&cases[3].2]);
}

/// The shape of a tensor, and whether groups of 4 (2 of 4) fit into its rows.
const ROWS: [(&[u64], bool); 14] = [
    (&[3, 8], true),
    (&[8, 6], false),
    (&[2, 6], false),
    (&[4, 1], false),
    (&[1, 4], true),
    (&[4, 3, 2], false),
    (&[3, 2, 2], true),
    (&[2, 4, 3, 2], true),
    (&[4, 5, 1, 2], false),
    (&[8], true),
    (&[6], false),
    (&[], false),
    (&[0, 5], true),
    (&[5, 0], true),
];

#[test]
fn n_of_m_is_inside_rows() {
    let folder = folder();
    let [file, out] = ["m", "out"].map(|name| folder.path().join(name));
    let fine = || -> Stored<'_> { ("fine", "F32", vec![2, 4], f32s(&[1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0])) };
    for (shape, fits) in ROWS {
        let len = shape.iter().product::<u64>() as usize;
        // The tensor that does not fit comes second.
        safetensors(&file, &[fine(), ("w.1", "F32", shape.to_vec(), f32s(&weights(len, 1)))], 0);
        let [file, out] = [text(&file), text(&out)];
        let ways: [&[&str]; 4] = [
            &["eval", &file, "--penalty", "n-of-m:n=2,m=4"],
            &["shrink", &file, "--out", &out, "--keep", "n-of-m:n=2,m=4"],
            &["shrink", &file, "--out", &out, "--penalty", "n-of-m:n=2,m=4", "--step", "1"],
            &["shrink", &file, "--out", &out, "--keep", "n-of-m:n=2,m=4", "--dry-run"],
        ];
        for way in ways {
            let run = penalty(way);
            if fits {
                assert_eq!(run.code, 0, "{shape:?} {run:?}");
                let _ = fs::remove_file(&out);
            } else {
                let row = if shape.len() < 2 { len as u64 } else { shape[1..].iter().product() };
                let of = format!("penalty: {file}: its tensor \"w.1\" of shape {shape:?}: n-of-m: ");
                let reason = format!("m must divide the weights of a row: 4 does not divide {row} ");
                assert_fails(&run, 1, &[&of, &reason]);
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{way:?} {shape:?}");
            // Only the selected tensors must fit.
            let selected = penalty(way.iter().chain(&["--exclude", "w.1"]));
            assert_eq!(selected.code, 0, "{selected:?}");
            let _ = fs::remove_file(&out);
        }
    }
    // Runs may cross rows, if `--groups` asks for runs.
    safetensors(
        &file,
        &[("w", "F32", vec![2, 6], f32s(&[9.0, 8.0, 7.0, 6.0, 1.0, 2.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5]))],
        0,
    );
    let keep = |asked: &[&str]| {
        let args = ["shrink", &text(&file), "--out", &text(&out), "--force", "--json"];
        assert_eq!(penalty(args.iter().chain(asked)).json()["total"]["after"]["nonzero"], json!(6));
        widened(&out)["w"].clone()
    };
    let across = [9.0, 8.0, 0.0, 0.0, 0.0, 0.0, 5.0, 4.0, 3.0, 2.0, 0.0, 0.0];
    assert_eq!(keep(&["--keep", "top-k:k=2", "--groups", "runs:4"]), across);
    assert_eq!(keep(&["--keep", "n-of-m:n=1,m=2"]), [9.0, 0.0, 7.0, 0.0, 0.0, 2.0, 5.0, 0.0, 3.0, 0.0, 1.0, 0.0]);
    let lasso = ["eval", &text(&file), "--penalty", "group-lasso:lambda=1,group-size=4"];
    assert_eq!(penalty(lasso).code, 0);
}

#[test]
fn n_of_m_keeps_at_most_m() {
    let folder = folder();
    let [file, out] = ["m", "out"].map(|name| folder.path().join(name));
    safetensors(&file, &[("w", "F32", vec![2, 4], f32s(&weights(8, 1)))], 0);
    for (asked, n) in [("n-of-m:n=5,m=4", 5), ("n-of-m:m=1,n=2", 2)] {
        let message = format!("n must be at most m, found {n}");
        rejected(&file, &["--penalty", asked], 2, &message);
        let shrink = penalty(["shrink", &text(&file), "--out", &text(&out), "--keep", asked]);
        assert_fails(&shrink, 2, &["--keep", &message]);
    }
    let all = penalty(["shrink", &text(&file), "--out", &text(&out), "--keep", "n-of-m:n=4,m=4"]);
    assert_eq!((all.code, fs::read(&out).unwrap()), (0, fs::read(&file).unwrap()));
}

#[test]
fn nothing_has_no_groups() {
    let folder = folder();
    let [file, out] = ["in", "out"].map(|name| text(&folder.path().join(name)));
    let empty = |name, shape: &[u64]| -> Stored<'_> { (name, "F32", shape.to_vec(), Vec::new()) };
    safetensors(file.as_ref(), &[empty("a", &[0, 3]), empty("b", &[5, 0]), empty("c", &[0])], 0);
    for groups in ["whole", "rows", "columns", "tiles:2x2", "runs:4"] {
        let eval = ["eval", &file, "--penalty", "simplex:radius=1", "--groups", groups, "--json"];
        assert_eq!(penalty(eval).json()["total"]["value"], json!(0.0));
        let shrink = ["shrink", &file, "--out", &out, "--project", "simplex:radius=1", "--groups", groups, "--force"];
        assert_eq!(penalty(shrink).code, 0);
        assert_eq!(fs::read(&file).unwrap(), fs::read(&out).unwrap());
    }
}

#[test]
fn groups_are_for_what_takes_weights_together_and_are_said_once() {
    let folder = folder();
    let file = folder.path().join("m");
    matrices(&file);
    for text in [
        "",
        "row",
        "rows:3",
        "whole:",
        "tiles",
        "tiles:",
        "tiles:4",
        "tiles:0x4",
        "tiles:4x0",
        "tiles:4x4x4",
        "tiles:-1x4",
        "tiles:1.5x4",
        "tiles:4X4",
        "runs",
        "runs:",
        "runs:0",
        "runs:four",
        "runs:18446744073709551616",
        "lists:1",
        "dim",
        "dim:",
        "dim:2",
        "dim:1,0",
        "dim:0,1,2",
    ] {
        let expected =
            "expected whole, rows, columns, tiles:RxC, runs:N, dim:0, dim:1 or dim:0,1, with whole numbers from 1 on";
        let message = format!("penalty: invalid value '{text}' for '--groups <GROUPS>': {expected}; found {text:?}");
        // clap reports an empty value as a missing one.
        let message = if text.is_empty() { "--groups" } else { &message };
        rejected(&file, &["--penalty", "l2-norm:lambda=1", "--groups", text], 2, message);
    }
    let alone = "penalty: --groups is for group penalties, such as group-lasso, and this one is separable\n";
    for asked in [&["--l1", "1"][..], &["--lambda", "1", "--alpha", "1"], &["--penalty", "mcp:lambda=1,gamma=3"]] {
        rejected(&file, &[asked, &["--groups", "rows"]].concat(), 2, alone);
    }
    assert_fails(&penalty(["eval", &text(&file), "--groups", "rows"]), 2, &[alone]);
    let twice = "penalty: --groups says which weights form a group, and so does a parameter, group-size or n-of-m's m: give \
                 one of the two\n";
    for given in
        ["group-lasso:lambda=1,group-size=4", "sparse-group-lasso:lambda=1,alpha=1,group-size=4", "n-of-m:n=2,m=4"]
    {
        rejected(&file, &["--penalty", given, "--groups", "runs:4"], 2, twice);
    }
    let shrink = ["shrink", &text(&file), "--out", &text(&folder.path().join("out")), "--groups", "rows"];
    assert_fails(&penalty(shrink.iter().chain(&["--keep", "n-of-m:n=2,m=4"])), 2, &[twice]);
    assert_fails(&penalty(shrink.iter().chain(&["--project", "box:lower=0,upper=1"])), 2, &[alone]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn groups_of_dimensions_are_tiles_of_the_matrix() {
    let folder = folder();
    let [file, a, b] = ["in", "a", "b"].map(|name| folder.path().join(name));
    matrices(&file);
    // In each row of the convolution's matrix, 6 weights have one index of the second dimension.
    let same = [
        ("conv", "dim:0", "rows"),
        ("conv", "dim:1", "tiles:12x6"),
        ("conv", "dim:0,1", "runs:6"),
        ("half", "dim:1", "columns"),
        ("half", "dim: 0, 1", "runs:1"),
    ];
    for (tensor, dims, groups) in same {
        let shrink = |groups: &str, out: &Path| {
            let args =
                ["--penalty", "group-lasso:lambda=0.1", "--groups", groups, "--step", "1", "--force", "--include"];
            let run = penalty(["shrink", &text(&file), "--out", &text(out)].iter().chain(&args).chain(&[tensor]));
            assert_eq!((run.code, run.err.as_str()), (0, ""));
            fs::read(out).unwrap()
        };
        assert!(shrink(dims, &a) == shrink(groups, &b), "{tensor} {dims}");
        assert!(shrink(dims, &a) != fs::read(&file).unwrap(), "{tensor} {dims}");
    }
    let run = penalty(["eval", &text(&file), "--penalty", "l2-norm:lambda=1", "--groups", "dim:1"]);
    assert_fails(&run, 1, &["\"bias\"", "--groups dim:1: expected a matrix"]);
}

/// Groups of whole rows are read in chunks. These tensors have several, and the last one is shorter.
#[test]
fn chunks_of_whole_groups_give_what_the_whole_tensor_gives() {
    use penalty::{Backend, Groups, Penalty};
    let folder = folder();
    let (path, out) = (folder.path().join("m"), folder.path().join("out"));
    let (rows, columns) = (8400, 1000);
    let values: Vec<f16> = weights(rows * columns, 77).into_iter().map(f16::from_f32).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    safetensors(&path, &[("w", "F16", vec![rows as u64, columns as u64], bytes)], 2);
    let cpu = Backend::cpu();
    for (asked, of) in [
        (&["--penalty", "group-lasso:lambda=0.1", "--groups", "rows"][..], {
            Penalty::group_lasso(0.1, Groups::rows(1000).unwrap()).unwrap()
        }),
        (&["--penalty", "sparse-group-lasso:lambda=0.1,alpha=0.5", "--groups", "tiles:3x50"], {
            Penalty::sparse_group_lasso(0.1, 0.5, Groups::tiles(1000, 3, 50).unwrap()).unwrap()
        }),
    ] {
        let found = penalty(["eval", &text(&path), "--json", "--backend", "cpu"].iter().chain(asked)).json();
        let whole = cpu.evaluate(&of, &values).unwrap();
        let total = &found["total"];
        assert_eq!([total["value"].as_f64(), total["l1"].as_f64()], [Some(whole.value), Some(whole.l1)], "{asked:?}");
        let shrink = ["shrink", &text(&path), "--out", &text(&out), "--step", "0.9", "--force", "--backend", "cpu"];
        assert_eq!(penalty(shrink.iter().chain(asked)).code, 0);
        let expected: Vec<u8> = cpu.prox(&of, &values, 0.9).unwrap().iter().flat_map(|x| x.to_le_bytes()).collect();
        assert!(fs::read(&out).unwrap().ends_with(&expected), "{asked:?}");
    }
}
