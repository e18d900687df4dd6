//! Chooses the backend, and describes it for the output.

use penalty::gpu::Choice;
use penalty::{Backend, Gpu, Result, wgpu};
use serde::Serialize;

use crate::args::{BackendArgs, BackendName};

/// The device that computed the results.
#[derive(Debug, Serialize)]
pub(crate) struct Device {
    backend: &'static str,
    adapter: String,
    driver: String,
}

impl BackendArgs {
    pub(crate) fn open(&self) -> Result<Backend> {
        match (&self.adapter, self.backend) {
            (Some(text), _) => Gpu::open(&Choice::Named(text.clone())).map(Backend::Gpu),
            (None, BackendName::Auto) => Ok(Backend::best()),
            (None, BackendName::Cpu) => Ok(Backend::cpu()),
            (None, BackendName::Gpu) => Backend::gpu(),
        }
    }

    /// The backend for weights that stay on the device.
    pub(crate) fn open_for_its_own_weights(&self) -> Result<Backend> {
        match (&self.adapter, self.backend) {
            (None, BackendName::Auto) => Ok(Gpu::open(&Choice::Hardware).map_or_else(|_| Backend::cpu(), Backend::Gpu)),
            _ => self.open(),
        }
    }
}

impl Device {
    pub(crate) fn of(backend: &Backend) -> Device {
        match backend {
            Backend::Cpu(cpu) => Device {
                backend: "cpu",
                adapter: format!("{:?}, {}", cpu.instruction_set(), threads(rayon::current_num_threads()))
                    .to_lowercase(),
                driver: String::new(),
            },
            Backend::Gpu(gpu) => {
                let info = gpu.adapter_info();
                let driver = format!("{:?} {}", info.backend, driver(info));
                Device { backend: "gpu", adapter: info.name.clone(), driver }
            }
        }
    }
}

/// A driver's name and version; OpenGL reports only the version.
pub(crate) fn driver(info: &wgpu::AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_owned()
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.backend, self.adapter)?;
        if self.driver.is_empty() { Ok(()) } else { write!(f, " ({})", self.driver) }
    }
}

fn threads(count: usize) -> String {
    format!("{count} thread{}", if count == 1 { "" } else { "s" })
}
