//! `penalty prune`: held against a stable sort over all magnitudes, and against loops over the indices of groups.

use std::fs;
use std::path::Path;

use crate::common::*;
use penalty::half::{bf16, f16};
use serde_json::{Value, json};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Few magnitudes, so that many tie, and everything that is not ordinary but NaN.
fn special(len: usize, seed: u32) -> Vec<f32> {
    let round = |x: f32| (x * 8.0).round() / 4.0;
    let special = [-0.0, 0.0, f32::INFINITY, f32::NEG_INFINITY, 1e-45, -1e-40, 6e-8, f32::MIN_POSITIVE];
    let weight = |(i, x): (usize, f32)| if i % 5 == 3 { special[i / 5 % special.len()] } else { round(x) };
    weights(len, seed).into_iter().enumerate().map(weight).collect()
}

fn halves(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect()
}

fn bfloats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect()
}

fn model() -> Vec<Stored<'static>> {
    vec![
        ("z.matrix", "F32", vec![40, 50], f32s(&special(2000, 1))),
        ("half", "F16", vec![31], halves(&special(31, 2))),
        ("mask", "BOOL", vec![3], vec![1, 0, 1]),
        ("brain", "BF16", vec![20, 12], bfloats(&special(240, 3))),
        ("empty", "F32", vec![0, 4], vec![]),
        ("conv", "F32", vec![7, 3, 2, 2], f32s(&special(84, 4))),
        ("long", "F32", vec![3, 5000], f32s(&special(15_000, 5))),
    ]
}

fn size(dtype: &str) -> usize {
    match dtype {
        "F32" => 4,
        "F16" | "BF16" => 2,
        _ => panic!("{dtype} is not pruned"),
    }
}

/// The magnitudes of a tensor, in an order of integers: NaN come last.
fn magnitudes((_, dtype, _, bytes): &Stored<'_>) -> Vec<u64> {
    let number = |b: &[u8]| match *dtype {
        "F32" => f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into(),
        "F16" => f16::from_le_bytes([b[0], b[1]]).to_f64(),
        _ => bf16::from_le_bytes([b[0], b[1]]).to_f64(),
    };
    let order = |x: f64| if x.is_nan() { u64::MAX } else { x.abs().to_bits() };
    bytes.chunks(size(dtype)).map(|bytes| order(number(bytes))).collect()
}

fn clear((_, dtype, _, bytes): &mut Stored<'_>, i: usize) {
    let size = size(dtype);
    bytes[i * size..(i + 1) * size].fill(0);
}

fn is_pruned((_, dtype, ..): &Stored<'_>) -> bool {
    *dtype != "BOOL"
}

