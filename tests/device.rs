//! Recording on the caller's own device: ranges of any buffer, in the caller's encoder, read when the caller wants.
//!
//! The device has WebGPU's default limits and no features. The CPU says what each range must hold afterwards; everything
//! around it is poison that must stay.

mod common;

use std::future::Future;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use common::adapters::{Device, DeviceTest};
use common::cases::{LENGTHS, noise};
use common::compare::{POISON, same_bits, same_bytes};
use common::device::{PATIENCE, USAGES, buffer, contents, encoder, open, own, submit, without_hanging};
use common::oracle::Weight;
use penalty::gpu::{Operand, Operands, Options, ParameterSet, PendingReport, Poller, Recording};
use penalty::half::{bf16, f16};
use penalty::wgpu::{self, BufferUsages, PollType};
use penalty::{
    Adam, Backend, Cpu, Determinism, Dtype, Error, Gpu, Groups, HostSet, Metric, Parameter, Penalty, Report, Slice,
    SliceMut, TILE,
};

fn main() {
    let tests: &[DeviceTest] = &[
        ("default_limits_and_no_features_are_enough", default_limits_and_no_features_are_enough),
        ("f32_ranges_anywhere_in_a_buffer", |d| ranges_anywhere::<f32>(d.plain())),
        ("f16_ranges_anywhere_in_a_buffer", |d| ranges_anywhere::<f16>(d.plain())),
        ("bf16_ranges_anywhere_in_a_buffer", |d| ranges_anywhere::<bf16>(d.plain())),
        ("a_window_of_one_tile_gives_the_same_bits", |d| windows_give_the_same_bits(d, 16_640)),
        ("a_window_of_three_tiles_gives_the_same_bits", |d| windows_give_the_same_bits(d, 49_408)),
        ("checked_kernels_give_the_same_bits", checked_kernels_give_the_same_bits),
        ("tensors_above_the_binding_limit", tensors_above_the_binding_limit),
        ("every_step_of_an_encoder_has_its_own_coefficients", every_step_of_an_encoder_has_its_own_coefficients),
        ("more_steps_in_one_encoder_than_anyone_records", more_steps_in_one_encoder_than_anyone_records),
        ("the_order_is_that_of_submission", the_order_is_that_of_submission),
        ("none_leaves_every_bit_and_still_reports", none_leaves_every_bit_and_still_reports),
        ("operands_without_elements_are_fine", operands_without_elements_are_fine),
        ("a_report_is_an_error_until_it_is_submitted", a_report_is_an_error_until_it_is_submitted),
        ("a_report_whose_encoder_was_dropped_is_an_error", a_report_whose_encoder_was_dropped_is_an_error),
        ("a_report_outlives_the_weights_and_the_library", a_report_outlives_the_weights_and_the_library),
        ("impatience_is_a_timeout_and_loses_nothing", impatience_is_a_timeout_and_loses_nothing),
        ("a_destroyed_device_is_an_error_and_never_an_old_report", a_destroyed_device_is_an_error),
        ("a_future_completes_in_the_callers_own_polling_loop", a_future_completes_in_the_callers_polling_loop),
        (
            "an_answer_that_another_thread_picks_up_is_handed_over",
            an_answer_that_another_thread_picks_up_is_handed_over,
        ),
        ("a_poller_completes_futures", a_poller_completes_futures),
        ("a_poller_fails_futures_that_wait_too_long", a_poller_fails_futures_that_wait_too_long),
        ("a_poller_ends_the_wait_for_a_destroyed_device", a_poller_ends_the_wait_for_a_destroyed_device),
        ("a_dropped_future_leaves_the_slice_as_it_was", a_dropped_future_leaves_the_slice_as_it_was),
        ("a_device_that_fails_midway_leaves_the_slice", a_device_that_fails_midway_leaves_the_slice),
        ("refused_operands_record_nothing", refused_operands_record_nothing),
        ("foreign_and_destroyed_buffers_are_errors", foreign_and_destroyed_buffers_are_errors),
        ("the_callers_error_handlers_stay", the_callers_error_handlers_stay),
        ("an_encoder_of_another_device_fails_when_it_is_finished", an_encoder_of_another_device_fails_late),
        ("the_cpu_and_a_device_call_operands_the_same", the_cpu_and_a_device_call_operands_the_same),
        ("windows_that_hold_no_tile_are_refused", windows_that_hold_no_tile_are_refused),
        ("limits_that_are_too_small_are_named", limits_that_are_too_small_are_named),
        ("limits_that_are_just_enough_are_enough", limits_that_are_just_enough_are_enough),
        ("a_fork_is_told_to_open_its_own_device", a_fork_is_told_to_open_its_own_device),
    ];
    common::adapters::run(Vec::new(), tests);
}

/// Changes every weight that is not 0, so that a weight that is passed over shows.
fn penalty() -> Penalty {
    Penalty::keras(0.1, 0.25).expect("the λs are valid")
}

fn operand<E: Weight>(buffer: &wgpu::Buffer, offset: usize, len: usize) -> Operand<'_> {
    Operand { buffer, offset: offset as u64, len: len as u64, dtype: E::DTYPE }
}

