//! Parameter sets: one set equals many calls, wherever its tensors lie; steps keep their own numbers; no report is another's.

mod common;

use std::time::Duration;

use common::adapters::{Device, DeviceTest};
use common::cases::LENGTHS;
use common::compare::same_bytes;
use common::device::{PATIENCE, USAGES, buffer, contents, encoder, open, own, submit, without_hanging};
use common::oracle::{Formula, statistics};
use common::tensors::{Call, Images, Layout, ROLES, Tensors, equal, numbers, operands, record, reports_equal, set};
use libtest_mimic::Trial;
use penalty::gpu::{Operand, Operands, Options, ParameterSet, Recording};
use penalty::{Adam, Backend, Cpu, Dtype, Error, Gpu, HostSet, Metric, Momentum, Parameter, Penalty, Sgd};
use penalty::{TILE, half, wgpu};

const LAYOUTS: [Layout; 3] = [Layout::Page, Layout::PagePerRole, Layout::Scattered(5)];
/// Everything whose bits the contract promises.
const EXACT: [Call; 8] = [
    Call::Evaluate,
    Call::GradientAdd,
    Call::EvaluateAndGradientAdd,
    Call::Prox(0.5),
    Call::ProxAndEvaluate(0.25),
    Call::Sgd(Sgd { step: 0.1, momentum: Momentum::None }),
    Call::Sgd(Sgd { step: 0.1, momentum: Momentum::HeavyBall { momentum: 0.9, dampening: 0.1 } }),
    Call::Sgd(Sgd { step: 0.1, momentum: Momentum::Nesterov { momentum: 0.5, dampening: 0.3 } }),
];

fn main() {
    let host = vec![
        Trial::test("a_host_set_equals_calls_per_tensor", || passed(a_host_set_equals_calls_per_tensor)),
        Trial::test("a_host_set_refuses_what_does_not_fit", || passed(a_host_set_refuses_what_does_not_fit)),
    ];
    let tests: &[DeviceTest] = &[
        ("a_set_equals_the_host_for_every_call_and_layout", a_set_equals_the_host),
        ("a_set_equals_the_host_in_tiny_windows", a_set_equals_the_host_in_tiny_windows),
        ("a_set_of_checked_kernels_equals_the_host", a_set_of_checked_kernels_equals_the_host),
        ("a_thousand_tensors_in_one_buffer", |d| a_thousand_tensors(d, Layout::Page)),
        ("a_thousand_tensors_in_many_buffers", |d| a_thousand_tensors(d, Layout::Scattered(50))),
        ("adam_equals_the_host", adam_equals_the_host),
        ("a_dispatch_for_each_buffer_and_type_not_tensor", a_dispatch_for_each_buffer_and_type),
        ("every_step_of_an_encoder_has_its_own_numbers", every_step_of_an_encoder_has_its_own_numbers),
        ("penalties_may_begin_as_none", penalties_may_begin_as_none),
        ("operands_move_from_step_to_step", operands_move_from_step_to_step),
        ("a_set_is_prepared_between_steps", a_set_is_prepared_between_steps),
        ("results_are_finished_on_the_device", results_are_finished_on_the_device),
        ("exact_results_lie_on_the_device", exact_results_lie_on_the_device),
        ("a_step_is_finished_after_a_move", a_step_is_finished_after_a_move),
        ("a_full_ring_refuses", a_full_ring_refuses),
        ("dropped_and_unsubmitted_steps_are_errors", dropped_and_unsubmitted_steps_are_errors),
        ("a_reused_slot_is_an_error", a_reused_slot_is_an_error),
        ("a_loop_reads_with_a_lag", a_loop_reads_with_a_lag),
        ("an_async_loop_reads_with_a_lag", an_async_loop_reads_with_a_lag),
        ("a_destroyed_device_ends_training_with_an_error", a_destroyed_device_ends_training_with_an_error),
        ("what_breaks_a_rule_is_refused", what_breaks_a_rule_is_refused),
        ("sets_without_weights_are_fine", sets_without_weights_are_fine),
    ];
    common::adapters::run(host, tests);
}

#[expect(clippy::unnecessary_wraps, reason = "what a trial returns")]
fn passed(test: fn()) -> Result<(), libtest_mimic::Failed> {
    test();
    Ok(())
}

/// Every edge, and tensors of several spans.
fn lens() -> Vec<usize> {
    let mut lens: Vec<usize> = LENGTHS.into_iter().chain(LENGTHS).collect();
    lens.extend([70 * TILE + 1, 30_000, 16 * TILE, 16, 16, 16]);
    lens
}

/// 1 to 300,000, log-uniform.
fn thousand() -> Vec<usize> {
    let position = |i: u64| (i * 617 % 1000) as f64 / 999.0;
    (0..1000).map(|i| 300_000f64.powf(position(i)).round() as usize).collect()
}

