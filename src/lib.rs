//! Regularization penalties over millions to billions of weights: their value, gradient, proximal operator and
//! statistics, on the CPU and on any GPU that wgpu reaches, with the same bits on all of them.
//!
//! ```
//! use penalty::{Backend, Penalty};
//!
//! let backend = Backend::best();
//! let penalty = Penalty::l1(0.5)?;
//! let mut weights = vec![1.0f32, -0.25, 0.0];
//!
//! assert_eq!(backend.evaluate(&penalty, &weights)?.value, 0.625);
//! assert_eq!(backend.gradient(&penalty, &weights)?, [0.5, -0.5, 0.0]);
//! backend.prox_in_place(&penalty, &mut weights, 1.0)?;
//! assert_eq!(weights, [0.5, 0.0, 0.0]);
//! # Ok::<(), penalty::Error>(())
//! ```
//!
//! # Which call
//!
// The page has links to files, for readers of the repository. The first definition of a link counts.
//! [`Backend`]: crate::Backend
//! [`Budget`]: crate::Budget
//! [`schedule`]: crate::schedule
//! [`HostSet`]: crate::HostSet
//! [`Gpu`]: crate::Gpu
//! [`ParameterSet`]: crate::gpu::ParameterSet
//! [`Partial`]: crate::exact::Partial
//! [`Sum`]: crate::Sum
//!
#![doc = include_str!("../docs/calls.md")]
//!
//! # Which penalty
//!
#![doc = include_str!("../docs/penalties.md")]
//!
//! # Determinism
//!
//! Statistics, values, gradients, proxes and optimizer steps have the same bits for any number of threads, on every
//! instruction set, and on every adapter whose self-check says [`Determinism::GpuToGpu`]; it runs when the adapter is
//! opened. Inside a tile of 4096 consecutive weights, sums are `f32` in one order. Above it, they are exact
//! integers. A sum of finite weights has a relative error of at most 9.0e-7, at any length and scale.
//!
//! # Weights that are not ordinary
//!
//! NaN and infinite weights are counted. They make the value NaN or infinite, and a prox returns them bit by bit. A
//! number below 2^-120 in magnitude that a gradient or a prox reads or writes becomes +0, and so does −0.

#![cfg_attr(
    not(feature = "gpu"),
    allow(dead_code, reason = "devices alone need some of what the layers above them have"),
    allow(rustdoc::broken_intra_doc_links, reason = "links to devices lead nowhere without them")
)]

mod backend;
pub mod cpu;
mod error;
mod formula;
#[cfg(feature = "gpu")]
pub mod gpu;
mod numeric;
mod penalty;
mod plan;
mod report;
pub mod schedule;
mod slices;
mod transport;

pub use half;
#[cfg(feature = "gpu")]
pub use wgpu;

pub use backend::Backend;
pub use cpu::Cpu;
pub use cpu::group_search::GroupSearch;
pub use cpu::search::BudgetSearch;
pub use cpu::search_f64::BudgetSearchF64;
pub use cpu::set::HostSet;
pub use error::{Error, Result};
pub use formula::expression::Expression;
pub use formula::scalars::Metric;
#[cfg(feature = "gpu")]
pub use gpu::{Determinism, Gpu};
pub use numeric::element::{Dtype, Element};
pub use numeric::slice::{Slice, SliceMut};
pub use penalty::Penalty;
pub use penalty::at::{GroupProx, ProxAt};
pub use penalty::custom;
pub use penalty::element_weights::Weighted;
pub use penalty::groups::Groups;
pub use penalty::named::Named;
pub use penalty::sum::{Sum, Terms};
pub use plan::budget::Budget;
pub use plan::optimizer::{Adam, Momentum, Sgd};
pub use plan::parameter::Parameter;
pub use report::Report;
pub use report::reports::Reports;

/// Exact sums that merge, for programs that hold a tensor in chunks or spread it over devices or ranks.
///
/// [`Backend::partial`] sums a chunk that starts at a multiple of [`TILE`](exact::TILE). A [`Partial`](exact::Partial)
/// merges with others and travels as bytes. Ranks add up what they have by a [`Transport`](exact::Transport):
/// [`Reports::across`] gives the reports of all, and [`HostSet::across`] the calls on a set of which each rank holds
/// parts.
pub mod exact {
    pub use crate::numeric::tile::TILE;
    pub use crate::report::partial::Partial;
    pub use crate::transport::{Transport, agree};
}

/// What an [`Expression`] consists of.
pub mod expression {
    pub use crate::formula::expression::{Binary, Input, Node, Unary};
}

// What the formulas are held against, shared with the tests and benches that see this crate from outside.
#[cfg(test)]
#[allow(dead_code, reason = "others use more of it")]
#[path = "../tests/common/formulas.rs"]
mod formulas;

// The code of these pages is compiled and run with the other examples.
#[doc = include_str!("../README.md")]
#[cfg(all(doctest, feature = "gpu"))]
struct Readme;
#[doc = include_str!("../docs/devices.md")]
#[cfg(all(doctest, feature = "gpu"))]
struct Devices;
#[doc = include_str!("../docs/custom.md")]
#[cfg(all(doctest, feature = "gpu"))]
struct Custom;
