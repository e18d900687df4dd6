//! Properties of any weights and parameters, on the CPU. `tests/parity` compares every other backend with the CPU.

#[path = "../common/mod.rs"]
mod common;

mod any;
mod custom;
mod elastic_net;
mod groups;
mod host_sets;
mod partials;
mod scaled;
mod separable;
mod weighted;
