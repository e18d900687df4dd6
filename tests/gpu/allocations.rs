//! Does recording allocate as often as the same commands with bare wgpu?
//!
//! For every call, any number of tensors, another λ and step size each time, and from a prepared set's first recording
//! on.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;

use penalty::gpu::{Operand, ParameterSet};
use penalty::{Adam, Dtype, Gpu, Metric, Momentum, Penalty, Sgd, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, operands, prepare, record, set};
use crate::common::device::{TIMEOUT, USAGES, buffer, encoder, own, submit};
use crate::common::tensors::{Call, Tensors};
use crate::common::trials::sample;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    the_counter_counts,
    recording_allocates_what_bare_wgpu_does,
    the_first_recording_allocates_what_bare_wgpu_does,
    a_repeated_call_on_one_tensor_makes_only_a_bind_group,
];

fn the_counter_counts(_: &Device) {
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) == 1);
}

/// The system's allocator. It counts this thread's allocations.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more. Nobody reads it.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, memory: Memory) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, memory) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, memory: Memory, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, memory, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: usize = 16;

/// Skipped rounds: each uses a slot for the first time, so nothing needs to be unmapped.
const WARM: usize = 4;

/// Sets that are recorded once each.
const FRESH: usize = 4;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// The fewest allocations of a warm recording. Sometimes the objects that wgpu recycles are not back yet.
fn fewest(gpu: &Gpu, mut record: impl FnMut(&mut wgpu::CommandEncoder)) -> u64 {
    let rounds = (0..ROUNDS).map(|_| once(gpu, &mut record));
    rounds.skip(WARM).min().unwrap_or(0)
}

/// Counts the allocations of a recording, then submits it and waits for it.
fn once(gpu: &Gpu, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> u64 {
    // Writes to other memory go first: wgpu allocates more for the first write of a submission.
    gpu.queue().submit([]);
    let mut encoder = encoder(gpu);
    let count = allocations(|| record(&mut encoder));
    submit(gpu, encoder);
    let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(TIMEOUT) };
    gpu.device().poll(wait).expect("the device answers");
    count
}

/// Every call, the number of buffers it binds, and whether it reports. Adam's first iteration stands for all.
fn calls(step: f64) -> [(Call, usize, bool); 12] {
    let sgd = |momentum| Call::SgdAndEvaluate(Sgd { step, momentum });
    let adam = |metric| Call::AdamAndEvaluate(Adam { step, metric, ..Adam::default() });
    [
        (Call::Evaluate, 1, true),
        (Call::GradientInto, 2, false),
        (Call::GradientAdd, 2, false),
        (Call::EvaluateAndGradientInto, 2, true),
        (Call::EvaluateAndGradientAdd, 2, true),
        (Call::Prox(step), 1, false),
        (Call::ProxAndEvaluate(step), 1, true),
        (sgd(Momentum::None), 2, true),
        (sgd(Momentum::heavy_ball(0.9)), 3, true),
        (sgd(Momentum::nesterov(0.9)), 3, true),
        (adam(Metric::Plain), 4, true),
        (adam(Metric::Adam), 4, true),
    ]
}

fn recording_allocates_what_bare_wgpu_does(device: &Device) {
    let gpu = device.plain();
    let many = if sample() == 1 { 1000 } else { 200 };
    for (tensors, length) in [(10, 300), (many, 40)] {
        let tensors = Tensors::in_turn(0, &vec![length; tensors]);
        let images = tensors.lay_out(Layout::PagePerRole);
        let buffers = images.upload(gpu);
        let out = output_buffer(gpu, tensors.len());
        let mut set = set(gpu, &tensors, &images, &buffers, 3);
        for (i, (call, operands, sums)) in calls(0.0).into_iter().enumerate() {
            let mut k = 0.0;
            let ours = fewest(gpu, |encoder| {
                k += 1e-3;
                let l1 = Penalty::l1(k).expect("the λ is valid");
                set.penalties_mut().for_each(|(_, penalty)| penalty.clone_from(&l1));
                record_and_finish(&mut set, encoder, calls(k)[i].0, &output(&out));
            });
            let dispatches = dispatches(&set);
            let bare = Bare::new(gpu, dispatches, &buffers[..operands], tensors.len(), sums.then_some(&out));
            let theirs = fewest(gpu, |encoder| bare.record(gpu, encoder));
            assert!(dispatches > 0 && theirs > 0);
            assert_eq!(ours, theirs, "{} tensors, {call:?}, {dispatches} dispatches", tensors.len());
        }
    }
}

