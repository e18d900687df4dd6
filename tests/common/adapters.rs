//! One trial for each test and each backend that it runs on. So the output says which adapter passed which test.
//!
//! | environment variable | meaning |
//! | --- | --- |
//! | `PENALTY_TRIALS` | `cpu`: only trials that need no device; `device`: only the others; otherwise all |
//! | `VK_DRIVER_FILES` | the Vulkan loader's variable: which drivers it finds |
//! | `PENALTY_ADAPTER` | only adapters whose `NAME (BACKEND, DRIVER)` contains this text, in any case |
//! | `PENALTY_REQUIRE_ADAPTER=1` | no adapter is a failure; else device tests are ignored, and the output says so |

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use penalty::gpu::Options;
use penalty::{Backend, Gpu, gpu, wgpu};

use super::trials::{BackendTest, on_every_cpu};

/// A device test, and its name.
pub(crate) type DeviceTest = (&'static str, fn(&Device));

/// An adapter under test, and the library's device on it. The device is opened once.
pub(crate) struct Device {
    pub(crate) adapter: wgpu::Adapter,
    pub(crate) name: String,
    gpu: OnceLock<Gpu>,
    plain: OnceLock<Gpu>,
    passed: AtomicUsize,
    failed: AtomicUsize,
}

impl Device {
    /// The library on a device that it opens itself, with the adapter's limits.
    pub(crate) fn gpu(&self) -> &Gpu {
        self.gpu.get_or_init(|| {
            Gpu::open_adapter(&self.adapter, &Options::default()).expect("the adapter opens with its own limits")
        })
    }

    /// A caller's device, opened without any features.
    pub(crate) fn request(&self, limits: wgpu::Limits) -> (wgpu::Device, wgpu::Queue) {
        let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
        pollster::block_on(self.adapter.request_device(&descriptor)).expect("the adapter has WebGPU's default limits")
    }

    /// The library on a caller's device with WebGPU's default limits and no features, opened once.
    pub(crate) fn plain(&self) -> &Gpu {
        self.plain.get_or_init(|| {
            let (device, queue) = self.request(wgpu::Limits::default());
            Gpu::from_device(device, queue).expect("the kernels need no more than the default limits")
        })
    }

    pub(crate) fn backend(&self) -> Backend {
        Backend::Gpu(self.plain().clone())
    }
}

fn describe(info: &wgpu::AdapterInfo) -> String {
    let driver = [&info.driver, &info.driver_info].map(|text| text.trim()).join(" ");
    format!("{} ({:?}, {})", info.name, info.backend, driver.trim())
}

fn devices() -> Vec<Arc<Device>> {
    let wanted = std::env::var("PENALTY_ADAPTER").unwrap_or_default().to_lowercase();
    let device = |adapter: wgpu::Adapter| {
        let name = describe(&adapter.get_info());
        let (passed, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        name.to_lowercase()
            .contains(&wanted)
            .then(|| Arc::new(Device { adapter, name, gpu: OnceLock::new(), plain: OnceLock::new(), passed, failed }))
    };
    gpu::adapters().into_iter().filter_map(device).collect()
}

/// A test that runs on devices.
#[derive(Clone, Copy)]
enum Test {
    Device(fn(&Device)),
    Backend(fn(&Backend)),
}

/// Counts a test that panics as failed.
struct Outcome<'a>(&'a Device);

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        let count = if std::thread::panicking() { &self.0.failed } else { &self.0.passed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn trials(devices: &[Arc<Device>], tests: &[(&'static str, Test)]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for device in devices {
        for &(name, test) in tests {
            let owner = device.clone();
            let run = move || {
                let outcome = Outcome(&owner);
                match test {
                    Test::Device(test) => test(outcome.0),
                    Test::Backend(test) => test(&outcome.0.backend()),
                }
                Ok(())
            };
            trials.push(Trial::test(name, run).with_kind(&device.name));
        }
    }
    if !devices.is_empty() {
        return trials;
    }
    if std::env::var("PENALTY_REQUIRE_ADAPTER").is_ok_and(|value| value == "1") {
        let run =
            || Err(Failed::from("PENALTY_REQUIRE_ADAPTER=1, and wgpu finds no adapter that PENALTY_ADAPTER names"));
        return vec![Trial::test("an_adapter_is_found", run)];
    }
    eprintln!("ignored: no adapter; {} device tests did not run", tests.len());
    let run = || Err(Failed::from("there is no adapter to run it on"));
    tests.iter().map(|&(name, _)| Trial::test(name, run).with_kind("no adapter").with_ignored_flag(true)).collect()
}

/// The `main` of a test binary. It runs trials that need no device, tests of every CPU and device, and device tests.
pub(crate) fn run(mut host: Vec<Trial>, everywhere: &[BackendTest], on_devices: &[DeviceTest]) -> ! {
    host.extend(on_every_cpu(everywhere));
    let everywhere = everywhere.iter().map(|&(name, test)| (name, Test::Backend(test)));
    let on_devices = on_devices.iter().map(|&(name, test)| (name, Test::Device(test)));
    let tests: Vec<(&str, Test)> = everywhere.chain(on_devices).collect();
    let mut arguments = Arguments::from_args();
    let (all, devices): (Vec<Trial>, _) = match std::env::var("PENALTY_TRIALS").as_deref() {
        Ok("cpu") => (host, Vec::new()),
        asked => {
            // A software adapter starts threads itself, and wgpu gives up on an OpenGL lock after some seconds.
            arguments.test_threads.get_or_insert(1);
            let devices = devices();
            let on_devices = trials(&devices, &tests);
            let host = if asked == Ok("device") { Vec::new() } else { host };
            ([host, on_devices].into_iter().flatten().collect(), devices)
        }
    };
    let conclusion = libtest_mimic::run(&arguments, all);
    if !arguments.list {
        for device in &devices {
            let [passed, failed] = [&device.passed, &device.failed].map(|count| count.load(Ordering::Relaxed));
            let note = if failed == 0 { String::new() } else { format!(", {failed} failed") };
            println!("adapter: {}: {} device tests{note}", device.name, passed + failed);
        }
    }
    conclusion.exit()
}