fn a_set_equals_the_host(device: &Device) {
    let tensors = Tensors::new(&lens());
    for (i, call) in EXACT.into_iter().enumerate() {
        equal(device.plain(), &tensors, LAYOUTS[i % LAYOUTS.len()], call);
    }
    // The one with the fewest operands that share a buffer, and the one with the most, everywhere.
    for layout in LAYOUTS {
        equal(device.plain(), &tensors, layout, Call::EvaluateAndGradientAdd);
        equal(device.plain(), &tensors, layout, EXACT[7]);
    }
}

fn a_set_equals_the_host_in_tiny_windows(device: &Device) {
    let gpu = open(device, wgpu::Limits::default(), &Options { window: Some(16_640), ..Options::default() });
    let tensors = Tensors::new(&[1, 5, 4096, 4097, 5, 3 * TILE + 3, 7, 2 * TILE, 1025]);
    for (call, layout) in [(2, Layout::Page), (4, Layout::Page), (5, Layout::Scattered(5)), (7, Layout::Page)] {
        equal(&gpu, &tensors, layout, EXACT[call]);
    }
}

fn a_set_of_checked_kernels_equals_the_host(device: &Device) {
    let gpu = open(device, wgpu::Limits::default(), &Options { checked: true, ..Options::default() });
    let tensors = Tensors::new(&[1, 5, 4096, 4097, 5, 3 * TILE + 3, 7, 2 * TILE, 1025]);
    equal(&gpu, &tensors, Layout::Scattered(3), Call::EvaluateAndGradientAdd);
    equal(&gpu, &tensors, Layout::Page, EXACT[7]);
}

fn a_thousand_tensors(device: &Device, layout: Layout) {
    let tensors = Tensors::new(&thousand());
    for call in [Call::Evaluate, Call::EvaluateAndGradientAdd, Call::ProxAndEvaluate(0.5), EXACT[5]] {
        equal(device.plain(), &tensors, layout, call);
    }
}

fn a_host_set_equals_calls_per_tensor() {
    let cpu = Backend::cpu();
    for before in [Tensors::new(&lens()), Tensors::new(&thousand())] {
        let mut after = before.clone();
        let reports = after.host(Call::EvaluateAndGradientAdd).expect("it is valid").expect("it reports");
        let again = before.clone().host(Call::Evaluate).expect("it is valid").expect("it reports");
        reports_equal(&again, &reports, &"evaluating alone");
        let mut shrunk = before.clone();
        let left = shrunk.host(Call::ProxAndEvaluate(0.5)).expect("it is valid").expect("it reports");
        let mut total = 0.0;
        for (i, p) in before.parameters.iter().enumerate() {
            let elements = |words: &[u32]| numbers(words, p);
            let theta = elements(&before.words[0][i]);
            let formula = Formula { l1: p.penalty.l1_weight(), l2_squared: p.penalty.l2_squared_weight() };
            statistics(&theta)
                .check(&formula, &reports.tensors[i])
                .unwrap_or_else(|error| panic!("tensor {i}: {error}"));
            total += reports.tensors[i].value;
            per_tensor(&cpu, p, [&before, &after, &shrunk].map(|t| &t.words), i);
            let left_alone = cpu.evaluate(&p.penalty, &elements(&shrunk.words[0][i])).expect("the CPU does not fail");
            assert_eq!(left_alone, left.tensors[i], "what the prox leaves of tensor {i}");
        }
        assert_eq!(total, reports.total.value, "the total is the sum in the set's order");
    }
}

/// The gradient and the prox of tensor `i` by calls of its own.
fn per_tensor(cpu: &Backend, p: &Parameter, [before, after, shrunk]: [&[Vec<Vec<u32>>; ROLES]; 3], i: usize) {
    fn check<E: penalty::Element>(cpu: &Backend, p: &Parameter, [b, g, a, s]: [&[u32]; 4], i: usize) {
        let elements = |words| bytemuck::cast_slice::<u32, E>(words)[..p.len as usize].to_vec();
        let (theta, mut gradient) = (elements(b), elements(g));
        cpu.gradient_add(&p.penalty, &theta, &mut gradient).expect("the CPU does not fail");
        let bytes = |elements: &[E]| bytemuck::cast_slice::<E, u8>(elements).to_vec();
        assert_eq!(bytes(&gradient), bytes(&elements(a)), "the gradient of tensor {i}");
        let prox = cpu.prox(&p.penalty, &theta, 0.5).expect("the CPU does not fail");
        assert_eq!(bytes(&prox), bytes(&elements(s)), "the prox of tensor {i}");
    }
    let words = [&before[0][i][..], &before[1][i], &after[1][i], &shrunk[0][i]];
    match p.dtype {
        Dtype::F32 => check::<f32>(cpu, p, words, i),
        Dtype::F16 => check::<half::f16>(cpu, p, words, i),
        Dtype::BF16 => check::<half::bf16>(cpu, p, words, i),
    }
}

