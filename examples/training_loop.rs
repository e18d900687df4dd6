//! A training loop without a framework. The program opens the device, trains with its shaders and records the
//! penalties into the same encoder.
//!
//! A network with one hidden layer learns to read digits. At each step, two penalties shrink its weights. The gradient
//! of Σθ², which is smooth, makes them decay. The prox of Σ|θ|, whose kink at 0 makes exact zeros, thins them out. The
//! host only records: the device writes the loss and the penalties to a log, and the host reads the reports of a step
//! two steps later.
//!
//! `cargo run --release --example training_loop -- --steps 300`

use std::collections::VecDeque;
use std::error::Error;
use std::f64::consts::PI;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use penalty::gpu::{Operand, Operands, ParameterSet, Pending};
use penalty::wgpu::util::{BufferInitDescriptor, DeviceExt, DownloadBuffer};
use penalty::wgpu::{self, BufferUsages};
use penalty::{Dtype, Gpu, Momentum, Parameter, Penalty, Reports, Sgd};

/// UCI's optical digits (Alpaydin and Kaynak 1998, CC BY 4.0): each line has 8×8 pixels from 0 to 16 and the digit.
const DIGITS: &str = include_str!("data/digits.csv");
const PIXELS: usize = 64;
const HIDDEN: usize = 32;
const CLASSES: usize = 10;
/// The number of rows in a step, and of those kept for the final test (every fifth row).
const BATCH: usize = 256;
const TEST: usize = 360;

/// The tensors in the order of the shaders' `Layers`: name, length, and the bound ±√(6 / inputs) of the initial
/// weights.
const TENSORS: [(&str, usize, f32); 4] = [
    ("hidden.weight", HIDDEN * PIXELS, 0.306),
    ("hidden.bias", HIDDEN, 0.0),
    ("output.weight", CLASSES * HIDDEN, 0.433),
    ("output.bias", CLASSES, 0.0),
];

const MOMENTUM: Momentum = Momentum::heavy_ball(0.9);
const STEP: f64 = 0.2;
const DECAY: f64 = 1e-4;
const L1: f64 = 2e-3;
/// How many steps the host records ahead of the reports that it reads.
const LAG: usize = 2;
const PATIENCE: Duration = Gpu::TIMEOUT;

fn main() -> Result<(), String> {
    steps().and_then(train).map_err(|error| error.to_string())
}

fn steps() -> Result<u32, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let steps = match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None, ..) => Some(300),
        (Some("--steps"), Some(steps), None) => steps.parse().ok().filter(|steps| (1..=1_000_000).contains(steps)),
        _ => None,
    };
    steps.ok_or_else(|| "usage: training_loop [--steps N], with N from 1 to 1000000".into())
}

