//! The GPU path: nothing outside this module knows wgpu.
//!
//! [`Gpu`] is an open device, the library's own or the caller's, whose arithmetic was checked. Its `record_…` calls put
//! work on weights that live on the device into the caller's own encoder and never wait; a [`PendingReport`] stays there
//! until it is asked for. Host slices go through [`Backend`](crate::Backend).
//!
//! The library is built on wgpu 30, which it re-exports as [`penalty::wgpu`](crate::wgpu). A caller's own device, buffers and
//! encoders must be of that version: those of another are other types.
//!
//! ```no_run
//! use penalty::gpu::Operand;
//! use penalty::{Dtype, Gpu, Penalty, wgpu};
//!
//! # fn training_step(device: wgpu::Device, queue: wgpu::Queue, weights: wgpu::Buffer) -> penalty::Result<()> {
//! let gpu = Gpu::from_device(device.clone(), queue.clone())?; // once: the device stays yours
//! let l1 = Penalty::l1(1e-4)?;
//! let theta = Operand { buffer: &weights, offset: 0, len: 1 << 20, dtype: Dtype::F32 };
//!
//! let mut encoder = device.create_command_encoder(&Default::default());
//! gpu.record_prox(&mut encoder, &l1, &theta, 0.01)?;
//! let pending = gpu.record_evaluate(&mut encoder, &l1, &theta)?;
//! queue.submit([encoder.finish()]);
//!
//! let report = pending.wait(Gpu::TIMEOUT)?; // or `pending.read().await`, see `Poller`
//! println!("{} of {} weights are left", report.nonzero, report.len);
//! # Ok(())
//! # }
//! ```

mod adapter;
mod check;
mod custom_check;
mod kernel;
mod layout;
mod limits;
mod operand;
pub(crate) mod poller;
mod readback;
mod recorder;
mod ring;
mod set;
mod single;
pub(crate) mod slices;

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use adapter::{Choice, adapters};
pub use check::Determinism;
pub use operand::Operand;
pub use poller::Poller;
pub use readback::{PendingReport, PendingReports};
pub use set::{Operands, ParameterSet, Recording};

use crate::numeric::tile::TILE;
use crate::{Error, Result};
use kernel::{Kernel, Pipeline};
use poller::Waiting;

/// No binding is larger, whatever the adapter reports: larger ones have silently miscomputed.
const LARGEST_BINDING: u64 = (1 << 31) - 4;
/// No window is smaller: one tile of `f32` and the slack of a binding's alignment.
const SMALLEST_WINDOW: u64 = 4 * TILE as u64 + 256;

/// How a device is used; for tests and for finding faults.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Compile the kernels with wgpu's own bounds and loop checks. They are proved unnecessary when work is recorded; if
    /// results change with this on, something is wrong with the library or the driver.
    pub checked: bool,
    /// Bind at most so many bytes at a time, as if the device's limit were this. Small values make small data exercise
    /// what only large data would.
    pub window: Option<u64>,
}

/// An open device with its compiled kernels. Cheap to clone: clones share both.
#[derive(Debug, Clone)]
pub struct Gpu {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    determinism: Determinism,
    checked: bool,
    window: u64,
    pipelines: Mutex<HashMap<Kernel, Pipeline>>,
    /// The types of users' own penalties that were checked here.
    verdicts: Mutex<HashMap<TypeId, custom_check::Verdict>>,
    finish: Mutex<Option<Pipeline>>,
    serial: AtomicU32,
    waiting: Waiting,
    process: u32,
}

impl Gpu {
    /// How long a blocking call waits for the device before it gives up with [`Error::Timeout`].
    ///
    /// It is there against hanging: a busy machine that is only slow must not reach it.
    pub const TIMEOUT: Duration = Duration::from_secs(600);

    /// Opens an adapter of one's choice on a device of the library's own.
    ///
    /// # Errors
    ///
    /// [`Error::NoAdapter`] where none answers the choice, [`Error::Device`] where it cannot be opened.
    pub fn open(choice: &Choice) -> Result<Gpu> {
        Gpu::open_adapter(&adapter::choose(choice)?, &Options::default())
    }

    /// Opens this adapter.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] where it cannot be opened or has no compute shaders, [`Error::Limit`] where its limits are too small,
    /// [`Error::Parameter`] for a window that is too small.
    pub fn open_adapter(adapter: &wgpu::Adapter, options: &Options) -> Result<Gpu> {
        let (device, queue) = adapter::open(adapter)?;
        Gpu::with_options(device, queue, options)
    }