/// Step after step, each from what the last one left.
fn adam_equals_the_host(device: &Device) {
    let gpu = device.plain();
    for metric in [Metric::Plain, Metric::Adam] {
        let mut tensors = Tensors::new(&lens());
        let images = tensors.lay_out(Layout::Scattered(5));
        let buffers = images.upload(gpu);
        let mut set = set(gpu, &tensors, &images, &buffers, 1);
        for iteration in 1..=4 {
            let call = Call::Adam(Adam { step: 0.02, decay: 0.1, metric, iteration, ..Adam::default() });
            let mut encoder = encoder(gpu);
            let pending = record(&mut set, &mut encoder, call).expect("the step is valid");
            submit(gpu, encoder);
            let got = pending.expect("the call reports").wait(PATIENCE).expect("it was submitted");
            let want = tensors.host(call).expect("the step is valid").expect("it reports");
            reports_equal(&want, &got, &call);
            for (want, buffer) in images.with(&tensors).bytes.iter().zip(&buffers) {
                same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{call:?}: {error}"));
            }
        }
    }
}

/// One for each distinct buffer and type, and for the ragged ends, which are loaded word by word.
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
        // Aligned, every one.
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

fn every_step_of_an_encoder_has_its_own_numbers(device: &Device) {
    let gpu = device.plain();
    let mut tensors = Tensors::new(&[5000, 17, 300, 4096]);
    let images = tensors.lay_out(Layout::PagePerRole);
    let buffers = images.upload(gpu);
    let mut set = set(gpu, &tensors, &images, &buffers, 6);
    let mut host = HostSet::new(Cpu::new(), tensors.parameters.clone());
    let mut encoder = encoder(gpu);
    let mut pending = Vec::new();
    for k in 1..=6 {
        let net = Penalty::elastic_net(0.05 / f64::from(k), 0.5).expect("the λ is valid");
        set.penalties_mut().for_each(|(_, penalty)| penalty.clone_from(&net));
        host.penalties_mut().for_each(|(_, penalty)| penalty.clone_from(&net));
        let sgd = Sgd { step: 0.3 / f64::from(k * k), momentum: Momentum::heavy_ball(0.5) };
        for call in [Call::Sgd(sgd), Call::EvaluateAndGradientAdd, Call::Prox(0.1 * f64::from(k))] {
            let want = tensors.call(&host, call).expect("the call is valid");
            let got = record(&mut set, &mut encoder, call).expect("the call is valid");
            pending.extend(want.zip(got));
        }
    }
    submit(gpu, encoder);
    for (i, (want, got)) in pending.iter().enumerate().rev() {
        reports_equal(want, &got.wait(PATIENCE).expect("it was submitted"), &i);
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
        set.record_prox(&mut encoder, 1.0).expect("the step is valid");
        submit(gpu, encoder);
        tensors.host(Call::Prox(1.0)).expect("the step is valid");
        same_bytes(&images.with(&tensors).bytes[0], &contents(gpu, &buffers[0])).expect("the weights");
    }
}

/// As in Burn: the same tensors at other places, in other buffers, and in more of them.
fn operands_move_from_step_to_step(device: &Device) {
    let gpu = device.plain();
    let mut tensors = Tensors::new(&lens());
    let first = tensors.lay_out(Layout::Page);
    let mut set = set(gpu, &tensors, &first, &first.upload(gpu), 2);
    let mut earlier = None;
    let layouts = [Layout::Page, Layout::Scattered(9), Layout::PagePerRole];
    for (k, layout) in (0..7).zip(layouts.into_iter().cycle()) {
        let images = tensors.lay_out(layout);
        let buffers = images.upload(gpu);
        let lists = images.operands(&tensors, &buffers);
        set.place(&operands(&lists)).expect("the operands are valid");
        let mut encoder = encoder(gpu);
        // One operation most times, so that its slots hold the rows of earlier places.
        let call = EXACT[if k == 3 { 5 } else { 6 }];
        let pending = record(&mut set, &mut encoder, call).expect("the call is valid").expect("it reports");
        submit(gpu, encoder);
        let want = tensors.host(call).expect("the call is valid").expect("it reports");
        reports_equal(&want, &pending.wait(PATIENCE).expect("it was submitted"), &layout);
        for (want, buffer) in images.with(&tensors).bytes.iter().zip(&buffers) {
            same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{layout:?}: {error}"));
        }
        earlier = Some((pending, want));
    }
    let (pending, want) = earlier.expect("there were steps");
    reports_equal(&want, &pending.wait(PATIENCE).expect("it was submitted"), &"once more");
}

