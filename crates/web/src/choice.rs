//! The choice of a penalty.

use std::collections::BTreeMap;

use penalty::{Named, Penalty};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Result;
use crate::object;

/// A penalty by its name and parameters, without λ.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    name: String,
    #[serde(default)]
    parameters: BTreeMap<String, f64>,
}

impl Choice {
    /// The penalty at this λ. All weights are one group.
    pub(crate) fn penalty(&self, lambda: f64) -> Result<Penalty> {
        let given = self.parameters.iter().map(|(name, x)| (name.as_str(), *x));
        let parameters: Vec<(&str, f64)> = given.chain([("lambda", lambda)]).collect();
        Ok(Penalty::named(&self.name, &parameters)?)
    }
}

#[derive(Serialize)]
struct Kind {
    name: &'static str,
    formula: &'static str,
    parameters: Vec<&'static str>,
}

/// The penalties that λ multiplies or shapes. Weights of elements are not offered, and groups are no parameter.
#[wasm_bindgen]
pub fn penalties() -> Result<JsValue> {
    let offered = |named: &&Named| {
        let has = |name| named.parameters.contains(&name);
        has("lambda") && !has("group_size") && !named.name.starts_with("weighted")
    };
    let kind = |named: &Named| Kind {
        name: named.name,
        formula: named.formula,
        parameters: named.parameters.iter().copied().filter(|name| *name != "lambda").collect(),
    };
    object::to(&Penalty::all().filter(offered).map(kind).collect::<Vec<Kind>>())
}