/// Some f32 weights in a buffer of their own.
fn weights(gpu: &Gpu, len: usize, seed: u64) -> (Vec<f32>, wgpu::Buffer) {
    let weights = noise(len, seed);
    let buffer = buffer(gpu, bytemuck::cast_slice(&weights), USAGES);
    (weights, buffer)
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn default_limits_and_no_features_are_enough(device: &Device) {
    let gpu = device.plain();
    assert_eq!(gpu.device().features(), wgpu::Features::empty());
    assert_eq!(gpu.device().limits().max_storage_buffer_binding_size, 128 << 20);
    assert_eq!(gpu.determinism(), Determinism::GpuToGpu);
    let weights = noise(10_000, 1);
    let want = Backend::cpu().evaluate(&penalty(), &weights);
    assert_eq!(Backend::Gpu(gpu.clone()).evaluate(&penalty(), &weights), want);
}

/// Bytes with ranges in them: what a buffer holds before, or must hold after.
#[derive(Clone)]
struct Image {
    bytes: Vec<u8>,
    ranges: Vec<(usize, usize)>,
}

impl Image {
    /// Ranges of these lengths, with at least 32 bytes of poison around each; where they start takes turns.
    fn new<E: Weight>(lens: &[usize], starts: &[usize]) -> Image {
        let mut image = Image { bytes: Vec::new(), ranges: Vec::new() };
        for (i, &len) in lens.iter().enumerate() {
            let from = image.bytes.len() + 32;
            let offset = from.next_multiple_of(256) + starts[i % starts.len()];
            image.ranges.push((offset, len));
            image.bytes.resize((offset + len * size_of::<E>()).next_multiple_of(4) + 32, 0);
        }
        image.bytes.iter_mut().zip(POISON.iter().cycle()).for_each(|(byte, poison)| *byte = *poison);
        image
    }

    fn append(mut self, other: &Image) -> Image {
        let base = self.bytes.len().next_multiple_of(256);
        self.bytes.resize(base, POISON[0]);
        self.bytes.iter_mut().zip(POISON.iter().cycle()).for_each(|(byte, poison)| *byte = *poison);
        self.bytes.extend(&other.bytes);
        self.ranges.extend(other.ranges.iter().map(|(offset, len)| (base + offset, *len)));
        self
    }

    fn get<E: Weight>(&self, range: usize) -> Vec<E> {
        let (offset, len) = self.ranges[range];
        bytemuck::pod_collect_to_vec(&self.bytes[offset..offset + len * size_of::<E>()])
    }

    fn set<E: Weight>(&mut self, range: usize, weights: &[E]) {
        let (offset, len) = self.ranges[range];
        self.bytes[offset..offset + len * size_of::<E>()].copy_from_slice(bytemuck::cast_slice(weights));
    }

    fn fill<E: Weight>(&mut self, ranges: Range<usize>) {
        for range in ranges {
            let weights = noise(self.ranges[range].1, range as u64).into_iter().map(E::nearest);
            self.set(range, &weights.collect::<Vec<E>>());
        }
    }
}

/// Every length at starts that are aligned to 16 bytes, to 8, to 4, and to the limit on bindings.
fn ranges_anywhere<E: Weight>(gpu: &Gpu) {
    let lens: Vec<usize> = LENGTHS.into_iter().flat_map(|len| [len; 5]).collect();
    every_operation::<E>(gpu, &lens, &[0, 4, 8, 16, 252]);
}

fn every_operation<E: Weight>(gpu: &Gpu, lens: &[usize], starts: &[usize]) {
    let mut sources = Image::new::<E>(lens, starts);
    sources.fill::<E>(0..lens.len());
    evaluate_and_prox_ranges::<E>(gpu, &sources);
    // An odd number of starts against another: their alignments meet in every pair.
    let outputs = Image::new::<E>(lens, &[&starts[1..], &[12, 0]].concat());
    for add in [false, true] {
        gradient_ranges::<E>(gpu, &sources, &outputs, add);
    }
}

fn evaluate_and_prox_ranges<E: Weight>(gpu: &Gpu, before: &Image) {
    let cpu = Backend::cpu();
    let mut after = before.clone();
    let held = buffer(gpu, &before.bytes, USAGES);
    let mut encoder = encoder(gpu);
    let mut pending = Vec::new();
    for (i, &(offset, len)) in before.ranges.iter().enumerate() {
        let operand = operand::<E>(&held, offset, len);
        pending.push(gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("the range is valid"));
        gpu.record_prox(&mut encoder, &penalty(), &operand, 0.5).expect("the range is valid");
        pending.push(gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("the range is valid"));
        after.set(i, &cpu.prox(&penalty(), &before.get::<E>(i), 0.5).expect("the CPU does not fail"));
    }
    submit(gpu, encoder);
    same_bytes(&after.bytes, &contents(gpu, &held)).unwrap_or_else(|error| panic!("prox, {}: {error}", E::DTYPE));
    for (i, &(offset, len)) in before.ranges.iter().enumerate() {
        for (image, pending) in [before, &after].into_iter().zip(&pending[2 * i..]) {
            let want = cpu.partial(0, &image.get::<E>(i)).expect("the CPU does not fail");
            let got = pending.wait_partial(PATIENCE).expect("it was submitted");
            assert_eq!(want.to_bytes(), got.to_bytes(), "evaluate {len} × {} at {offset}", E::DTYPE);
        }
    }
}

/// In two buffers and, one behind the other, in one.
fn gradient_ranges<E: Weight>(gpu: &Gpu, sources: &Image, outputs: &Image, add: bool) {
    let (cpu, count) = (Backend::cpu(), sources.ranges.len());
    let mut before = sources.clone().append(outputs);
    if add {
        before.fill::<E>(count..2 * count);
    }
    let mut after = before.clone();
    for i in 0..count {
        let mut gradient = before.get::<E>(count + i);
        let update = if add { Backend::gradient_add } else { Backend::gradient_into };
        update(&cpu, &penalty(), &before.get::<E>(i), &mut gradient).expect("the CPU does not fail");
        after.set(count + i, &gradient);
    }
    let base = before.bytes.len() - outputs.bytes.len();
    let one = [buffer(gpu, &before.bytes, USAGES)];
    let two = [buffer(gpu, &before.bytes[..base], USAGES), buffer(gpu, &before.bytes[base..], USAGES)];
    for buffers in [&one[..], &two[..]] {
        let mut encoder = encoder(gpu);
        for i in 0..count {
            let ((from, len), (to, _)) = (before.ranges[i], before.ranges[count + i]);
            let to = if buffers.len() == 1 { to } else { to - base };
            let weights = operand::<E>(&buffers[0], from, len);
            let gradient = operand::<E>(&buffers[buffers.len() - 1], to, len);
            let record = if add { Gpu::record_gradient_add } else { Gpu::record_gradient };
            record(gpu, &mut encoder, &penalty(), &weights, &gradient).expect("the ranges are valid");
        }
        submit(gpu, encoder);
        let got: Vec<u8> = buffers.iter().flat_map(|buffer| contents(gpu, buffer)).collect();
        same_bytes(&after.bytes, &got)
            .unwrap_or_else(|error| panic!("gradient, add {add}, {} buffers, {}: {error}", buffers.len(), E::DTYPE));
    }
}

/// Small windows make small tensors take many bindings, and two ranges of one buffer a binding each.
fn windows_give_the_same_bits(device: &Device, window: usize) {
    let options = Options { window: Some(window as u64), ..Options::default() };
    let gpu = open(device, wgpu::Limits::default(), &options);
    let words = window / 4;
    let lens = [1, 5, words - 1, words, words + 1, 3 * TILE - 1, 3 * TILE, 3 * TILE + 1, 7 * TILE + 3];
    every_operation::<f32>(&gpu, &lens, &[0, 4, 252]);
    let lens = [3, 2 * words - 1, 2 * words, 2 * words + 1, 6 * TILE + 1, 7 * TILE + 3];
    every_operation::<f16>(&gpu, &lens, &[0, 4, 252]);
    every_operation::<bf16>(&gpu, &lens, &[0, 4, 252]);
}

fn checked_kernels_give_the_same_bits(device: &Device) {
    let gpu = open(device, wgpu::Limits::default(), &Options { checked: true, ..Options::default() });
    let lens = [1, 3, 257, 1025, 4095, 4096, 4097, 3 * TILE + 17];
    every_operation::<f32>(&gpu, &lens, &[0, 4, 252]);
    every_operation::<f16>(&gpu, &lens, &[0, 4, 252]);
    every_operation::<bf16>(&gpu, &lens, &[0, 4, 252]);
}

fn tensors_above_the_binding_limit(device: &Device) {
    let limit = 1 << 20;
    let limits = wgpu::Limits { max_storage_buffer_binding_size: limit, ..wgpu::Limits::default() };
    let gpu = open(device, limits, &Options::default());
    assert_eq!(gpu.device().limits().max_storage_buffer_binding_size, limit);
    let words = limit as usize / 4;
    every_operation::<f32>(&gpu, &[words - 1, words, words + 1, 2 * words + 1025], &[0, 4]);
    every_operation::<f16>(&gpu, &[2 * words - 1, 2 * words, 2 * words + 1], &[0, 4]);
}

/// Records steps with a λ and a step size each, and holds every report, the weights and the gradient against the CPU.
fn train(gpu: &Gpu, steps: &[(f64, f64)], len: usize) {
    let (mut theta, held) = weights(gpu, len, 1);
    let (mut gradient, held_gradient) = weights(gpu, len, 2);
    let (on_device, on_device_gradient) = (operand::<f32>(&held, 0, len), operand::<f32>(&held_gradient, 0, len));
    let cpu = Backend::cpu();
    let mut encoder = encoder(gpu);
    let mut reports: Vec<(PendingReport, Report)> = Vec::new();
    for &(lambda, step) in steps {
        let net = Penalty::elastic_net(lambda, 0.5).expect("the λ is valid");
        gpu.record_prox(&mut encoder, &net, &on_device, step).expect("the range is valid");
        gpu.record_gradient_add(&mut encoder, &net, &on_device, &on_device_gradient).expect("the ranges are valid");
        let pending = gpu.record_evaluate(&mut encoder, &net, &on_device).expect("the range is valid");
        cpu.prox_in_place(&net, &mut theta, step).expect("the CPU does not fail");
        cpu.gradient_add(&net, &theta, &mut gradient).expect("the CPU does not fail");
        reports.push((pending, cpu.evaluate(&net, &theta).expect("the CPU does not fail")));
    }
    submit(gpu, encoder);
    // The last first: the order of reading is the caller's.
    for (i, (pending, want)) in reports.iter().enumerate().rev() {
        assert_eq!(pending.wait(PATIENCE).as_ref(), Ok(want), "step {i}");
    }
    same_bits(&theta, bytemuck::cast_slice(&contents(gpu, &held))).expect("the weights");
    same_bits(&gradient, bytemuck::cast_slice(&contents(gpu, &held_gradient))).expect("the gradient");
}

fn every_step_of_an_encoder_has_its_own_coefficients(device: &Device) {
    train(device.plain(), &[(0.1, 0.5), (1e-3, 2.0), (0.0, 1.0), (0.7, 1e-3), (1e-40, 1e3), (0.25, 0.125)], 5000);
}

fn more_steps_in_one_encoder_than_anyone_records(device: &Device) {
    let steps: Vec<(f64, f64)> = (1..=300).map(|i| (1e-3 / f64::from(i), f64::from(i % 7) / 4.0)).collect();
    train(device.plain(), &steps, 1001);
}

fn the_order_is_that_of_submission(device: &Device) {
    let gpu = device.plain();
    let (theta, held) = weights(gpu, 5000, 1);
    let theta_on_device = operand::<f32>(&held, 0, 5000);
    let [mut first, mut second] = [encoder(gpu), encoder(gpu)];
    let pending = gpu.record_evaluate(&mut first, &penalty(), &theta_on_device).expect("the range is valid");
    gpu.record_prox(&mut second, &penalty(), &theta_on_device, 0.5).expect("the range is valid");
    submit(gpu, second);
    submit(gpu, first);
    let shrunk = Backend::cpu().prox(&penalty(), &theta, 0.5).expect("the CPU does not fail");
    assert_eq!(pending.wait(PATIENCE), Backend::cpu().evaluate(&penalty(), &shrunk));
}

fn none_leaves_every_bit_and_still_reports(device: &Device) {
    let gpu = device.plain();
    let mut image = [-0.0, 1e-40, f32::NAN, f32::from_bits(0xff80_1234), 3.0, f32::INFINITY];
    let held = buffer(gpu, bytemuck::cast_slice(&image), USAGES);
    let gradient = buffer(gpu, bytemuck::cast_slice(&image), USAGES);
    let (theta, on_device) = (operand::<f32>(&held, 0, 6), operand::<f32>(&gradient, 0, 6));
    let mut encoder = encoder(gpu);
    gpu.record_prox(&mut encoder, &Penalty::none(), &theta, 1.0).expect("the range is valid");
    gpu.record_gradient_add(&mut encoder, &Penalty::none(), &theta, &on_device).expect("the ranges are valid");
    let pending = gpu.record_evaluate(&mut encoder, &Penalty::none(), &theta).expect("the range is valid");
    submit(gpu, encoder);
    assert_eq!(pending.wait(PATIENCE), Backend::cpu().evaluate(&Penalty::none(), &image));
    for buffer in [&held, &gradient] {
        same_bytes(bytemuck::cast_slice(&image), &contents(gpu, buffer)).expect("nothing is written");
    }
    // A gradient that is written, not added, is 0; a NaN stays.
    let mut encoder = self::encoder(gpu);
    gpu.record_gradient(&mut encoder, &Penalty::none(), &theta, &on_device).expect("the ranges are valid");
    submit(gpu, encoder);
    for x in image.iter_mut().filter(|x| !x.is_nan()) {
        *x = 0.0;
    }
    same_bytes(bytemuck::cast_slice(&image), &contents(gpu, &gradient)).expect("0 is written");
}

fn operands_without_elements_are_fine(device: &Device) {
    let gpu = device.plain();
    let held = buffer(gpu, &[POISON; 4].concat(), USAGES);
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        for offset in [0, 4, 16] {
            let empty = Operand { buffer: &held, offset, len: 0, dtype };
            let mut encoder = encoder(gpu);
            let pending = gpu.record_evaluate(&mut encoder, &penalty(), &empty).expect("an empty range is valid");
            gpu.record_prox(&mut encoder, &penalty(), &empty, 1.0).expect("an empty range is valid");
            gpu.record_gradient(&mut encoder, &penalty(), &empty, &empty).expect("empty ranges do not overlap");
            gpu.record_gradient_add(&mut encoder, &penalty(), &empty, &empty).expect("empty ranges do not overlap");
            submit(gpu, encoder);
            assert_eq!(pending.wait(PATIENCE), Backend::cpu().evaluate::<f32>(&penalty(), &[]));
        }
    }
    same_bytes(&[POISON; 4].concat(), &contents(gpu, &held)).expect("nothing is written");
}

