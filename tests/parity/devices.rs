//! Tests that compare devices alone with the host, or that need buffers.

mod arithmetic;
mod budgets;
mod catalogue;
mod composed;
mod custom;
mod groups;
mod large_groups;
mod separable;
mod sets;
mod sums;
mod terms;
mod updates;
mod weighted;

use libtest_mimic::Trial;

use crate::common::adapters;
use crate::common::trials::BackendTest;

/// Runs trials that need no device, tests of every backend, and device tests.
pub(crate) fn run(host: Vec<Trial>, everywhere: &[BackendTest]) -> ! {
    let on_devices = [
        arithmetic::ON_DEVICES,
        budgets::ON_DEVICES,
        catalogue::ON_DEVICES,
        sums::ON_DEVICES,
        terms::ON_DEVICES,
        updates::ON_DEVICES,
        separable::ON_DEVICES,
        groups::ON_DEVICES,
        large_groups::ON_DEVICES,
        weighted::ON_DEVICES,
        sets::ON_DEVICES,
        composed::ON_DEVICES,
        custom::ON_DEVICES,
    ];
    adapters::run(host, everywhere, &on_devices.concat())
}
