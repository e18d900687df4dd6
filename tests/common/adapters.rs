//! Device tests run once for each adapter that wgpu finds: one trial each, so that a run says which adapter passed what.
//!
//! | environment variable | meaning |
//! | --- | --- |
//! | `VK_DRIVER_FILES` | the Vulkan loader's own: which drivers there are |
//! | `PENALTY_ADAPTER` | only adapters whose `NAME (BACKEND, DRIVER)` contains this text, whatever its case |
//! | `PENALTY_LONG=1` | whole products where a sample takes a third of the time |
//! | `PENALTY_REQUIRE_ADAPTER=1` | no adapter is a failure; otherwise the device tests are ignored, and said to be |

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use penalty::gpu::Options;
use penalty::{Backend, Gpu, gpu, wgpu};

/// A test and its name.
pub(crate) type DeviceTest = (&'static str, fn(&Device));

/// An adapter under test, and the library's device on it, opened once.
pub(crate) struct Device {
    pub(crate) adapter: wgpu::Adapter,
    pub(crate) name: String,
    gpu: OnceLock<Gpu>,
    plain: OnceLock<Gpu>,
    passed: AtomicUsize,
    failed: AtomicUsize,
}

impl Device {
    pub(crate) fn gpu(&self) -> &Gpu {
        self.gpu.get_or_init(|| {
            Gpu::open_adapter(&self.adapter, &Options::default()).expect("the adapter opens with its own limits")
        })
    }

    /// A device as a caller opens it who asks for nothing.
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
        Backend::Gpu(self.gpu().clone())
    }
}

/// Whether tests take their time.
pub(crate) fn long_samples() -> bool {
    std::env::var("PENALTY_LONG").is_ok_and(|value| value == "1")
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

/// Counts a test that panics as failed.
struct Outcome<'a>(&'a Device);

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        let count = if std::thread::panicking() { &self.0.failed } else { &self.0.passed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn trials(devices: &[Arc<Device>], tests: &[DeviceTest]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for device in devices {
        for &(name, test) in tests {
            let owner = device.clone();
            let run = move || {
                let outcome = Outcome(&owner);
                test(outcome.0);
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

/// The `main` of a test binary: the tests that need no device, then those that do, on each adapter.
pub(crate) fn run(host: Vec<Trial>, tests: &[DeviceTest]) -> ! {
    let mut arguments = Arguments::from_args();
    // A software adapter has threads of its own, and wgpu gives up on a lock of OpenGL's after seconds.
    arguments.test_threads.get_or_insert(1);
    let devices = devices();
    let mut all = host;
    all.extend(trials(&devices, tests));
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
