//! `tests/data/prox_cases.json`: reference cases of prox, minimised numerically in 40 digits.

use penalty::{Penalty, Result};
use serde_json::Value;

/// One weight with what prox makes of it and its penalty's value.
pub(crate) struct Case {
    pub(crate) penalty: Penalty,
    pub(crate) step: f64,
    pub(crate) v: f32,
    pub(crate) prox: f64,
    pub(crate) value: f64,
}

/// The cases of L1, L2² and the elastic net.
pub(crate) fn cases() -> Vec<Case> {
    let file: Value = serde_json::from_str(include_str!("../data/prox_cases.json")).expect("the file is JSON");
    let scalar = file["scalar"].as_array().expect("it has scalar cases");
    let cases: Vec<Case> = scalar.iter().filter_map(case).collect();
    assert_eq!(cases.len(), 72, "24 each of l1, l2_squared and elastic_net");
    cases
}

fn case(case: &Value) -> Option<Case> {
    let number = |value: &Value| value.as_f64().expect("it is a number");
    let lambda = number(&case["params"]["lambda"]);
    let penalty: Result<Penalty> = match case["penalty"].as_str()? {
        "l1" => Penalty::l1(lambda),
        "l2_squared" => Penalty::l2_squared(lambda),
        "elastic_net" => Penalty::elastic_net(lambda, number(&case["params"]["alpha"])),
        _ => return None,
    };
    Some(Case {
        penalty: penalty.expect("its parameters are valid"),
        step: number(&case["step"]),
        v: number(&case["v"]) as f32,
        prox: number(&case["prox"]),
        value: number(&case["value_at_v"]),
    })
}