/// Sets the first of the weights to 0, in the order of a stable sort; each tensor at most its share.
fn sort_and_clear(model: &mut [Stored<'_>], pruned: usize, most: impl Fn(usize) -> usize) {
    let mut order: Vec<(u64, usize, usize)> = Vec::new();
    let mut lens = vec![0; model.len()];
    for (tensor, stored) in model.iter().enumerate().filter(|(_, stored)| is_pruned(stored)) {
        lens[tensor] = magnitudes(stored).len();
        order.extend(magnitudes(stored).into_iter().enumerate().map(|(i, magnitude)| (magnitude, tensor, i)));
    }
    order.sort_by_key(|(magnitude, ..)| *magnitude);
    let (mut left, mut of) = (pruned, vec![0; model.len()]);
    for (_, tensor, i) in order {
        if left == 0 {
            return;
        }
        if of[tensor] < most(lens[tensor]) {
            of[tensor] += 1;
            left -= 1;
            clear(&mut model[tensor], i);
        }
    }
}

fn weights_of(model: &[Stored<'_>]) -> usize {
    model.iter().filter(|stored| is_pruned(stored)).map(|stored| magnitudes(stored).len()).sum()
}

/// The files of a model in one, and of the same in three shards.
fn write(folder: &Path, model: &[Stored<'_>]) {
    safetensors(&folder.join("one"), model, 5);
    let shards = folder.join("shards");
    fs::create_dir_all(shards.join("below")).unwrap();
    let names = ["a.safetensors", "b.safetensors", "below/c.safetensors"];
    let cuts = [&model[..2], &model[2..4], &model[4..]];
    let mut map = serde_json::Map::new();
    for (name, tensors) in names.iter().zip(cuts) {
        safetensors(&shards.join(name), tensors, 2);
        map.extend(tensors.iter().map(|(tensor, ..)| ((*tensor).to_owned(), json!(name))));
    }
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    fs::write(shards.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

/// Prunes both, and compares every byte with the expected model's.
fn check(model: &[Stored<'_>], expected: &[Stored<'_>], args: &[&str]) -> Value {
    let (before, after, out) = (folder(), folder(), folder());
    write(before.path(), model);
    write(after.path(), expected);
    let prune = |input: &str, output: &str| {
        let paths = [text(&before.path().join(input)), text(&out.path().join(output))];
        penalty(["prune", &paths[0], "--out", &paths[1], "--json"].iter().chain(args)).json()
    };
    let json = prune("one", "one");
    assert!(fs::read(out.path().join("one")).unwrap() == fs::read(after.path().join("one")).unwrap(), "{args:?}");
    let sharded = prune("shards", "shards");
    for file in ["a.safetensors", "b.safetensors", "below/c.safetensors", "model.safetensors.index.json"] {
        let [got, want] = [&out, &after].map(|folder| fs::read(folder.path().join("shards").join(file)).unwrap());
        assert!(got == want, "{args:?}: {file}");
    }
    assert_eq!(json["total"], sharded["total"]);
    json
}

#[test]
fn a_budget_is_a_stable_sort_over_all_tensors() {
    let model = model();
    let n = weights_of(&model);
    for sparsity in ["0", "0.1", "0.3333", "0.5", "0.77", "0.99", "1"] {
        let mut expected = model.clone();
        let pruned = (sparsity.parse::<f64>().unwrap() * n as f64).floor() as usize;
        sort_and_clear(&mut expected, pruned, |len| len);
        let json = check(&model, &expected, &["--sparsity", sparsity]);
        assert_eq!(json["total"]["before"]["len"], json!(n));
        assert!(n as u64 - json["total"]["after"]["nonzero"].as_u64().unwrap() >= pruned as u64);
        assert_eq!(json["skipped"][0]["name"], "mask");
    }
}

#[test]
fn a_tensor_keeps_its_least_share() {
    let model = model();
    let mut expected = model.clone();
    let pruned = (0.6 * weights_of(&model) as f64).floor() as usize;
    sort_and_clear(&mut expected, pruned, |len| (0.65 * len as f64).floor() as usize);
    check(&model, &expected, &["--sparsity", "0.6", "--min-per-tensor", "0.35"]);
    let file = folder();
    write(file.path(), &model);
    let args = ["prune", &text(&file.path().join("one")), "--sparsity", "0.6", "--min-per-tensor", "0.5", "--dry-run"];
    assert_fails(&penalty(args), 2, &["the number of pruned weights must be at most what the bounds allow"]);
}

#[test]
fn tensors_and_rows_are_pruned_each_alone() {
    let model = model();
    for sparsity in ["0.3", "0.5", "1"] {
        let share = |len: usize| (sparsity.parse::<f64>().unwrap() * len as f64).floor() as usize;
        let (mut tensors, mut rows) = (model.clone(), model.clone());
        for stored in tensors.iter_mut().filter(|stored| is_pruned(stored)) {
            let pruned = share(magnitudes(stored).len());
            sort_and_clear(std::slice::from_mut(stored), pruned, |len| len);
        }
        for stored in rows.iter_mut().filter(|stored| is_pruned(stored)) {
            let row = if stored.2.len() < 2 { stored.2[0] } else { stored.2[1..].iter().product() } as usize;
            let bytes = row * size(stored.1);
            for at in (0..stored.3.len()).step_by(bytes.max(1)) {
                let mut part = (stored.0, stored.1, vec![row as u64], stored.3[at..at + bytes].to_vec());
                sort_and_clear(std::slice::from_mut(&mut part), share(row), |len| len);
                stored.3[at..at + bytes].copy_from_slice(&part.3);
            }
        }
        check(&model, &tensors, &["--sparsity", sparsity, "--scope", "tensor"]);
        check(&model, &rows, &["--sparsity", sparsity, "--scope", "row"]);
    }
}

#[test]
fn rows_longer_than_a_piece_and_tensors_of_several() {
    // A piece has 2^22 weights.
    let long = (1 << 22) + 777;
    let values: Vec<f32> = weights(2 * long, 7).iter().map(|x| (x * 64.0).round() / 64.0).collect();
    let model: Vec<Stored<'_>> = vec![("w", "BF16", vec![2, long as u64], bfloats(&values))];
    let folder = folder();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    safetensors(&input, &model, 0);
    for (scope, parts) in [("row", 2), ("model", 1)] {
        let mut expected = model.clone();
        let len = 2 * long / parts;
        for part in 0..parts {
            let range = 2 * part * len..2 * (part + 1) * len;
            let mut stored = ("w", "BF16", vec![len as u64], expected[0].3[range.clone()].to_vec());
            sort_and_clear(std::slice::from_mut(&mut stored), len / 2, |len| len);
            expected[0].3[range].copy_from_slice(&stored.3);
        }
        let args = ["--sparsity", "0.5", "--scope", scope, "--force"];
        let run = penalty(["prune", &text(&input), "--out", &text(&out)].iter().chain(&args));
        assert_eq!((run.code, run.err.as_str()), (0, ""));
        let written = fs::read(&out).unwrap();
        assert!(written[written.len() - expected[0].3.len()..] == expected[0].3, "{scope}");
    }
}

/// The indices of the groups of a dimension's consecutive members: `m` of them, or fewer at the end.
fn along(shape: &[u64], dim: usize, m: usize) -> Vec<Vec<usize>> {
    let inner: usize = shape[dim + 1..].iter().product::<u64>() as usize;
    let (side, outer) = (shape[dim] as usize, shape[..dim].iter().product::<u64>() as usize);
    let mut groups = Vec::new();
    for o in 0..outer {
        for i in 0..inner {
            let members: Vec<usize> = (0..side).map(|s| (o * side + s) * inner + i).collect();
            groups.extend(members.chunks(m).map(<[usize]>::to_vec));
        }
    }
    groups
}

#[test]
fn n_of_m_goes_along_a_dimension() {
    let cases: [(&[u64], usize, usize, usize, bool); 8] = [
        (&[8, 8, 3, 3], 1, 2, 4, false),
        (&[8, 12], 0, 2, 4, false),
        (&[8, 12], 1, 2, 4, false),
        (&[16, 5], 0, 3, 8, false),
        (&[3, 6], 1, 2, 4, true),
        (&[7, 9, 2], 0, 1, 3, true),
        (&[4, 40], 1, 7, 40, false),
        (&[2, 3, 8], 2, 1, 2, false),
    ];
    for (shape, dim, n, m, pad) in cases {
        let values = special(shape.iter().product::<u64>() as usize, dim as u32 + 8);
        let folder = folder();
        let (input, out) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
        let tensors = [("w", "F32", shape.to_vec(), f32s(&values)), ("bias", "F32", vec![3], f32s(&[0.1, 0.2, 0.3]))];
        safetensors(input.as_ref(), &tensors, 0);
        let mut expected = tensors.clone();
        let magnitudes = magnitudes(&tensors[0]);
        for mut group in along(shape, dim, m) {
            let pruned = group.len().saturating_sub(n);
            group.sort_by_key(|i| magnitudes[*i]);
            group[..pruned].iter().for_each(|i| clear(&mut expected[0], *i));
        }
        let structure = [format!("{n}:{m}"), dim.to_string()];
        let pattern = ["--structure", &structure[0], "--dim", &structure[1]];
        let pattern: Vec<&str> = pattern.into_iter().chain(pad.then_some("--pad")).collect();
        let run = penalty(["prune", &input, "--out", &out].iter().chain(&pattern));
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{shape:?}");
        safetensors(input.as_ref(), &expected, 0);
        assert!(fs::read(&out).unwrap() == fs::read(&input).unwrap(), "{shape:?} {pattern:?}");
        assert!(run.out.contains("skipped bias: "), "{}", run.out);
        let check = penalty(["check", &out, "--json"].iter().chain(&pattern)).json();
        let groups = along(shape, dim, m).len();
        assert_eq!(check["tensors"][0]["groups"], json!(groups));
        assert_eq!((&check["tensors"][0]["wrong_groups"], &check["conforms"]), (&json!(0), &json!(true)));
    }
}

#[test]
fn what_n_of_m_does_not_divide_is_rejected_by_name() {
    let folder = folder();
    let (input, out) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    safetensors(
        input.as_ref(),
        &[("fits", "F32", vec![6, 8], f32s(&weights(48, 1))), ("rows of 6", "F32", vec![8, 6], f32s(&weights(48, 1)))],
        0,
    );
    let prune = |args: &[&str]| penalty(["prune", &input, "--out", &out].iter().chain(args));
    let message = "its tensor \"rows of 6\" of shape [8, 6]: 2:4 along dimension 1: 4 does not divide 6";
    assert_fails(&prune(&["--structure", "2:4"]), 1, &[&input, message]);
    assert_fails(&penalty(["check", &input, "--structure", "2:4"]), 1, &[message]);
    assert_fails(&prune(&["--structure", "2:4", "--dim", "2"]), 1, &["\"fits\"", "--dim 2", "2 dimensions"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(prune(&["--structure", "2:4", "--include", "fits"]).code, 0);
    // The other tensor is as it was.
    let run = penalty(["check", &out, "--structure", "2:4", "--pad"]);
    assert_eq!((run.code, run.err.as_str()), (1, ""));
    assert!(run.out.contains("1 of 2 tensors are not 2:4"), "{}", run.out);
}

#[test]
fn groups_are_pruned_by_their_mean_square() {
    let shape = [12u64, 4, 3, 2];
    let (rows, columns) = (12, 24);
    let group_of = |structure: &str, i: usize| match structure {
        "rows" | "filters" => i / columns,
        "columns" => i % columns,
        _ => i / columns / 4 * 3 + i % columns / 8,
    };
    for structure in ["rows", "filters", "columns", "tiles:4x8"] {
        for (sparsity, scope) in [(0.3, "model"), (0.5, "tensor"), (0.77, "model")] {
            let tensors: Vec<Stored<'_>> = [1, 2]
                .into_iter()
                .zip(["a", "b"])
                .map(|(seed, name)| {
                    let values = weights(rows * columns, seed);
                    let values: Vec<f32> = values.iter().map(|x| (x * 16.0).round() * seed as f32).collect();
                    (name, "F32", shape.to_vec(), f32s(&values))
                })
                .collect();
            // Integers, whose squares have exact sums.
            let groups = |tensor: usize| {
                let mut groups = std::collections::BTreeMap::<usize, (f64, Vec<usize>)>::new();
                for (i, bits) in magnitudes(&tensors[tensor]).into_iter().enumerate() {
                    let group = groups.entry(group_of(structure, i)).or_default();
                    group.0 += f64::from_bits(bits).powi(2);
                    group.1.push(i);
                }
                groups.into_values().map(move |(square, members)| (square / members.len() as f64, tensor, members))
            };
            let mut expected = tensors.clone();
            let mut drop = |mut order: Vec<(f64, usize, Vec<usize>)>, n: usize| {
                order.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut left = (sparsity * n as f64).floor() as usize;
                for (_, tensor, members) in order {
                    if members.len() > left {
                        return;
                    }
                    left -= members.len();
                    members.into_iter().for_each(|i| clear(&mut expected[tensor], i));
                }
            };
            match scope {
                "model" => drop(groups(0).chain(groups(1)).collect(), 2 * rows * columns),
                _ => [0, 1].into_iter().for_each(|tensor| drop(groups(tensor).collect(), rows * columns)),
            }
            let folder = folder();
            let (input, out) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
            safetensors(input.as_ref(), &tensors, 0);
            let asked =
                ["--structure", structure, "--scope", scope, "--sparsity", &sparsity.to_string()].map(str::to_owned);
            let paths = ["prune", &input, "--out", &out, "--report"].map(str::to_owned);
            let json = penalty(paths.iter().chain(&asked)).json();
            safetensors(input.as_ref(), &expected, 0);
            assert!(fs::read(&out).unwrap() == fs::read(&input).unwrap(), "{asked:?}");
            for tensor in [0, 1] {
                let is_zero =
                    |row: &usize| expected[tensor].3[row * 4 * columns..][..4 * columns].iter().all(|b| *b == 0);
                let zero: Vec<usize> = (0..rows).filter(is_zero).collect();
                assert_eq!(json["tensors"][tensor]["zero_rows"], json!(zero), "{asked:?}");
            }
        }
    }
}

#[test]
fn a_nan_is_never_pruned() {
    let folder = folder();
    let (input, out) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    let values = [1.0, f32::NAN, -0.5, f32::from_bits(0xffa0_1234), 2.0, 0.25, -3.0, 4.0];
    safetensors(input.as_ref(), &[("w", "F32", vec![2, 4], f32s(&values))], 0);
    let prune = |args: &[&str]| penalty(["prune", &input, "--out", &out, "--force"].iter().chain(args));
    for args in [
        &["--sparsity", "0.9"][..],
        &["--sparsity", "1", "--scope", "row"],
        &["--sparsity", "0.9", "--scope", "tensor"],
        &["--sparsity", "1", "--structure", "rows"],
        &["--structure", "1:4"],
    ] {
        assert_fails(&prune(args), 1, &["its tensor \"w\": too few weights are numbers, and a NaN is never pruned"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{args:?}");
    }
    assert_eq!(prune(&["--sparsity", "0.75"]).code, 0);
    let bytes = fs::read(&out).unwrap();
    let kept = values.map(|x| if x.is_nan() { x } else { 0.0 });
    assert!(bytes[bytes.len() - 32..] == f32s(&kept));
}

#[test]
fn options_that_mean_nothing_together_are_rejected() {
    let folder = folder();
    let input = text(&folder.path().join("in"));
    safetensors(input.as_ref(), &[("w", "F32", vec![4, 4], f32s(&weights(16, 1)))], 0);
    let cases: [(&[&str], &str); 14] = [
        (&[], "needs --sparsity"),
        (&["--structure", "rows"], "needs --sparsity"),
        (&["--structure", "2:4", "--sparsity", "0.5"], "give one"),
        (&["--sparsity", "1.5"], "--sparsity <S>"),
        (&["--sparsity", "-0.5"], "--sparsity <S>"),
        (&["--sparsity", "nan"], "--sparsity <S>"),
        (&["--structure", "4:2"], "expected none, n:m with 0 < n < m"),
        (&["--structure", "tiles:0x4", "--sparsity", "0.5"], "expected none, n:m"),
        (&["--sparsity", "0.5", "--dim", "0"], "--dim and --pad are for --structure n:m"),
        (&["--sparsity", "0.5", "--pad"], "--dim and --pad are for --structure n:m"),
        (&["--structure", "2:4", "--scope", "row"], "--scope is for a budget"),
        (&["--structure", "rows", "--sparsity", "0.5", "--scope", "row"], "--scope row is for single weights"),
        (&["--sparsity", "0.5", "--scope", "tensor", "--min-per-tensor", "0.1"], "--min-per-tensor is for"),
        (&["--sparsity", "0.5", "--backend", "cpu", "--adapter", "x"], "give one of them"),
    ];
    for (args, message) in cases {
        assert_fails(&penalty(["prune", &input, "--dry-run"].iter().chain(args)), 2, &[message]);
    }
    assert_fails(&penalty(["prune", &input, "--sparsity", "0.5"]), 2, &["--out"]);
    assert_fails(&penalty(["prune", &input, "--out", "-", "--sparsity", "0.5"]), 2, &["standard output"]);
    assert_fails(&penalty(["check", &input, "--structure", "rows"]), 2, &["expected n:m"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn files_are_handled_as_shrink_does() {
    let folder = folder();
    let path = |name: &str| text(&folder.path().join(name));
    safetensors(
        path("in").as_ref(),
        &[("w\u{1b}[31m", "F32", vec![4, 4], f32s(&weights(16, 1))), ("ids", "I64", vec![1], vec![0; 8])],
        0,
    );
    let prune = |input: &str, out: &str, more: &[&str]| {
        let args = ["prune", &path(input), "--out", &path(out), "--sparsity", "0.5"].map(str::to_owned);
        penalty(args.iter().map(String::as_str).chain(more.iter().copied()))
    };
    fs::write(path("old"), "old").unwrap();
    fs::write(path("text"), "this is no checkpoint").unwrap();
    fs::create_dir(path("empty")).unwrap();
    let before = fs::read(path("in")).unwrap();
    assert_fails(&prune("in", "old", &[]), 1, &["exists; --force"]);
    assert_fails(&prune("in", "empty", &["--force"]), 1, &["is a directory"]);
    assert_fails(&prune("in", "new/", &[]), 1, &["names a folder"]);
    assert_fails(&prune("gone", "new", &[]), 1, &["gone: no such file"]);
    assert_fails(&prune("empty", "new", &[]), 1, &["is a directory without a .safetensors.index.json"]);
    assert_fails(&prune("text", "new", &[]), 1, &["is no safetensors file but text"]);
    assert_fails(&prune("in", "new", &["--include", "typo"]), 1, &["--include \"typo\" matches no tensor"]);
    assert_fails(&prune("in", "new", &["--include", "ids"]), 1, &["nothing to do", "I64"]);
    assert_fails(&prune("in", "new", &["--include", "ids|^w", "--exclude", "^w"]), 1, &["nothing to do"]);
    let dry = prune("in", "new", &["--dry-run"]);
    assert_eq!((dry.code, dry.err.as_str()), (0, ""));
    assert!(dry.out.contains("nothing was written") && dry.out.contains("w\\u{1b}[31m"), "{}", dry.out);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    assert_eq!(fs::read_to_string(path("old")).unwrap(), "old");
    #[cfg(unix)]
    assert_fails(&penalty(["prune", "/dev/null", "--out", &path("new"), "--sparsity", "1"]), 1, &["no regular file"]);
    // The output may take the input's place.
    assert_eq!(prune("in", "in", &["--force"]).code, 0);
    let after = fs::read(path("in")).unwrap();
    assert!(after.len() == before.len() && after != before);
    let zeros = |run: Run| run.json()["total"]["nonzero"].clone();
    assert_eq!(zeros(penalty(["eval", &path("in"), "--json"])), json!(8));
}

#[test]
fn arrays_in_other_orders_are_pruned_by_their_indices() {
    let folder = folder();
    let (input, out) = (folder.path().join("w.npy"), folder.path().join("out.npy"));
    // All weights tie, so the order of indices decides: the first two rows of four.
    let values: Vec<f32> = (0..12).map(|i| if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
    let column_major = |values: &[f32]| -> Vec<u8> {
        (0..12).map(|at| values[at % 4 * 3 + at / 4]).flat_map(f32::to_be_bytes).collect()
    };
    npy(&input, "'>f4'", "True", "(4, 3)", &column_major(&values));
    for args in [&["--sparsity", "0.5"][..], &["--structure", "rows", "--sparsity", "0.5"]] {
        let run = penalty(["prune", &text(&input), "--out", &text(&out), "--force"].iter().chain(args));
        assert_eq!((run.code, run.err.as_str()), (0, ""));
        let mut expected = values.clone();
        expected[..6].fill(0.0);
        let bytes = fs::read(&out).unwrap();
        assert!(bytes[bytes.len() - 48..] == column_major(&expected), "{args:?}");
    }
}

#[test]
fn the_library_prunes_the_same_groups() {
    use penalty::{Budget, Cpu, Groups, HostSet, Parameter, Penalty};
    let folder = folder();
    let (input, out) = (text(&folder.path().join("in")), text(&folder.path().join("out")));
    let mut values = weights(1000 * 777, 3);
    safetensors(input.as_ref(), &[("w", "F32", vec![1000, 777], f32s(&values))], 0);
    let columns = Penalty::group_lasso(1.0, Groups::columns(777).unwrap()).unwrap();
    let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", columns)]);
    set.prune_groups_in_place(&Budget::prune(0.4).unwrap(), &mut [(&mut values[..]).into()]).unwrap();
    let run = penalty(["prune", &input, "--out", &out, "--structure", "columns", "--sparsity", "0.4"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let bytes = fs::read(&out).unwrap();
    assert!(bytes[bytes.len() - 4 * values.len()..] == f32s(&values));
}

#[test]
fn floats_of_8_bits_are_read_exactly_and_rounded_to_the_nearest() {
    let folder = folder();
    let path = |name: &str| text(&folder.path().join(name));
    // All numbers, and both NaN.
    let codes: Vec<u8> = (0..=255).collect();
    let tensors: [Stored<'_>; 2] =
        [("a", "F8_E4M3", vec![16, 16], codes.clone()), ("b", "F8_E5M2", vec![256], codes.clone())];
    safetensors(path("in").as_ref(), &tensors, 0);
    let e4m3 = |code: u8| match (code >> 3 & 15, f64::from(code & 7)) {
        (0, m) => m * 2f64.powi(-9),
        (e, m) => (1.0 + m / 8.0) * 2f64.powi(i32::from(e) - 7),
    };
    let e5m2 = |code: u8| f16::from_bits(u16::from(code & 0x7f) << 8).to_f64();
    let json = penalty(["eval", &path("in"), "--json"]).json();
    let sum: f64 = codes.iter().filter(|code| *code & 0x7f != 0x7f).map(|code| e4m3(*code)).sum();
    let numbers = &json["tensors"][0];
    assert_eq!(
        (&numbers["dtype"], &numbers["nan"], &numbers["max_abs"]),
        (&json!("F8_E4M3"), &json!(2), &json!("NaN"))
    );
    assert_eq!((&json["tensors"][1]["nan"], &json["tensors"][1]["inf"]), (&json!(6), &json!(2)));
    assert_eq!(json["bytes"], json!(512));
    let finite: Vec<u8> = codes.iter().copied().filter(|code| code & 0x7f != 0x7f).collect();
    safetensors(path("finite").as_ref(), &[("a", "F8_E4M3", vec![254], finite.clone())], 0);
    assert_eq!(penalty(["eval", &path("finite"), "--json"]).json()["total"]["l1"], json!(sum));

    // One budget over both types.
    assert_eq!(penalty(["prune", &path("in"), "--out", &path("out"), "--sparsity", "0.4"]).code, 0);
    let key = |tensor: usize, code: u8| match (tensor, code & 0x7f) {
        (0, 0x7f) | (1, 0x7d..) => u64::MAX,
        (0, code) => e4m3(code).to_bits(),
        (_, code) => e5m2(code).to_bits(),
    };
    let mut order: Vec<(usize, u8)> =
        [0, 1].into_iter().flat_map(|tensor| codes.iter().map(move |code| (tensor, *code))).collect();
    order.sort_by_key(|(tensor, code)| key(*tensor, *code));
    let mut expected = [codes.clone(), codes.clone()];
    order[..204].iter().for_each(|(tensor, code)| expected[*tensor][usize::from(*code)] = 0);
    let bytes = fs::read(path("out")).unwrap();
    assert!(bytes[bytes.len() - 512..] == expected.concat());

    // The prox is rounded to the nearest code.
    let run = penalty(["shrink", &path("finite"), "--out", &path("shrunk"), "--l1", "0.3", "--step", "1"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let bytes = fs::read(path("shrunk")).unwrap();
    for (old, new) in finite.iter().zip(&bytes[bytes.len() - 254..]) {
        let want = f64::from((e4m3(*old) as f32 - (0.3f64 as f32)).max(0.0));
        let nearest = (0..0x7f).min_by(|a, b| {
            let distance = |code: u8| (e4m3(code) - want).abs();
            distance(*a).total_cmp(&distance(*b)).then((a % 2).cmp(&(b % 2)))
        });
        assert_eq!(Some(new & 0x7f), nearest, "{old:#x}");
    }
}
