//! Finding adapters, choosing one, and opening it.

use crate::{Error, Result};

/// What an adapter needs.
#[cfg(not(target_family = "wasm"))]
const NEEDED: &str = "wgpu needs a Vulkan, Metal, DirectX 12 or OpenGL driver";
#[cfg(target_family = "wasm")]
const NEEDED: &str = "it needs a browser with WebGPU, and a GPU that the browser uses for it";

/// Which adapter to open.
///
/// ```no_run
/// use penalty::Gpu;
/// use penalty::gpu::Choice;
///
/// # fn opened() -> penalty::Result<()> {
/// let gpu = Gpu::open(&Choice::Named("nvidia".into())).or_else(|_| Gpu::open(&Choice::Any))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// A hardware GPU, a discrete one first, through Vulkan, Metal or DirectX 12, not through OpenGL.
    Hardware,
    /// A hardware GPU, else a software adapter.
    Any,
    /// The first adapter whose name, driver or backend contains this text, in upper or lower case.
    Named(String),
}

/// Every adapter that wgpu finds: first those of interfaces made for computing, then OpenGL's. In both, hardware comes
/// before software.
///
/// ```no_run
/// for adapter in penalty::gpu::adapters() {
///     let info = adapter.get_info();
///     println!("{} ({:?})", info.name, info.backend);
/// }
/// ```
#[cfg(not(target_family = "wasm"))]
pub fn adapters() -> Vec<wgpu::Adapter> {
    pollster::block_on(adapters_async())
}

/// [`adapters`] without blocking.
pub async fn adapters_async() -> Vec<wgpu::Adapter> {
    let mut adapters = enumerate(wgpu::Backends::all() - wgpu::Backends::GL).await;
    adapters.extend(enumerate(wgpu::Backends::GL).await);
    adapters
}

async fn enumerate(backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    let mut adapters = wgpu::Instance::new(descriptor).enumerate_adapters(backends).await;
    adapters.sort_by_key(|adapter| rank(adapter.get_info().device_type));
    adapters
}

pub(super) async fn choose(choice: &Choice) -> Result<wgpu::Adapter> {
    let fits = |adapter: &wgpu::Adapter| {
        let info = adapter.get_info();
        match choice {
            Choice::Hardware => info.device_type != wgpu::DeviceType::Cpu,
            Choice::Any => true,
            Choice::Named(text) => describe(&info).to_lowercase().contains(&text.to_lowercase()),
        }
    };
    let mut found = Vec::new();
    // OpenGL is asked last: if there is no display, merely asking makes its libraries write to standard error.
    let interfaces = [wgpu::Backends::all() - wgpu::Backends::GL, wgpu::Backends::GL];
    let asked = if *choice == Choice::Hardware { &interfaces[..1] } else { &interfaces };
    for &backends in asked {
        let mut adapters = enumerate(backends).await;
        if let Some(at) = adapters.iter().position(fits) {
            return Ok(adapters.swap_remove(at));
        }
        found.extend(adapters.iter().map(|adapter| describe(&adapter.get_info())));
    }
    let request = match choice {
        Choice::Hardware => "is a hardware GPU".into(),
        Choice::Any => format!("at all; {NEEDED}"),
        Choice::Named(text) => format!("is named like {text:?}"),
    };
    let found = if found.is_empty() { "none".into() } else { found.join(", ") };
    Err(Error::NoAdapter { request, found })
}

pub(super) async fn open(adapter: &wgpu::Adapter) -> Result<(wgpu::Device, wgpu::Queue)> {
    let compute = wgpu::DownlevelFlags::COMPUTE_SHADERS;
    if !adapter.get_downlevel_capabilities().flags.contains(compute) {
        return Err(Error::Device(format!("{} has no compute shaders", describe(&adapter.get_info()))));
    }
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("penalty"),
        // Only for measuring: no kernel needs a feature.
        required_features: adapter.features()
            & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS),
        required_limits: adapter.limits(),
        ..Default::default()
    };
    adapter.request_device(&descriptor).await.map_err(|error| Error::Device(error.to_string()))
}

/// An adapter in one line: error messages list it, and [`Choice::Named`] searches it.
fn describe(info: &wgpu::AdapterInfo) -> String {
    let driver = [info.driver.as_str(), info.driver_info.as_str()].map(str::trim);
    let driver = driver.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{} ({:?}, {})", info.name, info.backend, if driver.is_empty() { "driver unknown" } else { &driver })
}

fn rank(device_type: wgpu::DeviceType) -> u32 {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}
