//! What do calls on single tensors keep for the next call of the same shape?

use penalty::gpu::{Operand, Pending};
use penalty::{Backend, Dtype, Gpu, Groups, Penalty, Report};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::cases::noise;
use crate::common::compare::same_bits;
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, own, submit};
use crate::common::recorded::{operand, weights};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    reused_memory_gives_the_same_bits,
    a_report_that_is_kept_is_not_written_over,
    what_is_kept_is_bounded_and_holds_nothing_of_the_callers,
];

/// The penalties of one shape: formulas and groups that alternate, with other numbers each time.
fn penalties(round: usize) -> [Penalty; 5] {
    let lambda = 0.01 * (1 + round) as f64;
    let rows = Groups::rows(50).expect("the length is valid");
    [
        Penalty::l1(lambda),
        Penalty::elastic_net(lambda, 0.5),
        Penalty::huber(lambda, 0.25),
        Penalty::l2_norm(lambda),
        Penalty::group_lasso(lambda, rows),
    ]
    .map(|penalty| penalty.expect("the numbers are valid"))
}

/// Buffers, offsets, numbers, steps, formulas and operations change from call to call, and each shape comes again.
fn reused_memory_gives_the_same_bits(device: &Device) {
    let (gpu, cpu) = (&own(device), Backend::cpu());
    let len = 3 * 4096 + 50 - 38;
    assert!(len % 50 == 0);
    let [mut of_theta, mut of_gradient] = [1, 2].map(|seed| [seed, seed + 10].map(|seed| weights(gpu, len + 4, seed)));
    for round in 0..6 {
        let (which, start) = (round % 2, 4 * (round / 3));
        let (theta, held) = &mut of_theta[which];
        let (gradient, held_gradient) = &mut of_gradient[which];
        let (theta, gradient) = (&mut theta[start..start + len], &mut gradient[start..start + len]);
        let on_device = operand::<f32>(held, 4 * start, len);
        let gradient_on_device = operand::<f32>(held_gradient, 4 * start, len);
        let mut reports = Vec::new();
        for penalty in penalties(round) {
            let step = 0.1 + round as f64;
            let mut encoder = encoder(gpu);
            gpu.record_gradient_add(&mut encoder, &penalty, &on_device, &gradient_on_device).expect("it is valid");
            let first = gpu.record_evaluate(&mut encoder, &penalty, &on_device).expect("it is valid");
            let second =
                gpu.record_prox_and_evaluate_in_place(&mut encoder, &penalty, &on_device, step).expect("it is valid");
            submit(gpu, encoder);
            cpu.gradient_add(&penalty, theta, gradient).expect("the CPU does not fail");
            let want = cpu.evaluate(&penalty, theta).expect("the CPU does not fail");
            reports.push((first, want));
            let want = cpu.prox_and_evaluate_in_place(&penalty, theta, step).expect("the CPU does not fail");
            reports.push((second, want));
        }
        for (number, (pending, want)) in reports.into_iter().enumerate() {
            assert_eq!(pending.wait(TIMEOUT), Ok(want), "round {round}, report {number}");
        }
        let [theta_now, gradient_now] = [held, held_gradient].map(|buffer| contents(gpu, buffer));
        same_bits(theta, &bytemuck::pod_collect_to_vec(&theta_now)[start..start + len]).expect("the weights");
        same_bits(gradient, &bytemuck::pod_collect_to_vec(&gradient_now)[start..start + len]).expect("the gradient");
    }
    assert!(kept(gpu) < 6 * 15, "{} recorders for 90 calls", kept(gpu));
}

/// Reports are kept, submitted or not, while later calls of the same shape are recorded and read.
fn a_report_that_is_kept_is_not_written_over(device: &Device) {
    let gpu = device.plain();
    let penalty = &penalties(0)[0];
    let images: Vec<Vec<f32>> = (0..6).map(|seed| noise(5000, seed)).collect();
    let buffers: Vec<_> = images.iter().map(|image| buffer(gpu, bytemuck::cast_slice(image), USAGES)).collect();
    let record = |encoder: &mut penalty::wgpu::CommandEncoder, at: usize| -> Pending<Report> {
        gpu.record_evaluate(encoder, penalty, &operand::<f32>(&buffers[at], 0, 5000)).expect("it is valid")
    };
    let mut late = encoder(gpu);
    let first = record(&mut late, 0);
    let mut kept = Vec::new();
    for at in 1..5 {
        let mut encoder = encoder(gpu);
        let pending = record(&mut encoder, at);
        submit(gpu, encoder);
        pending.wait(TIMEOUT).expect("it was submitted");
        if at % 2 == 0 {
            kept.push((at, pending));
        }
    }
    let last = record(&mut late, 5);
    submit(gpu, late);
    for (at, pending) in [(0, &first), (5, &last)].into_iter().chain(kept.iter().map(|(at, pending)| (*at, pending))) {
        assert_eq!(pending.wait(TIMEOUT), Backend::cpu().evaluate(penalty, &images[at]), "report {at}");
    }
}

fn what_is_kept_is_bounded_and_holds_nothing_of_the_callers(device: &Device) {
    let gpu = &own(device);
    let held = buffer(gpu, &[0; 4 * 400], USAGES);
    let l1 = Penalty::l1(0.5).expect("the λ is valid");
    let before = kept(gpu);
    for len in 1..=400 {
        let mut encoder = encoder(gpu);
        let theta = Operand { buffer: &held, offset: 0, len, dtype: Dtype::F32 };
        gpu.record_prox_in_place(&mut encoder, &l1, &theta, 1.0).expect("the range is valid");
        submit(gpu, encoder);
    }
    let [now, bound] = ["kept: ", "bound: "].map(|name| number(gpu, name));
    assert!(before < 20 && now == 256, "{before} before, then {now}");
    assert_eq!(bound, 0, "a bind group would keep the weights' buffer alive");
}

/// How many recorders a device keeps.
fn kept(gpu: &Gpu) -> usize {
    number(gpu, "kept: ")
}

/// What the device's text says of its pool.
fn number(gpu: &Gpu, name: &str) -> usize {
    let text = format!("{gpu:?}");
    let (_, pool) = text.split_once("Pool {").expect("the device has a pool");
    let (_, number) = pool.split_once(name).expect("the pool says so");
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().expect("it is a number")
}
