//! A wgpu device: kernels over buffers that stay on it.

use std::time::{Duration, Instant};

use crate::{Bandwidth, Error, ROUNDS, Result, median};

/// The factor of [`Kernels::record_scale`]. Multiplying by it is exact, so no number of repetitions makes anything
/// subnormal.
pub const FACTOR: f32 = -1.0;

/// The largest binding that we use, whatever the adapter reports: larger ones have silently given wrong results.
const LARGEST_BINDING: u64 = (1 << 31) - 4;
/// Window sizes are multiples of this: WebGPU's default alignment of a binding's offset.
const ALIGNMENT: u64 = 256;
const THREADS: u64 = 256;
/// The number of 16-byte vectors that a thread loads at once: `DEEP` in the shaders.
const READ_DEEP: u64 = 8;
const COPY_DEEP: u64 = 4;
const UPDATE_DEEP: u64 = 2;
/// The most buffers that an update writes.
pub const MOST_TARGETS: usize = 3;
/// Workgroups along x: `ROW` in the shaders.
const ROW: u64 = 32768;
/// How many times a thread loads: `STEPS` in the shaders. It is higher on a software adapter, where workgroups are
/// expensive.
const STEPS: u64 = 1;
const SOFTWARE_STEPS: u64 = 64;
/// The longest that we wait for the device.
const TIMEOUT: Duration = Duration::from_secs(600);
/// A timed submission repeats a kernel for about this long, so that the cost of submitting is negligible.
const ENOUGH: Duration = Duration::from_millis(50);
const MOST_REPEATS: f64 = 256.0;

/// The compiled kernels of a device.
///
/// Sizes are in bytes, from the start of each buffer, and positive multiples of 16. Data buffers need the usage
/// `STORAGE`.
#[derive(Debug, Clone)]
pub struct Kernels {
    device: wgpu::Device,
    read: wgpu::ComputePipeline,
    copy: wgpu::ComputePipeline,
    scale: wgpu::ComputePipeline,
    /// Those of one target and more.
    update: [wgpu::ComputePipeline; MOST_TARGETS],
    steps: u64,
    window: u64,
}

impl Kernels {
    /// Compiles the kernels.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device rejects them.
    pub fn new(device: &wgpu::Device) -> Result<Kernels> {
        Kernels::with_window(device, LARGEST_BINDING)
    }

