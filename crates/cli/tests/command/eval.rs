//! `penalty eval`: its numbers against known sums, the files it takes, and its output.

use crate::common::*;
use penalty::Penalty;
use serde_json::{Value, json};

const FILES: [&str; 3] = ["digits_mlp_f32.safetensors", "digits_mlp_f16.safetensors", "digits_mlp_bf16.safetensors"];

fn path(path: std::path::PathBuf) -> String {
    path.display().to_string()
}

#[test]
fn the_digits_checkpoints_have_their_known_sums() {
    let known: Value = serde_json::from_slice(&std::fs::read(data("digits_mlp.json")).unwrap()).unwrap();
    for file in FILES {
        let found =
            penalty(["eval", &path(data(file)), "--l1", "0.5", "--l2", "0.25", "--backend", "cpu", "--json"]).json();
        let known = &known["files"][file];
        let tensors = found["tensors"].as_array().unwrap();
        assert_eq!(tensors.len(), 6);
        let named = tensors.iter().map(|t| (t, &known["tensors"][t["name"].as_str().unwrap()]));
        for (found, known) in named.chain([(&found["total"], &known["total"])]) {
            for count in ["len", "nonzero", "max_abs"] {
                assert_eq!(found[count].as_f64().unwrap(), known[count].as_f64().unwrap(), "{file} {count}");
            }
            let close = |found: f64, known: f64| assert!((found / known - 1.0).abs() < 5e-7, "{found} {known}");
            for sum in ["l1", "l2_squared"] {
                close(found[sum].as_f64().unwrap(), known[sum].as_f64().unwrap());
            }
            let value = 0.5 * known["l1"].as_f64().unwrap() + 0.25 * known["l2_squared"].as_f64().unwrap();
            close(found["value"].as_f64().unwrap(), value);
            assert_eq!((&found["nan"], &found["inf"]), (&json!(0), &json!(0)));
        }
    }
}

/// R of one weight, as a formula.
type Formula = fn(f64) -> f64;

/// Values of `--penalty`, each with its formula. The weights of the digits lie within ±0.377.
const NAMED: [(&str, Formula); 12] = [
    ("l1:lambda=0.5", |x| 0.5 * x.abs()),
    ("l2-squared:lambda=0.25", |x| 0.25 * x * x),
    ("elastic-net:lambda=0.5,alpha=0.75", |x| 0.5 * (0.75 * x.abs() + 0.25 * x * x)),
    ("l0:lambda=0.125", |x| if x == 0.0 { 0.0 } else { 0.125 }),
    ("l-half:lambda=0.3", |x| 0.3 * x.abs().sqrt()),
    ("log-sum:lambda=0.2,epsilon=0.05", |x| 0.2 * (x.abs() / 0.05).ln_1p()),
    ("mcp:lambda=0.1,gamma=2", |x| match x.abs() {
        a if a <= 0.2 => 0.1 * a - x * x / 4.0,
        _ => 0.01,
    }),
    ("scad:lambda=0.05,a=3.7", |x| match x.abs() {
        a if a <= 0.05 => 0.05 * a,
        a if a <= 0.185 => (0.37 * a - a * a - 0.0025) / 5.4,
        _ => 0.0025 * 4.7 / 2.0,
    }),
    ("huber:lambda=0.5,delta=0.1", |x| match x.abs() {
        a if a <= 0.1 => 0.25 * x * x,
        a => 0.05 * (a - 0.05),
    }),
    ("nonnegative-l1:lambda=0.5", |x| if x < 0.0 { f64::INFINITY } else { 0.5 * x }),
    ("box:lower=-0.377,upper=0.377", |x| if x.abs() > 0.377 { f64::INFINITY } else { 0.0 }),
    ("box:lower=-0.2,upper=0.2", |x| if x.abs() > 0.2 { f64::INFINITY } else { 0.0 }),
];

/// R of a tensor, as a formula.
type Together = fn(&[f64]) -> f64;
/// A formula of either kind, applied to a tensor.
type OfTensor = Box<dyn Fn(&[f64]) -> f64>;

