//! When can a report be read?

use std::time::Duration;

use penalty::{Backend, Error};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::device::{TIMEOUT, encoder, own, submit};
use crate::common::recorded::{operand, penalty, weights};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    a_report_is_an_error_until_it_is_submitted,
    a_report_whose_encoder_was_dropped_is_an_error,
    a_report_outlives_the_weights_and_the_library,
    impatience_is_a_timeout_and_loses_nothing,
];

fn a_report_is_an_error_until_it_is_submitted(device: &Device) {
    let gpu = device.plain();
    let (theta, held) = weights(gpu, 5000, 1);
    let mut encoder = encoder(gpu);
    let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand::<f32>(&held, 0, 5000)).expect("it is valid");
    for _ in 0..2 {
        let error = pending.wait(TIMEOUT).expect_err("it was not submitted");
        assert!(matches!(error, Error::NotSubmitted { expected, found: 0 } if expected > 0), "{error}");
        let text = error.to_string();
        let want = "no result: the recorded commands were not submitted, or the device was lost; expected the serial ";
        assert!(text.starts_with(want), "{text}");
    }
    submit(gpu, encoder);
    let want = Backend::cpu().evaluate(&penalty(), &theta);
    assert_eq!(pending.wait(TIMEOUT), want);
    assert_eq!(pending.wait(TIMEOUT), want, "it can be read again");
    assert_eq!(pending.try_read(), want.map(Some), "it is there without waiting");
    assert_eq!(pending.wait_partials(TIMEOUT), Backend::cpu().partial(0, &theta).map(|partial| vec![partial]));
}

fn a_report_whose_encoder_was_dropped_is_an_error(device: &Device) {
    let gpu = device.plain();
    let (_, held) = weights(gpu, 5000, 1);
    let operand = operand::<f32>(&held, 0, 5000);
    // This step follows a submitted one. The submitted step's memory must not answer for it.
    let mut submitted = encoder(gpu);
    let other = gpu.record_evaluate(&mut submitted, &penalty(), &operand).expect("it is valid");
    submit(gpu, submitted);
    other.wait(TIMEOUT).expect("it was submitted");
    drop(other);
    let mut dropped = encoder(gpu);
    let pending = gpu.record_evaluate(&mut dropped, &penalty(), &operand).expect("it is valid");
    drop(dropped);
    let error = pending.wait(TIMEOUT).expect_err("it was never submitted");
    assert!(matches!(error, Error::NotSubmitted { .. }), "{error}");
    let error = pending.wait_partials(TIMEOUT).expect_err("it was never submitted");
    assert!(matches!(error, Error::NotSubmitted { .. }), "{error}");
    let error = pending.try_read().expect_err("it was never submitted");
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
    assert_eq!(pending.wait(TIMEOUT), Backend::cpu().evaluate(&penalty(), &theta));
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
    assert_eq!(pending.wait(TIMEOUT), want);
}
