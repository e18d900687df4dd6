//! Are group penalties right on a device? Do they have the host's bits in sets?

use penalty::gpu::Operand;
use penalty::{Dtype, Gpu, Result};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{self, Layout, equal};
use crate::common::compare::same_bytes;
use crate::common::coverings::{ALL, STEP, every_weight_is_in_one_group_or_every_call_is_rejected, is_rejected};
use crate::common::device::{contents, encoder, submit};
use crate::common::grouped::{CALLS, tensors, with_gradients};
use crate::common::tensors::{Call, Tensors};
use crate::common::trials::has_turn;
use crate::common::{golden, ranges};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    golden_vectors_come_out,
    projections_are_exact_at_every_ratio,
    reported_projections_are_right,
    norm_gradients_are_right_at_every_scale,
    sets_with_groups_equal_the_host,
    groups_cover_every_weight_or_every_call_is_rejected,
];

fn golden_vectors_come_out(device: &Device) {
    golden::vectors_come_out(&device.backend());
}

fn projections_are_exact_at_every_ratio(device: &Device) {
    ranges::projections_are_exact_at_every_ratio(&device.backend());
}

fn reported_projections_are_right(device: &Device) {
    ranges::reported_projections_are_right(&device.backend());
}

fn norm_gradients_are_right_at_every_scale(device: &Device) {
    ranges::norm_gradients_are_right_at_every_scale(&device.backend());
}

fn groups_cover_every_weight_or_every_call_is_rejected(device: &Device) {
    let gpu = device.plain();
    every_weight_is_in_one_group_or_every_call_is_rejected(60, &device.backend(), |tensors, covered| {
        if covered {
            equal(gpu, tensors, Layout::Page, Call::Prox(STEP));
            equal(gpu, tensors, Layout::Page, Call::EvaluateAndGradientAdd);
        } else {
            recording_is_rejected(gpu, tensors);
        }
    });
}

/// The groups do not cover the second tensor, so every call is rejected, alone and in a set.
fn recording_is_rejected(gpu: &Gpu, tensors: &Tensors) {
    let penalty = &tensors.parameters[1].penalty;
    let groups = |what: &str, result: Result<()>| is_rejected(what, penalty, result);
    let images = tensors.lay_out(Layout::Page);
    let buffers = images.upload(gpu);
    let lists = images.operands(tensors, &buffers);
    let operands = buffers::operands(&lists);
    let [theta, gradient]: [&Operand<'_>; 2] = [&operands.weights[1], &operands.gradients[1]];
    let mut encoder = encoder(gpu);
    groups("record_evaluate", gpu.record_evaluate(&mut encoder, penalty, theta).map(drop));
    groups("record_gradient_into", gpu.record_gradient_into(&mut encoder, penalty, theta, gradient));
    groups("record_gradient_add", gpu.record_gradient_add(&mut encoder, penalty, theta, gradient));
    groups("record_prox_in_place", gpu.record_prox_in_place(&mut encoder, penalty, theta, STEP));
    let mut set = buffers::set(gpu, tensors, &images, &buffers, 1);
    for call in ALL {
        groups("a set on a device", buffers::record(&mut set, &mut encoder, call).map(drop));
    }
    submit(gpu, encoder);
    let held = contents(gpu, &buffers[0]);
    same_bytes(&images.bytes[0], &held).expect("nothing was recorded");
}

fn sets_with_groups_equal_the_host(device: &Device) {
    for (_, call) in CALLS.into_iter().enumerate().filter(|(i, _)| has_turn(i + 1)) {
        equal(device.plain(), &tensors(Dtype::F32), Layout::Page, call);
    }
    equal(device.plain(), &tensors(Dtype::F16), Layout::Scattered(3), CALLS[0]);
    equal(device.plain(), &with_gradients(tensors(Dtype::F32)), Layout::Page, Call::EvaluateAndGradientAdd);
}
