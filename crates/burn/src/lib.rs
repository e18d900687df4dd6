//! Regularization penalties for modules of [Burn](https://burn.dev) 0.22, on Burn's own buffers.
//!
//! - [`Rules`]: which parameters of a module are penalized, and with what; [`ByShape`]: which of their weights together.
//! - [`Regularizer`]: adds the penalties' gradients before the optimizer's step, or applies their proxes after it.
//! - [`sgd_prox_step`]: how long a prox is behind Burn's SGD with momentum.
//! - [`Pending`]: the value and the statistics, for which nothing waits until you read them.
//!
//! # The two routes
//!
//! The gradient route adds ∂R to the gradients: for smooth penalties, with any optimizer. The proximal route shrinks the weights after
//! the step: for L1, the elastic net and groups, whose zeros are exact only this way. It minimizes f + R behind SGD, with the prox's step that
//! its momentum asks for, and behind no optimizer that scales gradients, such as Adam. [`Regularizer`] has the formulas.
//!
//! # On wgpu
//!
//! [`Regularizer::wgpu`] works on the buffers that Burn's tensors lie in, wherever they move from step to step, with fusion on or off and
//! through autodiff. Nothing is copied unless something else holds a tensor ([`Regularizer::copies`] counts), nothing
//! waits for the device, and no handler of errors or of a lost device is installed.
//!
//! - Initialize the device with `Device::wgpu_options().init_with_setup()` before its first use: afterwards Burn no longer hands out
//!   the wgpu device. To bring your own, `Device::wgpu_options().setup(setup).init()`.
//! - A device of your own needs `wgpu::Features::SHADER_INT64` and the adapter's own limits: without them Burn's kernels fail. Those here
//!   need no feature.
//! - Call from the thread that trains. Burn queues each thread's work apart: where another thread has used a tensor, flush it there
//!   (`device.flush()`) before the call, or that work may see the new values.
//! - One buffer holds many tensors, and moves: keep none between calls. Between two calls a regularizer keeps the buffers of the last
//!   one alive, and writes none.
//!
//! # On the CPU
//!
//! [`Regularizer::host`] works on the memory of Burn's Flex backend, with all threads of rayon's pool and the same bits as the device whose
//! self-check says `gpu_to_gpu`. For modules on any other backend it works on copies.
//!
//! Weights are `f32`, `f16` or `bf16`; others are rejected by name.

mod array;
#[cfg(feature = "wgpu")]
mod buffer;
mod error;
mod host;
mod memory;
mod optimizer;
mod pending;
mod regularizer;
mod rules;
mod runner;
mod walk;
#[cfg(feature = "wgpu")]
mod wgpu;

pub use penalty;

pub use error::{Error, Rejected};
pub use optimizer::sgd_prox_step;
pub use pending::Pending;
pub use regularizer::Regularizer;
pub use rules::{ByShape, Rules, Selected};

// The README's code is compiled and run with the other examples.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
