//! Proximal optimizers, to use wherever Burn takes an optimizer.

mod adam;
mod config;
mod runners;
mod sgd;
mod state;
mod statistics;
mod tensor;

pub use adam::ProximalAdam;
pub use config::{ProximalAdamConfig, ProximalSgdConfig};
pub use sgd::ProximalSgd;
pub use state::ProximalState;
pub use statistics::{Latest, Statistics};
