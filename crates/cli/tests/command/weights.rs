//! `--weights`: the element weights of a weighted penalty, from a separate file.

use std::fs;
use std::path::Path;

use crate::common::*;
use penalty::half::{bf16, f16};
use penalty::{Backend, Element, Penalty};
use serde_json::json;

const LEN: usize = 300_001;
const NET: &str = "weighted-elastic-net:lambda=0.25,alpha=0.5";

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Element weights, some of them 0.
fn element_weights(len: usize, seed: u32) -> Vec<f32> {
    weights(len, seed).into_iter().map(|w| 4.0 * w.abs()).collect()
}

fn bytes<E: Element>(elements: &[E]) -> Vec<u8> {
    bytemuck::cast_slice(elements).to_vec()
}

/// A checkpoint with three types, and a file of element weights for its tensors: all of one type, in another order, and
/// with one more tensor.
fn files(folder: &Path, stored: &str, convert: impl Fn(&[f32]) -> Vec<u8>) -> [String; 2] {
    let a = weights(LEN, 1);
    let b: Vec<f16> = weights(4097, 2).into_iter().map(f16::from_f32).collect();
    let c: Vec<bf16> = weights(255, 3).into_iter().map(bf16::from_f32).collect();
    let tensors: [Stored; 4] = [
        ("z", "F16", vec![4097], bytes(&b)),
        ("mask", "BOOL", vec![3], vec![1, 0, 1]),
        ("a", "F32", vec![LEN as u64, 1], f32s(&a)),
        ("m", "BF16", vec![5, 51], bytes(&c)),
    ];
    let with = |name, shape: Vec<u64>, seed| {
        let len = shape.iter().product::<u64>() as usize;
        (name, stored, shape, convert(&element_weights(len, seed)))
    };
    let element_weights: [Stored; 4] = [
        with("a", vec![LEN as u64, 1], 4),
        with("of another model", vec![7], 7),
        with("m", vec![5, 51], 6),
        with("z", vec![4097], 5),
    ];
    let [model, file] = ["model", "weights"].map(|name| folder.join(name));
    safetensors(&model, &tensors, 0);
    safetensors(&file, &element_weights, 0);
    [text(&model), text(&file)]
}

/// The value of a tensor and its prox, as the library computes them.
fn expected<E: Element>(theta: &[f32], element_weights: &[f32], nearest: impl Fn(f32) -> E) -> (f64, Vec<u8>) {
    let [mut theta, element_weights] =
        [theta, element_weights].map(|list| list.iter().map(|&x| nearest(x)).collect::<Vec<E>>());
    let penalty = Penalty::weighted_elastic_net(0.25, 0.5).unwrap();
    let weighted = penalty.with_element_weights(&element_weights).unwrap();
    let value = Backend::cpu().evaluate(weighted, &theta).unwrap().value;
    Backend::cpu().prox_in_place(weighted, &mut theta, 0.5).unwrap();
    (value, bytes(&theta))
}

#[test]
fn each_element_is_weighed_whatever_the_types() {
    let folder = folder();
    let halves = |w: &[f32]| bytes(&w.iter().map(|&w| bf16::from_f32(w)).collect::<Vec<_>>());
    let rounded = |w: Vec<f32>| w.into_iter().map(|w| bf16::from_f32(w).to_f32()).collect::<Vec<_>>();
    for stored in ["F32", "BF16"] {
        let [model, weights_file] = match stored {
            "F32" => files(folder.path(), stored, f32s),
            _ => files(folder.path(), stored, halves),
        };
        let seen = |w: Vec<f32>| if stored == "F32" { w } else { rounded(w) };
        let z = expected(&weights(4097, 2), &seen(element_weights(4097, 5)), f16::from_f32);
        let a = expected(&weights(LEN, 1), &seen(element_weights(LEN, 4)), |x| x);
        let m = expected(&weights(255, 3), &seen(element_weights(255, 6)), bf16::from_f32);

        let asked = ["--penalty", NET, "--weights", &weights_file];
        for threads in [1, 5] {
            let args: Vec<&str> = ["eval", &model, "--json", "--backend", "cpu"].into_iter().chain(asked).collect();
            let found = penalty_on_threads(threads, &args).json();
            let values: Vec<f64> = (0..3).map(|i| found["tensors"][i]["value"].as_f64().unwrap()).collect();
            assert_eq!(values, [z.0, a.0, m.0], "{stored}");
            let parameters = json!({"lambda": 0.25, "alpha": 0.5});
            let named = json!({"name": "weighted_elastic_net", "parameters": parameters, "weights": weights_file});
            assert_eq!(found["penalty"], named);
        }

        let output = text(&folder.path().join("out"));
        let args = ["shrink", &model, "--out", &output, "--step", "0.5", "--json", "--force", "--backend", "cpu"];
        let found = penalty(args.iter().chain(&asked)).json();
        assert_eq!(found["tensors"][1]["before"]["value"], json!(a.0));
        let (old, new) = (fs::read(&model).unwrap(), fs::read(&output).unwrap());
        let data = old.len() - 2 * 4097 - 3 - 4 * LEN - 2 * 255;
        let want = [&old[..data], &z.1, &[1, 0, 1], &a.1, &m.1].concat();
        assert!(new == want, "{stored}");
        let again = penalty(["eval", &output, "--json", "--backend", "cpu"].iter().chain(&asked)).json();
        assert_eq!(found["total"]["after"], again["total"]);
        fs::remove_file(&output).unwrap();
    }
}

