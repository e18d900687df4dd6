//! PyTorch's files, held against what PyTorch says is in them. tests/data/torch/make.py made them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::*;
use penalty::half::{bf16, f16};
use serde_json::{Value, json};

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn file(name: &str) -> PathBuf {
    data("torch").join(name)
}

/// What a tensor has: type, shape and numbers.
type Held = (String, Vec<u64>, Vec<f64>);

/// What PyTorch says.
fn expected() -> BTreeMap<String, Held> {
    let described: Value = serde_json::from_str(&fs::read_to_string(file("values.json")).unwrap()).unwrap();
    let held = |(name, tensor): (&String, &Value)| {
        let shape = tensor["shape"].as_array().unwrap().iter().map(|side| side.as_u64().unwrap()).collect();
        let values = tensor["values"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        let dtype = match tensor["dtype"].as_str().unwrap() {
            "torch.float64" => "F64",
            "torch.float32" => "F32",
            "torch.float16" => "F16",
            "torch.bfloat16" => "BF16",
            "torch.int64" => "I64",
            "torch.bool" => "BOOL",
            other => panic!("{other}"),
        };
        (name.clone(), (dtype.to_owned(), shape, values))
    };
    described.as_object().unwrap().iter().map(held).collect()
}

/// What a safetensors file has, and its metadata.
fn contents(path: &Path) -> (BTreeMap<String, Held>, BTreeMap<String, String>) {
    let bytes = fs::read(path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let held = |(name, tensor): (String, safetensors::tensor::TensorView<'_>)| {
        let words = |size: usize| tensor.data().chunks_exact(size);
        let values = match tensor.dtype() {
            safetensors::Dtype::F64 => words(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            safetensors::Dtype::F32 => words(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            safetensors::Dtype::F16 => words(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f64()).collect(),
            safetensors::Dtype::BF16 => words(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f64()).collect(),
            safetensors::Dtype::I64 => words(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            _ => words(1).map(|b| f64::from(b[0])).collect(),
        };
        let shape = tensor.shape().iter().map(|side| *side as u64).collect();
        (name, (format!("{}", tensor.dtype()), shape, values))
    };
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
    (tensors.tensors().into_iter().map(held).collect(), metadata)
}

#[test]
fn a_file_is_written_as_safetensors() {
    let folder = folder();
    let out = folder.path().join("model.safetensors");
    let run = penalty(["prune", &text(&file("model.pt")), "--out", &text(&out), "--sparsity", "0", "--json"]);
    let found = run.json();
    let (tensors, metadata) = contents(&out);
    let mut expected = expected();
    expected.retain(|name, _| !name.starts_with("sharded/"));
    // Of tied tensors one is written, and the metadata says so; the same weights in another shape are another tensor.
    let dropped = expected.remove("wte.weight").unwrap();
    assert_eq!(dropped, expected["lm_head.weight"]);
    let said = [("format", "pt"), ("wte.weight", "lm_head.weight")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(metadata, BTreeMap::from(said));
    assert_eq!(tensors, expected);
    let tied: Vec<&Value> = found["tensors"].as_array().unwrap().iter().filter(|of| !of["tied"].is_null()).collect();
    assert_eq!((tied.len(), &tied[0]["name"], &tied[0]["tied"]), (1, &json!("lm_head.weight"), &json!(["wte.weight"])));
    let skipped: Vec<&Value> = found["skipped"].as_array().unwrap().iter().map(|of| &of["name"]).collect();
    assert_eq!(skipped, ["ids", "mask"]);
    // Every tensor begins at a multiple of its type's size.
    let bytes = fs::read(&out).unwrap();
    let of = |name: &str| {
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        tensors.tensor(name).unwrap().data().as_ptr() as usize - bytes.as_ptr() as usize
    };
    assert!(of("double") % 8 == 0 && of("turned") % 4 == 0 && of("half") % 2 == 0);
    // The file that we wrote has the same penalty.
    let eval = |path: &Path| penalty(["eval", &text(path), "--l1", "1", "--json"]).json()["total"].clone();
    assert_eq!(eval(&file("model.pt")), eval(&out));
}

#[test]
fn a_budget_counts_tied_tensors_once() {
    let folder = folder();
    let [plain, out, again] =
        ["plain.safetensors", "out.safetensors", "again.safetensors"].map(|n| folder.path().join(n));
    let prune = |from: &Path, to: &Path, sparsity: &str| {
        let run = penalty(["prune", &text(from), "--out", &text(to), "--sparsity", sparsity, "--json"]);
        run.json()["total"]["after"].clone()
    };
    prune(&file("model.pt"), &plain, "0");
    assert_eq!(prune(&file("model.pt"), &out, "0.5"), prune(&plain, &again, "0.5"));
    assert!(fs::read(out).unwrap() == fs::read(again).unwrap());
    // Each of its names selects a tied tensor.
    for name in ["^wte", "^lm_head"] {
        let found = penalty(["eval", &text(&file("model.pt")), "--l1", "1", "--include", name, "--json"]).json();
        assert_eq!(found["total"]["len"], 48, "{name}");
    }
    // The file that we wrote says so too.
    for path in [&file("model.pt"), &plain] {
        let shown = penalty(["eval", &text(path), "--l1", "1"]).out;
        assert!(shown.contains("wte.weight is lm_head.weight, and counts once"), "{shown}");
    }
    let diff = penalty(["diff", &text(&file("model.pt")), &text(&plain)]);
    assert_eq!(diff.code, 0, "{diff:?}");
}

#[test]
fn shards_become_shards() {
    let folder = folder();
    let out = folder.path().join("out");
    let run = penalty(["shrink", &text(&file("sharded")), "--out", &text(&out), "--l1", "0", "--step", "1"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let mut found = BTreeMap::new();
    shards.iter().for_each(|shard| found.extend(contents(&out.join(shard)).0));
    let mut expected: BTreeMap<String, Held> = expected()
        .into_iter()
        .filter_map(|(name, held)| Some((name.strip_prefix("sharded/")?.to_owned(), held)))
        .collect();
    expected.remove("tied.a").unwrap();
    assert_eq!(found, expected);
    let index: Value = serde_json::from_slice(&fs::read(out.join("model.safetensors.index.json")).unwrap()).unwrap();
    let map = json!({"a": shards[0], "b": shards[0], "c": shards[1], "ids": shards[1]});
    assert_eq!(index, json!({"metadata": {"total_size": 300}, "weight_map": map}));
    assert!(fs::read(out.join("config.json")).unwrap() == fs::read(file("sharded/config.json")).unwrap());
    // The result is a checkpoint like any other.
    let eval = |path: &Path| penalty(["eval", &text(path), "--l1", "1", "--json"]).json()["total"].clone();
    assert_eq!(eval(&out), eval(&file("sharded")));
}

#[test]
fn nothing_of_a_pickle_is_run() {
    let folder = folder();
    let run = penalty_in(folder.path(), ["eval", &text(&file("evil.pt"))], "--json");
    let skipped = run.json()["skipped"].clone();
    let reason = "is no tensor but calls posix.system, which is not run";
    assert_eq!(skipped, json!([{"name": "evil", "dtype": "posix.system", "reason": reason}]));
    let out = folder.path().join("out");
    assert_eq!(penalty(["prune", &text(&file("evil.pt")), "--out", &text(&out), "--sparsity", "0.5"]).code, 0);
    assert_eq!(contents(&out).0.into_keys().collect::<Vec<_>>(), ["w"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only what was asked for");
    assert_fails(&penalty(["eval", &text(&file("old.pt"))]), 1, &["old.pt: is no safetensors file but a pickle"]);
    for name in ["o.pt", "o.bin"] {
        let out = text(&folder.path().join(name));
        let run = penalty(["prune", &text(&file("model.pt")), "--out", &out, "--sparsity", "0.5"]);
        assert_fails(&run, 1, &["would hold safetensors under the name of a PyTorch file"]);
    }
}

/// The tensors that a command finds, each with its tied names.
fn names(model: &Path, more: &[&str]) -> (Vec<(String, Value)>, Vec<String>) {
    let found = penalty(["eval", &text(model), "--l1", "1", "--json"].iter().chain(more)).json();
    let name = |of: &Value| of["name"].as_str().unwrap().to_owned();
    let tensors = found["tensors"].as_array().unwrap().iter().map(|of| (name(of), of["tied"].clone())).collect();
    (tensors, found["skipped"].as_array().unwrap().iter().map(name).collect())
}

#[test]
fn names_are_tied_by_their_storage_and_not_by_their_bytes() {
    // Of three tensors with the same bytes, two share a storage.
    let (mut tensors, _) = names(&file("same.pt"), &[]);
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(tensors, [("a".into(), json!(["b"])), ("c".into(), Value::Null)]);
    // One is a view of another storage, which is longer.
    let (mut tensors, mut skipped) = names(&file("views.pt"), &[]);
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    skipped.sort();
    assert_eq!(tensors, ["a", "b", "one"].map(|name| (name.into(), Value::Null)));
    assert_eq!(skipped, ["ids.a", "ids.b"]);
    let folder = folder();
    let out = folder.path().join("out.safetensors");
    let run = penalty(["prune", &text(&file("views.pt")), "--out", &text(&out), "--sparsity", "0"]);
    assert_eq!(run.code, 0, "{run:?}");
    let (written, metadata) = contents(&out);
    assert_eq!(written.keys().collect::<Vec<_>>(), ["a", "b", "ids.a", "one"]);
    assert_eq!(written["one"], ("F32".to_owned(), vec![3], vec![1.0; 3]));
    assert_eq!(metadata["ids.b"], "ids.a");
    assert_eq!(penalty(["diff", &text(&file("views.pt")), &text(&out)]).code, 0);
}

#[test]
fn exclude_leaves_out_a_tensor_by_each_of_its_names() {
    let path = file("model.pt");
    let has = |more: &[&str]| names(&path, more).0.iter().any(|(name, _)| name == "lm_head.weight");
    assert!(has(&[]) && has(&["--include", "wte|half"]) && has(&["--exclude", "half"]));
    assert!(!has(&["--exclude", "wte"]) && !has(&["--exclude", "lm_head"]));
    assert!(!has(&["--include", "wte|half", "--exclude", "lm_head"]));
    let (_, skipped) = names(&file("views.pt"), &["--exclude", "ids.b"]);
    assert!(skipped.is_empty(), "{skipped:?}");
}

#[test]
fn an_index_lists_what_is_written() {
    let folder = folder();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    let index = |listed: &[(&str, &str)]| {
        let map: serde_json::Map<String, Value> =
            listed.iter().map(|(name, of)| (name.to_string(), json!(of))).collect();
        fs::write(input.join("pytorch_model.bin.index.json"), json!({"weight_map": map}).to_string()).unwrap();
    };
    fs::create_dir(&input).unwrap();
    fs::copy(file("model.pt"), input.join("pytorch_model-1.bin")).unwrap();
    fs::copy(file("views.pt"), input.join("pytorch_model-2.bin")).unwrap();
    // It may list one name of a tied tensor and not the one that is kept, and name a file in several ways.
    let (first, second) = ("./pytorch_model-1.bin", "pytorch_model-2.bin");
    index(&[
        ("wte.weight", first),
        ("half", "pytorch_model-1.bin"),
        ("b", second),
        ("ids.b", second),
        ("ids.a", second),
    ]);
    let run = penalty(["prune", &text(&input), "--out", &text(&out), "--sparsity", "0.5"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    let written: Value = serde_json::from_slice(&fs::read(out.join("model.safetensors.index.json")).unwrap()).unwrap();
    let (first, second) = ("model-1.safetensors", "model-2.safetensors");
    assert_eq!(written["weight_map"], json!({"b": second, "half": first, "ids.a": second, "lm_head.weight": first}));
    let eval = penalty(["eval", &text(&out), "--l1", "1"]);
    assert_eq!(eval.code, 0, "{eval:?}");
    // A name that is kept cannot be in two files.
    index(&[("wte.weight", "pytorch_model-1.bin"), ("lm_head.weight", "pytorch_model-3.bin")]);
    fs::copy(file("model.pt"), input.join("pytorch_model-3.bin")).unwrap();
    let reason =
        "its tensor \"lm_head.weight\" is in pytorch_model-3.bin, and in pytorch_model-1.bin with the other names";
    assert_fails(&penalty(["eval", &text(&input)]), 1, &[reason]);
}

#[test]
fn a_whole_file_under_another_name_is_told_its_name() {
    let folder = folder();
    for name in ["m.npy", "m.index.json"] {
        let path = folder.path().join(name);
        fs::copy(file("same.pt"), &path).unwrap();
        let reason = "but a zip such as torch.save writes: give it a name that ends in .pt";
        assert_fails(&penalty(["eval", &text(&path)]), 1, &[reason]);
    }
}

#[test]
fn a_small_file_takes_little_memory() {
    let reason = "expanded.pt: its tensor \"w\" is a view with more bytes than its storage: save it with .contiguous()";
    assert_fails(&penalty(["eval", &text(&file("expanded.pt"))]), 1, &[reason]);
}

#[test]
fn a_damaged_file_is_named() {
    let folder = folder();
    let path = folder.path().join("m.pt");
    let bytes = fs::read(file("model.pt")).unwrap();
    for cut in (0..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged.truncate(cut);
        fs::write(&path, &damaged).unwrap();
        assert_fails(&penalty(["eval", &text(&path)]), 1, &["m.pt: "]);
        // Whatever a flipped byte does, it is no panic, and fails with one line if it fails.
        let mut damaged = bytes.clone();
        damaged[cut] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        let run = penalty(["eval", &text(&path)]);
        assert!(run.code == 0 || (run.code == 1 && run.err.lines().count() == 1), "{cut}: {run:?}");
    }
}
