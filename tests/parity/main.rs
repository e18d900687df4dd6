//! The promise: every operation on every penalty and type has the same bits from every instruction set and on every adapter.
//!
//! The catalogue has the whole product of operations, penalties and types on one kind of input; the other files have what it has not: every length, scale
//! and place in memory. On a device, where each kernel compiles for a second, a sample is taken (`PENALTY_SAMPLE`, see `common/adapters.rs`).

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod catalogue;
mod custom;
mod groups;
mod large_groups;
mod separable;
mod sets;
mod sums;
mod terms;
mod updates;
mod weighted;

use common::adapters::{on_every_cpu, run};

fn main() {
    let everywhere =
        [separable::EVERYWHERE, groups::EVERYWHERE, weighted::EVERYWHERE, custom::EVERYWHERE, terms::EVERYWHERE];
    let on_devices = [
        catalogue::ON_DEVICES,
        sums::ON_DEVICES,
        terms::ON_DEVICES,
        updates::ON_DEVICES,
        separable::ON_DEVICES,
        groups::ON_DEVICES,
        large_groups::ON_DEVICES,
        weighted::ON_DEVICES,
        sets::ON_DEVICES,
        custom::ON_DEVICES,
    ];
    let threads = on_every_cpu(&[sums::ON_EVERY_CPU, updates::ON_EVERY_CPU].concat());
    let host = catalogue::on_the_cpu().into_iter().chain(threads).collect();
    run(host, &everywhere.concat(), &on_devices.concat());
}
