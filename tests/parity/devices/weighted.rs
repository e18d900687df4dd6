//! Do weighted penalties have the host's bits on a device: in chunks, on buffers and in sets?

use penalty::exact::TILE;
use penalty::gpu::{Operand, Options};
use penalty::{Adam, Backend, Dtype, Metric, Momentum, Sgd, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, equal};
use crate::common::cases::{self, noise};
use crate::common::compare::same_bytes;
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, open, submit};
use crate::common::everything::same;
use crate::common::golden;
use crate::common::tensors::Call;
use crate::common::trials::sample;
use crate::common::weighted::{element_weights, net, tensors};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    golden_cases_come_out,
    a_set_equals_the_host,
    a_set_equals_the_host_in_tiny_windows,
    weights_go_with_their_chunk,
    any_bits_are_weights_on_the_device,
];

fn golden_cases_come_out(device: &Device) {
    golden::weighted_cases_come_out(&device.backend());
}

const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Adam, iteration: 3 };

/// One call for each function of a formula, and one that sums after a prox.
fn a_set_equals_the_host(device: &Device) {
    let gpu = device.plain();
    let dtypes = [Dtype::F32, Dtype::F32, Dtype::F32, Dtype::BF16];
    let mixed = tensors(&[64, 700, 4096, 5, 17, TILE + 8, 0, 2 * TILE, 4], |i| dtypes[i % 4]);
    let nesterov = Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) });
    let calls = [
        (Call::Evaluate, Layout::PagePerRole),
        (Call::GradientAdd, Layout::Page),
        (Call::GradientAdd, Layout::Scattered(5)),
        (Call::Prox(0.5), Layout::Page),
        (nesterov, Layout::Page),
        (Call::AdamAndEvaluate(ADAM), Layout::PagePerRole),
    ];
    for (_, (call, layout)) in calls.into_iter().enumerate().filter(|(i, _)| sample() == 1 || i % 2 == 0) {
        equal(gpu, &mixed, layout, call);
    }
}

fn a_set_equals_the_host_in_tiny_windows(device: &Device) {
    let gpu = open(device, wgpu::Limits::default(), &Options { window: Some(16_640), ..Options::default() });
    let tensors = tensors(&[4096, 3 * TILE + 4, 8, 2 * TILE, 8, 1024], |_| Dtype::F32);
    equal(&gpu, &tensors, Layout::Page, Call::GradientAdd);
    equal(&gpu, &tensors, Layout::PagePerRole, Call::Prox(0.25));
}

/// The library sends slices in chunks of 32 MiB.
fn weights_go_with_their_chunk(device: &Device) {
    let len = (32 << 20) / 4 + 2 * TILE + 8;
    let (theta, weights, others) = (noise(len, 1), element_weights(len), noise(len, 2));
    let penalty = net(0.3, 0.5);
    let weighted = penalty.with_element_weights(&weights).expect("the weights are valid");
    same(&device.backend(), (weighted, 0.5), "more than a chunk", &theta, &others);
}

/// Nobody checks element weights on a device. Any bits have a meaning, and the CPU gives them the same one.
fn any_bits_are_weights_on_the_device(device: &Device) {
    let gpu = device.plain();
    let (theta, bits) = cases::elementwise();
    let len = theta.len() / 4 * 4;
    let (theta, bits) = (&theta[..len], &bits[..len]);
    let valid: Vec<f32> = bits.iter().map(|w| if *w >= 0.0 { *w } else { 0.0 }).collect();
    let penalty = net(0.3, 0.5);
    let weighted = penalty.with_element_weights(&valid).expect("the weights are valid");
    let (cpu, ok) = (Backend::cpu(), "the call is valid");

    // θ, its element weights and the gradient: all in one buffer, and each in a separate buffer.
    let image: Vec<u8> =
        [theta, bits, theta].iter().flat_map(|part| bytemuck::cast_slice::<f32, u8>(part)).copied().collect();
    let page = buffer(gpu, &image, USAGES);
    let parts: Vec<wgpu::Buffer> = image.chunks(4 * len).map(|part| buffer(gpu, part, USAGES)).collect();
    let at =
        |buffer, part: usize| Operand { buffer, offset: 4 * (part * len) as u64, len: len as u64, dtype: Dtype::F32 };
    let in_page = [at(&page, 0), at(&page, 1), at(&page, 2)];
    let apart = [at(&parts[0], 0), at(&parts[1], 0), at(&parts[2], 0)];
    for [operand, own, output] in [in_page, apart] {
        let on_device = penalty.with_operand(&own).expect(ok);
        let mut encoder = encoder(gpu);
        let before = gpu.record_evaluate(&mut encoder, on_device, &operand).expect(ok);
        gpu.record_gradient_into(&mut encoder, on_device, &operand, &output).expect(ok);
        gpu.record_gradient_add(&mut encoder, on_device, &operand, &output).expect(ok);
        gpu.record_prox_in_place(&mut encoder, on_device, &operand, 0.5).expect(ok);
        submit(gpu, encoder);
        assert_eq!(before.wait(TIMEOUT).expect("it was submitted"), cpu.evaluate(weighted, theta).expect(ok));
        let mut gradient = cpu.gradient(weighted, theta).expect(ok);
        cpu.gradient_add(weighted, theta, &mut gradient).expect(ok);
        let prox = cpu.prox(weighted, theta, 0.5).expect(ok);
        for (want, found) in [(&prox[..], operand), (bits, own), (&gradient, output)] {
            let all = contents(gpu, found.buffer);
            let range = found.offset as usize..found.offset as usize + 4 * len;
            same_bytes(bytemuck::cast_slice(want), &all[range]).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
