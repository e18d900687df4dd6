//! Which operands are rejected, and is nothing recorded then?

use penalty::gpu::{Operand, Operands, ParameterSet};
use penalty::wgpu::{self, BufferUsages};
use penalty::{Adam, Backend, Cpu, Dtype, Error, Gpu, HostSet, Parameter, Penalty, Slice, SliceMut};

use crate::common;

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, record};
use crate::common::compare::{POISON, same_bytes};
use crate::common::device::{USAGES, buffer, contents, encoder, submit};
use crate::common::recorded::{operand, penalty};
use crate::common::rejected::{
    gradients_that_would_be_zero_are_rejected, names_the_second, one_without, without_gradient,
};
use crate::common::tensors::Call;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    rejected_operands_record_nothing,
    the_cpu_and_a_device_call_operands_the_same,
    no_gradient_is_recorded_of_what_has_none,
];

fn rejected_operands_record_nothing(device: &Device) {
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
        assert_eq!(text(gpu.record_prox_in_place(&mut encoder, &penalty, bad, 1.0)), weights);
        // Rejected even if the call would do nothing.
        assert_eq!(text(gpu.record_prox_in_place(&mut encoder, &Penalty::none(), bad, 1.0)), weights);
        for record in [Gpu::record_gradient_into, Gpu::record_gradient_add] {
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
        for record in [Gpu::record_gradient_into, Gpu::record_gradient_add] {
            let error = record(gpu, &mut encoder, &penalty, &good, gradient).expect_err(want);
            assert_eq!(error.to_string(), *want);
        }
    }
    // Both halves of a word belong to the same range.
    let (odd, behind) = (at(&held, 0, 3, Dtype::F16), at(&held, 4, 3, Dtype::F16));
    assert!(gpu.record_gradient_into(&mut encoder, &penalty, &odd, &behind).is_err());
    for step in [-1.0, f64::NAN, f64::INFINITY] {
        let error = gpu.record_prox_in_place(&mut encoder, &penalty, &good, step).expect_err("the step is bad");
        assert!(matches!(error, Error::Parameter { name: "step", .. }), "{error}");
    }
    submit(gpu, encoder);
    for buffer in [&held, &other, &unusable] {
        same_bytes(&image, &contents(gpu, buffer)).expect("nothing was recorded");
    }
}

fn the_cpu_and_a_device_call_operands_the_same(device: &Device) {
    let gpu = device.plain();
    let page = buffer(gpu, &[0; 4096], USAGES);
    let at = |offset, len| operand::<f32>(&page, offset, len);
    let mut recorded = encoder(gpu);
    // Calls on one tensor.
    let mut short = [0.0f32; 2];
    for backend in [Backend::cpu(), Backend::Gpu(gpu.clone())] {
        let on_host = backend.gradient_into(&penalty(), &[1.0f32; 3], &mut short).expect_err("it is too short");
        let on_device =
            gpu.record_gradient_into(&mut recorded, &penalty(), &at(0, 3), &at(256, 2)).expect_err("so is this");
        assert_eq!(on_host, on_device);
        let weighted = Penalty::weighted_l1(0.5).expect("it is valid");
        let (element_weights, weights_at) = ([1.0f32; 2], at(512, 2));
        let on_host =
            backend.evaluate(weighted.with_element_weights(&element_weights).expect("they are valid"), &[1.0f32; 3]);
        let with = weighted.with_operand(&weights_at).expect("it takes weights");
        let on_device = gpu.record_evaluate(&mut recorded, with, &at(0, 3)).map(drop);
        assert_eq!(on_host.map(drop).expect_err("too few"), on_device.expect_err("too few"));
    }
    // Sets. Each operand in turn is too short, then missing.
    let parameters = || vec![Parameter::new("w", penalty())];
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
        host.adam_and_evaluate(weights, &read, first, second, &adam).map(drop).expect_err("an operand is wrong")
    };
    let on_device = |lists: [&[Operand<'_>]; 4]| {
        let [weights, gradients, first, second] = lists;
        let operands = Operands { weights, gradients, first, second, ..Operands::default() };
        let mut set = ParameterSet::new(gpu, parameters(), &operands, 1)?;
        set.prepare_adam_and_evaluate(&adam)
    };
    let full: [[Operand<'_>; 1]; 4] = std::array::from_fn(|role| [at(256 * role, 3)]);
    for (role, name) in ["the weights", "the gradient", "the first state", "the second state"].into_iter().enumerate() {
        let mut slices = [[0.0f32; 3]; 4];
        let mut slices = slices.each_mut().map(|slice| &mut slice[..]);
        slices[role] = &mut short;
        let error = on_host(slices, 0);
        // The length of the weights is the tensor's length.
        let want = match role {
            0 => "the gradient must have 2 elements, found 3".into(),
            _ => format!("{name} must have 3 elements, found 2"),
        };
        assert_eq!(error.to_string(), format!("\"w\": {want}"));
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

fn no_gradient_is_recorded_of_what_has_none(device: &Device) {
    gradients_that_would_be_zero_are_rejected(&device.backend());
    let gpu = device.plain();
    for penalty in without_gradient() {
        let tensors = one_without(&penalty);
        let images = tensors.lay_out(Layout::Page);
        let buffers = images.upload(gpu);
        let lists = images.operands(&tensors, &buffers);
        let operands = common::buffers::operands(&lists);
        let mut encoder = common::device::encoder(gpu);
        let (theta, gradient) = (&operands.weights[1], &operands.gradients[1]);
        for record in [Gpu::record_gradient_into, Gpu::record_gradient_add] {
            let rejected = record(gpu, &mut encoder, &penalty, theta, gradient);
            assert!(matches!(rejected, Err(Error::NoGradient { .. })), "{rejected:?}");
        }
        let mut set = common::buffers::set(gpu, &tensors, &images, &buffers, 1);
        for call in [Call::GradientAdd, Call::EvaluateAndGradientAdd] {
            names_the_second(record(&mut set, &mut encoder, call).map(drop));
        }
        names_the_second(set.prepare_gradient_add());
        names_the_second(set.prepare_evaluate_and_gradient_into());
        common::device::submit(gpu, encoder);
        same_bytes(&images.bytes[0], &contents(gpu, &buffers[0])).expect("nothing was recorded");
        // With the other penalty the tensor has a gradient. With the first one it has none again.
        let l1 = Penalty::l1(0.1).expect("its parameters are valid");
        let mut encoder = common::device::encoder(gpu);
        for (new, rejected) in [(&l1, false), (&penalty, true)] {
            set.penalties_mut().for_each(|(name, p)| *p = if name == "tensor 1" { new.clone() } else { l1.clone() });
            assert_eq!(record(&mut set, &mut encoder, Call::GradientAdd).is_err(), rejected, "{penalty:?}");
        }
        common::device::submit(gpu, encoder);
    }
}
