//! Errors, as JavaScript's `Error` with a message of one line.

use wasm_bindgen::JsValue;

/// Any error, as its text.
#[derive(Debug)]
pub struct Error(String);

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(text: impl std::fmt::Display) -> Error {
        Error(text.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Error {
        Error::new(error)
    }
}

impl From<Error> for JsValue {
    fn from(Error(text): Error) -> JsValue {
        js_sys::Error::new(&text).into()
    }
}