fn a_report_is_an_error_until_it_is_submitted(device: &Device) {
    let gpu = device.plain();
    let (theta, held) = weights(gpu, 5000, 1);
    let mut encoder = encoder(gpu);
    let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand::<f32>(&held, 0, 5000)).expect("it is valid");
    for _ in 0..2 {
        let error = pending.wait(PATIENCE).expect_err("it was not submitted");
        assert!(matches!(error, Error::NotSubmitted { expected, found: 0 } if expected > 0), "{error}");
        let text = error.to_string();
        let want = "no result: the recorded commands were not submitted, or the device was lost; expected the serial ";
        assert!(text.starts_with(want), "{text}");
    }
    submit(gpu, encoder);
    let want = Backend::cpu().evaluate(&penalty(), &theta);
    assert_eq!(pending.wait(PATIENCE), want);
    assert_eq!(pending.wait(PATIENCE), want, "it can be read again");
    assert_eq!(pending.wait_partial(PATIENCE), Backend::cpu().partial(0, &theta));
}

fn a_report_whose_encoder_was_dropped_is_an_error(device: &Device) {
    let gpu = device.plain();
    let (_, held) = weights(gpu, 5000, 1);
    let operand = operand::<f32>(&held, 0, 5000);
    // After one that was: its memory must not answer for this one.
    let mut submitted = encoder(gpu);
    let other = gpu.record_evaluate(&mut submitted, &penalty(), &operand).expect("it is valid");
    submit(gpu, submitted);
    other.wait(PATIENCE).expect("it was submitted");
    drop(other);
    let mut dropped = encoder(gpu);
    let pending = gpu.record_evaluate(&mut dropped, &penalty(), &operand).expect("it is valid");
    drop(dropped);
    let error = pending.wait(PATIENCE).expect_err("it was never submitted");
    assert!(matches!(error, Error::NotSubmitted { .. }), "{error}");
    let error = pending.wait_partial(PATIENCE).expect_err("it was never submitted");
    assert!(matches!(error, Error::NotSubmitted { .. }), "{error}");
}

