//! Regularization penalties over millions to billions of weights.

mod backend;
mod cpu;
mod element;
mod elementwise;
mod error;
mod exact;
pub mod gpu;
mod penalty;
mod plan;
mod tile;

pub use half;
pub use wgpu;

pub use backend::Backend;
pub use cpu::{Cpu, InstructionSet};
pub use element::{Dtype, Element};
pub use error::{Error, Result};
pub use exact::{Partial, Report, Reports};
pub use gpu::{Determinism, Gpu};
pub use penalty::Penalty;
pub use tile::TILE;
