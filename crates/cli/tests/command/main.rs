//! Runs the command as its users do. `parity.rs` compares the devices with the CPU.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod bench;
mod compared;
mod double;
mod eval;
mod fit;
mod groups;
#[cfg(unix)]
mod guide;
mod hashes;
mod npy;
mod output;
mod parquet;
mod prune;
mod sharded;
mod shrink;
mod torch;
mod weights;
