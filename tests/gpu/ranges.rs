//! Do recordings give the CPU's bits for any range of any buffer, and leave the rest of the buffer alone?
//!
//! Poison surrounds each range and must stay.

use std::ops::Range;

use penalty::exact::TILE;
use penalty::gpu::Options;
use penalty::half::{bf16, f16};
use penalty::{Backend, Gpu, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::cases::{LENGTHS, noise};
use crate::common::compare::{POISON, same_bytes};
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, open, submit};
use crate::common::oracle::Weight;
use crate::common::recorded::{operand, penalty};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    f32_ranges_anywhere_in_a_buffer,
    f16_ranges_anywhere_in_a_buffer,
    bf16_ranges_anywhere_in_a_buffer,
    a_window_of_one_tile_gives_the_same_bits,
    a_window_of_three_tiles_gives_the_same_bits,
    checked_kernels_give_the_same_bits,
    tensors_above_the_binding_limit,
];

fn f32_ranges_anywhere_in_a_buffer(device: &Device) {
    ranges_anywhere::<f32>(device.plain());
}

fn f16_ranges_anywhere_in_a_buffer(device: &Device) {
    ranges_anywhere::<f16>(device.plain());
}

fn bf16_ranges_anywhere_in_a_buffer(device: &Device) {
    ranges_anywhere::<bf16>(device.plain());
}

fn a_window_of_one_tile_gives_the_same_bits(device: &Device) {
    windows_give_the_same_bits(device, 16_640);
}

fn a_window_of_three_tiles_gives_the_same_bits(device: &Device) {
    windows_give_the_same_bits(device, 49_408);
}

/// Bytes with ranges in them: a buffer's contents before, or the expected contents after.
#[derive(Clone)]
struct Image {
    bytes: Vec<u8>,
    ranges: Vec<(usize, usize)>,
}

impl Image {
    /// Ranges of these lengths, with at least 32 bytes of poison around each. Their starts repeat in turn.
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

/// Every length, at starts aligned to 16 bytes, 8, 4 and the limit for bindings.
fn ranges_anywhere<E: Weight>(gpu: &Gpu) {
    let lens: Vec<usize> = LENGTHS.into_iter().flat_map(|len| [len; 5]).collect();
    every_operation::<E>(gpu, &lens, &[0, 4, 8, 16, 252]);
}

fn every_operation<E: Weight>(gpu: &Gpu, lens: &[usize], starts: &[usize]) {
    let mut sources = Image::new::<E>(lens, starts);
    sources.fill::<E>(0..lens.len());
    evaluate_and_prox_ranges::<E>(gpu, &sources);
    // One list has one start more than the other, so every pair of alignments occurs.
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
        gpu.record_prox_in_place(&mut encoder, &penalty(), &operand, 0.5).expect("the range is valid");
        pending.push(gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("the range is valid"));
        after.set(i, &cpu.prox(&penalty(), &before.get::<E>(i), 0.5).expect("the CPU does not fail"));
    }
    submit(gpu, encoder);
    same_bytes(&after.bytes, &contents(gpu, &held)).unwrap_or_else(|error| panic!("prox, {}: {error}", E::DTYPE));
    for (i, &(offset, len)) in before.ranges.iter().enumerate() {
        for (image, pending) in [before, &after].into_iter().zip(&pending[2 * i..]) {
            let want = cpu.partial(0, &image.get::<E>(i)).expect("the CPU does not fail");
            let got = pending.wait_partials(TIMEOUT).expect("it was submitted");
            assert_eq!(want.to_bytes(), got[0].to_bytes(), "evaluate {len} × {} at {offset}", E::DTYPE);
        }
    }
}

/// Sources and outputs in two buffers, and one behind the other in one buffer.
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
            let record = if add { Gpu::record_gradient_add } else { Gpu::record_gradient_into };
            record(gpu, &mut encoder, &penalty(), &weights, &gradient).expect("the ranges are valid");
        }
        submit(gpu, encoder);
        let got: Vec<u8> = buffers.iter().flat_map(|buffer| contents(gpu, buffer)).collect();
        same_bytes(&after.bytes, &got)
            .unwrap_or_else(|error| panic!("gradient, add {add}, {} buffers, {}: {error}", buffers.len(), E::DTYPE));
    }
}

/// With small windows, small tensors need many bindings, and two ranges of one buffer need two.
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