fn a_report_outlives_the_weights_and_the_library(device: &Device) {
    let gpu = own(device);
    let (theta, held) = weights(&gpu, 5000, 1);
    let mut encoder = encoder(&gpu);
    let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand::<f32>(&held, 0, 5000)).expect("it is valid");
    submit(&gpu, encoder);
    held.destroy();
    drop((held, gpu));
    assert_eq!(pending.wait(PATIENCE), Backend::cpu().evaluate(&penalty(), &theta));
}

fn impatience_is_a_timeout_and_loses_nothing(device: &Device) {
    let gpu = device.plain();
    let (theta, held) = weights(gpu, 1_000_000, 1);
    let mut encoder = encoder(gpu);
    let operand = operand::<f32>(&held, 0, theta.len());
    let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
    submit(gpu, encoder);
    let want = Backend::cpu().evaluate(&penalty(), &theta);
    let impatient = pending.wait(Duration::ZERO);
    assert!(impatient == Err(Error::Timeout(Duration::ZERO)) || impatient == want, "{impatient:?}");
    assert_eq!(pending.wait(PATIENCE), want);
}

fn a_destroyed_device_is_an_error(device: &Device) {
    let gpu = own(device);
    let (_, held) = weights(&gpu, 5000, 1);
    let other = buffer(&gpu, &[0; 20_000], USAGES);
    let mut encoder = encoder(&gpu);
    let operand = operand::<f32>(&held, 0, 5000);
    let read = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
    let unread = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
    submit(&gpu, encoder);
    read.wait(PATIENCE).expect("the device lives");
    gpu.device().destroy();
    without_hanging(move || {
        for pending in [&read, &unread, &read] {
            let error = pending.wait(PATIENCE).expect_err("the device is gone");
            assert!(matches!(error, Error::Device(_) | Error::NotSubmitted { .. }), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        let mut encoder = self::encoder(&gpu);
        let (theta, gradient) = (self::operand::<f32>(&held, 0, 5000), self::operand::<f32>(&other, 0, 5000));
        assert!(gpu.record_evaluate(&mut encoder, &penalty(), &theta).is_err());
        assert!(gpu.record_prox(&mut encoder, &penalty(), &theta, 1.0).is_err());
        assert!(gpu.record_gradient(&mut encoder, &penalty(), &theta, &gradient).is_err());
        let backend = Backend::Gpu(gpu);
        assert!(backend.evaluate(&penalty(), &[1.0f32]).is_err());
        assert!(backend.prox(&penalty(), &[1.0f32], 1.0).is_err());
    });
}

fn a_future_completes_in_the_callers_polling_loop(device: &Device) {
    let gpu = own(device);
    let (theta, held) = weights(&gpu, 5000, 1);
    let mut encoder = encoder(&gpu);
    let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand::<f32>(&held, 0, 5000)).expect("it is valid");
    submit(&gpu, encoder);
    let mut reading = pin!(pending.read());
    // Nobody has polled the device.
    assert!(poll_once(reading.as_mut()).is_pending());
    let began = Instant::now();
    let report = loop {
        gpu.device().poll(PollType::Poll).expect("the device lives");
        if let Poll::Ready(report) = poll_once(reading.as_mut()) {
            break report;
        }
        assert!(began.elapsed() < PATIENCE, "polling the device completes the future");
    };
    assert_eq!(report, Backend::cpu().evaluate(&penalty(), &theta));
}

/// A poll collects the callbacks of all work that has ended and then runs them, one after the other. A thread that waits
/// for its own may find that another has collected it and is still busy with somebody's slow one.
fn an_answer_that_another_thread_picks_up_is_handed_over(device: &Device) {
    let gpu = own(device);
    let (theta, held) = weights(&gpu, 1 << 19, 1);
    let want = Backend::cpu().evaluate(&penalty(), &theta);
    let operand = operand::<f32>(&held, 0, theta.len());
    let barrier = Barrier::new(2);
    let rounds = 0..15;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in rounds.clone() {
                barrier.wait();
                // The other thread has submitted by then, and the device is at work.
                std::thread::sleep(Duration::from_millis(1));
                let wait = PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
                gpu.device().poll(wait).expect("the device answers");
                barrier.wait();
            }
        });
        let mut answers = Vec::new();
        for round in rounds.clone() {
            let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
            let slow = buffer(&gpu, &[], usage);
            let mut encoder = encoder(&gpu);
            let record = || gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
            let pending = std::iter::repeat_with(record).take(4).last().expect("four were recorded");
            encoder.copy_buffer_to_buffer(&held, 0, &slow, 0, 4);
            submit(&gpu, encoder);
            // However long that takes.
            let nap = Duration::from_millis(if round == 0 { 1500 } else { 20 });
            slow.map_async(wgpu::MapMode::Read, .., move |_| std::thread::sleep(nap));
            barrier.wait();
            answers.push(pending.wait(PATIENCE));
            barrier.wait();
        }
        // Judged when the other thread waits no more.
        for answer in answers {
            assert_eq!(answer, want);
        }
    });
}