/// Compares a set that is only built and prepared with bare wgpu, whose buffers and bind groups are equally new. Both
/// write to a table, and copy to and map memory that nothing has used before.
fn the_first_recording_allocates_what_bare_wgpu_does(device: &Device) {
    // The device has compiled its self-check, and nothing else.
    let gpu = &own(device);
    for (tensors, length) in [(10, 300), (1000, 40)] {
        let tensors = Tensors::of(Dtype::F32, &vec![length; tensors]);
        let images = tensors.lay_out(Layout::PagePerRole);
        let buffers = images.upload(gpu);
        let out = output_buffer(gpu, tensors.len());
        for (call, operands, sums) in calls(0.1) {
            let rounds = [(); FRESH].map(|()| {
                let mut set = set(gpu, &tensors, &images, &buffers, 3);
                prepare(&mut set, call).expect("the set has all operands");
                if sums {
                    set.prepare_resolve(&output(&out)).expect("the output is valid");
                }
                let ours = once(gpu, |encoder| record_and_finish(&mut set, encoder, call, &output(&out)));
                let dispatches = dispatches(&set);
                let bare = Bare::new(gpu, dispatches, &buffers[..operands], tensors.len(), sums.then_some(&out));
                let theirs = once(gpu, |encoder| bare.record(gpu, encoder));
                assert!(dispatches > 0 && theirs > 0);
                [ours, theirs]
            });
            let [ours, theirs] = [0, 1].map(|which| rounds.iter().map(|round| round[which]).min());
            assert_eq!(ours, theirs, "{} tensors, {call:?}: {rounds:?}", tensors.len());
            // Compiling would add thousands to the first count only. wgpu's lists add a few to either count when they
            // grow.
            let [first, bare] = rounds[0];
            assert!(first < 2 * bare, "{} tensors, {call:?}: {rounds:?}", tensors.len());
        }
    }
}

/// Compares calls on one tensor with those of a set of one, which makes nothing anew. Dropping each report at once lets
/// the next call use its memory.
fn a_repeated_call_on_one_tensor_makes_only_a_bind_group(device: &Device) {
    let gpu = &own(device);
    let tensors = Tensors::of(Dtype::F32, &[3000]);
    let images = tensors.lay_out(Layout::PagePerRole);
    let buffers = images.upload(gpu);
    let lists = images.operands(&tensors, &buffers);
    let operands = operands(&lists);
    let (theta, gradient) = (&operands.weights[0], &operands.gradients[0]);
    let mut set = set(gpu, &tensors, &images, &buffers, 3);
    let penalty = &tensors.parameters[0].penalty;
    let single = |encoder: &mut wgpu::CommandEncoder, call: Call| match call {
        Call::Evaluate => gpu.record_evaluate(encoder, penalty, theta).map(drop),
        Call::GradientAdd => gpu.record_gradient_add(encoder, penalty, theta, gradient),
        _ => gpu.record_prox_in_place(encoder, penalty, theta, 0.5),
    };
    for call in [Call::Evaluate, Call::GradientAdd, Call::Prox(0.5)] {
        let first = once(gpu, |encoder| single(encoder, call).expect("the ranges are valid"));
        let again = fewest(gpu, |encoder| single(encoder, call).expect("the ranges are valid"));
        let of_set = fewest(gpu, |encoder| drop(record(&mut set, encoder, call).expect("there is a slot")));
        // A bind group is about 20 allocations, and each new buffer is about as many.
        let text = format!("{call:?}: {first} for the first, {again} again, {of_set} in a set");
        assert!(again <= of_set + 32 && 2 * again < first, "{text}");
    }
}

/// Room for a row of four `f32` for each tensor and for the total.
fn output_buffer(gpu: &Gpu, tensors: usize) -> wgpu::Buffer {
    buffer(gpu, &vec![0; 16 * (tensors + 1)], USAGES)
}

fn output(buffer: &wgpu::Buffer) -> Operand<'_> {
    Operand { buffer, offset: 0, len: buffer.size() / 4, dtype: Dtype::F32 }
}

/// Records a call. If it has results, records their resolving too.
fn record_and_finish(set: &mut ParameterSet, encoder: &mut wgpu::CommandEncoder, call: Call, output: &Operand<'_>) {
    if let Some(pending) = record(set, encoder, call).expect("there is a slot") {
        set.record_resolve(encoder, &pending, output).expect("the output is valid");
    }
}

/// The number of dispatches of the set's newest operation, which is listed last.
fn dispatches(set: &ParameterSet) -> usize {
    let text = format!("{set:?}");
    let recorder = text.rfind("Recorder {").map_or("", |at| &text[at..]);
    recorder.matches("Dispatch {").count()
}

/// A compiled kernel and its bind group.
type Command = (wgpu::ComputePipeline, wgpu::BindGroup);

