//! Does each step of a set keep the coefficients and operands that it was recorded with?

use std::thread;

use penalty::exact::TILE;
use penalty::gpu::{Operand, Operands, ParameterSet};
use penalty::{Backend, Cpu, Dtype, HostSet, Momentum, Parameter, Penalty, Sgd};

use crate::common;

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Images, Layout, operands, record, set};
use crate::common::compare::{same_bits, same_bytes};
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, own, submit};
use crate::common::tensors::{Call, EXACT, Tensors, lens, parameters_of, reports_equal};
use crate::common::trials::is_brief;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    a_dispatch_for_each_buffer_and_type,
    every_step_of_an_encoder_has_its_own_coefficients,
    penalties_may_begin_as_none,
    operands_move_from_step_to_step,
    a_set_is_prepared_between_steps,
    threads_prepare_different_kernels_of_one_device,
];

/// One dispatch for each distinct buffer and type, and one for ragged ends, which are loaded word by word.
fn a_dispatch_for_each_buffer_and_type(device: &Device) {
    let gpu = device.plain();
    let count = |lens: &[usize], layout: Layout| {
        let mut tensors = Tensors::new(lens);
        for p in &mut tensors.parameters {
            p.dtype = Dtype::F32;
        }
        tensors.words =
            tensors.words.map(|lists| lists.iter().zip(lens).map(|(_, &len)| vec![0x3f80_0000; len]).collect());
        let images = tensors.lay_out(layout);
        // Every range is aligned.
        let mut at = 0;
        let ranges = images.ranges.map(|ranges| {
            ranges
                .iter()
                .zip(lens)
                .map(|(&(buffer, _), &len)| {
                    at += 4 * len;
                    (buffer, at - 4 * len)
                })
                .collect()
        });
        let images = Images { bytes: vec![vec![0; at]; images.bytes.len()], ranges };
        let buffers = images.upload(gpu);
        let mut set = set(gpu, &tensors, &images, &buffers, 1);
        record(&mut set, &mut encoder(gpu), Call::EvaluateAndGradientAdd).expect("the call is valid");
        format!("{set:?}").matches(" Dispatch {").count() + format!("{set:?}").matches("[Dispatch {").count()
    };
    assert_eq!(count(&[64; 10], Layout::Page), 1);
    assert_eq!(count(&[64; 1000], Layout::Page), 1);
    assert_eq!(count(&[4 * TILE; 300], Layout::PagePerRole), 1);
    assert_eq!(count(&[64; 1000], Layout::Scattered(4)), 4);
}

fn every_step_of_an_encoder_has_its_own_coefficients(device: &Device) {
    let gpu = device.plain();
    let mut tensors = Tensors::new(&[5000, 17, 300, 4096]);
    let images = tensors.lay_out(Layout::PagePerRole);
    let buffers = images.upload(gpu);
    let mut set = set(gpu, &tensors, &images, &buffers, 6);
    let mut host = HostSet::new(Cpu::new(), parameters_of(&tensors.parameters));
    let mut encoder = encoder(gpu);
    let mut pending = Vec::new();
    for k in 1..=6 {
        let net = Penalty::elastic_net(0.05 / f64::from(k), 0.5).expect("the λ is valid");
        set.penalties_mut().for_each(|(_, penalty)| penalty.clone_from(&net));
        host.penalties_mut().for_each(|(_, penalty)| penalty.clone_from(&net));
        let sgd = Sgd { step: 0.3 / f64::from(k * k), momentum: Momentum::heavy_ball(0.5) };
        for call in [Call::SgdAndEvaluate(sgd), Call::EvaluateAndGradientAdd, Call::Prox(0.1 * f64::from(k))] {
            let want = tensors.call(&host, call).expect("the call is valid");
            let got = record(&mut set, &mut encoder, call).expect("the call is valid");
            pending.extend(want.zip(got));
        }
    }
    submit(gpu, encoder);
    for (i, (want, got)) in pending.iter().enumerate().rev() {
        reports_equal(want, &got.wait(TIMEOUT).expect("it was submitted"), &i);
    }
    for (want, buffer) in images.with(&tensors).bytes.iter().zip(&buffers) {
        same_bytes(want, &contents(gpu, buffer)).expect("the weights, gradients and states");
    }
}

fn penalties_may_begin_as_none(device: &Device) {
    let gpu = device.plain();
    let mut tensors = Tensors::new(&[5000, 17]);
    tensors.parameters.iter_mut().for_each(|p| p.penalty = Penalty::none());
    let images = tensors.lay_out(Layout::Page);
    let buffers = images.upload(gpu);
    let mut set = set(gpu, &tensors, &images, &buffers, 2);
    for lambda in [0.0, 0.25, 0.0] {
        let l1 = Penalty::l1(lambda).expect("the λ is valid");
        set.penalties_mut().for_each(|(_, penalty)| penalty.clone_from(&l1));
        tensors.parameters.iter_mut().for_each(|p| p.penalty = l1.clone());
        let mut encoder = encoder(gpu);
        set.record_prox_in_place(&mut encoder, 1.0).expect("the step is valid");
        submit(gpu, encoder);
        tensors.host(Call::Prox(1.0)).expect("the step is valid");
        same_bytes(&images.with(&tensors).bytes[0], &contents(gpu, &buffers[0])).expect("the weights");
    }
}