    /// Uses a device of the caller's, which is one of wgpu 30. Its error handlers stay as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] where one of its limits is too small, [`Error::Device`] where the kernels do not compile or run on it.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Result<Gpu> {
        Gpu::with_options(device, queue, &Options::default())
    }

    /// [`from_device`](Gpu::from_device) with options.
    ///
    /// # Errors
    ///
    /// As `from_device`, and [`Error::Parameter`] for a window that is too small.
    pub fn with_options(device: wgpu::Device, queue: wgpu::Queue, options: &Options) -> Result<Gpu> {
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
            determinism: Determinism::NotGuaranteed,
            checked: options.checked,
            window,
            pipelines: Mutex::default(),
            verdicts: Mutex::default(),
            finish: Mutex::default(),
            serial: AtomicU32::new(1),
            waiting: Waiting::default(),
            process: std::process::id(),
        };
        let mut gpu = Gpu { inner: Arc::new(inner) };
        let determinism = check::determinism(&gpu)?;
        // Nobody else holds it yet.
        if let Some(inner) = Arc::get_mut(&mut gpu.inner) {
            inner.determinism = determinism;
        }
        Ok(gpu)
    }

    /// The device.
    pub fn device(&self) -> &wgpu::Device {
        &self.inner.device
    }

    /// The device's queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.inner.queue
    }

    /// Which adapter and driver answered.
    pub fn adapter_info(&self) -> &wgpu::AdapterInfo {
        &self.inner.info
    }

    /// What the self-check found when the device was opened.
    pub fn determinism(&self) -> Determinism {
        self.inner.determinism
    }

    fn next_serial(&self) -> u32 {
        // 0 is what untouched memory holds.
        self.inner.serial.fetch_add(1, Ordering::Relaxed).max(1)
    }

    /// Refuses to touch a device that was opened before a fork: its driver's threads are not in this process.
    fn alive(&self) -> Result<()> {
        let (expected, found) = (self.inner.process, std::process::id());
        if expected == found { Ok(()) } else { Err(Error::Forked { expected, found }) }
    }

    fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        self.holds("a buffer of the library's", size)?;
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        self.guarded(|| self.device().create_buffer(&descriptor))
    }

    /// A buffer for kernels, that can be written and read back.
    fn storage_buffer(&self, label: &str, size: u64) -> Result<wgpu::Buffer> {
        let copied = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.buffer(label, size, wgpu::BufferUsages::STORAGE | copied)
    }

    /// A buffer to read back through.
    fn staging_buffer(&self, size: u64) -> Result<wgpu::Buffer> {
        self.buffer("penalty staging", size, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    /// Refuses a device that was destroyed or lost. wgpu raises no error for what is created on one; only memory that is
    /// mapped from the beginning is missing.
    fn lives(&self) -> Result<()> {
        let probe = wgpu::BufferDescriptor {
            label: Some("penalty probe"),
            size: 4,
            usage: wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        };
        let mapped = self.guarded(|| self.device().create_buffer(&probe).get_mapped_range(..).map(drop))?;
        mapped.map_err(|_| Error::Device("it was destroyed or lost".into()))
    }

    /// Runs calls that create or submit, and returns the errors that they raise instead of leaving them to the device's
    /// handler, which may be somebody else's. Scopes belong to a thread, so nothing inside may wait.
    ///
    /// ```no_run
    /// # fn submit(gpu: &penalty::Gpu, encoder: penalty::wgpu::CommandEncoder) -> penalty::Result<()> {
    /// gpu.guarded(|| gpu.queue().submit([encoder.finish()]))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with the first of them, in one line; [`Error::Forked`] in a fork, where nothing runs.
    pub fn guarded<R>(&self, calls: impl FnOnce() -> R) -> Result<R> {
        match self.scoped(calls)? {
            (result, None) => Ok(result),
            (_, Some(error)) => Err(Error::Device(one_line(&error))),
        }
    }

    /// What calls return, and the error they raised on the device.
    fn scoped<R>(&self, calls: impl FnOnce() -> R) -> Result<(R, Option<wgpu::Error>)> {
        self.alive()?;
        let filters = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal];
        let scopes = filters.map(|filter| self.inner.device.push_error_scope(filter));
        let result = calls();
        let mut error = None;
        for scope in scopes.into_iter().rev() {
            error = error.or(pollster::block_on(scope.pop()));
        }
        Ok((result, error))
    }
}

/// wgpu's texts go on with the chain of causes.
fn one_line(error: &wgpu::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A lock whose holder panicked still guards sound data here: every critical section leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
