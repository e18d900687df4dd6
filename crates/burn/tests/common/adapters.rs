//! The adapter for Burn's runtime. A process has only one.
//!
//! `PENALTY_ADAPTER` and `PENALTY_REQUIRE_ADAPTER=1` mean the same as in the other device tests. Adapters that lack what Burn's kernels
//! need are skipped.

use std::sync::Arc;

use burn::tensor::Device;
use burn::tensor::wgpu::WgpuSetup;
use libtest_mimic::{Arguments, Failed, Trial};
use penalty_burn::Wgpu;
use penalty_burn::penalty::wgpu;

/// Burn's device, its setup, the same opened for our kernels, and the adapter's name.
pub(crate) struct Opened {
    pub(crate) device: Device,
    pub(crate) setup: WgpuSetup,
    pub(crate) wgpu: Wgpu,
    pub(crate) name: String,
}

/// A test and its name.
pub(crate) type DeviceTest = (&'static str, fn(&Opened));

fn open() -> Option<Opened> {
    let wanted = std::env::var("PENALTY_ADAPTER").unwrap_or_default().to_lowercase();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let (name, adapter) = adapters.into_iter().find_map(|adapter| {
        let info = adapter.get_info();
        let name = format!("{} ({:?}, {} {})", info.name, info.backend, info.driver, info.driver_info);
        let answers =
            name.to_lowercase().contains(&wanted) && adapter.features().contains(wgpu::Features::SHADER_INT64);
        answers.then_some((name, adapter))
    })?;
    // Only what the documentation asks for, and half precision if the adapter has it.
    let features = wgpu::Features::SHADER_INT64 | (adapter.features() & wgpu::Features::SHADER_F16);
    let descriptor =
        wgpu::DeviceDescriptor { required_features: features, required_limits: adapter.limits(), ..Default::default() };
    let (device, queue) =
        pollster::block_on(adapter.request_device(&descriptor)).expect("the adapter has its own limits");
    let backend = adapter.get_info().backend;
    let setup = WgpuSetup { instance, adapter, device, queue, backend };
    let device = Device::wgpu_options().setup(setup.clone()).init().expect("Burn takes the setup");
    let wgpu = Wgpu::new(&device, &setup).expect("the kernels run");
    Some(Opened { device, setup, wgpu, name })
}

/// The `main` of a test binary. Runs these tests one after the other on the adapter.
pub(crate) fn run(tests: &[DeviceTest]) -> ! {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trials = match open() {
        Some(opened) => {
            let opened = Arc::new(opened);
            let trial = |&(name, test): &DeviceTest| {
                let opened = opened.clone();
                let kind = opened.name.clone();
                let run = move || {
                    test(&opened);
                    Ok(())
                };
                Trial::test(name, run).with_kind(kind)
            };
            tests.iter().map(trial).collect()
        }
        None if std::env::var("PENALTY_REQUIRE_ADAPTER").is_ok_and(|value| value == "1") => {
            let run = || Err(Failed::from("PENALTY_REQUIRE_ADAPTER=1, and wgpu finds no adapter with SHADER_INT64"));
            vec![Trial::test("an_adapter_is_found", run)]
        }
        None => {
            eprintln!("ignored: no adapter with SHADER_INT64; {} tests of Burn on wgpu did not run", tests.len());
            let run = || Err(Failed::from("there is no adapter to run it on"));
            tests.iter().map(|&(name, _)| Trial::test(name, run).with_ignored_flag(true)).collect()
        }
    };
    libtest_mimic::run(&arguments, trials).exit()
}
