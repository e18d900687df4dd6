//! What the integration tests share: the oracles, the cases, the comparator and the adapters.

#![allow(dead_code, unused_macros, reason = "each test binary uses a part of it")]

pub(crate) mod backends;
pub(crate) mod budgets;
pub(crate) mod cases;
pub(crate) mod catalogue;
pub(crate) mod compare;
pub(crate) mod composed;
pub(crate) mod covering;
pub(crate) mod coverings;
pub(crate) mod custom;
pub(crate) mod everything;
pub(crate) mod exact;
pub(crate) mod formulas;
pub(crate) mod golden;
pub(crate) mod grouped;

pub(crate) mod minimizer;
pub(crate) mod oracle;
pub(crate) mod properties;
pub(crate) mod ranges;
pub(crate) mod rejected;
pub(crate) mod tensors;
#[macro_use]
pub(crate) mod trials;
pub(crate) mod weighted;

#[cfg(feature = "gpu")]
pub(crate) mod adapters;
#[cfg(feature = "gpu")]
pub(crate) mod buffers;
#[cfg(feature = "gpu")]
pub(crate) mod device;
#[cfg(feature = "gpu")]
pub(crate) mod recorded;
// `formulas` needs this name. The library's unit tests include that file too.
use penalty::Penalty;
