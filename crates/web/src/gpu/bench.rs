//! How many bytes per second the GPU and wasm read and write.

use futures_channel::oneshot;
use js_sys::Function;
use penalty::gpu::{Operand, Operands, ParameterSet};
use penalty::{Backend, Dtype, Gpu, Parameter, Penalty, wgpu};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Device, MOST, scoped, weights};
use crate::choice::Choice;
use crate::error::{Error, Result};
use crate::object;

/// The exponent of the shortest length.
const FEWEST: u32 = 10;
/// A run is repeated until it takes so long, in milliseconds: the browser's clock is coarse, and a submission takes time.
const LEAST: f64 = 20.0;
/// So many runs are in one submission, at most.
const RUNS: usize = 64;
/// The median is that of so many.
const BATCHES: usize = 5;
/// No more batches begin after this, in milliseconds.
const ENOUGH: f64 = 1500.0;
/// So small that the weights stay what they are, nearly.
const STEP: f64 = 1e-6;
/// The bytes written to the device at a time.
const CHUNK: usize = 16 << 20;

#[derive(Deserialize)]
struct Request {
    penalty: Choice,
    lambda: f64,
    from: u32,
    to: u32,
}

#[derive(Serialize, Default)]
struct Row {
    log2: u32,
    len: usize,
    gpu_evaluate: Option<f64>,
    gpu_prox: Option<f64>,
    wasm_evaluate: Option<f64>,
    wasm_prox: Option<f64>,
    error: Option<String>,
}

#[wasm_bindgen]
extern "C" {
    /// Milliseconds.
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;
}

#[wasm_bindgen]
impl Device {
    /// Measures the GPU and wasm at each length.
    pub async fn benchmark(&self, request: JsValue, report: Function) -> Result<JsValue> {
        bench(Some(&self.gpu), request, &report).await
    }
}

/// Measures wasm at each length.
#[wasm_bindgen]
pub async fn benchmark(request: JsValue, report: Function) -> Result<JsValue> {
    bench(None, request, &report).await
}

async fn bench(gpu: Option<&Gpu>, request: JsValue, report: &Function) -> Result<JsValue> {
    let Request { penalty, lambda, from, to } = object::from(request)?;
    if !(FEWEST <= from && from <= to && to <= MOST) {
        let expected = format!("the lengths must be from 2^{FEWEST} to 2^{MOST}");
        return Err(Error::new(format!("{expected}, found 2^{from} to 2^{to}")));
    }
    let penalty = penalty.penalty(lambda)?;
    let mut weights = weights(1 << to, 1);
    let mut rows = Vec::new();
    for log2 in from..=to {
        let row = row(gpu, &penalty, log2, &mut weights[..1 << log2]).await;
        // A page that is not interested makes no difference.
        let _ = report.call1(&JsValue::NULL, &object::to(&row)?);
        rows.push(row);
    }
    object::to(&rows)
}

async fn row(gpu: Option<&Gpu>, penalty: &Penalty, log2: u32, weights: &mut [f32]) -> Row {
    let mut row = Row { log2, len: weights.len(), ..Row::default() };
    if let Err(error) = measure(gpu, penalty, weights, &mut row).await {
        row.error = Some(error.to_string());
    }
    row
}

async fn measure(gpu: Option<&Gpu>, penalty: &Penalty, weights: &mut [f32], row: &mut Row) -> Result<()> {
    let bytes = size_of_val(weights) as f64;
    // 10^9 bytes per second, of bytes and milliseconds.
    let rate = |bytes: f64, time: f64| Some(bytes / time * 1e-6);
    let cpu = Backend::cpu();
    row.wasm_evaluate = rate(bytes, host(|| Ok(cpu.evaluate(penalty, weights).map(drop)?))?);
    row.wasm_prox = rate(2.0 * bytes, host(|| Ok(cpu.prox_in_place(penalty, &mut *weights, STEP)?))?);
    if let Some(gpu) = gpu {
        let [evaluate, prox] = scoped(gpu, device(gpu, penalty, weights)).await?;
        row.gpu_evaluate = rate(bytes, evaluate);
        row.gpu_prox = rate(2.0 * bytes, prox);
    }
    Ok(())
}

/// The milliseconds of one run.
fn host(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = 1;
    let began = now();
    let mut found = Vec::new();
    while found.len() < BATCHES && (found.is_empty() || now() - began < ENOUGH) {
        let start = now();
        (0..times).try_for_each(|_| run())?;
        let time = now() - start;
        if time < LEAST && found.is_empty() {
            times *= 2;
        } else {
            found.push(time / times as f64);
        }
    }
    Ok(median(found))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The milliseconds of one evaluation and of one prox of weights that lie on the device.
async fn device(gpu: &Gpu, penalty: &Penalty, weights: &[f32]) -> Result<[f64; 2]> {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let size = size_of_val(weights) as u64;
    let descriptor = wgpu::BufferDescriptor { label: Some("the weights"), size, usage, mapped_at_creation: false };
    let buffer = gpu.create_buffer(&descriptor)?;
    for (at, part) in weights.chunks(CHUNK / 4).enumerate() {
        let bytes: Vec<u8> = part.iter().flat_map(|x| x.to_le_bytes()).collect();
        gpu.queue().write_buffer(&buffer, (at * CHUNK) as u64, &bytes);
    }
    let theta = [Operand { buffer: &buffer, offset: 0, len: weights.len() as u64, dtype: Dtype::F32 }];
    let operands = Operands { weights: &theta, ..Operands::default() };
    let parameters = vec![Parameter::new("weights", penalty.clone())];
    let mut set = ParameterSet::new(gpu, parameters, &operands, RUNS)?;
    let evaluate = submissions(gpu, |encoder| Ok(set.record_evaluate(encoder).map(drop)?)).await?;
    let prox = submissions(gpu, |encoder| Ok(set.record_prox_in_place(encoder, STEP)?)).await?;
    buffer.destroy();
    Ok([evaluate, prox])
}

/// The milliseconds of one of the runs in a submission.
async fn submissions(gpu: &Gpu, mut record: impl FnMut(&mut wgpu::CommandEncoder) -> Result<()>) -> Result<f64> {
    let mut times = 1;
    let began = now();
    let mut found = Vec::new();
    // The first submission compiles the kernels.
    let mut is_warm = false;
    while found.len() < BATCHES && (found.is_empty() || now() - began < ENOUGH) {
        let start = now();
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        (0..times).try_for_each(|_| record(&mut encoder))?;
        gpu.queue().submit([encoder.finish()]);
        let (sender, done) = oneshot::channel();
        gpu.queue().on_submitted_work_done(move || {
            // Nobody waits any more if the benchmark was cancelled.
            let _ = sender.send(());
        });
        done.await.map_err(|_| Error::new("the device was lost"))?;
        let time = now() - start;
        if !is_warm {
            is_warm = true;
        } else if time < LEAST && times < RUNS && found.is_empty() {
            times *= 2;
        } else {
            found.push(time / times as f64);
        }
    }
    Ok(median(found))
}
