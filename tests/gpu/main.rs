//! What a device does beyond computing the right bits: recording, waiting, sets, limits and failures.
//!
//! Most tests have a device with WebGPU's default limits and no features.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

mod allocations;
mod custom;
mod failures;
mod finishing;
mod groups;
mod handlers;
mod limits;
mod opening;
mod optimizers;
mod polling;
mod ranges;
mod recording;
mod rejected;
mod reports;
mod reuse;
mod rings;
mod set_rejected;
mod sets;
mod slices;
mod timing;
mod weighted;

fn main() {
    let all = [
        opening::ON_DEVICES,
        ranges::ON_DEVICES,
        recording::ON_DEVICES,
        reports::ON_DEVICES,
        reuse::ON_DEVICES,
        polling::ON_DEVICES,
        slices::ON_DEVICES,
        failures::ON_DEVICES,
        handlers::ON_DEVICES,
        rejected::ON_DEVICES,
        limits::ON_DEVICES,
        groups::ON_DEVICES,
        weighted::ON_DEVICES,
        custom::ON_DEVICES,
        sets::ON_DEVICES,
        rings::ON_DEVICES,
        finishing::ON_DEVICES,
        set_rejected::ON_DEVICES,
        optimizers::ON_DEVICES,
        allocations::ON_DEVICES,
        timing::ON_DEVICES,
    ];
    common::adapters::run(Vec::new(), &[], &all.concat());
}
