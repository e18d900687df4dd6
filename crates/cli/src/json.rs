//! Numbers in JSON.

use serde_json::{Value, json};

/// A float that JSON can carry: what it cannot is a string.
pub(crate) fn number(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { json!(x.to_string()) }
}
