//! Does a set on a device equal a set in host memory, wherever its tensors lie?

use penalty::exact::TILE;
use penalty::gpu::Options;
use penalty::{Adam, Dtype, Metric, Momentum, Penalty, Sgd, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, equal, record, set};
use crate::common::compare::same_bytes;
use crate::common::device::{TIMEOUT, contents, encoder, open, submit};
use crate::common::tensors::{Call, EXACT, Tensors, lens, reports_equal, steps, thousand};
use crate::common::trials::is_brief;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    a_set_equals_the_host,
    a_set_equals_the_host_in_tiny_windows,
    a_set_of_checked_kernels_equals_the_host,
    a_thousand_tensors_in_one_buffer,
    a_thousand_tensors_in_many_buffers,
    a_step_without_a_report_equals_the_host,
    adam_equals_the_host,
    steps_of_special_numbers_equal_the_host,
    sets_without_weights_are_fine,
];

fn a_thousand_tensors_in_one_buffer(device: &Device) {
    a_thousand_tensors(device, Layout::Page);
}

fn a_thousand_tensors_in_many_buffers(device: &Device) {
    a_thousand_tensors(device, Layout::Scattered(50));
}

const LAYOUTS: [Layout; 3] = [Layout::Page, Layout::PagePerRole, Layout::Scattered(5)];

fn a_set_equals_the_host(device: &Device) {
    for (i, call) in EXACT.into_iter().enumerate() {
        equal(device.plain(), &Tensors::in_turn(i, &lens()), LAYOUTS[i % LAYOUTS.len()], call);
    }
    // Every layout runs the operation with the fewest operands that share a buffer, and the one with the most.
    for (i, layout) in LAYOUTS.into_iter().enumerate() {
        equal(device.plain(), &Tensors::in_turn(i, &lens()), layout, Call::EvaluateAndGradientAdd);
        if !is_brief() {
            equal(device.plain(), &Tensors::in_turn(i + 1, &lens()), layout, EXACT[7]);
        }
    }
}

fn a_set_equals_the_host_in_tiny_windows(device: &Device) {
    let gpu = open(device, wgpu::Limits::default(), &Options { window: Some(16_640), ..Options::default() });
    let calls = [(2, Layout::Page), (4, Layout::Page), (5, Layout::Scattered(5)), (7, Layout::Page)];
    for (i, (call, layout)) in calls.into_iter().enumerate().skip(if is_brief() { 2 } else { 0 }) {
        let tensors = Tensors::in_turn(i + 1, &[1, 5, 4096, 4097, 5, 3 * TILE + 3, 7, 2 * TILE, 1025]);
        equal(&gpu, &tensors, layout, EXACT[call]);
    }
}

fn a_set_of_checked_kernels_equals_the_host(device: &Device) {
    let gpu = open(device, wgpu::Limits::default(), &Options { checked: true, ..Options::default() });
    let calls = [(Layout::Scattered(3), Call::EvaluateAndGradientAdd), (Layout::Page, EXACT[7])];
    for (i, (layout, call)) in calls.into_iter().enumerate() {
        let tensors = Tensors::in_turn(i, &[1, 5, 4096, 4097, 5, 3 * TILE + 3, 7, 2 * TILE, 1025]);
        equal(&gpu, &tensors, layout, call);
    }
}

fn a_thousand_tensors(device: &Device, layout: Layout) {
    let tensors = Tensors::new(&thousand());
    let calls = [Call::Evaluate, Call::EvaluateAndGradientAdd, Call::ProxAndEvaluate(0.5), EXACT[5]];
    for (turn, call) in calls.into_iter().enumerate() {
        // All types together once, then a two-byte type alone: no buffer has room for as many four-byte weights.
        let of_one_type = (is_brief() && turn > 0).then(|| Tensors::in_turn(1 + turn % 2, &thousand()));
        equal(device.plain(), of_one_type.as_ref().unwrap_or(&tensors), layout, call);
    }
}

fn a_step_without_a_report_equals_the_host(device: &Device) {
    for (i, [alone, _]) in steps().enumerate() {
        equal(device.plain(), &Tensors::in_turn(i, &lens()), LAYOUTS[i % LAYOUTS.len()], alone);
    }
}

