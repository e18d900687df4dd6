//! Is it an error if the device is lost, or if a buffer or encoder cannot be used?

use std::time::Duration;

use penalty::gpu::{Operands, ParameterSet, guarded};
use penalty::wgpu;
use penalty::{Backend, Error, Parameter};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::small;
use crate::common::compare::same_bytes;
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, own, submit, without_hanging};
use crate::common::recorded::{operand, penalty, weights};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    a_destroyed_device_is_an_error,
    foreign_and_destroyed_buffers_are_errors,
    an_encoder_of_another_device_fails_late,
    a_destroyed_device_ends_training_with_an_error,
];

fn a_destroyed_device_is_an_error(device: &Device) {
    let gpu = own(device);
    let (_, held) = weights(&gpu, 5000, 1);
    let other = buffer(&gpu, &[0; 20_000], USAGES);
    let mut encoder = encoder(&gpu);
    let operand = operand::<f32>(&held, 0, 5000);
    let read = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
    let unread = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
    submit(&gpu, encoder);
    read.wait(TIMEOUT).expect("the device lives");
    gpu.device().destroy();
    without_hanging(move || {
        for pending in [&read, &unread, &read] {
            let error = pending.wait(TIMEOUT).expect_err("the device is gone");
            assert!(matches!(error, Error::Device(_) | Error::NotSubmitted { .. }), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        let mut encoder = self::encoder(&gpu);
        let (theta, gradient) = (self::operand::<f32>(&held, 0, 5000), self::operand::<f32>(&other, 0, 5000));
        assert!(gpu.record_evaluate(&mut encoder, &penalty(), &theta).is_err());
        assert!(gpu.record_prox_in_place(&mut encoder, &penalty(), &theta, 1.0).is_err());
        assert!(gpu.record_gradient_into(&mut encoder, &penalty(), &theta, &gradient).is_err());
        let backend = Backend::Gpu(gpu);
        assert!(backend.evaluate(&penalty(), &[1.0f32]).is_err());
        assert!(backend.prox(&penalty(), &[1.0f32], 1.0).is_err());
    });
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
            gpu.record_prox_in_place(&mut encoder, &penalty(), &bad, 1.0),
            gpu.record_gradient_into(&mut encoder, &penalty(), &bad, &good),
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

/// wgpu 30 compares devices only when an encoder is finished. If a later version does so earlier, this test fails; then
/// recording can reject the encoder.
fn an_encoder_of_another_device_fails_late(device: &Device) {
    let (gpu, other) = (device.plain(), own(device));
    let (mine, held) = weights(gpu, 5000, 1);
    let theta = operand::<f32>(&held, 0, 5000);
    let parameters = vec![Parameter::new("w", penalty())];
    let operands = Operands { weights: &[theta], ..Operands::default() };
    let mut set = ParameterSet::new(gpu, parameters, &operands, 1).expect("the operands are valid");
    let not_submitted = |error: Error| assert!(matches!(error, Error::NotSubmitted { .. }), "{error}");
    let rejected = |foreign: wgpu::CommandEncoder| {
        // The error scope takes the error, which would end the program otherwise.
        let error = guarded(&other, || foreign.finish()).map(drop).expect_err("the devices differ");
        assert!(matches!(error, Error::Device(_)) && !error.to_string().contains('\n'), "{error}");
    };
    let mut foreign = encoder(&other);
    let pending = gpu.record_evaluate(&mut foreign, &penalty(), &theta).expect("nothing tells");
    gpu.record_prox_in_place(&mut foreign, &penalty(), &theta, 0.5).expect("nothing tells");
    rejected(foreign);
    not_submitted(pending.wait(TIMEOUT).expect_err("it was not submitted"));
    let mut foreign = encoder(&other);
    let pending = set.record_prox_and_evaluate_in_place(&mut foreign, 0.5).expect("nothing tells");
    rejected(foreign);
    not_submitted(pending.wait(TIMEOUT).map(drop).expect_err("it was not submitted"));
    // Both devices and the set's only slot are unchanged.
    same_bytes(bytemuck::cast_slice(&mine), &contents(gpu, &held)).expect("nothing ran");
    let mut own = encoder(gpu);
    let pending = set.record_evaluate(&mut own).expect("its slot is free again");
    submit(gpu, own);
    let want = Backend::cpu().evaluate(&penalty(), &mine).expect("the CPU does not fail");
    assert_eq!(pending.wait(TIMEOUT).map(|reports| reports.total), Ok(want));
    assert_eq!(Backend::Gpu(other).evaluate(&penalty(), &mine), Ok(want));
}

fn a_destroyed_device_ends_training_with_an_error(device: &Device) {
    for before_submit in [false, true] {
        let gpu = own(device);
        // These errors are the caller's concern. This test ignores them.
        gpu.device().on_uncaptured_error(std::sync::Arc::new(|_| {}));
        let (_, mut set) = small(&gpu, 3);
        // A timeout is one of the expected errors too.
        let patience = Duration::from_secs(1);
        let mut earlier = Vec::new();
        for _ in 0..2 {
            let mut encoder = encoder(&gpu);
            earlier.push(set.record_evaluate_and_gradient_add(&mut encoder).expect("there is a slot"));
            submit(&gpu, encoder);
        }
        earlier[0].wait(TIMEOUT).expect("the device lives");
        without_hanging(move || {
            let mut last = encoder(&gpu);
            let pending = set.record_evaluate_and_gradient_add(&mut last).expect("there is a slot");
            if before_submit {
                gpu.device().destroy();
                submit(&gpu, last);
            } else {
                submit(&gpu, last);
                gpu.device().destroy();
            }
            earlier.push(pending);
            for pending in &earlier {
                let error = pending.wait(patience).expect_err("the device is gone");
                assert!(matches!(error, Error::Device(_) | Error::NotSubmitted { .. } | Error::Timeout(_)), "{error}");
            }
            let mut next = encoder(&gpu);
            let error = match set.record_evaluate_and_gradient_add(&mut next) {
                Ok(pending) => pending.wait(patience).expect_err("the device is gone"),
                Err(error) => error,
            };
            assert!(!error.to_string().contains('\n'), "{error}");
        });
    }
}
