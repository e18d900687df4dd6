//! Regularization penalties for modules of [Burn](https://burn.dev) 0.22, directly on Burn's buffers.
//!
//! - [`Rules`] choose which parameters of a module to penalize, and with which penalty. [`ByShape`] makes rows, columns or other parts of each
//!   parameter its groups. [`Rules::table`] shows what applies to which parameter.
//! - [`optim`] has proximal SGD and proximal Adam, to use wherever Burn takes an optimizer.
//! - [`Regularizer`] adds the penalties' gradients before the optimizer's step, applies their proxes after it, or prunes to a budget.
//! - [`sgd_prox_step`] gives the prox's step after Burn's SGD, with or without momentum.
//! - [`adaptive`] and [`mask`] make element weights for the adaptive lasso and for pruned models.
//! - [`Pending`] gives the value and the statistics of a call. Nothing waits for them until you read them.
//!
//! # The routes
//!
//! The gradient route adds ∂R to the gradients. It suits smooth penalties and works with any optimizer. The proximal routes shrink the weights.
//! They suit L1, the elastic net and groups, whose zeros are exact only this way. The proximal optimizers take the step and the prox in one
//! pass, and training minimizes f + R. A prox after Burn's own SGD does so too, if its step accounts for the momentum. A prox after Burn's
//! Adam, or another optimizer that scales gradients, does not. [`Regularizer`] has the formulas.
//!
//! # On wgpu
//!
//! [`Wgpu`] opens Burn's device once. [`Regularizer::wgpu`] works on the buffers that hold Burn's tensors, even if the tensors move from step to step. It works with fusion on
//! or off and through autodiff. It copies a tensor only if something else holds it too or it is not in row order ([`Regularizer::copies`]
//! counts). It waits for the device only if 16 calls of the same kind are still under way. It installs no handler for errors or a lost
//! device.
//!
//! - Initialize the device with `Device::wgpu_options().init_with_setup()` before its first use: afterwards Burn no longer hands out
//!   the wgpu device. To bring your own device, use `Device::wgpu_options().setup(setup).init()`.
//! - Your own device needs `wgpu::Features::SHADER_INT64` and all of the adapter's limits; without them Burn's kernels fail. This crate's
//!   kernels need no feature.
//! - Call from the thread that trains. Burn queues each thread's work separately. If another thread has used a tensor, call
//!   `device.flush()` on that thread before the call; otherwise its work may see the new values.
//! - A buffer holds many tensors, and tensors move, so do not keep a buffer between calls. Between two calls a regularizer keeps the
//!   buffers of the last call alive, but does not write to them.
//!
//! # On the CPU
//!
//! [`Regularizer::host`] works on the memory of Burn's Flex backend, with all threads of rayon's pool. It gives the same bits as a device
//! whose self-check says `gpu_to_gpu`. It copies modules on any other backend.
//!
//! Weights must be `f32`, `f16` or `bf16`. Parameters of any other type are rejected by name.

mod array;
#[cfg(feature = "wgpu")]
mod buffer;
mod by_shape;
mod derived;
mod error;
mod host;
mod memory;
#[cfg(feature = "train")]
pub mod metric;
#[cfg(feature = "wgpu")]
mod opened;
mod operations;
pub mod optim;
mod optimizer;
mod pending;
mod regularizer;
mod rules;
mod runner;
mod table;
mod walk;
#[cfg(feature = "wgpu")]
mod wgpu;

pub use penalty;

pub use by_shape::ByShape;
pub use derived::{adaptive, mask};
pub use error::{Error, Rejected};
#[cfg(feature = "wgpu")]
pub use opened::Wgpu;
pub use optimizer::sgd_prox_step;
pub use pending::Pending;
pub use regularizer::Regularizer;
pub use rules::{Rules, Selected};
pub use table::Table;

// Compiles and runs the README's code with the other examples.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
