//! What is computed is right: held against formulas in `f64`, exact integers, golden cases, and the numeric contract written a second
//! time. All of it on the CPU; `tests/parity` holds every other backend against the CPU.

#[path = "../common/mod.rs"]
mod common;

mod comparator;
mod contract;
mod custom;
mod golden;
mod optimizers;
mod partials;
mod scales;
mod sums;
mod updates;
