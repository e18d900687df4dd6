//! Which element weights does a device take? May a weighted penalty become one without element weights?

use penalty::gpu::{Operand, Operands, ParameterSet};
use penalty::{Cpu, Dtype, Error, Gpu, Parameter, Penalty, Result};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::cases::noise;
use crate::common::compare::close;
use crate::common::device::{TIMEOUT, USAGES, buffer, encoder, submit};
use crate::common::oracle::SUM;
use crate::common::tensors::{Shaped, host_set, slice};
use crate::common::weighted::l1;

pub(crate) const ON_DEVICES: &[DeviceTest] =
    named![a_penalty_may_become_one_without_weights, what_breaks_a_rule_is_rejected,];

/// One rounding to `f32`, relative.
const ROUNDING: f64 = 1.0 / 16_777_216.0;

fn a_penalty_may_become_one_without_weights(device: &Device) {
    let gpu = device.plain();
    let (theta, twos) = (noise(64, 1), vec![2f32; 64]);
    let (page, other) =
        (buffer(gpu, bytemuck::cast_slice(&theta), USAGES), buffer(gpu, bytemuck::cast_slice(&twos), USAGES));
    let operand = |buffer| Operand { buffer, offset: 0, len: 64, dtype: Dtype::F32 };
    let (weights, element_weights) = ([operand(&page)], [Some(operand(&other))]);
    let with = Operands { weights: &weights, element_weights: &element_weights, ..Operands::default() };
    let without = Operands { weights: &weights, element_weights: &[None], ..Operands::default() };
    let parameters = vec![Parameter::new("theta", l1(0.5))];
    let mut set = ParameterSet::new(gpu, parameters.clone(), &with, 4).expect("the operands are valid");
    let evaluate = |set: &mut ParameterSet| -> Result<f64> {
        let mut encoder = encoder(gpu);
        let pending = set.record_evaluate(&mut encoder)?;
        submit(gpu, encoder);
        Ok(pending.wait(TIMEOUT).expect("it was submitted").total.value)
    };
    let element_words = [bytemuck::cast_slice(&twos).to_vec()];
    let shaped = Shaped { name: "theta".into(), len: 64, dtype: Dtype::F32, penalty: l1(0.5) };
    let host = host_set(Cpu::new(), std::slice::from_ref(&shaped), &element_words);
    let words: Vec<u32> = bytemuck::cast_slice(&theta).to_vec();
    let want = host.evaluate(&[slice(&words, &shaped)]).expect("the slices fit").total.value;
    assert_eq!(evaluate(&mut set), Ok(want));
    let rejected = |error: Error, text: &str| assert_eq!(error.to_string(), text);
    set.penalties_mut().for_each(|(_, p)| *p = Penalty::l1(0.5).expect("the λ is valid"));
    rejected(evaluate(&mut set).unwrap_err(), "\"theta\": l1 must be given no element weights, found some");
    set.rebind(&without).expect("the operands are valid");
    close(want / 2.0, evaluate(&mut set).expect("there are none"), 2.0 * SUM).expect("L1 weighs with 1");
    set.penalties_mut().for_each(|(_, p)| *p = l1(0.25));
    rejected(evaluate(&mut set).unwrap_err(), "\"theta\": weighted_l1 must be given element weights, found none");
    set.rebind(&with).expect("the operands are valid");
    close(want / 2.0, evaluate(&mut set).expect("they are there"), ROUNDING).expect("λ is half");
}

fn what_breaks_a_rule_is_rejected(device: &Device) {
    let gpu = device.plain();
    let (held, other) = (buffer(gpu, &[0; 4096], USAGES), buffer(gpu, &[0; 4096], USAGES));
    let at = |buffer, offset, len| Operand { buffer, offset, len, dtype: Dtype::F32 };
    let (penalty, theta, gradient) = (l1(0.5), at(&held, 0, 64), at(&other, 0, 64));
    let missing = "weighted_l1 must be given element weights, found none";
    let rejected: [(Operand<'_>, &str); 5] = [
        (at(&held, 252, 64), "the weights and the element weights overlap: each must have memory of its own"),
        (at(&other, 1024, 63), "the element weights must have 64 elements, found 63"),
        (Operand { dtype: Dtype::F16, ..at(&other, 1024, 64) }, "the element weights must hold F32, found F16"),
        (at(&other, 1026, 64), "the element weights: its offset must be a multiple of 4 bytes, found 1026"),
        (
            at(&other, 4000, 64),
            "the element weights: its range must end inside its buffer, found bytes 4000 to 4256 of a buffer of 4096",
        ),
    ];
    let mut encoder = encoder(gpu);
    let text = |result: Result<()>| result.expect_err("it is rejected").to_string();
    for (element_weights, want) in &rejected {
        let weighted = penalty.with_operand(element_weights).expect("it takes weights");
        assert_eq!(text(gpu.record_evaluate(&mut encoder, weighted, &theta).map(drop)), *want);
        assert_eq!(text(gpu.record_gradient_into(&mut encoder, weighted, &theta, &gradient)), *want);
        assert_eq!(text(gpu.record_gradient_add(&mut encoder, weighted, &theta, &gradient)), *want);
        assert_eq!(text(gpu.record_prox_in_place(&mut encoder, weighted, &theta, 1.0)), *want);
    }
    let onto = at(&other, 128, 64);
    let onto = penalty.with_operand(&onto).expect("it takes weights");
    let overlaps = "the gradient and the element weights overlap: each must have memory of its own";
    assert_eq!(text(gpu.record_gradient_into(&mut encoder, onto, &theta, &gradient)), overlaps);
    assert_eq!(text(gpu.record_prox_in_place(&mut encoder, &penalty, &theta, 1.0)), missing);
    assert_eq!(text(gpu.record_gradient_into(&mut encoder, &penalty, &theta, &gradient)), missing);
    let plain = Penalty::l2_squared(1.0).expect("the λ is valid");
    assert_eq!(text(plain.with_operand(&theta).map(drop)), "l2_squared must be given no element weights, found some");

    let reject = |gpu: &Gpu, element_weights: &[Option<Operand<'_>>], want: &str| {
        let parameters = ["a", "b"].map(|name| Parameter::new(name, l1(0.5))).to_vec();
        let weights = [at(&held, 0, 64), at(&held, 256, 64)];
        let operands = Operands { weights: &weights, element_weights, ..Operands::default() };
        let error = ParameterSet::new(gpu, parameters, &operands, 1).map(drop).expect_err(want).to_string();
        assert_eq!(error, want);
    };
    let good = Some(at(&other, 0, 64));
    reject(gpu, &[good], "a set needs the element weights for each of the 2 tensors, found 1");
    reject(gpu, &[good, Some(at(&other, 256, 63))], "\"b\": the element weights must have 64 elements, found 63");
    let overlaps =
        "the element weights of \"a\" and the element weights of \"b\" overlap: each must have memory of its own";
    reject(gpu, &[good, good], overlaps);
    let overlaps = "the weights of \"b\" and the element weights of \"b\" overlap: each must have memory of its own";
    reject(gpu, &[good, Some(at(&held, 256, 64))], overlaps);
}
