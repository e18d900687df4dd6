//! An open device: the memory that it is asked for, and the errors that its calls raise.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::budget::stage::Stage;
use super::determinism::{Check, Determinism};
use super::kernel::Kernel;
use super::memo::Memo;
use super::pipeline::Pipeline;
use super::reply::Waiting;
use crate::formula::Parameters;
use crate::{Error, Result};

/// An open device with its compiled kernels. Cheap to clone: clones share both.
///
/// ```no_run
/// use penalty::gpu::Choice;
/// use penalty::{Backend, Gpu, Penalty};
///
/// # fn opened() -> penalty::Result<()> {
/// let gpu = Gpu::open(&Choice::Any)?; // for buffers
/// let backend = Backend::Gpu(gpu.clone()); // for host slices, on the same device
/// assert_eq!(backend.evaluate(&Penalty::l1(0.5)?, &[1.0f32, -0.25])?.value, 0.625);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) info: wgpu::AdapterInfo,
    /// What the self-check found; nothing while it runs.
    pub(super) checks: Vec<Check>,
    pub(super) checked: bool,
    pub(super) window: u64,
    pub(super) pipelines: Memo<Kernel, Pipeline>,
    /// The kernels of budgets.
    pub(super) stages: Memo<Stage, Pipeline>,
    /// The verdict on each type of custom penalty that was checked here.
    pub(super) verdicts: Mutex<HashMap<TypeId, Verdict>>,
    /// The kernel that resolves results.
    pub(super) resolve: Memo<(), Pipeline>,
    /// The recorders of single tensors that may be used again.
    pub(super) singles: OnceLock<Box<dyn Kept>>,
    pub(super) serial: AtomicU32,
    pub(super) waiting: Waiting,
    pub(super) process: u32,
}

/// What a device keeps for a file that knows the device, so that the device does not know that file.
pub(super) trait Kept: Any + fmt::Debug + Send + Sync {}

/// The parameters at which the Rust and the WGSL of a custom penalty agree, or why they do not.
pub(super) type Verdict = Result<Vec<Parameters>>;

impl Gpu {
    /// How long a blocking call waits for the device before it gives up with [`Error::Timeout`].
    ///
    /// It only guards against hanging. It is long enough that a busy machine does not reach it.
    pub const TIMEOUT: Duration = Duration::from_secs(600);

    /// The wgpu device, to create buffers and encoders.
    ///
    /// ```no_run
    /// # fn f(gpu: &penalty::Gpu) {
    /// let encoder = gpu.device().create_command_encoder(&Default::default());
    /// # }
    /// ```
    pub fn device(&self) -> &wgpu::Device {
        &self.inner.device
    }

    /// The device's queue, to submit what was recorded.
    ///
    /// ```no_run
    /// # fn f(gpu: &penalty::Gpu, encoder: penalty::wgpu::CommandEncoder) {
    /// gpu.queue().submit([encoder.finish()]);
    /// # }
    /// ```
    pub fn queue(&self) -> &wgpu::Queue {
        &self.inner.queue
    }

    /// The adapter and its driver.
    ///
    /// ```no_run
    /// # fn f(gpu: &penalty::Gpu) {
    /// println!("{} with {}", gpu.adapter_info().name, gpu.adapter_info().driver);
    /// # }
    /// ```
    pub fn adapter_info(&self) -> &wgpu::AdapterInfo {
        &self.inner.info
    }

    /// What the self-check found when the device was opened.
    ///
    /// ```no_run
    /// use penalty::Determinism;
    ///
    /// # fn f(gpu: &penalty::Gpu) {
    /// if gpu.determinism() < Determinism::GpuToGpu {
    ///     eprintln!("results may differ from those of other devices");
    /// }
    /// # }
    /// ```
    pub fn determinism(&self) -> Determinism {
        let all = self.checks().iter().map(|check| check.determinism);
        all.min().unwrap_or(Determinism::NotGuaranteed)
    }

    /// The parts of the self-check, each with what it found.
    ///
    /// ```no_run
    /// # fn f(gpu: &penalty::Gpu) {
    /// for check in gpu.checks() {
    ///     println!("{}: {}", check.name, check.determinism); // such as "gradient: gpu_to_gpu"
    /// }
    /// # }
    /// ```
    pub fn checks(&self) -> &[Check] {
        &self.inner.checks
    }

    pub(super) fn next_serial(&self) -> u32 {
        // Untouched memory holds 0, so no serial is 0.
        self.inner.serial.fetch_add(1, Ordering::Relaxed).max(1)
    }

    /// Rejects a device that was opened before a fork: its driver's threads do not exist in this process.
    pub(super) fn alive(&self) -> Result<()> {
        let (expected, found) = (self.inner.process, process());
        if expected == found { Ok(()) } else { Err(Error::Forked { expected, found }) }
    }

