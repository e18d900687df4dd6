//! Are results right? Compared with formulas in `f64`, exact integers, golden cases, and a second version of the
//! numeric contract. All tests run on the CPU; `tests/parity` compares every other backend with the CPU.

#[path = "../common/mod.rs"]
mod common;

mod budgets;
mod comparator;
mod composed;
mod contract;
mod custom;
mod expressions;
mod golden;
mod group_budgets;
mod lambdas;
mod masks;
mod optimizers;
mod partials;
mod scales;
mod sums;
mod updates;