fn train(steps: u32) -> Result<(), Box<dyn Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;
    // The program keeps its device: the library only compiles its kernels on it.
    let gpu = Gpu::from_device(device.clone(), queue.clone())?;
    println!("{}, {:?}", gpu.adapter_info().name, gpu.determinism());

    let (images, labels) = digits()?;
    let training = labels.len() - TEST;
    let weights = first_weights();
    let storage = |contents: &[u8]| {
        let usage = BufferUsages::STORAGE | BufferUsages::UNIFORM | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        device.create_buffer_init(&BufferInitDescriptor { label: None, contents, usage })
    };
    let batch = storage(&[0; 16]);
    let images = storage(bytemuck::cast_slice(&images));
    let labels = storage(bytemuck::cast_slice(&labels));
    let finished = storage(&[0; 16 * (1 + TENSORS.len())]);
    // One buffer holds the weights, gradients and momenta of all layers. All but the weights start at 0.
    let page = storage(bytemuck::cast_slice(&[&weights[..], &vec![0.0; 2 * weights.len()]].concat()));
    let work = storage(&[0; 4 * TEST * (2 * HIDDEN + 1 + CLASSES + 2)]);
    let log = storage(&vec![0; 12 * (steps as usize + 1)]);
    let [forward, backward, write_log] = kernels(&device, &[&batch, &images, &labels, &finished, &page, &work, &log]);

    // The buffer range of each tensor in the part of the page that begins at the float `first`.
    let part = |mut first: usize| {
        TENSORS.map(|(_, len, _)| {
            let offset = 4 * first as u64;
            first += len;
            Operand { buffer: &page, offset, len: len as u64, dtype: Dtype::F32 }
        })
    };
    let (gradients, momenta) = (part(weights.len()), part(2 * weights.len()));
    let operands = Operands { weights: &part(0), gradients: &gradients, first: &momenta, ..Operands::default() };
    let parameters = TENSORS.map(|(name, ..)| Parameter::new(name, Penalty::none()));
    let mut set = ParameterSet::new(&gpu, parameters.into(), &operands, LAG + 1)?;
    let output = Operand { buffer: &finished, offset: 0, len: finished.size() / 4, dtype: Dtype::F32 };
    // These calls compile and allocate all that the library needs, before the first step.
    set.prepare_evaluate_and_gradient_add()?;
    set.prepare_resolve(&output)?;
    set.prepare_sgd_and_evaluate(&Sgd { step: STEP, momentum: MOMENTUM })?;

    let began = Instant::now();
    let (mut pending, mut reports) = (VecDeque::new(), Vec::new());
    for k in 0..steps {
        // λ grows for the first half, so that the network learns before it is thinned out. η warms up and fades out.
        let done = f64::from(k) / f64::from(steps);
        let l1 = L1 * (2.0 * done).min(1.0);
        let step = STEP * (10.0 * done).min(1.0) * (0.5 + 0.5 * (PI * done).cos());

        // The queue keeps the order: earlier steps still see what they were submitted with.
        let first = k as usize * BATCH % (training - BATCH);
        queue.write_buffer(&batch, 0, bytemuck::cast_slice(&[first as u32, BATCH as u32, k, (l1 as f32).to_bits()]));

        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        record(&mut encoder, &forward);
        record(&mut encoder, &backward);

        // A recorded operation keeps the penalties that it was recorded with, so one encoder may hold both.
        penalize(&mut set, &Penalty::weight_decay(DECAY)?);
        let decay = set.record_evaluate_and_gradient_add(&mut encoder)?;
        set.record_resolve(&mut encoder, &decay, &output)?;
        record(&mut encoder, &write_log);

        penalize(&mut set, &Penalty::l1(l1)?);
        pending.push_back(set.record_sgd_and_evaluate(&mut encoder, &Sgd { step, momentum: MOMENTUM })?);
        queue.submit([encoder.finish()]);

        // While the host waits for an earlier step, the device works on the later ones.
        for earlier in pending.drain(..pending.len().saturating_sub(LAG)) {
            reports.push(read(&earlier)?);
        }
    }
    reports.extend(pending.iter().map(read).collect::<Result<Vec<_>, _>>()?);

    // The test is one more batch, with the rows after the training rows, and one more line in the log.
    queue.write_buffer(&batch, 0, bytemuck::cast_slice(&[training as u32, TEST as u32, steps, 0]));
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    record(&mut encoder, &forward);
    record(&mut encoder, &write_log);
    queue.submit([encoder.finish()]);
    let (sender, receiver) = mpsc::channel();
    DownloadBuffer::read_buffer(&device, &queue, &log.slice(..), move |result| drop(sender.send(result)));
    device.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) })?;
    let lines: Vec<[f32; 3]> = bytemuck::pod_collect_to_vec(&receiver.recv()??);

    println!("  step      loss   penalty      Σ|θ|   zeros");
    for (k, (report, [loss, penalty, _])) in reports.iter().map(|reports| &reports.total).zip(&lines).enumerate() {
        if k % 50 == 0 || k + 1 == reports.len() {
            let zeros = 100.0 * report.zeros() as f64 / report.len as f64;
            println!("{k:6} {loss:9.4} {penalty:9.4} {:9.2} {zeros:5.1} %", report.l1);
        }
    }
    let [loss, _, right] = lines[reports.len()];
    println!("test: loss {loss:.4}, {:.1} % right; {:.2?}", 100.0 * right, began.elapsed());
    Ok(())
}

