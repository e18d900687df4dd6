//! Do recorded sums of penalties, and recordings that also evaluate, have the bits of calls on slices?

use penalty::Backend;

use crate::common::adapters::{Device, DeviceTest};
use crate::common::compare::same_bits;
use crate::common::device::{TIMEOUT, contents, encoder, submit};
use crate::common::recorded::{operand, weights};
use crate::terms::{LEN, sum, terms};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![recorded_sums_have_the_bits_of_calls];

fn recorded_sums_have_the_bits_of_calls(device: &Device) {
    let (gpu, cpu, ok) = (device.plain(), Backend::cpu(), "the call is valid");
    let (theta, held) = weights(gpu, LEN, 6);
    let (mut gradient, held_gradient) = weights(gpu, LEN, 7);
    let (at, at_gradient) = (operand::<f32>(&held, 0, LEN), operand::<f32>(&held_gradient, 0, LEN));
    let mut encoder = encoder(gpu);
    let evaluated = gpu.record_evaluate(&mut encoder, &sum(), &at).expect(ok);
    gpu.record_gradient_into(&mut encoder, &sum(), &at, &at_gradient).expect(ok);
    let added = gpu.record_evaluate_and_gradient_add(&mut encoder, &sum(), &at, &at_gradient).expect(ok);
    let l1 = &terms()[0];
    let shrunk = gpu.record_prox_and_evaluate_in_place(&mut encoder, l1, &at, 0.5).expect(ok);
    let written = gpu.record_evaluate_and_gradient_into(&mut encoder, l1, &at, &at_gradient).expect(ok);
    submit(gpu, encoder);
    let report = cpu.evaluate(&sum(), &theta);
    assert_eq!(evaluated.wait(TIMEOUT), report);
    assert_eq!(evaluated.wait_partials(TIMEOUT).map(|partials| partials.len()), Ok(terms().len()));
    assert_eq!(added.wait(TIMEOUT), report);
    let after = cpu.prox(l1, &theta, 0.5).expect(ok);
    assert_eq!(shrunk.wait(TIMEOUT), cpu.evaluate(l1, &after));
    assert_eq!(written.wait(TIMEOUT), cpu.evaluate(l1, &after));
    same_bits(&after, &bytemuck::pod_collect_to_vec::<u8, f32>(&contents(gpu, &held))[..LEN]).expect("the prox");
    cpu.gradient_into(l1, &after, &mut gradient).expect(ok);
    same_bits(&gradient, &bytemuck::pod_collect_to_vec::<u8, f32>(&contents(gpu, &held_gradient))[..LEN])
        .expect("the gradient");
    // The same again up to the sum's gradient.
    let mut encoder = crate::common::device::encoder(gpu);
    gpu.record_gradient_into(&mut encoder, &sum(), &at, &at_gradient).expect(ok);
    gpu.record_evaluate_and_gradient_add(&mut encoder, &sum(), &at, &at_gradient).expect(ok);
    submit(gpu, encoder);
    cpu.gradient_into(&sum(), &after, &mut gradient).expect(ok);
    cpu.gradient_add(&sum(), &after, &mut gradient).expect(ok);
    same_bits(&gradient, &bytemuck::pod_collect_to_vec::<u8, f32>(&contents(gpu, &held_gradient))[..LEN])
        .expect("the gradient of the sum");
}
