//! The library in a web page: what `web/src/library/types.ts` describes, as functions of plain objects.
//!
//! Natively there is nothing here.

#![cfg(target_arch = "wasm32")]
#![allow(unreachable_pub, reason = "wasm_bindgen exports only what is pub")]

mod choice;
mod data;
mod error;
mod gpu;
mod object;
mod plane;
mod progress;

use wasm_bindgen::prelude::wasm_bindgen;

/// Runs when the module is loaded: a panic, which would be our mistake, is reported on the console with its place.
#[wasm_bindgen(start)]
fn start() {
    console_error_panic_hook::set_once();
}
