//! Does every optimizer end at the minimizer on a device, with the host's bits?

use penalty::gpu::{Operand, Operands, ParameterSet};
use penalty::{Dtype, Gpu, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::record;
use crate::common::compare::same_bits;
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, submit};
use crate::common::minimizer::{CENTRE, OPTIMIZERS, Optimizer, PLAIN_METRIC, end, sets};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![every_optimizer_ends_at_the_minimizer_on_a_device,];

fn every_optimizer_ends_at_the_minimizer_on_a_device(device: &Device) {
    for optimizer in OPTIMIZERS.into_iter().chain([PLAIN_METRIC]) {
        let theta = end_on(device.plain(), optimizer);
        same_bits(&end(optimizer), &theta).unwrap_or_else(|error| panic!("{}: {error}", optimizer.0));
    }
}

/// Where the optimizer ends on a device. The device also computes the loss's gradients.
fn end_on(gpu: &Gpu, (_, steps, step): Optimizer) -> Vec<f32> {
    const SLOTS: usize = 50;
    let minus_centre = buffer(gpu, bytemuck::cast_slice(&CENTRE.map(|c| -c)), USAGES);
    let [theta, g, first, second] = [(); 4].map(|()| buffer(gpu, &[0; 16], USAGES));
    let at = |buffer| [Operand { buffer, offset: 0, len: 4, dtype: Dtype::F32 }];
    let (weights, gradients, first, second) = (at(&theta), at(&g), at(&first), at(&second));
    let operands =
        Operands { weights: &weights, gradients: &gradients, first: &first, second: &second, ..Operands::default() };
    let [mut loss, mut set] =
        sets(|parameter| ParameterSet::new(gpu, vec![parameter], &operands, SLOTS).expect("the operands are valid"));
    let all: Vec<u64> = (1..=steps).collect();
    for together in all.chunks(SLOTS) {
        let mut encoder = encoder(gpu);
        for &k in together {
            encoder.copy_buffer_to_buffer(&minus_centre, 0, &g, 0, 16);
            loss.record_gradient_add(&mut encoder).expect("the operands are valid");
            record(&mut set, &mut encoder, step(k)).expect("the step is valid");
        }
        submit(gpu, encoder);
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(TIMEOUT) };
        gpu.device().poll(wait).expect("the device answers");
    }
    bytemuck::pod_collect_to_vec(&contents(gpu, &theta))
}