fn a_poller_completes_futures(device: &Device) {
    let gpu = device.plain().clone();
    without_hanging(move || {
        let poller = Poller::spawn(&gpu, PATIENCE).expect("the system gives threads");
        let (backend, cpu) = (Backend::Gpu(gpu.clone()), Backend::cpu());
        let (theta, held) = weights(&gpu, 5000, 1);
        let mut encoder = encoder(&gpu);
        let operand = operand::<f32>(&held, 0, 5000);
        let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
        submit(&gpu, encoder);
        let want = cpu.evaluate(&penalty(), &theta);
        pollster::block_on(async {
            assert_eq!(pending.read().await, want);
            assert_eq!(backend.evaluate_async(&penalty(), &theta).await, want);
            let lists = backend.evaluate_all_async(&penalty(), &[&theta[..7], &theta[7..]]).await;
            assert_eq!(lists, cpu.evaluate_all(&penalty(), &[&theta[..7], &theta[7..]]));
            let [mut want, mut got] = [theta.clone(), theta.clone()];
            cpu.prox_in_place(&penalty(), &mut want, 0.5)?;
            backend.prox_in_place_async(&penalty(), &mut got, 0.5).await?;
            assert_eq!(same_bits(&want, &got), Ok(()));
            cpu.gradient_add(&penalty(), &theta, &mut want)?;
            backend.gradient_add_async(&penalty(), &theta, &mut got).await?;
            assert_eq!(same_bits(&want, &got), Ok(()));
            cpu.gradient_into(&penalty(), &theta, &mut want)?;
            backend.gradient_into_async(&penalty(), &theta, &mut got).await?;
            assert_eq!(same_bits(&want, &got), Ok(()));
            Ok::<(), Error>(())
        })
        .expect("the device does not fail");
        drop(poller);
        // Without it the blocking forms still poll for themselves.
        assert_eq!(backend.evaluate(&penalty(), &theta), cpu.evaluate(&penalty(), &theta));
    });
}

fn a_poller_fails_futures_that_wait_too_long(device: &Device) {
    let gpu = own(device);
    without_hanging(move || {
        let (theta, held) = weights(&gpu, 5000, 1);
        let mut encoder = encoder(&gpu);
        let operand = operand::<f32>(&held, 0, 5000);
        let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
        submit(&gpu, encoder);
        let poller = Poller::spawn(&gpu, Duration::ZERO).expect("the system gives threads");
        assert_eq!(pollster::block_on(pending.read()), Err(Error::Timeout(Duration::ZERO)));
        drop(poller);
        assert_eq!(pending.wait(PATIENCE), Backend::cpu().evaluate(&penalty(), &theta), "the report is not lost");
    });
}

/// The calls on host slices that write one of the caller's.
#[derive(Debug, Clone, Copy)]
enum Writes {
    GradientInto,
    GradientAdd,
    Prox,
    ProxAndEvaluate,
}

impl Writes {
    const ALL: [Writes; 4] = [Writes::GradientInto, Writes::GradientAdd, Writes::Prox, Writes::ProxAndEvaluate];

    async fn run(self, backend: &Backend, theta: &[f32], slice: &mut [f32]) -> Result<(), Error> {
        match self {
            Writes::GradientInto => backend.gradient_into_async(&penalty(), theta, slice).await,
            Writes::GradientAdd => backend.gradient_add_async(&penalty(), theta, slice).await,
            Writes::Prox => backend.prox_in_place_async(&penalty(), slice, 0.5).await,
            Writes::ProxAndEvaluate => backend.prox_and_evaluate_in_place_async(&penalty(), slice, 0.5).await.map(drop),
        }
    }
}

/// Weights that take two chunks of 32 MiB.
fn two_chunks() -> Vec<f32> {
    noise((32 << 20) / 4 + TILE + 4, 1)
}

/// Polls a future, and lets the device do all that was submitted before the next time; what it gives after so many polls.
fn poll_often<F: Future>(gpu: &Gpu, mut future: Pin<&mut F>, polls: usize) -> Option<F::Output> {
    for _ in 0..polls {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return Some(output);
        }
        let wait = PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        // A device that is gone may refuse.
        let _ = gpu.device().poll(wait);
    }
    None
}

fn a_dropped_future_leaves_the_slice_as_it_was(device: &Device) {
    let gpu = own(device);
    let (backend, theta) = (Backend::Gpu(gpu.clone()), two_chunks());
    for call in Writes::ALL {
        let mut slice = theta.clone();
        // Once for each time that it waits, until it is done.
        let mut waits = 0;
        loop {
            let done = poll_often(&gpu, pin!(call.run(&backend, &theta, &mut slice)), waits + 1);
            if let Some(done) = done {
                assert_eq!(done, Ok(()));
                break;
            }
            waits += 1;
            assert!(slice == theta, "{call:?} was dropped when it waited for the {waits}th time");
        }
        assert!(waits >= 2, "{call:?} waits for each of two chunks");
        let mut want = theta.clone();
        pollster::block_on(call.run(&Backend::cpu(), &theta, &mut want)).expect("the CPU does not fail");
        same_bits(&want, &slice).unwrap_or_else(|error| panic!("{call:?}: {error}"));
    }
}

fn a_device_that_fails_midway_leaves_the_slice(device: &Device) {
    for call in Writes::ALL {
        let gpu = own(device);
        without_hanging(move || {
            let (backend, theta) = (Backend::Gpu(gpu.clone()), two_chunks());
            let mut slice = theta.clone();
            let outcome = {
                let mut future = pin!(call.run(&backend, &theta, &mut slice));
                // The first chunk is back, and the second is under way.
                let waits = if matches!(call, Writes::ProxAndEvaluate) { 3 } else { 2 };
                assert_eq!(poll_often(&gpu, future.as_mut(), waits), None);
                gpu.device().destroy();
                poll_often(&gpu, future, 100)
            };
            // What was under way may still end.
            let mut want = theta.clone();
            if outcome == Some(Ok(())) {
                pollster::block_on(call.run(&Backend::cpu(), &theta, &mut want)).expect("the CPU does not fail");
            }
            assert!(slice == want, "{call:?}: {outcome:?}");
        });
    }
}

fn a_poller_ends_the_wait_for_a_destroyed_device(device: &Device) {
    let gpu = own(device);
    without_hanging(move || {
        let (theta, held) = weights(&gpu, 5000, 1);
        let mut encoder = encoder(&gpu);
        let operand = operand::<f32>(&held, 0, 5000);
        let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
        submit(&gpu, encoder);
        let mut reading = pin!(pending.read());
        assert!(poll_once(reading.as_mut()).is_pending());
        gpu.device().destroy();
        // No answer in time is an error too, of those that are expected.
        let _poller = Poller::spawn(&gpu, Duration::from_secs(2)).expect("the system gives threads");
        // Work that was under way may still end; what may not happen is nothing.
        let report = pollster::block_on(reading);
        assert!(report.is_err() || report == Backend::cpu().evaluate(&penalty(), &theta), "{report:?}");
        let error = pollster::block_on(pending.read()).expect_err("the device is gone");
        assert!(matches!(error, Error::Device(_) | Error::NotSubmitted { .. } | Error::Timeout(_)), "{error}");
    });
}

