//! Properties that hold of any weights and parameters, on the CPU; `tests/parity` holds every other backend against the CPU.

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
