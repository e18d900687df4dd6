//! Do recordings keep their coefficients and their order?

use penalty::gpu::{Operand, Pending};
use penalty::{Backend, Dtype, Gpu, Penalty, Report};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::compare::{POISON, same_bits, same_bytes};
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, submit};
use crate::common::recorded::{operand, penalty, weights};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    every_step_of_an_encoder_has_its_own_coefficients,
    more_steps_in_one_encoder_than_anyone_records,
    the_order_is_that_of_submission,
    none_leaves_every_bit_and_still_reports,
    operands_without_elements_are_fine,
];

/// Records steps that each have another λ and step size. Compares every report, the weights and the gradient with the
/// CPU's.
fn train(gpu: &Gpu, steps: &[(f64, f64)], len: usize) {
    let (mut theta, held) = weights(gpu, len, 1);
    let (mut gradient, held_gradient) = weights(gpu, len, 2);
    let (on_device, on_device_gradient) = (operand::<f32>(&held, 0, len), operand::<f32>(&held_gradient, 0, len));
    let cpu = Backend::cpu();
    let mut encoder = encoder(gpu);
    let mut reports: Vec<(Pending<Report>, Report)> = Vec::new();
    for &(lambda, step) in steps {
        let net = Penalty::elastic_net(lambda, 0.5).expect("the λ is valid");
        gpu.record_prox_in_place(&mut encoder, &net, &on_device, step).expect("the range is valid");
        gpu.record_gradient_add(&mut encoder, &net, &on_device, &on_device_gradient).expect("the ranges are valid");
        let pending = gpu.record_evaluate(&mut encoder, &net, &on_device).expect("the range is valid");
        cpu.prox_in_place(&net, &mut theta, step).expect("the CPU does not fail");
        cpu.gradient_add(&net, &theta, &mut gradient).expect("the CPU does not fail");
        reports.push((pending, cpu.evaluate(&net, &theta).expect("the CPU does not fail")));
    }
    submit(gpu, encoder);
    // From the last to the first: the caller may read in any order.
    for (i, (pending, want)) in reports.iter().enumerate().rev() {
        assert_eq!(pending.wait(TIMEOUT).as_ref(), Ok(want), "step {i}");
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
    gpu.record_prox_in_place(&mut second, &penalty(), &theta_on_device, 0.5).expect("the range is valid");
    submit(gpu, second);
    submit(gpu, first);
    let shrunk = Backend::cpu().prox(&penalty(), &theta, 0.5).expect("the CPU does not fail");
    assert_eq!(pending.wait(TIMEOUT), Backend::cpu().evaluate(&penalty(), &shrunk));
}

fn none_leaves_every_bit_and_still_reports(device: &Device) {
    let gpu = device.plain();
    let mut image = [-0.0, 1e-40, f32::NAN, f32::from_bits(0xff80_1234), 3.0, f32::INFINITY];
    let held = buffer(gpu, bytemuck::cast_slice(&image), USAGES);
    let gradient = buffer(gpu, bytemuck::cast_slice(&image), USAGES);
    let (theta, on_device) = (operand::<f32>(&held, 0, 6), operand::<f32>(&gradient, 0, 6));
    let mut encoder = encoder(gpu);
    gpu.record_prox_in_place(&mut encoder, &Penalty::none(), &theta, 1.0).expect("the range is valid");
    gpu.record_gradient_add(&mut encoder, &Penalty::none(), &theta, &on_device).expect("the ranges are valid");
    let pending = gpu.record_evaluate(&mut encoder, &Penalty::none(), &theta).expect("the range is valid");
    submit(gpu, encoder);
    assert_eq!(pending.wait(TIMEOUT), Backend::cpu().evaluate(&Penalty::none(), &image));
    for buffer in [&held, &gradient] {
        same_bytes(bytemuck::cast_slice(&image), &contents(gpu, buffer)).expect("nothing is written");
    }
    // A written (not added) gradient is 0. A NaN stays.
    let mut encoder = self::encoder(gpu);
    gpu.record_gradient_into(&mut encoder, &Penalty::none(), &theta, &on_device).expect("the ranges are valid");
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
            gpu.record_prox_in_place(&mut encoder, &penalty(), &empty, 1.0).expect("an empty range is valid");
            gpu.record_gradient_into(&mut encoder, &penalty(), &empty, &empty).expect("empty ranges do not overlap");
            gpu.record_gradient_add(&mut encoder, &penalty(), &empty, &empty).expect("empty ranges do not overlap");
            submit(gpu, encoder);
            assert_eq!(pending.wait(TIMEOUT), Backend::cpu().evaluate::<f32>(&penalty(), &[]));
        }
    }
    same_bytes(&[POISON; 4].concat(), &contents(gpu, &held)).expect("nothing is written");
}
