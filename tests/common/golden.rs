//! `tests/data/prox_cases.json`: reference cases of prox, minimized numerically with 40 digits.

use penalty::{Backend, Penalty};
use serde_json::Value;

use super::compare::close;

/// One weight, its prox and its penalty's value.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) penalty: Penalty,
    pub(crate) step: f64,
    pub(crate) v: f32,
    pub(crate) prox: f64,
    /// The relative tolerance: 4e-7, or 1e-6 of a vector's largest weight.
    pub(crate) tolerance: f64,
    /// The file has values for separable penalties only.
    pub(crate) value: Option<f64>,
}

/// A vector with a weighted penalty.
pub(crate) struct WeightedCase {
    pub(crate) penalty: Penalty,
    pub(crate) element_weights: Vec<f32>,
    pub(crate) step: f64,
    pub(crate) v: Vec<f32>,
    pub(crate) prox: Vec<f64>,
    pub(crate) value: f64,
}

/// The cases of weighted L1.
pub(crate) fn weighted_cases() -> Vec<WeightedCase> {
    let floats = |list: &Value| list.as_array().expect("it has vectors").iter().map(number).collect::<Vec<f64>>();
    let f32s = |list: &Value| floats(list).into_iter().map(|x| x as f32).collect::<Vec<f32>>();
    let case = |case: &Value| WeightedCase {
        penalty: Penalty::weighted_l1(number(&case["params"]["lambda"])).expect("its λ is valid"),
        element_weights: f32s(&case["params"]["weights"]),
        step: number(&case["step"]),
        v: f32s(&case["v"]),
        prox: floats(&case["prox"]),
        value: number(&case["value_at_v"]),
    };
    let file = file();
    let cases = file["vector"].as_array().expect("it has lists of cases").iter();
    let cases: Vec<WeightedCase> = cases.filter(|case| text(&case["penalty"]) == "weighted_l1").map(case).collect();
    assert_eq!(cases.len(), 24);
    cases
}

fn file() -> Value {
    serde_json::from_str(include_str!("../data/prox_cases.json")).expect("the file is JSON")
}

/// The cases of elementwise penalties.
pub(crate) fn cases() -> Vec<Case> {
    let file = file();
    let list = |name: &str| file[name].as_array().expect("it has lists of cases").clone();
    let mut cases: Vec<Case> = list("scalar").iter().map(|case| one(case, &case["v"], &case["prox"], 4e-7)).collect();
    assert_eq!(cases.len(), 9 * 24, "24 each of nine penalties");
    for case in list("vector").iter().filter(|case| ["box", "nonnegative_l1"].contains(&text(&case["penalty"]))) {
        let vector = |name: &str| case[name].as_array().expect("it has vectors").clone();
        let largest = vector("prox").iter().map(|x| number(x).abs()).fold(0.0, f64::max);
        for (v, prox) in vector("v").iter().zip(&vector("prox")) {
            cases.push(one(case, v, prox, 1e-6 * largest / number(prox).abs()));
        }
    }
    assert!(cases.len() > 9 * 24 + 48 * 8, "24 vectors each of two more");
    cases
}

/// A vector, its prox and the penalty's value there.
pub(crate) struct VectorCase {
    pub(crate) name: String,
    pub(crate) penalty: Penalty,
    pub(crate) step: f64,
    pub(crate) v: Vec<f32>,
    pub(crate) prox: Vec<f64>,
    pub(crate) value: Option<f64>,
}

/// The cases of group penalties. A result may be off by 1e-6 of the largest weight.
pub(crate) fn vectors() -> Vec<VectorCase> {
    let file: Value = serde_json::from_str(include_str!("../data/prox_cases.json")).expect("the file is JSON");
    let alone = ["box", "nonnegative_l1", "weighted_l1"];
    let cases = file["vector"].as_array().expect("it has lists of cases").iter();
    let together = cases.filter(|case| !alone.contains(&text(&case["penalty"])));
    let numbers = |case: &Value, name: &str| -> Vec<f64> {
        case[name].as_array().expect("it has vectors").iter().map(number).collect()
    };
    let vectors = together.map(|case| {
        let name = text(&case["penalty"]);
        VectorCase {
            name: name.into(),
            penalty: Penalty::named(name, &parameters(case)).expect("its name and parameters are valid"),
            step: case["step"].as_f64().unwrap_or(1.0),
            v: numbers(case, "v").into_iter().map(|x| x as f32).collect(),
            prox: numbers(case, "prox"),
            value: case["value_at_v"].as_f64(),
        }
    });
    let vectors: Vec<VectorCase> = vectors.collect();
    assert_eq!(vectors.len(), 9 * 24, "24 each of nine penalties");
    vectors
}

fn parameters(case: &Value) -> Vec<(&str, f64)> {
    let parameters = case["params"].as_object().expect("it has parameters");
    parameters.iter().map(|(key, value)| (key.as_str(), number(value))).collect()
}

fn one(case: &Value, v: &Value, prox: &Value, tolerance: f64) -> Case {
    let name = text(&case["penalty"]);
    Case {
        name: name.into(),
        penalty: Penalty::named(name, &parameters(case)).expect("its name and parameters are valid"),
        // A projection has no step.
        step: case["step"].as_f64().unwrap_or(1.0),
        v: number(v) as f32,
        prox: number(prox),
        tolerance,
        value: case["value_at_v"].as_f64(),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("it is a number")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}

pub(crate) fn cases_come_out(backend: &Backend) {
    for case in cases() {
        let prox = backend.prox(&case.penalty, &[case.v], case.step).expect("the device does not fail")[0];
        let name = &case.name;
        close(case.prox, prox.into(), case.tolerance)
            .unwrap_or_else(|error| panic!("prox of {} by {name}: {error}", case.v));
        if let Some(want) = case.value {
            let value = backend.evaluate(&case.penalty, &[case.v]).expect("the device does not fail").value;
            close(want, value, 4e-7).unwrap_or_else(|error| panic!("{name} at {}: {error}", case.v));
        }
    }
}

pub(crate) fn vectors_come_out(backend: &Backend) {
    for case in vectors() {
        let prox = backend.prox(&case.penalty, &case.v, case.step).expect("the case is valid");
        let largest = case.prox.iter().map(|x| x.abs()).fold(0.0, f64::max);
        for (i, (want, got)) in case.prox.iter().zip(&prox).enumerate() {
            let off = (want - f64::from(*got)).abs();
            assert!(off <= 1e-6 * largest, "{i} of {}: {got}, not {want}", case.name);
        }
        if let Some(want) = case.value {
            let value = backend.evaluate(&case.penalty, &case.v).expect("the case is valid").value;
            close(want, value, 1e-6).unwrap_or_else(|error| panic!("the value of {}: {error}", case.name));
        }
    }
}

pub(crate) fn weighted_cases_come_out(backend: &Backend) {
    for case in weighted_cases() {
        let weighted = case.penalty.with_element_weights(&case.element_weights).expect("the weights are valid");
        let prox = backend.prox(weighted, &case.v, case.step).expect("the case is valid");
        let largest = case.prox.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        for (want, got) in case.prox.iter().zip(&prox) {
            assert!((want - f64::from(*got)).abs() <= 1e-6 * largest, "{:?}: {got}, not {want}", case.penalty);
        }
        let value = backend.evaluate(weighted, &case.v).expect("the case is valid").value;
        close(case.value, value, 1e-6).unwrap_or_else(|error| panic!("{:?}: {error}", case.penalty));
    }
}