/// A step's commands without the library: write numbers, clear results, dispatch, copy results, map and resolve.
struct Bare {
    /// One for each dispatch.
    commands: Vec<Command>,
    table: wgpu::Buffer,
    report: Option<Report>,
    numbers: Vec<u8>,
    /// An earlier round has mapped the staging buffer.
    mapped: Cell<bool>,
}

/// For calls that report: the results, the buffer to read them from, and the command that resolves them.
struct Report {
    results: wgpu::Buffer,
    staging: wgpu::Buffer,
    finish: Command,
}

const SHADER: &str = "
    @group(0) @binding(0) var<uniform> parameters: vec4<u32>;
    @group(0) @binding(1) var<storage, read> table: array<vec4<u32>>;
    @group(0) @binding(3) var<storage, read_write> data: array<u32>;
    @compute @workgroup_size(1)
    fn main() { data[0] = table[0].x + parameters.x; }
";

impl Bare {
    /// As many dispatches, which bind these operands. A call that reports has an output to resolve to.
    fn new(
        gpu: &Gpu,
        dispatches: usize,
        operands: &[wgpu::Buffer],
        tensors: usize,
        output: Option<&wgpu::Buffer>,
    ) -> Bare {
        let device = gpu.device();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let buffer = |size, usage| {
            let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
            device.create_buffer(&descriptor)
        };
        let numbers = vec![0; 48 + 32 * tensors];
        let size = numbers.len().next_multiple_of(256) as u64 + 256;
        let table = buffer(size, USAGES | wgpu::BufferUsages::UNIFORM);
        let results = output.map(|_| buffer(160 * (tensors as u64 + 2), USAGES));
        let command = |operands: &[wgpu::Buffer]| command(device, &module, &table, results.as_ref(), operands);
        // Each dispatch has a separate kernel, as in the library.
        let commands = (0..dispatches).map(|_| command(operands)).collect();
        let report = output.zip(results.as_ref()).map(|(output, results)| Report {
            results: results.clone(),
            staging: buffer(results.size(), wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
            finish: command(std::slice::from_ref(output)),
        });
        Bare { commands, table, report, numbers, mapped: Cell::new(false) }
    }

    fn record(&self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder) {
        if let Some(report) = &self.report
            && self.mapped.replace(true)
        {
            report.staging.unmap();
        }
        let filters = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal];
        let scopes = filters.map(|filter| gpu.device().push_error_scope(filter));
        let size = wgpu::BufferSize::new(self.numbers.len() as u64).expect("there are numbers");
        let written = gpu.queue().write_buffer_with(&self.table, 0, size);
        written.expect("the device lives").copy_from_slice(&self.numbers);
        for scope in scopes.into_iter().rev() {
            assert!(pollster::block_on(scope.pop()).is_none());
        }
        let dispatch = |pass: &mut wgpu::ComputePass<'_>, (pipeline, group): &Command| {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, group, &[0, 0, 0][..2 + usize::from(self.report.is_some())]);
            pass.dispatch_workgroups(1, 1, 1);
        };
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        self.commands.iter().for_each(|command| dispatch(&mut pass, command));
        drop(pass);
        // The one callback of a step: its encoder was submitted and is done, or was dropped.
        let (one, two) = (self.table.clone(), 0u64);
        let Some(Report { results, staging, finish }) = &self.report else {
            return encoder.on_submitted_work_done(move || drop((one, two)));
        };
        encoder.copy_buffer_to_buffer(results, 0, staging, 0, results.size());
        encoder.map_buffer_on_submit(staging, wgpu::MapMode::Read, .., move |_| drop((one, two)));
        dispatch(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()), finish);
    }
}

/// A kernel with the library's bindings: the table twice, the results if there are any, and the operands.
fn command(
    device: &wgpu::Device,
    module: &wgpu::ShaderModule,
    table: &wgpu::Buffer,
    results: Option<&wgpu::Buffer>,
    operands: &[wgpu::Buffer],
) -> Command {
    let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let mut bindings = vec![(0, wgpu::BufferBindingType::Uniform, table, 16), (1, storage(true), table, 256)];
    bindings.extend(results.map(|results| (2, storage(false), results, 256)));
    bindings.extend(
        (3..).zip(operands).map(|(binding, operand)| (binding, storage(false), operand, 256.min(operand.size()))),
    );
    let kinds: Vec<_> = bindings
        .iter()
        .map(|&(binding, ty, ..)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: binding < 3, min_binding_size: None },
            count: None,
        })
        .collect();
    let entries: Vec<_> = bindings
        .iter()
        .map(|&(binding, _, buffer, size)| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: 0,
                size: wgpu::BufferSize::new(size),
            }),
        })
        .collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &kinds });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: Some(&pipeline_layout),
        module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let group = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
    (pipeline, device.create_bind_group(&group))
}