/// Preparing for other formulas and places leaves alone what is recorded and not yet submitted.
fn a_set_is_prepared_between_steps(device: &Device) {
    let gpu = device.plain();
    let mut tensors = Tensors::of(Dtype::F32, &[5000, 17, 300, 4096]);
    let page = tensors.lay_out(Layout::Page);
    let mut set = set(gpu, &tensors, &page, &page.upload(gpu), 2);
    let mut host = HostSet::new(Cpu::new(), tensors.parameters.clone());
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
        set.place(&operands(&lists)).expect("the operands are valid");
        let out = buffer(gpu, &[0; 16 * 5], USAGES);
        let output = Operand { buffer: &out, offset: 0, len: 4 * 5, dtype: Dtype::F32 };
        set.prepare(&[Recording::GradientAdd, Recording::ProxAndEvaluate]).expect("the set has all operands");
        set.prepare_finish(Recording::ProxAndEvaluate, &output).expect("the output is valid");
        let call = Call::ProxAndEvaluate(0.5);
        let want = tensors.call(&host, call).expect("the call is valid").expect("it reports");
        let pending = record(&mut set, &mut encoder, call).expect("there is a slot").expect("it reports");
        set.record_finish(&mut encoder, &pending, &output).expect("the output is valid");
        steps.push((images.with(&tensors), buffers, want, pending, out));
    }
    submit(gpu, encoder);
    for (images, buffers, want, pending, out) in steps {
        reports_equal(&want, &pending.wait(PATIENCE).expect("it was submitted"), &"the step");
        for (want, buffer) in images.bytes.iter().zip(&buffers) {
            same_bytes(want, &contents(gpu, buffer)).expect("the weights");
        }
        let total: f32 = bytemuck::pod_read_unaligned(&contents(gpu, &out)[..4]);
        common::compare::close(want.total.value, total.into(), 1e-6).expect("the total value");
    }
}

fn results_are_finished_on_the_device(device: &Device) {
    let gpu = device.plain();
    let mut tensors = Tensors::new(&lens());
    let long: Vec<usize> = (0..tensors.len()).filter(|&i| tensors.parameters[i].len > 1000).collect();
    let special = [(long[0], f32::NAN), (long[1], f32::INFINITY)];
    for spoilt in [false, true] {
        if spoilt {
            for (i, x) in special {
                let p = &tensors.parameters[i];
                let mut elements = numbers(&tensors.words[0][i], p);
                elements[0] = x;
                tensors.words[0][i] = common::tensors::words(p.dtype, &elements);
            }
        }
        let images = tensors.lay_out(Layout::Page);
        let buffers = images.upload(gpu);
        let mut set = set(gpu, &tensors, &images, &buffers, 2);
        let len = 4 * (tensors.len() + 1);
        let out = buffer(gpu, &common::compare::POISON.repeat(64 + len), USAGES);
        let output = Operand { buffer: &out, offset: 256, len: len as u64, dtype: Dtype::F32 };
        let mut encoder = encoder(gpu);
        set.record_evaluate(&mut encoder).expect("the call is valid");
        let pending = set.record_evaluate(&mut encoder).expect("the call is valid");
        set.record_finish(&mut encoder, &pending, &output).expect("the output is valid");
        submit(gpu, encoder);
        let reports = pending.wait(PATIENCE).expect("it was submitted");
        let bytes = contents(gpu, &out);
        same_bytes(&common::compare::POISON.repeat(64), &bytes[..256]).expect("nothing before the output");
        let finished: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes[256..]);
        let all = std::iter::once(&reports.total).chain(&reports.tensors);
        for (i, (report, row)) in all.zip(finished.chunks(4)).enumerate() {
            let exact = [report.l1, report.l2_squared, report.max_abs];
            for (want, &got) in exact.iter().zip(&row[1..]) {
                assert!(want.is_nan() && got.is_nan() || *want as f32 == got, "row {i}: expected {want}, found {got}");
            }
            // Two roundings of the products, one of their sum; and the total's sum.
            let units = if i == 0 { 16.0 } else { 3.0 };
            // A λ below 2^-120 is 0 on the device.
            let absent = i > 0 && tensors.parameters[i - 1].penalty.l1_weight() == 1e-40;
            let want = if absent && report.value.is_finite() { 0.0 } else { report.value };
            common::compare::close(want, row[0].into(), units / 16_777_216.0)
                .unwrap_or_else(|error| panic!("the value of row {i}: {error}"));
        }
        assert_eq!(reports.total.nan + reports.total.inf, if spoilt { 2 } else { 0 });

        let short = Operand { len: 4, ..output };
        let refused = set.record_finish(&mut self::encoder(gpu), &pending, &short);
        assert!(matches!(refused, Err(Error::Length { .. })), "{refused:?}");
        let crooked = Operand { offset: 4, ..output };
        let refused = set.record_finish(&mut self::encoder(gpu), &pending, &crooked);
        assert!(matches!(refused, Err(Error::Operand { .. })), "{refused:?}");
    }
}