/// Many steps in a row. Each starts from the results of the last.
fn adam_equals_the_host(device: &Device) {
    let gpu = device.plain();
    for (turn, metric) in [Metric::Plain, Metric::Adam].into_iter().enumerate() {
        let mut tensors = Tensors::in_turn(turn, &lens());
        let images = tensors.lay_out(Layout::Scattered(5));
        let buffers = images.upload(gpu);
        let mut set = set(gpu, &tensors, &images, &buffers, 1);
        for iteration in 1..=4 {
            let call = Call::AdamAndEvaluate(Adam { step: 0.02, decay: 0.1, metric, iteration, ..Adam::default() });
            let mut encoder = encoder(gpu);
            let pending = record(&mut set, &mut encoder, call).expect("the step is valid");
            submit(gpu, encoder);
            let got = pending.expect("the call reports").wait(TIMEOUT).expect("it was submitted");
            let want = tensors.host(call).expect("the step is valid").expect("it reports");
            reports_equal(&want, &got, &call);
            for (want, buffer) in images.with(&tensors).bytes.iter().zip(&buffers) {
                same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{call:?}: {error}"));
            }
        }
    }
}

/// A tensor with every kind of number beside every other, as weight, gradient and states.
fn of_kinds(kinds: &[f32]) -> Tensors {
    let len = kinds.len().pow(4);
    let mut tensors = Tensors::with(&[len], |_| Dtype::F32, &[Penalty::elastic_net(0.5, 0.5).expect("the λ is valid")]);
    for (role, words) in (0..).zip(&mut tensors.words[..4]) {
        // Neighbours differ in every role, and 7 has no divisor in common with the length.
        let digit = |i: usize| 7 * i % len / kinds.len().pow(role) % kinds.len();
        words[0] = (0..len).map(|i| kinds[digit(i)].to_bits()).collect();
    }
    tensors
}

/// Kernels take one way for four weights whose sums are usual, and another for all others; those that report take one
/// way for four that stay finite. The second numbers are at the ends of what is usual.
fn steps_of_special_numbers_equal_the_host(device: &Device) {
    let squares_to_finite = f32::MAX.sqrt();
    let special = [
        0.0,
        -0.0,
        1.5,
        -0.75,
        1e-30,
        -(2f32.powi(-120)),
        f32::from_bits(0x037f_ffff),
        f32::from_bits(0x8000_0001),
        f32::MAX,
        -f32::MAX,
        squares_to_finite,
        squares_to_finite.next_up(),
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::from_bits(0x7fc1_2345),
        f32::from_bits(0xff80_0001),
        2f32.powi(100),
    ];
    let large = 2f32.powi(-94);
    let ends =
        [0.0, 1.5, -0.75, large, -large.next_down(), 1.5 * large, 2.0 * large, -large, 1e-10, 2f32.powi(60), 3.0];
    let plain = Adam { step: 0.5, decay: 0.5, iteration: 2, ..Adam::default() };
    let adam = [
        plain,
        Adam { beta1: 0.0, beta2: 0.0, decay: 2.0, ..plain },
        Adam { step: 3e35, decay: 0.0, epsilon: 1e-36, ..plain },
        Adam { beta1: 0.5, beta2: 0.5, decay: 0.0, ..plain },
    ];
    let momentum = [Momentum::None, Momentum::heavy_ball(0.5), Momentum::Nesterov { momentum: 0.5, dampening: 0.5 }];
    for tensors in [of_kinds(&special), of_kinds(&ends)] {
        for step in adam {
            for metric in [Metric::Plain, Metric::Adam] {
                let step = Adam { metric, ..step };
                equal(device.plain(), &tensors, Layout::PagePerRole, Call::Adam(step));
                equal(device.plain(), &tensors, Layout::PagePerRole, Call::AdamAndEvaluate(step));
            }
        }
        for momentum in momentum {
            for step in [0.5, 1.0, 3.0] {
                equal(device.plain(), &tensors, Layout::PagePerRole, Call::Sgd(Sgd { step, momentum }));
            }
        }
    }
}

fn sets_without_weights_are_fine(device: &Device) {
    let gpu = device.plain();
    for lens in [&[][..], &[0], &[0, 3, 0]] {
        let tensors = Tensors::in_turn(0, lens);
        for call in [Call::Evaluate, Call::EvaluateAndGradientAdd, Call::Prox(1.0), EXACT[6]] {
            equal(gpu, &tensors, Layout::PagePerRole, call);
        }
    }
}