    /// The same with bindings of at most `window` bytes.
    fn with_window(device: &wgpu::Device, window: u64) -> Result<Kernels> {
        let software = device.adapter_info().device_type == wgpu::DeviceType::Cpu;
        let steps = if software { SOFTWARE_STEPS } else { STEPS };
        let window = window.min(device.limits().max_storage_buffer_binding_size).min(LARGEST_BINDING);
        let compile = |label, source: &str, constants: &[(&str, f64)]| {
            let descriptor =
                wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(source.into()) };
            // SAFETY: the loops' bounds keep every index below the array's length, and every loop ends.
            let module =
                unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(label),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                // The kernels write every workgroup variable before they read it.
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants,
                    zero_initialize_workgroup_memory: false,
                },
                cache: None,
            })
        };
        let steps_constant = ("STEPS", steps as f64);
        guarded(device, || Kernels {
            device: device.clone(),
            read: compile("read", include_str!("read.wgsl"), &[steps_constant]),
            copy: compile("copy", include_str!("copy.wgsl"), &[steps_constant]),
            scale: compile("scale", include_str!("scale.wgsl"), &[steps_constant, ("FACTOR", FACTOR.into())]),
            update: std::array::from_fn(|further| compile("update", &update(1 + further), &[steps_constant])),
            steps,
            window: window / ALIGNMENT * ALIGNMENT,
        })
    }

    /// The size in bytes of the buffer of words that [`record_read`](Kernels::record_read) needs.
    pub fn words_size(&self, bytes: u64) -> u64 {
        self.windows(bytes).map(|(_, size)| self.words_of_window(size)).sum::<u64>().max(ALIGNMENT)
    }

    /// Records a read of all bytes of `source`. Each workgroup stores the exclusive or of its words in `words`. If that
    /// buffer was zero before, the exclusive or of all its words is that of the source.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] if a buffer is too small or the size is not allowed.
    pub fn record_read(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        source: &wgpu::Buffer,
        words: &wgpu::Buffer,
        bytes: u64,
    ) -> Result<()> {
        check(bytes, &[source])?;
        if words.size() < self.words_size(bytes) {
            return Err(Error::Size { found: words.size() });
        }
        let mut word = 0;
        for (start, size) in self.windows(bytes) {
            let taken = self.words_of_window(size);
            self.record(encoder, &self.read, READ_DEEP, size, &[(source, start, size), (words, word, taken)]);
            word += taken;
        }
        Ok(())
    }

    /// Records a copy from `source` to `target`.
    ///
    /// # Errors
    ///
    /// As [`record_read`](Kernels::record_read).
    pub fn record_copy(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        source: &wgpu::Buffer,
        target: &wgpu::Buffer,
        bytes: u64,
    ) -> Result<()> {
        check(bytes, &[source, target])?;
        for (start, size) in self.windows(bytes) {
            self.record(encoder, &self.copy, COPY_DEEP, size, &[(source, start, size), (target, start, size)]);
        }
        Ok(())
    }

    /// Records a multiplication in place of each `f32` of `data` by [`FACTOR`].
    ///
    /// # Errors
    ///
    /// As [`record_read`](Kernels::record_read).
    pub fn record_scale(&self, encoder: &mut wgpu::CommandEncoder, data: &wgpu::Buffer, bytes: u64) -> Result<()> {
        check(bytes, &[data])?;
        for (start, size) in self.windows(bytes) {
            self.record(encoder, &self.scale, COPY_DEEP, size, &[(data, start, size)]);
        }
        Ok(())
    }

    /// Records a read of `source`, and a read and a write of each target. All of them keep their bits.
    ///
    /// # Errors
    ///
    /// As [`record_read`](Kernels::record_read), and [`Error::Targets`] for none or more than [`MOST_TARGETS`].
    pub fn record_update(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        source: &wgpu::Buffer,
        targets: &[&wgpu::Buffer],
        bytes: u64,
    ) -> Result<()> {
        check(bytes, &[&[source], targets].concat())?;
        let found = targets.len();
        let pipeline = found.checked_sub(1).and_then(|at| self.update.get(at)).ok_or(Error::Targets { found })?;
        for (start, size) in self.windows(bytes) {
            let bindings: Vec<_> =
                std::iter::once(source).chain(targets.iter().copied()).map(|buffer| (buffer, start, size)).collect();
            self.record(encoder, pipeline, UPDATE_DEEP, size, &bindings);
        }
        Ok(())
    }

    /// The parts of a buffer that are bound one after the other: the start and the size of each.
    fn windows(&self, bytes: u64) -> impl Iterator<Item = (u64, u64)> + use<> {
        let window = self.window;
        (0..bytes.div_ceil(window)).map(move |i| (i * window, window.min(bytes - i * window)))
    }

    fn workgroups(&self, deep: u64, size: u64) -> u64 {
        size.div_ceil(16 * THREADS * deep * self.steps)
    }

    /// The space in `words` for one window's workgroups, in bytes, rounded up so that the next window's part is
    /// aligned.
    fn words_of_window(&self, size: u64) -> u64 {
        (4 * self.workgroups(READ_DEEP, size)).next_multiple_of(ALIGNMENT)
    }

    fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        pipeline: &wgpu::ComputePipeline,
        deep: u64,
        size: u64,
        bindings: &[(&wgpu::Buffer, u64, u64)],
    ) {
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(bindings)
            .map(|(binding, &(buffer, offset, size))| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset,
                    size: wgpu::BufferSize::new(size),
                }),
            })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("bandwidth"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &group, &[]);
        let groups = self.workgroups(deep, size);
        // Both factors fit: a binding is smaller than 2^31 bytes, and a workgroup takes at least 2^13 of them.
        pass.dispatch_workgroups(groups.min(ROW) as u32, groups.div_ceil(ROW) as u32, 1);
    }
}