    /// Creates a buffer. Unlike wgpu's own call, it returns what the device rejects.
    ///
    /// ```no_run
    /// use penalty::wgpu::{BufferDescriptor, BufferUsages};
    ///
    /// # fn created(gpu: &penalty::Gpu) -> penalty::Result<()> {
    /// let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
    /// let label = Some("2^30 weights");
    /// let weights = gpu.create_buffer(&BufferDescriptor { label, size: 4 << 30, usage, mapped_at_creation: false })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] if the device has no buffers of this size: NVIDIA's end just below 4 GiB. [`Error::Device`] if
    /// it has no memory left, or if wgpu rejects the descriptor. [`Error::Forked`] in a forked process.
    pub fn create_buffer(&self, descriptor: &wgpu::BufferDescriptor<'_>) -> Result<wgpu::Buffer> {
        self.created(descriptor.label.unwrap_or("a buffer"), descriptor)
    }

    pub(super) fn buffer(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        self.created("a buffer of the library's", &descriptor)
    }

    fn created(&self, purpose: &str, descriptor: &wgpu::BufferDescriptor<'_>) -> Result<wgpu::Buffer> {
        self.holds(purpose, descriptor.size)?;
        match self.scoped(|| self.device().create_buffer(descriptor))? {
            (buffer, None) => Ok(buffer),
            (_, Some(error)) => Err(refused(purpose, descriptor.size, self.device().limits().max_buffer_size, &error)),
        }
    }

    /// A buffer for kernels that can be written and read back.
    pub(super) fn storage_buffer(&self, label: &str, size: u64) -> Result<wgpu::Buffer> {
        let copied = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.buffer(label, size, wgpu::BufferUsages::STORAGE | copied)
    }

    /// A buffer to read back through.
    pub(super) fn staging_buffer(&self, size: u64) -> Result<wgpu::Buffer> {
        self.buffer("penalty staging", size, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
    }

    /// Rejects a device that was destroyed or lost. wgpu raises no error when something is created on one; only a
    /// buffer that is mapped at creation has no memory.
    pub(super) fn lives(&self) -> Result<()> {
        let probe = wgpu::BufferDescriptor {
            label: Some("penalty probe"),
            size: 4,
            usage: wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        };
        let mapped = self.guarded(|| self.device().create_buffer(&probe).get_mapped_range(..).map(drop))?;
        mapped.map_err(|_| gone())
    }

    /// See [`guarded`].
    pub(super) fn guarded<R>(&self, calls: impl FnOnce() -> R) -> Result<R> {
        match self.scoped(calls)? {
            (result, None) => Ok(result),
            (_, Some(error)) => Err(Error::Device(one_line(&error))),
        }
    }

    /// What the calls return, and the error that they raised on the device.
    pub(super) fn scoped<R>(&self, calls: impl FnOnce() -> R) -> Result<(R, Option<wgpu::Error>)> {
        self.alive()?;
        // A browser reports errors later, and nothing here may wait for them. There they go to the device's handler.
        #[cfg(target_family = "wasm")]
        return Ok((calls(), None));
        #[cfg(not(target_family = "wasm"))]
        self.caught(calls)
    }

    #[cfg(not(target_family = "wasm"))]
    fn caught<R>(&self, calls: impl FnOnce() -> R) -> Result<(R, Option<wgpu::Error>)> {
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

/// Runs calls that create or submit on a device, and returns the errors that they raise. So these do not go to the device's
/// error handler, which may be somebody else's. Error scopes belong to a thread, so nothing inside may wait.
///
/// ```no_run
/// # fn submit(gpu: &penalty::Gpu, encoder: penalty::wgpu::CommandEncoder) -> penalty::Result<()> {
/// penalty::gpu::guarded(gpu, || gpu.queue().submit([encoder.finish()]))?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Device`] with the first of them, in one line. [`Error::Forked`] in a forked process, where nothing
/// runs.
pub fn guarded<R>(gpu: &Gpu, calls: impl FnOnce() -> R) -> Result<R> {
    gpu.guarded(calls)
}

/// The error of a device that takes no more work.
pub(super) fn gone() -> Error {
    Error::Device("it was destroyed or lost".into())
}

/// The id of this process, to notice a fork.
pub(super) fn process() -> u32 {
    #[cfg(target_family = "wasm")]
    return 0;
    #[cfg(not(target_family = "wasm"))]
    std::process::id()
}

/// The text of an error, with its causes, in one line: wgpu's texts have a line for each cause.
pub(super) fn one_line(error: &wgpu::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Why there is no buffer. A device may have less memory than its limit promises.
fn refused(purpose: &str, size: u64, limit: u64, error: &wgpu::Error) -> Error {
    Error::Device(match error {
        wgpu::Error::OutOfMemory { .. } => {
            format!("it has no {size} bytes of memory for {purpose}; its limit max_buffer_size is {limit}")
        }
        error => one_line(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_missing_is_named() {
        let missing = wgpu::Error::OutOfMemory { source: "no memory".into() };
        let text = refused("2^30 weights", 1 << 32, (1 << 32) - 1, &missing).to_string();
        let want = "it has no 4294967296 bytes of memory for 2^30 weights; its limit max_buffer_size is 4294967295";
        assert!(text.ends_with(want), "{text}");
    }
}
