//! Recording a step of a set allocates as often as the same commands recorded with bare wgpu, whichever call it is, however many
//! tensors there are, and with another λ and step size each time.

mod common;

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;

use common::adapters::{Device, DeviceTest};
use common::device::{PATIENCE, USAGES, buffer, encoder, submit};
use common::tensors::{Call, Layout, Tensors, record, set};
use penalty::wgpu::{self, util::DeviceExt};
use penalty::{Adam, Gpu, Metric, Momentum, Penalty, Sgd};

/// The system's allocator, counting what this thread asks it for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread at its end has no counter any more, and none is read.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is the system allocator's.
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
/// Rounds in which a slot is used for the first time, and nothing needs to be unmapped.
const WARM: usize = 4;

fn main() {
    let tests: &[DeviceTest] = &[
        ("the_counter_counts", |_| assert!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))) == 1)),
        ("recording_allocates_what_bare_wgpu_does", recording_allocates_what_bare_wgpu_does),
    ];
    common::adapters::run(Vec::new(), tests);
}

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// The fewest allocations of a recording, once everything is warm: what wgpu recycles is sometimes not back yet.
fn fewest(gpu: &Gpu, mut record: impl FnMut(&mut wgpu::CommandEncoder)) -> u64 {
    let rounds = (0..ROUNDS).map(|_| {
        let mut encoder = encoder(gpu);
        let count = allocations(|| record(&mut encoder));
        submit(gpu, encoder);
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        gpu.device().poll(wait).expect("the device answers");
        count
    });
    rounds.skip(WARM).min().unwrap_or(0)
}

/// Every call, with the buffers it binds and whether it reports. Adam's first iteration is as good as any here.
fn calls(step: f64) -> [(Call, usize, bool); 10] {
    let sgd = |momentum| Call::Sgd(Sgd { step, momentum });
    let adam = |metric| Call::Adam(Adam { step, metric, ..Adam::default() });
    [
        (Call::Evaluate, 1, true),
        (Call::GradientAdd, 2, false),
        (Call::EvaluateAndGradientAdd, 2, true),
        (Call::Prox(step), 1, false),
        (Call::ProxAndEvaluate(step), 1, true),
        (sgd(Momentum::None), 2, true),
        (sgd(Momentum::HeavyBall(0.9)), 3, true),
        (sgd(Momentum::Nesterov(0.9)), 3, true),
        (adam(Metric::Plain), 4, true),
        (adam(Metric::Adam), 4, true),
    ]
}

fn recording_allocates_what_bare_wgpu_does(device: &Device) {
    let gpu = device.plain();
    for (tensors, length) in [(10, 300), (1000, 40)] {
        let tensors = Tensors::new(&vec![length; tensors]);
        let images = tensors.lay_out(Layout::PagePerRole);
        let buffers = images.upload(gpu);
        let mut set = set(gpu, &tensors, &images, &buffers, 3);
        for (i, (call, operands, sums)) in calls(0.0).into_iter().enumerate() {
            let mut k = 0.0;
            let ours = fewest(gpu, |encoder| {
                k += 1e-3;
                let l1 = Penalty::l1(k).expect("the λ is valid");
                set.penalties_mut().for_each(|(_, penalty)| penalty.clone_from(&l1));
                drop(record(&mut set, encoder, calls(k)[i].0).expect("there is a slot"));
            });
            let text = format!("{set:?}");
            // The last operation recorded is the last listed.
            let recorder = text.rfind("Recorder {").map_or("", |at| &text[at..]);
            let dispatches = recorder.matches("Dispatch {").count();
            let bare = Bare::new(gpu, dispatches, &buffers[..operands], tensors.len(), sums);
            let theirs = fewest(gpu, |encoder| bare.record(gpu, encoder));
            assert!(dispatches > 0 && theirs > 0);
            assert_eq!(ours, theirs, "{} tensors, {call:?}, {dispatches} dispatches", tensors.len());
        }
    }
}

