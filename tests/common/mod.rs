//! What the integration tests share: the oracle, the cases, the comparator and the adapters.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod adapters;
pub(crate) mod cases;
pub(crate) mod catalogue;
pub(crate) mod compare;
pub(crate) mod device;
pub(crate) mod everything;
pub(crate) mod exact;
pub(crate) mod formulas;
pub(crate) mod golden;
pub(crate) mod oracle;
pub(crate) mod ranges;
pub(crate) mod tensors;
