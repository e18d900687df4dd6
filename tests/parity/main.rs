//! The promise: every operation on every penalty and type has the same bits on every instruction set and every adapter.
//!
//! The catalogue covers all combinations of operation, penalty and type, on one kind of input. The other files add
//! every length, scale and place in memory. Each kernel compiles for a second on a device, so devices take a sample
//! (`PENALTY_SAMPLE`, see `common/trials.rs`).

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod catalogue;
mod custom;
#[cfg(feature = "gpu")]
mod devices;
mod groups;
mod separable;
mod sums;
mod terms;
mod updates;
mod weighted;

use common::trials::on_every_cpu;

fn main() {
    let everywhere =
        [separable::EVERYWHERE, groups::EVERYWHERE, weighted::EVERYWHERE, custom::EVERYWHERE, terms::EVERYWHERE]
            .concat();
    let threads = on_every_cpu(&[sums::ON_EVERY_CPU, updates::ON_EVERY_CPU].concat());
    let host = catalogue::on_the_cpu().into_iter().chain(threads).collect();
    #[cfg(feature = "gpu")]
    devices::run(host, &everywhere);
    #[cfg(not(feature = "gpu"))]
    common::trials::run(host, &everywhere);
}
