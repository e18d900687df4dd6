//! How far a computation is, for the page.

use std::cell::RefCell;
use std::ops::ControlFlow;

use js_sys::{Date, Function};
use penalty_fit::Progress;
use serde::Serialize;
use wasm_bindgen::JsValue;

use crate::error::Result;
use crate::object;

/// The page hears no more often, in milliseconds.
const PAUSE: f64 = 50.0;

/// Counts the λ that are begun: each fold and each penalty begins all of them.
struct Count {
    report: Function,
    lambda: f64,
    done: usize,
    total: usize,
    said: f64,
}

thread_local! {
    // A JavaScript function belongs to its thread, so a callback that any thread may call cannot hold it.
    static COUNT: RefCell<Option<Count>> = const { RefCell::new(None) };
}

#[derive(Serialize)]
struct Said {
    done: usize,
    total: usize,
}

/// From here on `hear` reports to this function.
pub(crate) fn begin(report: Function, total: usize) {
    COUNT.set(Some(Count { report, lambda: f64::NAN, done: 0, total, said: 0.0 }));
}

/// What fits call as they go.
pub(crate) fn hear(progress: &Progress) -> ControlFlow<()> {
    COUNT.with_borrow_mut(|count| {
        let Some(count) = count else { return };
        if count.lambda == progress.lambda {
            return;
        }
        count.lambda = progress.lambda;
        count.done = (count.done + 1).min(count.total);
        let now = Date::now();
        if now - count.said >= PAUSE {
            count.said = now;
            // A page that is not interested makes no difference to the fit.
            let _ = say(&count.report, count.done, count.total);
        }
    });
    ControlFlow::Continue(())
}

/// Tells the page how far the work is.
pub(crate) fn say(report: &Function, done: usize, total: usize) -> Result<()> {
    let _ = report.call1(&JsValue::NULL, &object::to(&Said { done, total })?);
    Ok(())
}