fn refused_operands_record_nothing(device: &Device) {
    let gpu = device.plain();
    let image = [POISON; 1024].concat();
    let (held, other) = (buffer(gpu, &image, USAGES), buffer(gpu, &image, USAGES));
    let unusable = buffer(gpu, &image, BufferUsages::COPY_SRC | BufferUsages::COPY_DST);
    let mapped = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4096,
        usage: BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let at = |buffer, offset, len, dtype| Operand { buffer, offset, len, dtype };
    let good = at(&held, 0, 100, Dtype::F32);
    let bad = [
        (at(&held, 2, 1, Dtype::F16), "its offset must be a multiple of 4 bytes, found 2"),
        (at(&held, 4095, 0, Dtype::F16), "its offset must be a multiple of 4 bytes, found 4095"),
        (at(&unusable, 0, 1, Dtype::F32), "its buffer must have the usage STORAGE, found COPY_SRC | COPY_DST"),
        (at(&mapped, 0, 1, Dtype::F32), "its buffer must have the usage STORAGE, found MAP_READ"),
        (
            at(&held, 0, 1025, Dtype::F32),
            "its range must end inside its buffer, found bytes 0 to 4100 of a buffer of 4096",
        ),
        (
            at(&held, 4096, 1, Dtype::BF16),
            "its range must end inside its buffer, found bytes 4096 to 4100 of a buffer of 4096",
        ),
        (
            at(&held, 4, 2047, Dtype::F16),
            "its range must end inside its buffer, found bytes 4 to 4100 of a buffer of 4096",
        ),
        (
            at(&held, u64::MAX - 3, 1, Dtype::F32),
            "its range must end below 2^64, found 1 elements of 4 bytes from byte 18446744073709551612",
        ),
        (
            at(&held, 0, u64::MAX, Dtype::F16),
            "its range must end below 2^64, found 18446744073709551615 elements of 2 bytes from byte 0",
        ),
        (
            at(&held, 8, u64::MAX / 4, Dtype::F32),
            "its range must end below 2^64, found 4611686018427387903 elements of 4 bytes from byte 8",
        ),
    ];
    let mut encoder = encoder(gpu);
    let penalty = penalty();
    for (bad, rule) in &bad {
        let weights = format!("the weights: {rule}");
        let text = |result: penalty::Result<()>| result.expect_err(rule).to_string();
        assert_eq!(text(gpu.record_evaluate(&mut encoder, &penalty, bad).map(drop)), weights);
        assert_eq!(text(gpu.record_prox(&mut encoder, &penalty, bad, 1.0)), weights);
        // Even where nothing would be done.
        assert_eq!(text(gpu.record_prox(&mut encoder, &Penalty::none(), bad, 1.0)), weights);
        for record in [Gpu::record_gradient, Gpu::record_gradient_add] {
            assert_eq!(text(record(gpu, &mut encoder, &penalty, bad, &good)), weights);
            assert_eq!(text(record(gpu, &mut encoder, &penalty, &good, bad)), format!("the gradient: {rule}"));
        }
    }
    let gradients = [
        (at(&other, 0, 99, Dtype::F32), "the gradient must have 100 elements, found 99"),
        (at(&other, 0, 100, Dtype::F16), "the gradient must hold F32, found F16"),
        (at(&held, 0, 100, Dtype::F32), "the weights and the gradient overlap: each must have memory of its own"),
        (at(&held, 396, 100, Dtype::F32), "the weights and the gradient overlap: each must have memory of its own"),
    ];
    for (gradient, want) in &gradients {
        for record in [Gpu::record_gradient, Gpu::record_gradient_add] {
            let error = record(gpu, &mut encoder, &penalty, &good, gradient).expect_err(want);
            assert_eq!(error.to_string(), *want);
        }
    }
    // The halves of a word belong to one range.
    let (odd, behind) = (at(&held, 0, 3, Dtype::F16), at(&held, 4, 3, Dtype::F16));
    assert!(gpu.record_gradient(&mut encoder, &penalty, &odd, &behind).is_err());
    for step in [-1.0, f64::NAN, f64::INFINITY] {
        let error = gpu.record_prox(&mut encoder, &penalty, &good, step).expect_err("the step is bad");
        assert!(matches!(error, Error::Parameter { name: "step", .. }), "{error}");
    }
    submit(gpu, encoder);
    for buffer in [&held, &other, &unusable] {
        same_bytes(&image, &contents(gpu, buffer)).expect("nothing was recorded");
    }
}

fn foreign_and_destroyed_buffers_are_errors(device: &Device) {
    let gpu = own(device);
    let (foreign_device, foreign_queue) = device.request(wgpu::Limits::default());
    let descriptor = wgpu::BufferDescriptor { label: None, size: 4096, usage: USAGES, mapped_at_creation: false };
    let foreign = foreign_device.create_buffer(&descriptor);
    let destroyed = gpu.device().create_buffer(&descriptor);
    destroyed.destroy();
    let (mine, held) = weights(&gpu, 1024, 1);
    let good = operand::<f32>(&held, 0, 1024);
    let mut encoder = encoder(&gpu);
    for bad in [&foreign, &destroyed].map(|buffer| operand::<f32>(buffer, 0, 1024)) {
        let evaluated = gpu.record_evaluate(&mut encoder, &penalty(), &bad).map(drop);
        let results = [
            evaluated,
            gpu.record_prox(&mut encoder, &penalty(), &bad, 1.0),
            gpu.record_gradient(&mut encoder, &penalty(), &bad, &good),
            gpu.record_gradient_add(&mut encoder, &penalty(), &good, &bad),
        ];
        for result in results {
            let error = result.expect_err("the buffer cannot be used");
            assert!(matches!(error, Error::Device(_)) && !error.to_string().contains('\n'), "{error}");
        }
    }
    submit(&gpu, encoder);
    same_bytes(bytemuck::cast_slice(&mine), &contents(&gpu, &held)).expect("nothing was recorded");
    drop(foreign_queue);
}

