//! The command, run as its users run it; `parity.rs` holds the devices against the CPU.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod eval;
mod groups;
mod hashes;
mod npy;
mod output;
mod shrink;
mod weights;