/// Values of `--penalty` for non-separable penalties, each with its formula. Each tensor of the digits has pairs
/// without a zero.
const TOGETHER: [(&str, Together); 13] = [
    ("l2-norm:lambda=0.5", |w| 0.5 * norm(w)),
    ("linf-norm:lambda=0.5", |w| 0.5 * w.iter().fold(0.0, |max: f64, x| max.max(x.abs()))),
    ("group-lasso:lambda=0.5", |w| 0.5 * (w.len() as f64).sqrt() * norm(w)),
    ("group-lasso:lambda=0.5,group-size=2", |w| w.chunks(2).map(|pair| 0.5 * 2f64.sqrt() * norm(pair)).sum()),
    ("sparse-group-lasso:lambda=0.5,alpha=0.25", |w| {
        0.125 * w.iter().map(|x| x.abs()).sum::<f64>() + 0.375 * (w.len() as f64).sqrt() * norm(w)
    }),
    ("sparse-group-lasso:lambda=0.5,alpha=0.25,group-size=2", |w| {
        let groups: f64 = w.chunks(2).map(|pair| 2f64.sqrt() * norm(pair)).sum();
        0.125 * w.iter().map(|x| x.abs()).sum::<f64>() + 0.375 * groups
    }),
    ("l1-ball:radius=100", |w| constraint(w.iter().map(|x| x.abs()).sum::<f64>() <= 100.0)),
    ("l2-ball:radius=5", |w| constraint(norm(w) <= 5.0)),
    ("simplex:radius=1", |_| f64::INFINITY),
    ("top-k:k=200", |w| constraint(w.iter().filter(|&&x| x != 0.0).count() <= 200)),
    ("n-of-m:n=1,m=2", |_| f64::INFINITY),
    ("n-of-m:n=2,m=2", |_| 0.0),
    ("top-k:k=4294967295", |_| 0.0),
];