/// All images and their digits; the test rows come last. An image is its pixels, from 0 to 1, then a 1 as the biases'
/// input.
fn digits() -> Result<(Vec<f32>, Vec<u32>), Box<dyn Error>> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for test in [false, true] {
        for (_, line) in DIGITS.lines().skip(1).enumerate().filter(|(at, _)| (at % 5 == 0) == test) {
            let (pixels, label) = line.rsplit_once(',').ok_or("a line without commas")?;
            for pixel in pixels.split(',') {
                images.push(pixel.parse::<f32>()? / 16.0);
            }
            images.push(1.0);
            labels.push(label.parse()?);
        }
    }
    Ok((images, labels))
}

/// Noise within each tensor's bound, padded to a multiple of 4 floats like the page's parts.
fn first_weights() -> Vec<f32> {
    let mut state = 1u32;
    let mut weights: Vec<f32> = TENSORS.iter().flat_map(|&(_, len, bound)| vec![bound; len]).collect();
    for weight in &mut weights {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *weight *= state as f32 / (1u32 << 31) as f32 - 1.0;
    }
    weights.resize(weights.len().next_multiple_of(4), 0.0);
    weights
}

/// Penalizes the weights. Biases stay free: a network without them is hardly smaller.
fn penalize(set: &mut ParameterSet, penalty: &Penalty) {
    set.penalties_mut().filter(|(name, _)| name.ends_with("weight")).for_each(|(_, of)| of.clone_from(penalty));
}

fn read(pending: &Pending<Reports>) -> Result<Reports, Box<dyn Error>> {
    let reports = pending.wait(PATIENCE)?;
    let broken = reports.total.nan + reports.total.inf;
    if broken == 0 { Ok(reports) } else { Err(format!("diverged: {broken} weights are NaN or infinite").into()) }
}

/// One of the program's kernels, its bound buffers and its number of workgroups.
type Kernel = (wgpu::ComputePipeline, wgpu::BindGroup, u32);

/// The kernels of the forward pass, the backward pass and the log. `buffers` are in the order of the shaders' bindings.
fn kernels(device: &wgpu::Device, buffers: &[&wgpu::Buffer]) -> [Vec<Kernel>; 3] {
    let sizes = [("PIXELS", PIXELS), ("HIDDEN", HIDDEN), ("CLASSES", CLASSES), ("TEST", TEST)];
    let sizes: String = sizes.iter().map(|(name, size)| format!("const {name} = {size}u;")).collect();
    let source = wgpu::ShaderSource::Wgsl((sizes + SHADERS).into());
    let module = &device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let kernel = |name, threads: usize, bound: &[usize]| {
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: None,
            module,
            entry_point: Some(name),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let entry =
            |&at: &usize| wgpu::BindGroupEntry { binding: at as u32, resource: buffers[at].as_entire_binding() };
        let entries = &bound.iter().map(entry).collect::<Vec<_>>();
        let layout = &pipeline.get_bind_group_layout(0);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries });
        (pipeline, group, threads.div_ceil(64) as u32)
    };
    let forward = kernel("forward", TEST, &[0, 1, 2, 4, 5]);
    let hidden = kernel("hidden_gradient", HIDDEN * (PIXELS + 1), &[0, 1, 4, 5]);
    let output = kernel("output_gradient", CLASSES * (HIDDEN + 1), &[0, 4, 5]);
    [vec![forward], vec![hidden, output], vec![kernel("write_log", 1, &[0, 3, 5, 6])]]
}

fn record(encoder: &mut wgpu::CommandEncoder, kernels: &[Kernel]) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for (pipeline, group, workgroups) in kernels {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(*workgroups, 1, 1);
    }
}

const SHADERS: &str = "
struct Layers {
    hidden_weight: array<array<f32, PIXELS>, HIDDEN>, hidden_bias: array<f32, HIDDEN>,
    output_weight: array<array<f32, HIDDEN>, CLASSES>, output_bias: array<f32, CLASSES>,
}
// Aligned to 16 bytes, so that the library may take four weights at a time.
struct Page { @align(16) weights: Layers, @align(16) gradients: Layers, @align(16) momenta: Layers }
// Of each row: what the forward pass finds, and the loss's gradients by the sums before each activation.
struct Work {
    hidden: array<array<f32, HIDDEN + 1>, TEST>, hidden_delta: array<array<f32, HIDDEN>, TEST>,
    output_delta: array<array<f32, CLASSES>, TEST>, loss: array<f32, TEST>, right: array<f32, TEST>,
}
struct Batch { first: u32, rows: u32, step: u32, l1: f32 }
struct Line { loss: f32, penalty: f32, right: f32 }

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage> images: array<array<f32, PIXELS + 1>>;
@group(0) @binding(2) var<storage> labels: array<u32>;
// What `record_resolve` leaves: R(θ), Σ|θ|, Σθ², max|θ| of all tensors together, then of each.
@group(0) @binding(3) var<storage> finished: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> page: Page;
@group(0) @binding(5) var<storage, read_write> work: Work;
@group(0) @binding(6) var<storage, read_write> lines: array<Line>;

