//! The same weights on the GPU and in wasm.

use std::fmt::Display;

use penalty::{Backend, Report};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Device, MOST, scoped, weights};
use crate::choice::Choice;
use crate::error::{Error, Result};
use crate::object;

/// The step of the prox.
const STEP: f64 = 0.5;

#[derive(Deserialize)]
struct Request {
    penalty: Choice,
    lambda: f64,
    len: usize,
    seed: u32,
}

#[derive(Serialize)]
struct Comparison {
    len: usize,
    rows: Vec<Compared>,
}

#[derive(Serialize)]
struct Compared {
    what: &'static str,
    count: usize,
    different: usize,
    gpu: String,
    wasm: String,
}

#[wasm_bindgen]
impl Device {
    /// The value, the statistics, the gradient and the prox of both.
    pub async fn compare(&self, request: JsValue) -> Result<JsValue> {
        let Request { penalty, lambda, len, seed } = object::from(request)?;
        if len > 1 << MOST {
            return Err(Error::new(format!("the number of weights must be at most 2^{MOST}, found {len}")));
        }
        let penalty = penalty.penalty(lambda)?;
        let weights = weights(len, seed);
        let (gpu, wasm) = (Backend::Gpu(self.gpu.clone()), Backend::cpu());
        let rows = scoped(&self.gpu, async {
            let mut rows = statistics(
                &gpu.evaluate_async(&penalty, &weights).await?,
                &wasm.evaluate_async(&penalty, &weights).await?,
            );
            // Some penalties have no gradient.
            if let Ok(expected) = wasm.gradient_async(&penalty, &weights).await {
                rows.push(arrays("gradient", &gpu.gradient_async(&penalty, &weights).await?, &expected));
            }
            let expected = wasm.prox_async(&penalty, &weights, STEP).await?;
            rows.push(arrays("prox", &gpu.prox_async(&penalty, &weights, STEP).await?, &expected));
            Ok(rows)
        })
        .await?;
        object::to(&Comparison { len, rows })
    }
}

fn statistics(gpu: &Report, wasm: &Report) -> Vec<Compared> {
    let float = |what, of: fn(&Report) -> f64| {
        let shown = |x: f64| format!("{x:e} (0x{:016x})", x.to_bits());
        number(what, of(gpu).to_bits() == of(wasm).to_bits(), shown(of(gpu)), shown(of(wasm)))
    };
    vec![
        float("value", |report| report.value),
        float("Σ|θ|", |report| report.l1),
        float("Σθ²", |report| report.l2_squared),
        float("max|θ|", |report| report.max_abs),
        number("weights that are not 0", gpu.nonzero == wasm.nonzero, gpu.nonzero, wasm.nonzero),
    ]
}

fn number(what: &'static str, is_equal: bool, gpu: impl Display, wasm: impl Display) -> Compared {
    Compared { what, count: 1, different: usize::from(!is_equal), gpu: gpu.to_string(), wasm: wasm.to_string() }
}

fn arrays(what: &'static str, gpu: &[f32], wasm: &[f32]) -> Compared {
    let is_different = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits();
    let first = gpu.iter().zip(wasm).position(is_different);
    let shown = |of: &[f32]| match first {
        Some(at) => format!("number {at}: {:e} (0x{:08x})", of[at], of[at].to_bits()),
        None => format!("hash 0x{:016x}", hash(of)),
    };
    let different = gpu.iter().zip(wasm).filter(|pair| is_different(*pair)).count();
    Compared { what, count: wasm.len(), different, gpu: shown(gpu), wasm: shown(wasm) }
}

/// FNV-1a of the numbers' bits.
fn hash(of: &[f32]) -> u64 {
    of.iter().fold(0xcbf2_9ce4_8422_2325, |hash, x| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x100_0000_01b3))
}