fn norm(w: &[f64]) -> f64 {
    w.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn constraint(holds: bool) -> f64 {
    if holds { 0.0 } else { f64::INFINITY }
}

#[test]
fn the_value_of_every_named_penalty_is_its_formulas() {
    // weights.rs tests the weighted penalties.
    for named in Penalty::all().filter(|named| !named.name.starts_with("weighted_")) {
        let name = format!("{}:", named.name.replace('_', "-"));
        let mut given = NAMED.iter().map(|(given, _)| given).chain(TOGETHER.iter().map(|(given, _)| given));
        assert!(given.any(|given| given.starts_with(&name)), "{name} is not tested");
    }
    let single = NAMED.map(|(given, formula)| -> (&str, OfTensor) {
        (given, Box::new(move |weights| weights.iter().copied().map(formula).sum()))
    });
    let together = TOGETHER.map(|(given, formula)| -> (&str, OfTensor) { (given, Box::new(formula)) });
    for file in FILES {
        let tensors = widened(&data(file));
        for (given, formula) in single.iter().chain(&together) {
            let found = penalty(["eval", &path(data(file)), "--penalty", *given, "--backend", "cpu", "--json"]).json();
            let check = |found: &Value, expected: f64| match found["value"].as_f64() {
                Some(value) if expected == 0.0 => assert_eq!(value, 0.0, "{file} {given}"),
                Some(value) => assert!((value / expected - 1.0).abs() < 1e-6, "{file} {given}: {value} {expected}"),
                None => assert_eq!((found["value"].as_str(), expected), (Some("inf"), f64::INFINITY), "{file} {given}"),
            };
            let mut total = 0.0;
            for (name, weights) in &tensors {
                let value = formula(weights);
                let tensor = found["tensors"].as_array().unwrap().iter().find(|t| t["name"] == name.as_str());
                check(tensor.unwrap(), value);
                total += value;
            }
            check(&found["total"], total);
        }
    }
}

/// A tensor is read in several chunks, and the term sum must add up over them.
#[test]
fn a_tensor_of_several_chunks_has_a_named_penaltys_value() {
    let folder = folder();
    let file = path(folder.path().join("m.safetensors"));
    let w = weights(600_000, 9);
    safetensors(file.as_ref(), &[("w", "F32", vec![600_000], f32s(&w))], 0);
    let found = penalty(["eval", &file, "--penalty", "log-sum:lambda=0.2,epsilon=0.05", "--json"]).json();
    let exact: f64 = w.iter().map(|&x| 0.2 * (f64::from(x).abs() / 0.05).ln_1p()).sum();
    assert!((found["total"]["value"].as_f64().unwrap() / exact - 1.0).abs() < 1e-6);
}

#[test]
fn json_says_which_penalty_was_computed() {
    let folder = folder();
    let file = path(folder.path().join("w.npy"));
    npy(file.as_ref(), "'<f4'", "False", "(2,)", &f32s(&[1.0, 0.5]));
    let eval = |given: &str| penalty(["eval", &file, "--penalty", given, "--json"]).json();
    let cases = [
        ("mcp:lambda=0.1,gamma=3", json!({"name": "mcp", "parameters": {"lambda": 0.1, "gamma": 3.0}})),
        ("l-half:lambda=2", json!({"name": "l_half", "parameters": {"lambda": 2.0}})),
        ("nonnegative-l1:lambda=2", json!({"name": "nonnegative_l1", "parameters": {"lambda": 2.0}})),
        ("box:lower=-inf,upper=1", json!({"name": "box", "parameters": {"lower": "-inf", "upper": 1.0}})),
        ("l1:lambda=2", json!({"l1": 2.0, "l2_squared": 0.0})),
        ("elastic-net:lambda=2,alpha=0.25", json!({"l1": 0.5, "l2_squared": 1.5})),
    ];
    for (given, said) in cases {
        assert_eq!(eval(given)["penalty"], said);
    }
    assert_eq!(eval("nonnegative-l1:lambda=2")["total"]["value"], 3.0);
    // The parameters may come in another order, and names may have an underscore instead of a hyphen.
    assert_eq!(difference(eval("mcp:gamma=3,lambda=0.1"), eval("mcp:lambda=0.1,gamma=3")), None);
    assert_eq!(difference(eval("l2_squared:lambda=1"), eval("l2-squared:lambda=1")), None);
}

#[test]
fn json_says_everything_about_a_run() {
    let folder = folder();
    let file = folder.path().join("m.safetensors");
    let tensors: [Stored; 4] = [
        ("a", "F32", vec![2, 1], f32s(&[1.5, -2.0])),
        ("ids", "I64", vec![1], vec![0; 8]),
        ("scalar", "F32", vec![], f32s(&[0.0])),
        ("none", "F16", vec![0, 3], vec![]),
    ];
    safetensors(&file, &tensors, 3);
    let found = penalty(["eval", &path(file.clone()), "--lambda", "0.5", "--alpha", "0.25", "--json"]).json();
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(found["device"]["backend"], "cpu");
    assert_eq!(found["penalty"], json!({"l1": 0.125, "l2_squared": 0.375}));
    assert_eq!(found["bytes"], 12);
    let skipped =
        json!([{"name": "ids", "dtype": "I64", "reason": "I64 is not F64, F32, F16, BF16, F8_E4M3 or F8_E5M2"}]);
    assert_eq!(found["skipped"], skipped);
    let value = 0.125 * 3.5 + 0.375 * 6.25;
    let a = json!({"file": path(file), "name": "a", "dtype": "F32", "shape": [2, 1], "len": 2, "l1": 3.5,
        "l2_squared": 6.25, "max_abs": 2.0, "nonzero": 2, "nan": 0, "inf": 0, "value": value});
    assert_eq!(found["tensors"][0], a);
    assert_eq!(found["tensors"][1]["shape"], json!([]));
    assert_eq!((&found["tensors"][1]["len"], &found["tensors"][1]["nonzero"]), (&json!(1), &json!(0)));
    assert_eq!((&found["tensors"][2]["len"], &found["tensors"][2]["value"]), (&json!(0), &json!(0.0)));
    assert_eq!(found["total"]["value"], value);
}

/// Vulkan's loader says on standard error that it is loaded.
#[test]
fn nothing_looks_for_a_device_unless_it_is_asked_for() {
    let file = path(data(FILES[0]));
    for asked in [&[][..], &["--backend", "auto"], &["--backend", "cpu"]] {
        let args = ["eval", &file, "--l1", "1", "--json"].into_iter().chain(asked.iter().copied());
        let found = penalty_with([("VK_LOADER_DEBUG", "all")], args).json();
        assert_eq!(found["device"]["backend"], "cpu");
    }
}

#[test]
fn nan_and_infinity_are_counted_and_said() {
    let folder = folder();
    let file = path(folder.path().join("m.safetensors"));
    let tensors: [Stored; 2] = [
        ("bad", "F32", vec![4], f32s(&[1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY])),
        ("far", "BF16", vec![2], vec![0x80, 0x3f, 0x80, 0xff]),
    ];
    safetensors(file.as_ref(), &tensors, 0);
    let found = penalty(["eval", &file, "--l1", "1", "--json"]).json();
    let numbers = ["l1", "l2_squared", "max_abs", "value"];
    for (at, count, text) in
        [("/tensors/0", (3, 1, 2), "NaN"), ("/tensors/1", (2, 0, 1), "inf"), ("/total", (5, 1, 3), "NaN")]
    {
        let found = found.pointer(at).unwrap();
        if at != "/tensors/0" {
            assert_eq!(found["nonzero"], count.0 + i32::from(at == "/total"));
        }
        assert_eq!((&found["nan"], &found["inf"]), (&json!(count.1), &json!(count.2)));
        assert!(numbers.iter().all(|key| found[key] == text), "{found}");
    }
    let table = penalty(["eval", &file, "--l1", "1"]);
    assert_eq!(table.code, 0);
    assert!(table.out.contains("NaN") && table.out.contains("inf"));
}

#[test]
fn a_sharded_checkpoint_is_the_sum_of_its_shards() {
    let folder = folder();
    let (a, b, c) = (weights(5000, 1), weights(70_001, 2), weights(3, 3));
    let shard = |name: &str| folder.path().join(name);
    safetensors(&shard("1.safetensors"), &[("a", "F32", vec![5000], f32s(&a)), ("c", "F32", vec![3], f32s(&c))], 0);
    safetensors(&shard("2.safetensors"), &[("b", "F32", vec![70_001], f32s(&b))], 5);
    let index = json!({"metadata": {"total_size": 1}, "weight_map": {"b": "2.safetensors", "a": "1.safetensors"}});
    std::fs::write(shard("model.safetensors.index.json"), index.to_string()).unwrap();
    let sharded = penalty(["eval", &path(shard("model.safetensors.index.json")), "--l1", "1", "--json"]).json();
    // "c" is in a shard but not in the index, so it does not belong to this checkpoint.
    let names: Vec<&str> = sharded["tensors"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
    safetensors(&shard("all"), &[("a", "F32", vec![5000], f32s(&a)), ("b", "F32", vec![70_001], f32s(&b))], 1);
    let whole = penalty(["eval", &path(shard("all")), "--l1", "1", "--json"]).json();
    assert_eq!(sharded["total"], whole["total"]);
}

/// Each tensor is in one file, and each file is read once, whichever of its paths the index uses.
#[test]
fn paths_of_one_shard_are_one_shard() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let shard = |name: &str| folder.path().join(name);
    safetensors(&shard("1"), &[("a", "F32", vec![2], f32s(&[1.0, 2.0])), ("b", "F32", vec![1], f32s(&[4.0]))], 0);
    safetensors(&shard("sub/2"), &[("c", "F32", vec![1], f32s(&[8.0])), ("d", "F32", vec![1], f32s(&[16.0]))], 0);
    let map = json!({"b": "./1", "d": "sub//2", "a": "1", "c": "./sub/./2"});
    std::fs::write(shard("i.json"), json!({"weight_map": map}).to_string()).unwrap();
    let found = penalty(["eval", &path(shard("i.json")), "--l1", "1", "--json"]).json();
    let tensors = found["tensors"].as_array().unwrap();
    let names: Vec<&str> = tensors.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!((names.as_slice(), &found["total"]["value"]), (&["a", "b", "c", "d"][..], &json!(31.0)));
    for (tensor, file) in tensors.iter().zip(["1", "1", "sub/2", "sub/2"]) {
        assert_eq!(tensor["file"], json!(path(shard(file))));
    }
}

#[test]
fn npy_files_of_both_types_and_orders_are_read() {
    let folder = folder();
    let file = |name: &str| folder.path().join(name);
    npy(&file("w.npy"), "'<f4'", "False", "(2, 3)", &f32s(&[1.0, -2.0, 0.0, 4.0, 0.5, 0.0]));
    npy(&file("fortran.npy"), "'<f4'", "True", "(3,)", &f32s(&[1.0, 2.0, 3.0]));
    npy(&file("half.npy"), "'<f2'", "False", "()", &[0x00, 0xc0]);
    npy(&file("long.npy"), "'<i8'", "False", "(1,)", &[0; 8]);
    npy(&file("record.npy"), "[('a', '<f4'), ('b', '<i2')]", "False", "(1,)", &[0; 6]);
    let names = ["w.npy", "fortran.npy", "half.npy", "long.npy", "record.npy"];
    let args = ["eval".into(), "--json".into()].into_iter().chain(names.map(|name| path(file(name))));
    let found = penalty(args).json();
    let l1: Vec<f64> = found["tensors"].as_array().unwrap().iter().map(|t| t["l1"].as_f64().unwrap()).collect();
    assert_eq!(l1, [7.5, 6.0, 2.0]);
    assert_eq!(found["tensors"][0]["name"], "w");
    assert_eq!(found["tensors"][0]["shape"], json!([2, 3]));
    let skipped: Vec<&str> =
        found["skipped"].as_array().unwrap().iter().map(|s| s["dtype"].as_str().unwrap()).collect();
    assert_eq!(skipped, ["<i8", "[('a', '<f4'), ('b', '<i2')]"]);
}

#[test]
fn data_at_every_offset_gives_the_same_bits() {
    let folder = folder();
    let w = weights(300_000, 9);
    let results: Vec<Value> = (0..8)
        .map(|pad| {
            let file = folder.path().join(format!("{pad}"));
            safetensors(&file, &[("w", "F32", vec![300_000], f32s(&w))], pad);
            penalty(["eval", &path(file), "--l2", "1", "--json"]).json()["total"].clone()
        })
        .collect();
    assert!(results.iter().all(|result| *result == results[0]));
    let exact: f64 = w.iter().map(|&x| f64::from(x).powi(2)).sum();
    assert!((results[0]["value"].as_f64().unwrap() / exact - 1.0).abs() < 5e-7);
}

/// A thread that waits for a part of one chunk may be given another chunk. It needs a separate buffer for that.
#[test]
fn halves_are_summed_on_many_threads() {
    let folder = folder();
    let file = path(folder.path().join("m.safetensors"));
    let len = 6 << 20;
    safetensors(file.as_ref(), &[("w", "F16", vec![len as u64], vec![0x3c; 2 * len])], 0);
    let args = ["eval", &file, "--l1", "1", "--backend", "cpu", "--json"];
    let one = penalty_on_threads(1, &args).json();
    for _ in 0..150 {
        assert_eq!(penalty_on_threads(8, &args).json()["total"], one["total"]);
    }
}

#[test]
fn what_is_asked_for_may_have_spaces() {
    let file = path(data(FILES[0]));
    let eval = |asked: &[&str]| {
        let found = penalty(["eval", &file, "--backend", "cpu", "--json"].iter().chain(asked)).json();
        (found["penalty"].clone(), found["total"].clone())
    };
    let tight = eval(&["--penalty", "mcp:lambda=0.1,gamma=3"]);
    for asked in [
        "mcp: lambda=0.1, gamma=3",
        " mcp : lambda = 0.1 , gamma = 3 ",
        "mcp:lambda=0.1 ,gamma =3",
        "mcp:\tlambda=0.1,\u{a0}gamma=3",
        "mcp: gamma=3, lambda=0.1",
    ] {
        assert_eq!(eval(&["--penalty", asked]), tight, "{asked}");
    }
    let grouped = |asked, groups| eval(&["--penalty", asked, "--groups", groups, "--include", "weight"]);
    let tight = grouped("group-lasso:lambda=0.1", "tiles:2x2");
    assert_eq!(grouped("group-lasso: lambda=0.1", " tiles : 2 x 2 "), tight);
    assert_eq!(eval(&["--l1", " 0.5 "]), eval(&["--l1", "0.5"]));

    let folder = folder();
    let [a, b] = ["a", "b"].map(|name| path(folder.path().join(name)));
    for [tight, loose] in [
        ["--project=box:lower=-0.1,upper=0.1", "--project= box : lower = -0.1, upper = 0.1"],
        ["--keep=n-of-m:n=2,m=4", "--keep=n-of-m: n=2, m=4"],
    ] {
        let shrink = |out: &str, asked: &str| {
            let args = ["shrink", &file, "--out", out, "--include", "weight", "--force", "--backend", "cpu", asked];
            assert_eq!(penalty(args).code, 0);
            std::fs::read(out).unwrap()
        };
        assert!(shrink(&a, tight) == shrink(&b, loose), "{loose}");
    }
}

#[test]
fn tensors_come_by_offset_and_then_by_name() {
    let folder = folder();
    let names = ["q", "c", "x", "b", "z", "f", "m", "a", "y", "d"];
    // All but two tensors are empty, and begin where one of those two does.
    let at = |name: &str| if name < "h" { [0, 0] } else { [8, 8] };
    let empty = |name: &&str| format!(r#""{name}":{{"dtype":"F32","shape":[0,5],"data_offsets":{:?}}}"#, at(name));
    let skipped =
        ["s2", "s1", "s3"].map(|name| format!(r#""{name}":{{"dtype":"I8","shape":[5,0],"data_offsets":[8,8]}}"#));
    let full =
        r#""e":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"r":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}"#;
    let tensors: Vec<String> = names.iter().map(empty).chain(skipped).chain([full.to_owned()]).collect();
    let reversed: Vec<String> = tensors.iter().rev().cloned().collect();
    let results = [&tensors, &reversed].map(|tensors| {
        let file = folder.path().join("m");
        raw_safetensors(&file, &format!("{{{}}}", tensors.join(",")), &f32s(&[1.0, -2.0, 4.0]));
        std::fs::write(folder.path().join("i.json"), {
            let all = names.iter().chain(&["e", "r", "s1", "s2", "s3"]);
            json!({"weight_map": all.map(|name| (name.to_string(), json!("m"))).collect::<serde_json::Map<_, _>>()})
                .to_string()
        })
        .unwrap();
        let out = path(folder.path().join("out"));
        let shrunk = ["shrink", &path(file.clone()), "--out", &out, "--l1", "1", "--step", "1", "--force", "--json"];
        let shrunk = penalty(shrunk).json();
        assert!(std::fs::read(&out).unwrap().ends_with(&f32s(&[0.0, -1.0, 3.0])));
        let index = path(folder.path().join("i.json"));
        [
            penalty(["eval", &path(file), "--l1", "1", "--json"]).json(),
            penalty(["eval", &index, "--l1", "1", "--json"]).json(),
            shrunk,
        ]
    });
    for result in results.iter().flatten() {
        let of = |key: &str| -> String {
            let list = result[key].as_array().unwrap();
            list.iter().map(|tensor| tensor["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((of("tensors").as_str(), of("skipped").as_str()), ("a b c d e f m q r x y z", "s1 s2 s3"));
    }
    let [first, second] = results;
    for (a, b) in first.into_iter().zip(second) {
        assert_eq!(difference(a, b), None);
    }
}

#[test]
fn include_and_exclude_choose_tensors() {
    let file = path(data(FILES[0]));
    let names = |args: &[&str]| -> Vec<String> {
        let found = penalty(["eval", &file, "--json"].iter().chain(args)).json();
        found["tensors"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["--include", "weight$", "--exclude", "^fc3"]), ["fc1.weight", "fc2.weight"]);
    assert_eq!(names(&["--include", "fc1", "--include", "fc3.bias"]), ["fc1.bias", "fc1.weight", "fc3.bias"]);
    assert_eq!(names(&["--exclude", "."]), Vec::<String>::new());
}

#[test]
fn the_table_names_columns_total_device_and_speed() {
    let run = penalty(["eval", &path(data(FILES[0])), "--l1", "1e-4", "--backend", "cpu"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let lines: Vec<&str> = run.out.lines().collect();
    for heading in ["name", "shape", "type", "weights", "Σ|θ|", "Σθ²", "max|θ|", "zeros %", "value"] {
        assert!(lines[0].contains(heading), "{heading}");
    }
    assert!(lines[2].starts_with("fc1.weight") && lines[2].contains("[256,64]") && lines[2].contains("1488.93"));
    assert!(lines[7].starts_with("total") && lines[7].contains("50826"));
    assert!(lines[8].starts_with("cpu: "));
    assert!(lines[9].contains(" s, ") && lines[9].ends_with("GB/s"));
}

#[test]
fn a_file_without_tensors_is_no_error() {
    let folder = folder();
    let file = path(folder.path().join("empty.safetensors"));
    raw_safetensors(file.as_ref(), "{}", &[]);
    let found = penalty(["eval", &file, "--l1", "1", "--json"]).json();
    assert_eq!((&found["total"]["len"], &found["total"]["value"]), (&json!(0), &json!(0.0)));
    assert_eq!(penalty(["eval", &file]).code, 0);
}

#[test]
fn help_version_and_completions_are_there() {
    let help = penalty(["--help"]);
    assert!(help.code == 0 && help.out.contains("Examples:") && help.out.contains("Exit codes"));
    for command in ["eval", "shrink", "devices", "bench"] {
        let help = penalty([command, "--help"]);
        assert!(help.code == 0 && help.out.contains("Examples:"), "{command}");
    }
    for command in ["eval", "shrink"] {
        let help = penalty([command, "--help"]).out;
        assert!(
            help.contains(
                "\n  mcp:lambda=…,gamma=…                              Σ λ|θ| − θ²/(2γ) where |θ| ≤ γλ, else γλ²/2\n"
            ),
            "{help}"
        );
        for named in Penalty::all() {
            let name = format!("  {}:", named.name.replace('_', "-"));
            let mut lines = help.lines().filter(|line| line.starts_with(&name));
            assert!(lines.any(|line| line.ends_with(named.formula)), "{command} {name}");
        }
    }
    let [eval, shrink] = ["eval", "shrink"].map(|command| penalty([command, "--help"]).out);
    for list in [
        "\n--project takes:\n  box:lower=…,upper=…  0 where",
        "\n  l1-ball:radius=…     0 where Σ|θ| ≤ radius, else ∞\n",
        "\n--keep takes:\n  top-k:k=…       0 where at most k weights are not 0, else ∞\n  n-of-m:n=…,m=…  0 where",
    ] {
        assert!(shrink.contains(list) && !eval.contains(list), "{list}");
    }
    for form in ["whole ", "rows ", "columns ", "tiles:RxC ", "runs:N "].map(|form| format!("\n  {form}")) {
        assert!([&eval, &shrink].iter().all(|help| help.contains(&form)), "{form}");
    }
    assert!([eval, shrink].iter().all(|help| help.contains("[a, b, c, …] is a matrix of a rows and b·c·… columns")));
    assert_eq!(penalty(["--version"]).out, format!("penalty {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = penalty(["completions", shell]);
        assert!(script.code == 0 && script.out.contains("shrink"), "{shell}");
    }
}
