//! The browser's GPU, beside the CPU path in wasm.

mod bench;
mod compare;

use penalty::gpu::Choice;
use penalty::{Determinism, Gpu, wgpu};
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{Error, Result};
use crate::object;

/// The exponent of the largest number of weights: 256 MiB of them.
const MOST: u32 = 26;

/// An open GPU.
#[wasm_bindgen]
pub struct Device {
    gpu: Gpu,
}

#[derive(Serialize)]
struct Info<'a> {
    adapter: Adapter<'a>,
    determinism: String,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Adapter<'a> {
    description: &'a str,
    is_software: bool,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    equals_cpu: bool,
    repeats: bool,
}

#[wasm_bindgen]
impl Device {
    /// Opens the browser's GPU and checks it.
    pub async fn open() -> Result<Device> {
        Ok(Device { gpu: Gpu::open_async(&Choice::Any).await? })
    }

    /// What it is, and what it promises.
    pub fn info(&self) -> Result<JsValue> {
        let info = self.gpu.adapter_info();
        object::to(&Info {
            adapter: Adapter { description: &info.name, is_software: info.device_type == wgpu::DeviceType::Cpu },
            determinism: self.gpu.determinism().to_string(),
            checks: self
                .gpu
                .checks()
                .iter()
                .map(|check| Check {
                    name: check.name,
                    equals_cpu: check.determinism == Determinism::GpuToGpu,
                    repeats: check.determinism > Determinism::NotGuaranteed,
                })
                .collect(),
        })
    }
}

/// Runs calls on a device, and returns the first error that they raise. A browser tells it later, so this waits for it.
async fn scoped<T>(gpu: &Gpu, calls: impl Future<Output = Result<T>>) -> Result<T> {
    let filters = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal];
    let scopes = filters.map(|filter| gpu.device().push_error_scope(filter));
    let result = calls.await;
    let mut raised = None;
    for scope in scopes.into_iter().rev() {
        let error = scope.pop().await;
        raised = raised.or(error);
    }
    match raised {
        // What the device refused is the cause of what failed after it.
        Some(error) => Err(Error::new(error)),
        None => result,
    }
}

/// Weights as they are in networks: most are small, some are 0.
fn weights(len: usize, seed: u32) -> Vec<f32> {
    let mut state = u64::from(seed);
    (0..len)
        .map(|at| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = (state >> 40) as f32 / (1 << 23) as f32 - 1.0;
            if at % 16 == 15 { 0.0 } else { random * random * random }
        })
        .collect()
}