/// Finished rows of every scale are the exact sums, rounded once.
fn exact_results_lie_on_the_device(device: &Device) {
    let gpu = device.plain();
    let tensors = Tensors::new(&[300, 5000, 1]);
    let images = tensors.lay_out(Layout::Page);
    let buffers = images.upload(gpu);
    let mut set = set(gpu, &tensors, &images, &buffers, 3);
    let mut encoder = encoder(gpu);
    set.record_evaluate(&mut encoder).expect("the call is valid");
    let pending = set.record_evaluate(&mut encoder).expect("the call is valid");
    let out = buffer(gpu, &[0; 64], USAGES);
    let output = Operand { buffer: &out, offset: 0, len: 16, dtype: Dtype::F32 };
    set.record_finish(&mut encoder, &pending, &output).expect("the output is valid");
    submit(gpu, encoder);
    let partials = pending.wait_partials(PATIENCE).expect("it was submitted");
    let (results, offset, size) = set.results(&pending).expect("the step is the set's");
    assert_eq!(size, 4 * 52 * 5, "a header, a row a tensor, the total");
    let words: Vec<u32> = bytemuck::pod_collect_to_vec(&contents(gpu, results)[offset as usize..]);
    let mut total = penalty::Partial::default();
    for (row, partial) in words[52..].chunks(52).zip(&partials) {
        assert_eq!(bytemuck::cast_slice::<u32, u8>(&row[..32]), &partial.to_bytes()[..128]);
        total.merge(partial);
    }
    assert_eq!(bytemuck::cast_slice::<u32, u8>(&words[208..240]), &total.to_bytes()[..128], "the total's limbs");
}

/// The step before a move can still be finished, as long as its numbers are where they were.
fn a_step_is_finished_after_a_move(device: &Device) {
    let gpu = device.plain();
    let tensors = Tensors::new(&lens());
    let page = tensors.lay_out(Layout::Page);
    let mut set = set(gpu, &tensors, &page, &page.upload(gpu), 3);
    let len = 4 * (tensors.len() + 1);
    let outputs = [(); 2].map(|()| buffer(gpu, &vec![0; 4 * len], USAGES));
    let output = |i: usize| Operand { buffer: &outputs[i], offset: 0, len: len as u64, dtype: Dtype::F32 };
    let mut encoder = encoder(gpu);
    let first = set.record_evaluate(&mut encoder).expect("the call is valid");
    // To as many dispatches, then to more than the table has room for.
    for (images, refused) in [(tensors.lay_out(Layout::Page), false), (tensors.lay_out(Layout::Scattered(25)), true)] {
        let buffers = images.upload(gpu);
        let lists = images.operands(&tensors, &buffers);
        set.place(&operands(&lists)).expect("the operands are valid");
        let next = set.record_evaluate(&mut encoder).expect("the call is valid");
        let finished = set.record_finish(&mut encoder, &first, &output(0));
        assert_eq!(matches!(finished, Err(Error::Operand { .. })), refused, "{finished:?}");
        set.record_finish(&mut encoder, &next, &output(1)).expect("the output is valid");
    }
    submit(gpu, encoder);
    assert_eq!(contents(gpu, &outputs[0]), contents(gpu, &outputs[1]));
    let total: f32 = bytemuck::pod_read_unaligned(&contents(gpu, &outputs[0])[..4]);
    let want = first.wait(PATIENCE).expect("it was submitted").total.value;
    common::compare::close(want, total.into(), 1e-6).expect("the total value");
}

fn small(gpu: &Gpu, slots: usize) -> (Tensors, ParameterSet) {
    let tensors = Tensors::new(&[5000, 17, 300]);
    let images = tensors.lay_out(Layout::Page);
    let set = set(gpu, &tensors, &images, &images.upload(gpu), slots);
    (tensors, set)
}

fn a_full_ring_refuses(device: &Device) {
    let gpu = device.plain();
    let (_, mut set) = small(gpu, 2);
    let mut encoder = encoder(gpu);
    for call in [Call::Evaluate, Call::Prox(0.5)] {
        for _ in 0..2 {
            record(&mut set, &mut encoder, call).expect("there is a slot");
        }
        let full = record(&mut set, &mut encoder, call).map(drop);
        assert_eq!(full, Err(Error::RingFull { slots: 2 }), "{call:?}");
    }
    // Every operation has its own ring, and once the steps are done there is room again.
    set.record_gradient_add(&mut encoder).expect("there is a slot");
    submit(gpu, encoder);
    let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
    gpu.device().poll(wait).expect("the device answers");
    let mut encoder = self::encoder(gpu);
    for call in [Call::Evaluate, Call::Prox(0.5)] {
        record(&mut set, &mut encoder, call).expect("there is a slot");
    }
    submit(gpu, encoder);
}