fn the_callers_error_handlers_stay(device: &Device) {
    let (errors, losses) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (raw, queue) = device.request(wgpu::Limits::default());
    let (counted, lost) = (errors.clone(), losses.clone());
    raw.on_uncaptured_error(Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    raw.set_device_lost_callback(move |_, _| {
        lost.fetch_add(1, Ordering::SeqCst);
    });
    let gpu = Gpu::from_device(raw, queue).expect("the kernels need no more than the default limits");
    let descriptor = wgpu::BufferDescriptor { label: None, size: 4096, usage: USAGES, mapped_at_creation: false };
    let destroyed = gpu.device().create_buffer(&descriptor);
    destroyed.destroy();
    let bad = operand::<f32>(&destroyed, 0, 1024);
    let mut encoder = encoder(&gpu);
    gpu.record_prox(&mut encoder, &penalty(), &bad, 1.0).expect_err("the buffer is destroyed");
    gpu.record_evaluate(&mut encoder, &penalty(), &bad).expect_err("the buffer is destroyed");
    submit(&gpu, encoder);
    Backend::Gpu(gpu.clone()).prox(&penalty(), &[1.0f32], 0.5).expect("the device lives");
    assert_eq!(errors.load(Ordering::SeqCst), 0, "the library's errors are its own");
    // An error of the caller's own still reaches the caller's handler.
    let usage = BufferUsages::MAP_READ | BufferUsages::STORAGE;
    drop(gpu.device().create_buffer(&wgpu::BufferDescriptor { usage, ..descriptor }));
    assert_eq!(errors.load(Ordering::SeqCst), 1);
    gpu.device().destroy();
    let lost = without_hanging(move || {
        Backend::Gpu(gpu.clone()).evaluate(&penalty(), &[1.0f32]).expect_err("the device is gone");
        let began = Instant::now();
        while losses.load(Ordering::SeqCst) == 0 && began.elapsed() < PATIENCE {
            // A lost device may refuse to be polled.
            let _ = gpu.device().poll(PollType::Poll);
        }
        losses.load(Ordering::SeqCst)
    });
    assert_eq!(lost, 1, "the caller's device-lost callback is called");
    assert_eq!(errors.load(Ordering::SeqCst), 1, "a lost device is no error of the caller's");
}

fn windows_that_hold_no_tile_are_refused(device: &Device) {
    let (raw, queue) = device.request(wgpu::Limits::default());
    for window in [0, 1, 16_639] {
        let options = Options { window: Some(window), ..Options::default() };
        let error = Gpu::with_options(raw.clone(), queue.clone(), &options).expect_err("the window is too small");
        let want =
            format!("Options::window must be at least 16640 bytes, which are a tile of f32 and 256, found {window}");
        assert_eq!(error.to_string(), want);
    }
}

/// A limit's name, how large it must be, and what sets it.
type Needed = (&'static str, u64, fn(&mut wgpu::Limits, u64));

/// The limits without which no kernel runs.
const NEEDED: [Needed; 12] = {
    macro_rules! needed {
        ($($limit:ident: $least:expr,)*) => {
            [$((stringify!($limit), $least, |limits, to| limits.$limit = to as _),)*]
        };
    }
    needed! {
        max_storage_buffer_binding_size: 16_640,
        max_storage_buffers_per_shader_stage: 3,
        max_dynamic_storage_buffers_per_pipeline_layout: 2,
        max_uniform_buffers_per_shader_stage: 1,
        max_uniform_buffer_binding_size: 32,
        max_dynamic_uniform_buffers_per_pipeline_layout: 1,
        max_bind_groups: 1,
        max_bindings_per_bind_group: 11,
        max_compute_workgroup_storage_size: 14_592,
        max_compute_invocations_per_workgroup: 256,
        max_compute_workgroup_size_x: 256,
        max_compute_workgroups_per_dimension: 32_768,
    }
};

fn limits_that_are_too_small_are_named(device: &Device) {
    let refused = |limits: wgpu::Limits| {
        let (raw, queue) = device.request(limits);
        Gpu::from_device(raw, queue).expect_err("a limit is too small").to_string()
    };
    for (limit, least, set) in NEEDED {
        for found in [0, least - 1] {
            let mut limits = wgpu::Limits::default();
            set(&mut limits, found);
            let want = format!("the device's limit {limit} must be at least {least} for the kernels, found {found}");
            assert_eq!(refused(limits), want);
        }
    }
    let want = "the device's limit max_storage_buffer_binding_size must be at least 16640 for the kernels, found 0";
    assert_eq!(refused(wgpu::Limits::downlevel_webgl2_defaults()), want);

    // Host slices travel in one buffer, as far as there is one.
    let limits = wgpu::Limits { max_buffer_size: 1 << 20, ..wgpu::Limits::default() };
    let backend = Backend::Gpu(open(device, limits, &Options::default()));
    assert!(backend.evaluate(&penalty(), &vec![1.0f32; 1 << 18]).is_ok());
    let want =
        "the device's limit max_buffer_size must be at least 1048580 for a buffer of the library's, found 1048576";
    let long = vec![1.0f32; (1 << 18) + 1];
    assert_eq!(backend.evaluate(&penalty(), &long).expect_err("it is too long").to_string(), want);
    assert_eq!(backend.prox(&penalty(), &long, 1.0).expect_err("it is too long").to_string(), want);
    assert_eq!(backend.evaluate_all(&penalty(), &[&long[1..], &long]).map(drop).expect_err("too long").to_string(), {
        "the device's limit max_buffer_size must be at least 2097156 for a buffer of the library's, found 1048576"
    });
}

fn limits_that_are_just_enough_are_enough(device: &Device) {
    let mut limits = wgpu::Limits::default();
    NEEDED.iter().for_each(|(_, least, set)| set(&mut limits, *least));
    let gpu = open(device, limits, &Options::default());
    assert_eq!(gpu.determinism(), Determinism::GpuToGpu);
    let (backend, cpu, weights) = (Backend::Gpu(gpu.clone()), Backend::cpu(), noise(3 * TILE + 5, 1));
    // Its sum of its own needs the most memory of a workgroup.
    let mcp = Penalty::mcp(0.1, 3.0).expect("it is valid");
    for penalty in [&penalty(), &mcp] {
        assert_eq!(backend.evaluate(penalty, &weights), cpu.evaluate(penalty, &weights));
        assert_eq!(backend.prox(penalty, &weights, 0.5), cpu.prox(penalty, &weights, 0.5));
    }
    // What needs more says so: a tensor, and what many tensors need together.
    let lone = |role: &str, penalty: &Penalty| (role.to_owned(), penalty.clone());
    let columns = Penalty::l2_norm(0.5).and_then(|norm| norm.over(Groups::columns(2)?)).expect("it is valid");
    let set = |tensors: usize, len: u64, (name, penalty): (String, Penalty)| {
        let parameters = vec![Parameter::new(name, len, Dtype::F32, penalty); tensors];
        let buffers: [Vec<wgpu::Buffer>; 4] =
            std::array::from_fn(|_| (0..tensors).map(|_| buffer(&gpu, &vec![0; 4 * len as usize], USAGES)).collect());
        let [weights, gradients, first, second] = buffers
            .each_ref()
            .map(|list| list.iter().map(|buffer| operand::<f32>(buffer, 0, len as usize)).collect::<Vec<_>>());
        let operands = Operands {
            weights: &weights,
            gradients: &gradients,
            first: &first,
            second: &second,
            ..Operands::default()
        };
        ParameterSet::new(&gpu, parameters, &operands, 1).expect("the operands are valid")
    };
    let text = |result: penalty::Result<()>| result.expect_err("a limit is too small").to_string();
    let mut one = set(1, 4, lone("w", &penalty()));
    let storage = "the device's limit max_storage_buffers_per_shader_stage must be at least";
    let adam = text(one.prepare(&[Recording::Adam(Metric::Plain)]));
    assert_eq!(adam, format!("{storage} 6 for Adam's step, found 3"));
    let binding = "the device's limit max_storage_buffer_binding_size must be at least";
    let mut large = set(1, 8192, lone("w \"1\"", &columns));
    let alignment = u64::from(gpu.device().limits().min_storage_buffer_offset_alignment);
    let want = format!("{binding} {} for a tensor whose groups are no runs, found 16640", 4 * 8192 + alignment);
    assert_eq!(text(large.prepare(&[Recording::Prox])), format!("\"w \\\"1\\\"\": {want}"));
    let mut many = set(100, 1, lone("w", &penalty()));
    // A row for the header, for each tensor and for the total, of 52 words.
    let results = 4 * 52 * 102;
    let want = format!("{binding} {results} for the results of 100 tensors, found 16640");
    assert_eq!(text(many.prepare(&[Recording::Evaluate])), want);
}

/// wgpu 30 compares devices only when an encoder is finished. Once it tells sooner, this fails, and recording can refuse.
fn an_encoder_of_another_device_fails_late(device: &Device) {
    let (gpu, other) = (device.plain(), own(device));
    let (mine, held) = weights(gpu, 5000, 1);
    let theta = operand::<f32>(&held, 0, 5000);
    let parameters = vec![Parameter::new("w", 5000, Dtype::F32, penalty())];
    let operands = Operands { weights: &[theta], ..Operands::default() };
    let mut set = ParameterSet::new(gpu, parameters, &operands, 1).expect("the operands are valid");
    let not_submitted = |error: Error| assert!(matches!(error, Error::NotSubmitted { .. }), "{error}");
    let refused = |foreign: wgpu::CommandEncoder| {
        // A scope takes what would end the program otherwise.
        let error = other.guarded(|| foreign.finish()).map(drop).expect_err("the devices differ");
        assert!(matches!(error, Error::Device(_)) && !error.to_string().contains('\n'), "{error}");
    };
    let mut foreign = encoder(&other);
    let pending = gpu.record_evaluate(&mut foreign, &penalty(), &theta).expect("nothing tells");
    gpu.record_prox(&mut foreign, &penalty(), &theta, 0.5).expect("nothing tells");
    refused(foreign);
    not_submitted(pending.wait(PATIENCE).expect_err("it was not submitted"));
    let mut foreign = encoder(&other);
    let pending = set.record_prox_and_evaluate(&mut foreign, 0.5).expect("nothing tells");
    refused(foreign);
    not_submitted(pending.wait(PATIENCE).map(drop).expect_err("it was not submitted"));
    // Both devices, and the set's only slot, are as they were.
    same_bytes(bytemuck::cast_slice(&mine), &contents(gpu, &held)).expect("nothing ran");
    let mut own = encoder(gpu);
    let pending = set.record_evaluate(&mut own).expect("its slot is free again");
    submit(gpu, own);
    let want = Backend::cpu().evaluate(&penalty(), &mine).expect("the CPU does not fail");
    assert_eq!(pending.wait(PATIENCE).map(|reports| reports.total), Ok(want));
    assert_eq!(Backend::Gpu(other).evaluate(&penalty(), &mine), Ok(want));
}

fn the_cpu_and_a_device_call_operands_the_same(device: &Device) {
    let gpu = device.plain();
    let page = buffer(gpu, &[0; 4096], USAGES);
    let at = |offset, len| operand::<f32>(&page, offset, len);
    let mut recorded = encoder(gpu);
    // One tensor.
    let mut short = [0.0f32; 2];
    for backend in [Backend::cpu(), Backend::Gpu(gpu.clone())] {
        let on_host = backend.gradient_into(&penalty(), &[1.0f32; 3], &mut short).expect_err("it is too short");
        let on_device = gpu.record_gradient(&mut recorded, &penalty(), &at(0, 3), &at(256, 2)).expect_err("so is this");
        assert_eq!(on_host, on_device);
        let weighted = Penalty::weighted_l1(0.5).expect("it is valid");
        let (own, own_at) = ([1.0f32; 2], at(512, 2));
        let on_host = backend.evaluate(weighted.with_weights(&own).expect("they are valid"), &[1.0f32; 3]);
        let with = weighted.with_operand(&own_at).expect("it takes weights");
        let on_device = gpu.record_evaluate(&mut recorded, with, &at(0, 3)).map(drop);
        assert_eq!(on_host.map(drop).expect_err("too few"), on_device.expect_err("too few"));
    }
    // Sets, each of whose operands is too short in turn, and then missing.
    let parameters = || vec![Parameter::new("w", 3, Dtype::F32, penalty())];
    let (host, adam) = (HostSet::new(Cpu::new(), parameters()), Adam::default());
    let on_host = |[weights, gradient, first, second]: [&mut [f32]; 4], missing: usize| {
        let mut written = [weights, first, second].map(|slice| vec![SliceMut::from(slice)]);
        let mut read = vec![Slice::from(&*gradient)];
        match missing {
            0 => {}
            1 => read.clear(),
            role => written[role - 1].clear(),
        }
        let [weights, first, second] = &mut written;
        host.adam(&adam, &read, weights, first, second).map(drop).expect_err("an operand is wrong")
    };
    let on_device = |lists: [&[Operand<'_>]; 4]| {
        let [weights, gradients, first, second] = lists;
        let operands = Operands { weights, gradients, first, second, ..Operands::default() };
        let mut set = ParameterSet::new(gpu, parameters(), &operands, 1)?;
        set.prepare(&[Recording::Adam(adam.metric)])
    };
    let full: [[Operand<'_>; 1]; 4] = std::array::from_fn(|role| [at(256 * role, 3)]);
    for (role, name) in ["the weights", "the gradient", "the first state", "the second state"].into_iter().enumerate() {
        let mut slices = [[0.0f32; 3]; 4];
        let mut slices = slices.each_mut().map(|slice| &mut slice[..]);
        slices[role] = &mut short;
        let error = on_host(slices, 0);
        assert_eq!(error.to_string(), format!("\"w\": {name} must have 3 elements, found 2"));
        let cut = [at(256 * role, 2)];
        let mut lists = full.each_ref().map(|list| &list[..]);
        lists[role] = &cut;
        assert_eq!(on_device(lists), Err(error));
        if role > 0 {
            let mut slices = [[0.0f32; 3]; 4];
            lists[role] = &[];
            let error = on_host(slices.each_mut().map(|slice| &mut slice[..]), role);
            assert_eq!(error.to_string(), format!("Adam's step needs {name} for each of the 1 tensors, found 0"));
            assert_eq!(on_device(lists), Err(error));
        }
    }
}

/// In a child that has forked but not yet become another program, the device's threads are not there.
#[cfg(unix)]
fn a_fork_is_told_to_open_its_own_device(device: &Device) {
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    // The only numbers that a child's closure can send its parent are the system's errors.
    const REFUSED: i32 = 33;
    const ACCEPTED: i32 = 34;
    let gpu = device.plain().clone();
    let kind = without_hanging(move || {
        let mut command = Command::new("true");
        let backend = Backend::Gpu(gpu);
        let ask = move || {
            // A library that does not notice hangs here, and would keep the test's output open for ever.
            std::thread::spawn(|| {
                std::thread::sleep(PATIENCE);
                std::process::abort();
            });
            let answer = backend.evaluate(&penalty(), &[1.0f32]);
            let refused = matches!(answer, Err(Error::Forked { expected, found }) if expected != found);
            Err(io::Error::from_raw_os_error(if refused { REFUSED } else { ACCEPTED }))
        };
        // SAFETY: the refusal comes before any lock of the driver's or of wgpu's is taken, and that it does is the test.
        unsafe { command.pre_exec(ask) };
        command.spawn().map(drop).map_err(|error| error.raw_os_error())
    });
    assert_eq!(kind, Err(Some(REFUSED)), "the child hung, or its answer was another");
}

#[cfg(not(unix))]
fn a_fork_is_told_to_open_its_own_device(_: &Device) {}
