//! The GPU path: nothing outside this module knows wgpu.
//!
//! [`Gpu`] is an open device, either the library's or yours, whose arithmetic was checked. Its `record_…` calls put
//! work on weights that live on the device into your own encoder, and never wait. A [`Pending`] report stays on the
//! device until you ask for it. Host slices go through [`Backend`](crate::Backend).
//!
//! The library is built on wgpu 30, which it re-exports as [`penalty::wgpu`](crate::wgpu). Your device, buffers and
//! encoders must be of that version: those of another version are other types.
//!
//! ```no_run
//! use penalty::gpu::Operand;
//! use penalty::{Dtype, Gpu, Penalty, wgpu};
//!
//! # fn training_step(device: wgpu::Device, queue: wgpu::Queue, weights: wgpu::Buffer) -> penalty::Result<()> {
//! let gpu = Gpu::from_device(device.clone(), queue.clone())?; // once: the device stays yours
//! let l1 = Penalty::l1(1e-4)?;
//! let theta = Operand { buffer: &weights, offset: 0, len: 1 << 20, dtype: Dtype::F32 };
//!
//! let mut encoder = device.create_command_encoder(&Default::default());
//! gpu.record_prox_in_place(&mut encoder, &l1, &theta, 0.01)?;
//! let pending = gpu.record_evaluate(&mut encoder, &l1, &theta)?;
//! queue.submit([encoder.finish()]);
//!
//! let report = pending.wait(Gpu::TIMEOUT)?; // or `pending.read().await`, see `Poller`
//! println!("{} of {} weights are left", report.nonzero, report.len);
//! # Ok(())
//! # }
//! ```

mod adapter;
mod bound;
mod budget;
mod cache;
mod check;
mod custom_check;
mod cut;
mod determinism;
mod device;
mod dispatch;
mod element_spans;
mod group_spans;
mod kernel;
mod layout;
mod limits;
mod lists;
mod lock;
mod memo;
mod open;
mod operand;
#[cfg(not(target_family = "wasm"))]
mod passes;
mod pending;
mod pipeline;
mod placement;
#[cfg(not(target_family = "wasm"))]
mod poller;
mod readback;
mod recorder;
mod reply;
mod resolve;
mod reuse;
mod ring;
mod rows;
mod set;
mod single;
pub(crate) mod slices;
mod slot_memory;
mod source;
mod staging;
mod table;
pub(crate) mod wait;

pub use adapter::Choice;
#[cfg(not(target_family = "wasm"))]
pub use adapter::adapters;
pub use adapter::adapters_async;
pub use determinism::{Check, Determinism};
pub use device::{Gpu, guarded};
pub use lists::Operands;
pub use open::Options;
pub use operand::Operand;
pub use pending::Pending;
#[cfg(not(target_family = "wasm"))]
pub use poller::Poller;
pub use set::ParameterSet;
#[cfg(not(target_family = "wasm"))]
pub use set::SetAcross;