fn dropped_and_unsubmitted_steps_are_errors(device: &Device) {
    let gpu = device.plain();
    let (mut tensors, mut set) = small(gpu, 1);
    let want = tensors.host(Call::Evaluate).expect("it is valid").expect("it reports");
    let mut first = encoder(gpu);
    let pending = set.record_evaluate(&mut first).expect("there is a slot");
    let unsubmitted = pending.wait(PATIENCE).map(drop);
    assert!(matches!(unsubmitted, Err(Error::NotSubmitted { .. })), "{unsubmitted:?}");
    submit(gpu, first);
    reports_equal(&want, &pending.wait(PATIENCE).expect("it was submitted"), &"submitted late");

    let mut dropped = encoder(gpu);
    let pending = set.record_evaluate(&mut dropped).expect("the earlier report was read");
    drop(dropped);
    let error = pending.wait(PATIENCE).map(drop);
    assert!(matches!(error, Err(Error::NotSubmitted { .. })), "{error:?}");
    let mut next = encoder(gpu);
    let pending = set.record_evaluate(&mut next).expect("a dropped encoder frees its slot");
    submit(gpu, next);
    reports_equal(&want, &pending.wait(PATIENCE).expect("it was submitted"), &"after a dropped one");
}

fn a_reused_slot_is_an_error(device: &Device) {
    let gpu = device.plain();
    let (mut tensors, mut set) = small(gpu, 2);
    let want = tensors.host(Call::Evaluate).expect("it is valid").expect("it reports");
    let mut pending = Vec::new();
    for _ in 0..5 {
        let mut encoder = encoder(gpu);
        pending.push(set.record_evaluate(&mut encoder).expect("done steps make room"));
        submit(gpu, encoder);
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        gpu.device().poll(wait).expect("the device answers");
    }
    for pending in &pending[..3] {
        let error = pending.wait(PATIENCE).map(drop);
        assert!(matches!(error, Err(Error::SlotReused { .. })), "{error:?}");
        let out = buffer(gpu, &[0; 64], USAGES);
        let output = Operand { buffer: &out, offset: 0, len: 16, dtype: Dtype::F32 };
        let error = set.record_finish(&mut encoder(gpu), pending, &output);
        assert!(matches!(error, Err(Error::SlotReused { .. })), "{error:?}");
    }
    for pending in &pending[3..] {
        reports_equal(&want, &pending.wait(PATIENCE).expect("its slot is its own"), &"the last two");
    }
}

/// Step k's report is read while step k+2 is on the device; each is the host's of that step.
fn a_loop_reads_with_a_lag(device: &Device) {
    let gpu = device.plain();
    let (mut tensors, mut set) = small(gpu, 3);
    let sgd = |k: u32| Call::Sgd(Sgd { step: 0.1 / f64::from(k + 1), momentum: Momentum::nesterov(0.9) });
    let mut waiting = std::collections::VecDeque::new();
    let mut read = 0;
    for k in 0..20 {
        let net = Penalty::elastic_net(0.01 * f64::from(k), 0.5).expect("the λ is valid");
        set.penalties_mut().for_each(|(_, penalty)| penalty.clone_from(&net));
        tensors.parameters.iter_mut().for_each(|p| p.penalty.clone_from(&net));
        let mut encoder = encoder(gpu);
        let pending = record(&mut set, &mut encoder, sgd(k)).expect("there is a slot").expect("it reports");
        submit(gpu, encoder);
        let want = tensors.host(sgd(k)).expect("it is valid").expect("it reports");
        waiting.push_back((k, want, pending));
        if waiting.len() > 2 {
            let (k, want, pending) = waiting.pop_front().expect("there are three");
            reports_equal(&want, &pending.wait(PATIENCE).expect("it was submitted"), &k);
            read += 1;
        }
    }
    assert_eq!(read, 18);
}

fn an_async_loop_reads_with_a_lag(device: &Device) {
    let gpu = device.plain();
    let (mut tensors, mut set) = small(gpu, 3);
    let poller = penalty::gpu::Poller::spawn(gpu, PATIENCE).expect("there are threads");
    let mut earlier = None;
    for k in 0..10 {
        let call = Call::ProxAndEvaluate(0.01 * f64::from(k));
        let mut encoder = encoder(gpu);
        let pending = record(&mut set, &mut encoder, call).expect("there is a slot").expect("it reports");
        submit(gpu, encoder);
        let want = tensors.host(call).expect("it is valid").expect("it reports");
        if let Some((want, pending)) = earlier.replace((want, pending)) {
            let pending: penalty::gpu::PendingReports = pending;
            reports_equal(&want, &pollster::block_on(pending.read()).expect("it was submitted"), &k);
        }
    }
    drop(poller);
}