#[test]
fn only_what_is_selected_needs_weights() {
    let folder = folder();
    let file = |name: &str| text(&folder.path().join(name));
    let tensor = |name, values: &[f32]| -> Stored<'_> { (name, "F32", vec![values.len() as u64], f32s(values)) };
    safetensors(file("model").as_ref(), &[tensor("w", &[1.0, -2.0]), tensor("b", &[3.0])], 0);
    safetensors(file("weights").as_ref(), &[tensor("w", &[3.0, 0.5])], 0);
    let run = |args: &[&str]| {
        let all =
            ["eval", &file("model"), "--penalty", "weighted-l1:lambda=0.5", "--weights", &file("weights"), "--json"];
        penalty(all.iter().chain(args))
    };
    assert_eq!(run(&["--include", "w"]).json()["total"]["value"], json!(2.0));
    assert_fails(&run(&[]), 1, &["weights: has no weights of the tensor \"b\""]);
}

#[test]
fn files_that_do_not_fit() {
    let folder = folder();
    let file = |name: &str| text(&folder.path().join(name));
    let large: Vec<f32> = vec![1.0; LEN];
    safetensors(
        file("model").as_ref(),
        &[("w", "F32", vec![3, LEN as u64 / 3 + 1], f32s(&[&large[..], &[0.0; 2]].concat()))],
        0,
    );
    let model = [3, LEN as u64 / 3 + 1];
    let count = model.iter().product::<u64>() as usize;
    let rejected = |name: &str, dtype: &str, shape: &[u64], bytes: Vec<u8>, reason: &str| {
        safetensors(file("weights").as_ref(), &[(name, dtype, shape.to_vec(), bytes)], 0);
        let asked = ["--penalty", "weighted-l1:lambda=0.5", "--weights", &file("weights")];
        assert_fails(&penalty(["eval", &file("model")].iter().chain(&asked)), 1, &[&file("weights"), reason]);
        let shrink = ["shrink", &file("model"), "--out", &file("out"), "--step", "1"];
        assert_fails(&penalty(shrink.iter().chain(&asked)), 1, &[&file("weights"), reason]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    };
    let ones = vec![1f32; count];
    let with = |at: usize, value: f32| {
        let mut weights = ones.clone();
        weights[at] = value;
        f32s(&weights)
    };
    rejected("v", "F32", &model, f32s(&ones), "has no weights of the tensor \"w\"");
    let turned = [model[1], model[0]];
    let reason = format!("its weights of the tensor \"w\" must have its shape {model:?}, found {turned:?}");
    rejected("w", "F32", &turned, f32s(&ones), &reason);
    rejected(
        "w",
        "F64",
        &model,
        vec![0; 8 * count],
        "its tensor \"w\" is F64, and a weighted penalty takes none: save it as F32",
    );
    let numbers = "its tensor \"w\": the element weights must be numbers ≥ 0, found";
    rejected("w", "F32", &model, with(5, -0.5), &format!("{numbers} -0.5 at index 5"));
    rejected("w", "F32", &model, with(LEN - 1, f32::NAN), &format!("{numbers} NaN at index {}", LEN - 1));
    fs::remove_file(file("weights")).unwrap();
    let asked = ["--penalty", "weighted-l1:lambda=0.5", "--weights", &file("weights")];
    assert_fails(&penalty(["eval", &file("model")].iter().chain(&asked)), 1, &[&file("weights"), "no such file"]);
}

#[test]
fn weights_and_a_weighted_penalty_belong_together() {
    let model = text(&data("digits_mlp_f32.safetensors"));
    let usage = |args: &[&str], fragments: &[&str]| {
        assert_fails(&penalty(["eval", &model].iter().chain(args)), 2, fragments);
        let shrink = ["shrink", &model, "--out", "out", "--step", "1"];
        assert_fails(&penalty(shrink.iter().chain(args)), 2, fragments);
    };
    usage(&["--penalty", "weighted-l1:lambda=1"], &["a weighted penalty needs --weights FILE"]);
    usage(&["--penalty", "mcp:lambda=1,gamma=3", "--weights", &model], &["--weights is for a weighted penalty"]);
    usage(&["--l1", "1", "--weights", &model], &["--penalty"]);
    usage(&["--penalty", "weighted-l1:lambda=-1", "--weights", &model], &["lambda must be a number from 0"]);
    let project = ["shrink", &model, "--out", "out", "--project", "box:lower=0,upper=1", "--weights", &model];
    assert_fails(&penalty(project), 2, &["--weights"]);
}
