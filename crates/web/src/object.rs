//! Rust values from and to plain objects.

use js_sys::Float64Array;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use wasm_bindgen::JsValue;

use crate::error::{Error, Result};

pub(crate) fn from<T: DeserializeOwned>(object: JsValue) -> Result<T> {
    serde_wasm_bindgen::from_value(object).map_err(|error| Error::new(format!("the request: {error}")))
}

pub(crate) fn to(value: &impl Serialize) -> Result<JsValue> {
    // As JSON, but for numbers that are not finite.
    Ok(value.serialize(
        &serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(true).serialize_maps_as_objects(true),
    )?)
}

/// Numbers as a `Float64Array`, which is many times as fast to make as a list.
pub(crate) fn array<S: Serializer>(numbers: &[f64], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serde_wasm_bindgen::preserve::serialize(&Float64Array::from(numbers), serializer)
}

/// Points as x, y, x, y, ….
pub(crate) fn points<S: Serializer>(points: &[[f64; 2]], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    array(points.as_flattened(), serializer)
}

/// Two arrays.
pub(crate) fn arrays<S: Serializer>(arrays: &[Vec<f64>; 2], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let list: js_sys::Array = arrays.iter().map(|numbers| Float64Array::from(&numbers[..])).collect();
    serde_wasm_bindgen::preserve::serialize(&list, serializer)
}
