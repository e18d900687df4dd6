//! Numbers in JSON.

use serde_json::{Value, json};

/// A float as JSON: a number if JSON can represent it, else a string.
pub(crate) fn number(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { json!(x.to_string()) }
}
