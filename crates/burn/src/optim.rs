//! Proximal optimizers, to use wherever Burn takes an optimizer.
//!
//! [`ProximalSgdConfig`] and [`ProximalAdamConfig`] make a `ModuleOptimizer` of Burn by [`Rules`](crate::Rules): each penalized parameter is a
//! group of its own. So learning rates per group, gradient clipping and accumulation, gradients from several devices, records and `Learner`
//! work as with Burn's own optimizers. The rules are applied once. To change them in mid-training, make a new optimizer and load the record of
//! the old one.
//!
//! A parameter that occurs twice in a module is updated at its first place only, as by Burn's own optimizers.
//!
//! [`WholeModule`] takes the same steps of all parameters at once, for loops without a trainer. There a parameter that occurs twice stays
//! shared.
//!
//! Steps run on the memory of Flex and, by `init_on`, on the buffers of Burn's wgpu backend. On every other device (CUDA, ROCm, LibTorch, …)
//! they are Burn's own tensor operations: within rounding, the results are the same. There, only group penalties, custom penalties and the
//! steps that report go by copies in host memory.

mod adam;
mod config;
mod place;
mod runners;
mod sgd;
mod state;
mod statistics;
mod tensor;
mod whole;

pub use adam::ProximalAdam;
pub use config::{ProximalAdamConfig, ProximalSgdConfig};
pub use sgd::ProximalSgd;
pub use state::ProximalState;
pub use statistics::{Latest, Statistics};
pub use whole::WholeModule;
