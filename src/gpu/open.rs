//! Opening a device, either the library's or the caller's, and checking it.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, OnceLock};

use super::adapter::{self, Choice};
use super::check;
use super::device::{self, Gpu, Inner};
use super::limits::{self, LARGEST_BINDING, SMALLEST_WINDOW};
use super::memo::Memo;
use super::reply::Waiting;
use super::wait::WaitMode;
use crate::{Error, Result};

/// How a device is used. For tests and for finding faults.
///
/// ```
/// use penalty::gpu::Options;
///
/// let options = Options { checked: true, ..Options::default() };
/// assert_eq!(options.window, None); // the device's limit
/// ```
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Compile the kernels with wgpu's own checks of bounds and loops. The library proves them unnecessary when it
    /// records work. If results change with this on, the library or the driver has a fault.
    pub checked: bool,
    /// Bind at most this many bytes at a time, as if it were the device's limit. With a small value, small data tests
    /// what only large data would.
    pub window: Option<u64>,
}

impl Gpu {
    /// Opens the chosen adapter, on a device that the library makes.
    ///
    /// ```no_run
    /// use penalty::Gpu;
    /// use penalty::gpu::Choice;
    ///
    /// # fn opened() -> penalty::Result<()> {
    /// let gpu = Gpu::open(&Choice::Hardware)?;
    /// println!("{}: {}", gpu.adapter_info().name, gpu.determinism());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoAdapter`] if no adapter fits the choice, [`Error::Device`] if it cannot be opened, [`Error::Limit`]
    /// if its limits are too small.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(choice: &Choice) -> Result<Gpu> {
        pollster::block_on(async {
            let (device, queue) = adapter::open(&adapter::choose(choice).await?).await?;
            Gpu::new(device, queue, &Options::default(), WaitMode::Block(Gpu::TIMEOUT)).await
        })
    }

    /// [`open`](Gpu::open) without blocking. Natively, somebody else must poll the device, and nobody has it yet: use
    /// `open` there.
    ///
    /// # Errors
    ///
    /// As `open`.
    pub async fn open_async(choice: &Choice) -> Result<Gpu> {
        let (device, queue) = adapter::open(&adapter::choose(choice).await?).await?;
        Gpu::from_device_async(device, queue, &Options::default()).await
    }

    /// Opens this adapter, on a device that the library makes.
    ///
    /// ```no_run
    /// use penalty::Gpu;
    /// use penalty::gpu::{Options, adapters};
    ///
    /// # fn opened() -> penalty::Result<()> {
    /// for adapter in adapters() {
    ///     let gpu = Gpu::open_adapter(&adapter, &Options::default())?;
    ///     println!("{}: {}", gpu.adapter_info().name, gpu.determinism());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if it cannot be opened or has no compute shaders, [`Error::Limit`] if its limits are too
    /// small, [`Error::Parameter`] if the window is too small.
    #[cfg(not(target_family = "wasm"))]
    pub fn open_adapter(adapter: &wgpu::Adapter, options: &Options) -> Result<Gpu> {
        let (device, queue) = pollster::block_on(adapter::open(adapter))?;
        Gpu::with_options(device, queue, options)
    }

    /// Uses your device, which must be of wgpu 30. Its error handlers stay as they are.
    ///
    /// ```no_run
    /// use penalty::{Gpu, wgpu};
    ///
    /// # fn opened(device: &wgpu::Device, queue: &wgpu::Queue) -> penalty::Result<()> {
    /// let gpu = Gpu::from_device(device.clone(), queue.clone())?; // handles: the device stays yours
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] if one of its limits is too small, [`Error::Device`] if the kernels do not compile or run on
    /// it.
    #[cfg(not(target_family = "wasm"))]
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Result<Gpu> {
        Gpu::with_options(device, queue, &Options::default())
    }

    /// [`from_device`](Gpu::from_device) with options.
    ///
    /// ```no_run
    /// use penalty::gpu::Options;
    /// use penalty::{Gpu, wgpu};
    ///
    /// # fn opened(device: wgpu::Device, queue: wgpu::Queue) -> penalty::Result<()> {
    /// let options = Options { window: Some(1 << 20), ..Options::default() };
    /// let gpu = Gpu::with_options(device, queue, &options)?; // binds at most 1 MiB at a time
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As `from_device`, and [`Error::Parameter`] if the window is too small.
    #[cfg(not(target_family = "wasm"))]
    pub fn with_options(device: wgpu::Device, queue: wgpu::Queue, options: &Options) -> Result<Gpu> {
        pollster::block_on(Gpu::new(device, queue, options, WaitMode::Block(Gpu::TIMEOUT)))
    }

    /// [`with_options`](Gpu::with_options) without blocking. Somebody else must poll the device while it is checked.
    ///
    /// # Errors
    ///
    /// As `with_options`.
    pub async fn from_device_async(device: wgpu::Device, queue: wgpu::Queue, options: &Options) -> Result<Gpu> {
        Gpu::new(device, queue, options, WaitMode::PolledElsewhere).await
    }

    async fn new(device: wgpu::Device, queue: wgpu::Queue, options: &Options, wait: WaitMode) -> Result<Gpu> {
        let limits = device.limits();
        limits::sufficient(&limits)?;
        let limit = limits.max_storage_buffer_binding_size.min(LARGEST_BINDING);
        let window = options.window.map_or(limit, |window| window.min(limit));
        if window < SMALLEST_WINDOW {
            let expected = "at least 16640 bytes, which are a tile of f32 and 256";
            return Err(Error::Parameter { name: "Options::window", expected, found: window as f64 });
        }
        let inner = Inner {
            info: device.adapter_info(),
            device,
            queue,
            checks: Vec::new(),
            checked: options.checked,
            window,
            pipelines: Memo::default(),
            verdicts: Mutex::default(),
            stages: Memo::default(),
            resolve: Memo::default(),
            singles: OnceLock::new(),
            serial: AtomicU32::new(1),
            waiting: Waiting::default(),
            process: device::process(),
        };
        let mut gpu = Gpu { inner: Arc::new(inner) };
        let checks = check::checks(&gpu, wait).await?;
        // No clone exists yet.
        if let Some(inner) = Arc::get_mut(&mut gpu.inner) {
            inner.checks = checks.to_vec();
        }
        Ok(gpu)
    }
}