fn a_destroyed_device_ends_training_with_an_error(device: &Device) {
    for before_submit in [false, true] {
        let gpu = own(device);
        // Whose errors these are is the caller's business; here nobody's.
        gpu.device().on_uncaptured_error(std::sync::Arc::new(|_| {}));
        let (_, mut set) = small(&gpu, 3);
        // No answer in time is an error too, of those that are expected.
        let patience = Duration::from_secs(10);
        let mut earlier = Vec::new();
        for _ in 0..2 {
            let mut encoder = encoder(&gpu);
            earlier.push(set.record_evaluate_and_gradient_add(&mut encoder).expect("there is a slot"));
            submit(&gpu, encoder);
        }
        earlier[0].wait(PATIENCE).expect("the device lives");
        without_hanging(move || {
            let mut last = encoder(&gpu);
            let pending = set.record_evaluate_and_gradient_add(&mut last).expect("there is a slot");
            if before_submit {
                gpu.device().destroy();
                submit(&gpu, last);
            } else {
                submit(&gpu, last);
                gpu.device().destroy();
            }
            earlier.push(pending);
            for pending in &earlier {
                let error = pending.wait(patience).expect_err("the device is gone");
                assert!(matches!(error, Error::Device(_) | Error::NotSubmitted { .. } | Error::Timeout(_)), "{error}");
            }
            let mut next = encoder(&gpu);
            let error = match set.record_evaluate_and_gradient_add(&mut next) {
                Ok(pending) => pending.wait(patience).expect_err("the device is gone"),
                Err(error) => error,
            };
            assert!(!error.to_string().contains('\n'), "{error}");
        });
    }
}