// A thread for each row: a layer of ReLU, one of softmax, the cross-entropy, and back as far as a row is by itself.
@compute @workgroup_size(64) fn forward(@builtin(global_invocation_id) id: vec3u) {
    let row = id.x;
    if row >= batch.rows { return; }
    for (var unit = 0u; unit < HIDDEN; unit++) {
        var sum = page.weights.hidden_bias[unit];
        for (var i = 0u; i < PIXELS; i++) { sum += page.weights.hidden_weight[unit][i] * images[batch.first + row][i]; }
        work.hidden[row][unit] = max(sum, 0.0);
    }
    work.hidden[row][HIDDEN] = 1.0;
    var logits = page.weights.output_bias;
    var guess = 0u;
    for (var digit = 0u; digit < CLASSES; digit++) {
        let weights = &page.weights.output_weight[digit];
        for (var i = 0u; i < HIDDEN; i++) { logits[digit] += (*weights)[i] * work.hidden[row][i]; }
        guess = select(guess, digit, logits[digit] > logits[guess]);
    }
    let largest = logits[guess];
    var total = 0.0;
    for (var digit = 0u; digit < CLASSES; digit++) { total += exp(logits[digit] - largest); }
    let label = labels[batch.first + row];
    work.loss[row] = log(total) + largest - logits[label];
    work.right[row] = f32(guess == label);
    var back: array<f32, HIDDEN>;
    for (var digit = 0u; digit < CLASSES; digit++) {
        let delta = (exp(logits[digit] - largest) / total - f32(digit == label)) / f32(batch.rows);
        work.output_delta[row][digit] = delta;
        for (var i = 0u; i < HIDDEN; i++) {
            back[i] += select(0.0, page.weights.output_weight[digit][i] * delta, work.hidden[row][i] > 0.0);
        }
    }
    work.hidden_delta[row] = back;
}

// A thread for each weight and, as the weight of the input that is always 1, each bias; over all rows.
@compute @workgroup_size(64) fn hidden_gradient(@builtin(global_invocation_id) id: vec3u) {
    let unit = id.x / (PIXELS + 1);
    let i = id.x % (PIXELS + 1);
    if unit >= HIDDEN { return; }
    var sum = 0.0;
    for (var row = 0u; row < batch.rows; row++) { sum += work.hidden_delta[row][unit] * images[batch.first + row][i]; }
    if i < PIXELS { page.gradients.hidden_weight[unit][i] = sum; } else { page.gradients.hidden_bias[unit] = sum; }
}

@compute @workgroup_size(64) fn output_gradient(@builtin(global_invocation_id) id: vec3u) {
    let digit = id.x / (HIDDEN + 1);
    let i = id.x % (HIDDEN + 1);
    if digit >= CLASSES { return; }
    var sum = 0.0;
    for (var row = 0u; row < batch.rows; row++) { sum += work.output_delta[row][digit] * work.hidden[row][i]; }
    if i < HIDDEN { page.gradients.output_weight[digit][i] = sum; } else { page.gradients.output_bias[digit] = sum; }
}

// What the steps minimize: loss, decay as it was finished, and λ times both layers' Σ|θ|, finished beside it.
@compute @workgroup_size(1) fn write_log() {
    var line = Line(0.0, finished[0].x + batch.l1 * (finished[1].y + finished[3].y), 0.0);
    for (var row = 0u; row < batch.rows; row++) {
        line.loss += work.loss[row] / f32(batch.rows);
        line.right += work.right[row] / f32(batch.rows);
    }
    lines[batch.step] = line;
}
";
