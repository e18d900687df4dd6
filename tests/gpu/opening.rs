//! Does a device open, and is it the requested one?

use penalty::{Backend, Determinism, Error, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::cases::noise;
use crate::common::device::{TIMEOUT, without_hanging};
use crate::common::recorded::penalty;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    the_self_check_promises_the_cpus_bits,
    default_limits_and_no_features_are_enough,
    a_fork_is_told_to_open_its_own_device,
];

fn the_self_check_promises_the_cpus_bits(device: &Device) {
    assert_eq!(device.gpu().determinism(), Determinism::GpuToGpu);
    let parts = device.gpu().checks();
    assert!(parts.iter().all(|part| part.determinism == Determinism::GpuToGpu), "{parts:?}");
    assert!(parts.iter().any(|part| part.name == "gradient"), "{parts:?}");
    // The opened device has the driver that the test's name says.
    let (asked, answered) = (device.adapter.get_info(), device.gpu().adapter_info());
    assert_eq!(
        (&asked.name, asked.backend, &asked.driver_info),
        (&answered.name, answered.backend, &answered.driver_info)
    );
}

fn default_limits_and_no_features_are_enough(device: &Device) {
    let gpu = device.plain();
    assert_eq!(gpu.device().features(), wgpu::Features::empty());
    assert_eq!(gpu.device().limits().max_storage_buffer_binding_size, 128 << 20);
    assert_eq!(gpu.determinism(), Determinism::GpuToGpu);
    let weights = noise(10_000, 1);
    let want = Backend::cpu().evaluate(&penalty(), &weights);
    assert_eq!(Backend::Gpu(gpu.clone()).evaluate(&penalty(), &weights), want);
}

/// A child that has forked, but has not yet become another program, lacks the device's threads.
#[cfg(unix)]
fn a_fork_is_told_to_open_its_own_device(device: &Device) {
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    // A child's closure can send its parent only numbers of system errors.
    const REFUSED: i32 = 33;
    const ACCEPTED: i32 = 34;
    let gpu = device.plain().clone();
    let kind = without_hanging(move || {
        let mut command = Command::new("true");
        let backend = Backend::Gpu(gpu);
        let ask = move || {
            // A library that does not notice the fork hangs here. It would keep the test's output open forever.
            std::thread::spawn(|| {
                std::thread::sleep(TIMEOUT);
                std::process::abort();
            });
            let answer = backend.evaluate(&penalty(), &[1.0f32]);
            let rejected = matches!(answer, Err(Error::Forked { expected, found }) if expected != found);
            Err(io::Error::from_raw_os_error(if rejected { REFUSED } else { ACCEPTED }))
        };
        // SAFETY: the library rejects the call before it takes any lock of the driver's or of wgpu's. This test checks
        // that.
        unsafe { command.pre_exec(ask) };
        command.spawn().map(drop).map_err(|error| error.raw_os_error())
    });
    assert_eq!(kind, Err(Some(REFUSED)), "the child hung, or its answer was another");
}

#[cfg(not(unix))]
fn a_fork_is_told_to_open_its_own_device(_: &Device) {}