/// The commands of a step, without the library: numbers written, results cleared, dispatches, results copied and mapped.
struct Bare {
    /// Of each dispatch.
    commands: Vec<(wgpu::ComputePipeline, wgpu::BindGroup)>,
    table: wgpu::Buffer,
    /// The results and where they are read, of what reports.
    report: Option<(wgpu::Buffer, wgpu::Buffer)>,
    numbers: Vec<u8>,
    /// By an earlier round.
    mapped: Cell<bool>,
}

const SHADER: &str = "
    @group(0) @binding(0) var<uniform> parameters: vec4<u32>;
    @group(0) @binding(1) var<storage, read> table: array<vec4<u32>>;
    @group(0) @binding(3) var<storage, read_write> data: array<u32>;
    @compute @workgroup_size(1)
    fn main() { data[0] = table[0].x + parameters.x; }
";

impl Bare {
    fn new(gpu: &Gpu, dispatches: usize, operands: &[wgpu::Buffer], tensors: usize, sums: bool) -> Bare {
        let device = gpu.device();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
        let mut kinds = vec![(0, wgpu::BufferBindingType::Uniform), (1, storage(true))];
        kinds.extend(sums.then(|| (2, storage(false))));
        kinds.extend((3..).zip(operands).map(|(binding, _)| (binding, storage(false))));
        let kinds: Vec<_> = kinds
            .into_iter()
            .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: binding < 3, min_binding_size: None },
                count: None,
            })
            .collect();
        let numbers = vec![0; 48 + 32 * tensors];
        let table = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: None,
            contents: &vec![0; numbers.len().next_multiple_of(256) + 256],
            usage: USAGES | wgpu::BufferUsages::UNIFORM,
        });
        let report = sums.then(|| {
            let results = buffer(gpu, &vec![0; 160 * (tensors + 2)], USAGES);
            let staging = device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: results.size(),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            (results, staging)
        });
        let part = |buffer, size| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: 0, size: wgpu::BufferSize::new(size) })
        };
        let mut resources = vec![part(&table, 16), part(&table, 256)];
        resources.extend(report.iter().map(|(results, _)| part(results, 256)));
        resources.extend(operands.iter().map(|operand| part(operand, 256)));
        let entries: Vec<_> = (kinds.iter().zip(resources))
            .map(|(kind, resource)| wgpu::BindGroupEntry { binding: kind.binding, resource })
            .collect();
        let command = |_| {
            // Of its own, as those of different kernels are.
            let layout = wgpu::BindGroupLayoutDescriptor { label: None, entries: &kinds };
            let layout = device.create_bind_group_layout(&layout);
            let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            });
            let group = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
            (pipeline, device.create_bind_group(&group))
        };
        let commands = (0..dispatches).map(command).collect();
        Bare { commands, table, report, numbers, mapped: Cell::new(false) }
    }

    fn record(&self, gpu: &Gpu, encoder: &mut wgpu::CommandEncoder) {
        if let Some((_, staging)) = &self.report
            && self.mapped.replace(true)
        {
            staging.unmap();
        }
        let filters = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal];
        let scopes = filters.map(|filter| gpu.device().push_error_scope(filter));
        gpu.queue().write_buffer(&self.table, 0, &self.numbers);
        for scope in scopes.into_iter().rev() {
            assert!(pollster::block_on(scope.pop()).is_none());
        }
        if let Some((results, _)) = &self.report {
            encoder.clear_buffer(results, 0, None);
        }
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for (pipeline, group) in &self.commands {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, group, &[0, 0, 0][..2 + usize::from(self.report.is_some())]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        drop(pass);
        // The one callback a step: that the encoder was submitted and done, or dropped.
        let (one, two) = (self.table.clone(), 0u64);
        match &self.report {
            Some((results, staging)) => {
                encoder.copy_buffer_to_buffer(&self.table, 0, results, 0, 4);
                encoder.copy_buffer_to_buffer(results, 0, staging, 0, results.size());
                encoder.map_buffer_on_submit(staging, wgpu::MapMode::Read, .., move |_| drop((one, two)));
            }
            None => encoder.on_submitted_work_done(move || drop((one, two))),
        }
    }
}