/// The bandwidths over two buffers of this many bytes each, by wall clock.
///
/// # Errors
///
/// [`Error::Size`] for a size that is not allowed, [`Error::Device`] if memory runs out, [`Error::Poll`] if the device
/// does not finish.
pub fn bandwidth(device: &wgpu::Device, queue: &wgpu::Queue, bytes: u64) -> Result<Bandwidth> {
    let kernels = Kernels::new(device)?;
    let buffer = |size| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("bandwidth"),
            size,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    if bytes == 0 || !bytes.is_multiple_of(16) || bytes > device.limits().max_buffer_size {
        return Err(Error::Size { found: bytes });
    }
    let words_size = kernels.words_size(bytes);
    let (source, target, words) = guarded(device, || (buffer(bytes), buffer(bytes), buffer(words_size)))?;
    fill(queue, &source, bytes);

    let time = |repeats: usize, record: &dyn Fn(&mut wgpu::CommandEncoder) -> Result<()>| -> Result<f64> {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for _ in 0..repeats {
            record(&mut encoder)?;
        }
        let commands = encoder.finish();
        let start = Instant::now();
        let submission = queue.submit([commands]);
        device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(TIMEOUT) })?;
        Ok(start.elapsed().as_secs_f64() / repeats as f64)
    };
    let rate = |moved: u64, record: &dyn Fn(&mut wgpu::CommandEncoder) -> Result<()>| -> Result<f64> {
        // The first run also pays for one-time work.
        time(1, record)?;
        let repeats = (ENOUGH.as_secs_f64() / time(1, record)?).ceil().clamp(1.0, MOST_REPEATS) as usize;
        let times = (0..ROUNDS).map(|_| time(repeats, record)).collect::<Result<Vec<f64>>>()?;
        Ok(moved as f64 / 1e9 / median(times))
    };
    Ok(Bandwidth {
        read: rate(bytes, &|encoder| kernels.record_read(encoder, &source, &words, bytes))?,
        copy: rate(2 * bytes, &|encoder| kernels.record_copy(encoder, &source, &target, bytes))?,
        scale: rate(2 * bytes, &|encoder| kernels.record_scale(encoder, &source, bytes))?,
    })
}

/// The shader that updates this many targets: without the lines of the others.
fn update(targets: usize) -> String {
    let others = (targets + 1..=MOST_TARGETS).map(|target| format!("// target {target}")).collect::<Vec<_>>();
    let of_others = |line: &&str| !others.iter().any(|other| line.ends_with(other));
    include_str!("update.wgsl").lines().filter(of_others).collect::<Vec<_>>().join("\n")
}

/// Fills a buffer with numbers that a memory controller cannot compress.
fn fill(queue: &wgpu::Queue, buffer: &wgpu::Buffer, bytes: u64) {
    const CHUNK: u64 = 16 << 20;
    let mut state = 1u32;
    let words: Vec<u32> = (0..bytes.min(CHUNK) / 4)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            0x3f80_0000 | (state >> 9)
        })
        .collect();
    let words: &[u8] = bytemuck::cast_slice(&words);
    for start in (0..bytes).step_by(CHUNK as usize) {
        queue.write_buffer(buffer, start, &words[..(bytes - start).min(CHUNK) as usize]);
        // Submit each chunk before the next, so that only one chunk needs staging memory at a time.
        queue.submit([]);
    }
}

fn check(bytes: u64, buffers: &[&wgpu::Buffer]) -> Result<()> {
    let fits = bytes > 0 && bytes.is_multiple_of(16) && buffers.iter().all(|buffer| bytes <= buffer.size());
    if fits { Ok(()) } else { Err(Error::Size { found: bytes }) }
}

/// Runs calls that create or submit, and returns their errors in one line. Otherwise the device's handler would end the
/// program.
fn guarded<R>(device: &wgpu::Device, calls: impl FnOnce() -> R) -> Result<R> {
    let filters = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal];
    let scopes = filters.map(|filter| device.push_error_scope(filter));
    let result = calls();
    let mut error = None;
    for scope in scopes.into_iter().rev() {
        error = error.or(pollster::block_on(scope.pop()));
    }
    match error {
        None => Ok(result),
        Some(error) => Err(Error::Device(error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))),
    }
}

#[cfg(test)]
mod tests;
