//! Have custom penalties the reference's bits, and a built-in one written again those of the built-in one?

use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Adam, Backend, Dtype, Error, Metric, Momentum, Penalty, Sgd};

use crate::common::adapters::{BackendTest, Device, DeviceTest, sample};
use crate::common::cases::{self, noise};
use crate::common::compare::same_bits;
use crate::common::custom::{RIGHT, berhu, l1_with, penalties, pinball};
use crate::common::device::{PATIENCE, USAGES, buffer, contents, encoder, submit};
use crate::common::everything::same_in_turn;
use crate::common::oracle::{Weight, to};
use crate::common::tensors::{Call, Layout, Tensors, equal};
use penalty::gpu::Operand;

pub(crate) const EVERYWHERE: &[BackendTest] = named![same_bits_as_the_reference, written_again,];
pub(crate) const ON_DEVICES: &[DeviceTest] =
    named![a_set_of_several_types_equals_the_host, recording_on_buffers_equals_the_host,];

fn same_bits_as_the_reference(backend: &Backend) {
    fn of<E: Weight>(
        backend: &Backend,
        turn: usize,
        (penalty, step): &(Penalty, f64),
        name: &str,
        [weights, others]: [&[f32]; 2],
    ) {
        let [weights, others] = [weights, others].map(to::<E>);
        same_in_turn(backend, turn, (penalty, *step), &format!("{name} by {penalty:?}"), &weights, &others);
    }
    let ((edges, edges_others), (tiles, tiles_others)) = (cases::edges(), cases::tiles());
    let (edges, tiles) = ([&edges[..], &edges_others], [&tiles[..], &tiles_others]);
    for (i, case) in penalties().iter().enumerate() {
        // Two types with three penalties each, and two with one.
        let turn = [0, 0, 0, 1, 1, 1, 2, 3][i];
        of::<f32>(backend, turn, case, "edges", edges);
        of::<f32>(backend, turn, case, "tiles", tiles);
        if i == 0 || i == 3 {
            of::<f16>(backend, turn + 1, case, "edges", edges);
            of::<bf16>(backend, turn + 2, case, "tiles", tiles);
        }
    }
}

/// L1 of a user's own has the bits of the built-in one, where its sum of terms is taken as Σ|θ| is.
fn written_again(backend: &Backend) {
    let (edges, others) = cases::edges();
    let (built_in, again) = (Penalty::l1(0.5).expect("its parameters are valid"), l1_with::<RIGHT>());
    let of = |penalty: &Penalty| {
        let mut sum = others.clone();
        backend.gradient_add(penalty, &edges, &mut sum)?;
        let (gradient, prox) = (backend.gradient(penalty, &edges)?, backend.prox(penalty, &edges, 0.3)?);
        Ok::<_, Error>([gradient, sum, prox])
    };
    let (want, got) = (of(&built_in).expect("the calls are valid"), of(&again).expect("the calls are valid"));
    for (want, got) in want.iter().zip(&got) {
        same_bits(want, got).expect("L1 written again has L1's bits");
    }
    let weights = noise(2 * TILE + 300, 7);
    let value = |penalty: &Penalty| backend.evaluate(penalty, &weights).expect("the calls are valid").value;
    assert_eq!(value(&built_in).to_bits(), value(&again).to_bits());
}

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
    // The formulas do not know the type.
    let calls = [
        (Dtype::F32, Call::GradientAdd),
        (Dtype::F32, Call::ProxAndEvaluate(0.5)),
        (Dtype::F32, Call::Sgd(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) })),
        (Dtype::F32, Call::Adam(ADAM)),
        (Dtype::F16, Call::EvaluateAndGradientAdd),
        (Dtype::BF16, Call::Sgd(Sgd { step: 0.1, momentum: Momentum::None })),
    ];
    for (_, (dtype, call)) in calls.into_iter().enumerate().filter(|(i, _)| sample() == 1 || i % 2 == 0) {
        equal(gpu, &Tensors::with(&lens, |_| dtype, &all), Layout::Page, call);
    }
    let tensors = Tensors::with(&lens, |_| Dtype::F32, &[berhu, l1]);
    equal(gpu, &tensors, Layout::PagePerRole, Call::Adam(Adam { metric: Metric::Adam, ..ADAM }));
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
    assert_eq!(pending.wait(PATIENCE), cpu.evaluate(&penalty, &shrunk));
    for (want, buffer) in [&shrunk, &gradient].into_iter().zip(&buffers) {
        same_bits(want, &bytemuck::pod_collect_to_vec::<u8, f32>(&contents(gpu, buffer))).expect("the host's bits");
    }
}
