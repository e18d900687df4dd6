//! Do custom penalties have the host's bits in sets and on buffers?

use penalty::exact::TILE;
use penalty::gpu::Operand;
use penalty::{Adam, Backend, Dtype, Metric, Momentum, Penalty, Sgd};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, equal};
use crate::common::cases::noise;
use crate::common::compare::same_bits;
use crate::common::custom::{berhu, pinball};
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, submit};
use crate::common::tensors::{Call, Tensors};
use crate::common::trials::{is_brief, sample};

pub(crate) const ON_DEVICES: &[DeviceTest] =
    named![a_set_of_several_types_equals_the_host, recording_on_buffers_equals_the_host,];

const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Plain, iteration: 3 };

fn a_set_of_several_types_equals_the_host(device: &Device) {
    let gpu = device.plain();
    let (pinball, berhu, l1) =
        (pinball(0.1, 0.25), berhu(0.1, 0.3), Penalty::l1(0.03).expect("its parameters are valid"));
    for penalty in [&pinball, &berhu, &l1] {
        gpu.check(penalty).expect("its halves agree");
    }
    let lens = [4, 64, 700, TILE, TILE + 8];
    let all = [pinball, berhu.clone(), l1.clone()];
    // The formulas ignore the type.
    let calls = [
        (Dtype::F32, Call::GradientAdd),
        (Dtype::F32, Call::ProxAndEvaluate(0.5)),
        (Dtype::F32, Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) })),
        (Dtype::F32, Call::AdamAndEvaluate(ADAM)),
        (Dtype::F16, Call::EvaluateAndGradientAdd),
        (Dtype::BF16, Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::None })),
    ];
    // The `brief` sample has a gradient and a step.
    let one_in = if is_brief() { 3 } else { sample().min(2) };
    for (_, (dtype, call)) in calls.into_iter().enumerate().filter(|(i, _)| i % one_in == 0) {
        equal(gpu, &Tensors::with(&lens, |_| dtype, &all), Layout::Page, call);
    }
    let tensors = Tensors::with(&lens, |_| Dtype::F32, &[berhu, l1]);
    equal(gpu, &tensors, Layout::PagePerRole, Call::AdamAndEvaluate(Adam { metric: Metric::Adam, ..ADAM }));
}

fn recording_on_buffers_equals_the_host(device: &Device) {
    let gpu = device.plain();
    let (penalty, cpu) = (pinball(0.1, 0.25), Backend::cpu());
    gpu.check(&penalty).expect("its halves agree");
    let (weights, mut gradient) = (noise(TILE + 36, 1), noise(TILE + 36, 2));
    let buffers = [&weights, &gradient].map(|numbers| buffer(gpu, bytemuck::cast_slice(numbers), USAGES));
    let [theta, g] =
        buffers.each_ref().map(|buffer| Operand { buffer, offset: 0, len: weights.len() as u64, dtype: Dtype::F32 });
    let mut encoder = encoder(gpu);
    gpu.record_gradient_add(&mut encoder, &penalty, &theta, &g).expect("the operands are valid");
    gpu.record_prox_in_place(&mut encoder, &penalty, &theta, 0.5).expect("the operands are valid");
    let pending = gpu.record_evaluate(&mut encoder, &penalty, &theta).expect("the operands are valid");
    submit(gpu, encoder);
    cpu.gradient_add(&penalty, &weights, &mut gradient).expect("the CPU does not fail");
    let shrunk = cpu.prox(&penalty, &weights, 0.5).expect("the CPU does not fail");
    assert_eq!(pending.wait(TIMEOUT), cpu.evaluate(&penalty, &shrunk));
    for (want, buffer) in [&shrunk, &gradient].into_iter().zip(&buffers) {
        same_bits(want, &bytemuck::pod_collect_to_vec::<u8, f32>(&contents(gpu, buffer))).expect("the host's bits");
    }
}