fn what_breaks_a_rule_is_refused(device: &Device) {
    let gpu = device.plain();
    let held = buffer(gpu, &[0; 4096], USAGES);
    let other = buffer(gpu, &[0; 4096], USAGES);
    let unusable = buffer(gpu, &[0; 4096], wgpu::BufferUsages::COPY_DST);
    let foreign_gpu = own(device);
    let foreign = buffer(&foreign_gpu, &[0; 4096], USAGES);
    let destroyed = buffer(gpu, &[0; 4096], USAGES);
    destroyed.destroy();
    let at = |buffer, offset| Operand { buffer, offset, len: 64, dtype: Dtype::F32 };
    let parameters = || {
        let l1 = Penalty::l1(0.1).expect("the λ is valid");
        vec![Parameter::new("a", 64, Dtype::F32, l1.clone()), Parameter::new("b", 64, Dtype::F32, l1)]
    };
    let refuse = |weights: [Operand<'_>; 2], gradients: &[Operand<'_>], text: &str| {
        let operands = Operands { weights: &weights, gradients, ..Operands::default() };
        let error = ParameterSet::new(gpu, parameters(), &operands, 2).map(drop).expect_err(text).to_string();
        assert!(error.contains(text), "expected {text:?} in {error:?}");
        assert!(!error.contains('\n'), "{error}");
    };
    let good = [at(&held, 0), at(&held, 256)];
    refuse([at(&held, 0), at(&held, 0)], &[], "the weights of \"a\" and the weights of \"b\" overlap");
    refuse([at(&held, 0), at(&held, 252)], &[], "overlap: each must have memory of its own");
    refuse(good, &[at(&held, 512), at(&held, 256)], "the weights of \"b\" and the gradient of \"b\" overlap");
    refuse([at(&held, 2), at(&held, 512)], &[], "\"a\": the weights: its offset must be a multiple of 4");
    refuse([at(&held, 0), at(&held, 4000)], &[], "\"b\": the weights: its range must end inside its buffer");
    refuse(
        [at(&held, 0), at(&unusable, 0)],
        &[],
        "\"b\": the weights: its buffer must have the usage STORAGE, found COPY_DST",
    );
    refuse([at(&held, 0), at(&foreign, 0)], &[], "\"b\": the device failed");
    refuse([at(&held, 0), at(&destroyed, 0)], &[], "\"b\": the device failed");
    refuse(good, &[at(&other, 0)], "a set needs the gradient for each of the 2 tensors, found 1");
    refuse([at(&held, 0), Operand { len: 63, ..at(&held, 256) }], &[], "\"b\": the weights must have 64 elements");
    let half = Operand { dtype: Dtype::F16, ..at(&held, 256) };
    refuse([at(&held, 0), half], &[], "\"b\": the weights must hold F32");

    let operands = Operands { weights: &good, ..Operands::default() };
    let none = ParameterSet::new(gpu, parameters(), &operands, 0).map(drop);
    assert!(matches!(none, Err(Error::Parameter { name: "slots", .. })), "{none:?}");
    let mut set = ParameterSet::new(gpu, parameters(), &operands, 2).expect("the operands are valid");
    let mut encoder = encoder(gpu);
    let bad = [
        record(&mut set, &mut encoder, Call::GradientAdd),
        record(&mut set, &mut encoder, EXACT[5]),
        record(&mut set, &mut encoder, Call::Adam(Adam::default())),
    ];
    let recordings = [Recording::GradientAdd, Recording::Sgd, Recording::Adam(Metric::Plain)];
    for (result, recording) in bad.into_iter().zip(recordings) {
        let error = result.map(drop).expect_err("there are no gradients");
        assert!(matches!(error, Error::Missing { operand: "the gradient", .. }), "{error}");
        assert_eq!(set.prepare(&[Recording::Evaluate, recording]), Err(error));
    }
    let output = Operand { len: 12, ..at(&other, 0) };
    let refused = set.prepare_finish(Recording::Prox, &output);
    assert!(matches!(refused, Err(Error::Operand { operand: "the recording", .. })), "{refused:?}");
    let refused = set.prepare_finish(Recording::Evaluate, &at(&other, 0));
    assert!(matches!(refused, Err(Error::Length { operand: "the output", .. })), "{refused:?}");
    let refused = set.prepare_finish(Recording::Sgd, &output);
    assert!(matches!(refused, Err(Error::Missing { operand: "the gradient", .. })), "{refused:?}");
    let numbers = [
        Call::Prox(-1.0),
        Call::Prox(f64::NAN),
        Call::Sgd(Sgd { step: f64::INFINITY, momentum: Momentum::None }),
        Call::Sgd(Sgd { step: 0.1, momentum: Momentum::heavy_ball(1.0) }),
        Call::Adam(Adam { beta1: 1.0, ..Adam::default() }),
        Call::Adam(Adam { epsilon: 0.0, ..Adam::default() }),
        Call::Adam(Adam { iteration: 0, ..Adam::default() }),
        Call::Adam(Adam { decay: 1e9, ..Adam::default() }),
    ];
    for call in numbers {
        let error = record(&mut set, &mut encoder, call).map(drop).expect_err("the number is out of range");
        assert!(matches!(error, Error::Parameter { .. }), "{call:?}: {error}");
    }
    // A refused place leaves the set where it was.
    let twice = [at(&held, 0), at(&held, 0)];
    assert!(set.place(&Operands { weights: &twice, ..Operands::default() }).is_err());
    let pending = set.record_evaluate(&mut encoder).expect("the set is as it was");
    submit(gpu, encoder);
    assert_eq!(pending.wait(PATIENCE).expect("it was submitted").total.len, 128);
}

fn sets_without_weights_are_fine(device: &Device) {
    let gpu = device.plain();
    for lens in [&[][..], &[0], &[0, 3, 0]] {
        let tensors = Tensors::new(lens);
        for call in [Call::Evaluate, Call::EvaluateAndGradientAdd, Call::Prox(1.0), EXACT[6]] {
            equal(gpu, &tensors, Layout::PagePerRole, call);
        }
    }
}

fn a_host_set_refuses_what_does_not_fit() {
    let l1 = Penalty::l1(0.1).expect("the λ is valid");
    let parameters = vec![Parameter::new("a", 2, Dtype::F32, l1.clone()), Parameter::new("b", 2, Dtype::F32, l1)];
    let set = HostSet::new(Cpu::new(), parameters);
    let (a, b) = ([1.0f32, 2.0], [3.0f32, 4.0]);
    let short = [half::f16::ONE; 2];
    let refuse = |slices: &[penalty::Slice<'_>], text: &str| {
        let error = set.evaluate(slices).map(drop).expect_err(text).to_string();
        assert!(error.contains(text), "expected {text:?} in {error:?}");
    };
    refuse(&[(&a[..]).into()], "evaluating needs the weights for each of the 2 tensors, found 1");
    refuse(&[(&a[..]).into(), (&a[..]).into()], "the weights of \"a\" and the weights of \"b\" overlap");
    refuse(&[(&a[..]).into(), (&b[..1]).into()], "\"b\": the weights must have 2 elements, found 1");
    refuse(&[(&a[..]).into(), (&short[..]).into()], "\"b\": the weights must hold F32, found F16");
    let reports = set.evaluate(&[(&a[..]).into(), (&b[..]).into()]).expect("the slices fit");
    assert_eq!(reports.total.l1, 10.0);
}