/// As in Burn: the same tensors move within buffers, to other buffers, and to more buffers.
fn operands_move_from_step_to_step(device: &Device) {
    let gpu = device.plain();
    let mut tensors = if is_brief() { Tensors::of(Dtype::F16, &lens()) } else { Tensors::new(&lens()) };
    let first = tensors.lay_out(Layout::Page);
    let mut set = set(gpu, &tensors, &first, &first.upload(gpu), 2);
    let mut earlier = None;
    let layouts = [Layout::Page, Layout::Scattered(9), Layout::PagePerRole];
    for (k, layout) in (0..7).zip(layouts.into_iter().cycle()) {
        let images = tensors.lay_out(layout);
        let buffers = images.upload(gpu);
        let lists = images.operands(&tensors, &buffers);
        set.rebind(&operands(&lists)).expect("the operands are valid");
        let mut encoder = encoder(gpu);
        // Mostly one operation, so that its slots hold rows of earlier operands.
        let call = EXACT[if k == 3 { 5 } else { 6 }];
        let pending = record(&mut set, &mut encoder, call).expect("the call is valid").expect("it reports");
        submit(gpu, encoder);
        let want = tensors.host(call).expect("the call is valid").expect("it reports");
        reports_equal(&want, &pending.wait(TIMEOUT).expect("it was submitted"), &layout);
        for (want, buffer) in images.with(&tensors).bytes.iter().zip(&buffers) {
            same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{layout:?}: {error}"));
        }
        earlier = Some((pending, want));
    }
    let (pending, want) = earlier.expect("there were steps");
    reports_equal(&want, &pending.wait(TIMEOUT).expect("it was submitted"), &"once more");
}

/// Preparing for other formulas and operands leaves steps alone that are recorded but not yet submitted.
fn a_set_is_prepared_between_steps(device: &Device) {
    let gpu = device.plain();
    let mut tensors = Tensors::of(Dtype::F32, &[5000, 17, 300, 4096]);
    let page = tensors.lay_out(Layout::Page);
    let mut set = set(gpu, &tensors, &page, &page.upload(gpu), 2);
    let mut host = HostSet::new(Cpu::new(), parameters_of(&tensors.parameters));
    let mut encoder = encoder(gpu);
    let mut steps = Vec::new();
    let penalties =
        [Penalty::l1(0.03), Penalty::huber(0.1, 0.5)].map(|penalty| penalty.expect("the numbers are valid"));
    for (penalty, layout) in penalties.iter().zip([Layout::Page, Layout::Scattered(9)]) {
        set.penalties_mut().for_each(|(_, of)| of.clone_from(penalty));
        host.penalties_mut().for_each(|(_, of)| of.clone_from(penalty));
        let images = tensors.lay_out(layout);
        let buffers = images.upload(gpu);
        let lists = images.operands(&tensors, &buffers);
        set.rebind(&operands(&lists)).expect("the operands are valid");
        let out = buffer(gpu, &[0; 16 * 5], USAGES);
        let output = Operand { buffer: &out, offset: 0, len: 4 * 5, dtype: Dtype::F32 };
        set.prepare_gradient_add().expect("the set has all operands");
        set.prepare_prox_and_evaluate_in_place().expect("the set has all operands");
        set.prepare_resolve(&output).expect("the output is valid");
        let call = Call::ProxAndEvaluate(0.5);
        let want = tensors.call(&host, call).expect("the call is valid").expect("it reports");
        let pending = record(&mut set, &mut encoder, call).expect("there is a slot").expect("it reports");
        set.record_resolve(&mut encoder, &pending, &output).expect("the output is valid");
        steps.push((images.with(&tensors), buffers, want, pending, out));
    }
    submit(gpu, encoder);
    for (images, buffers, want, pending, out) in steps {
        reports_equal(&want, &pending.wait(TIMEOUT).expect("it was submitted"), &"the step");
        for (want, buffer) in images.bytes.iter().zip(&buffers) {
            same_bytes(want, &contents(gpu, buffer)).expect("the weights");
        }
        let total: f32 = bytemuck::pod_read_unaligned(&contents(gpu, &out)[..4]);
        common::compare::close(want.total.value, total.into(), 1e-6).expect("the total value");
    }
}

fn threads_prepare_different_kernels_of_one_device(device: &Device) {
    // This device has compiled no other kernels than its self-check's.
    let gpu = &own(device);
    let theta = [1.5f32, -0.25, 0.0, 3.0];
    let penalties =
        [Penalty::scad(0.5, 3.0), Penalty::huber(0.5, 1.0), Penalty::mcp(0.5, 3.0), Penalty::scad(0.5, 3.0)];
    let prox = |penalty: &Penalty| {
        let weights = buffer(gpu, bytemuck::cast_slice(&theta), USAGES);
        let at = [Operand { buffer: &weights, offset: 0, len: 4, dtype: Dtype::F32 }];
        let parameters = vec![Parameter::new("theta", penalty.clone())];
        let mut set = ParameterSet::new(gpu, parameters, &Operands { weights: &at, ..Operands::default() }, 1)
            .expect("the operands are valid");
        set.prepare_prox_in_place().expect("its kernel compiles");
        let mut encoder = encoder(gpu);
        set.record_prox_in_place(&mut encoder, 1.0).expect("the step is valid");
        submit(gpu, encoder);
        contents(gpu, &weights)
    };
    thread::scope(|scope| {
        let threads = penalties.map(|penalty| {
            let penalty = penalty.expect("the parameters are valid");
            let want = Backend::cpu().prox(&penalty, &theta, 1.0).expect("the CPU does not fail");
            (want, scope.spawn(move || prox(&penalty)))
        });
        for (want, thread) in threads {
            let found = bytemuck::pod_collect_to_vec::<u8, f32>(&thread.join().expect("no thread panics"));
            same_bits(&want, &found).expect("the device gives the CPU's bits");
        }
    });
}
