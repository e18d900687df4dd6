//! Does a device prune the weights that the CPU prunes?

use penalty::exact::TILE;
use penalty::gpu::{Operand, Operands, Options, ParameterSet};
use penalty::{Budget, Cpu, Dtype, Gpu, HostSet, Momentum, Parameter, Penalty, Sgd, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::budgets::{Model, Weights, mixed, ordinary, special, tied};
use crate::common::compare::{POISON, same_bytes};
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, open, submit};
use crate::common::tensors::reports_equal;
use crate::common::trials::is_brief;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    a_budget_prunes_what_the_cpu_does,
    bounds_are_those_of_the_cpu,
    budgets_in_tiny_windows,
    a_budget_of_checked_kernels,
    budgets_of_a_thousand_tensors,
    every_step_keeps_its_budget,
    masks_on_a_device_are_those_of_the_host,
];

/// The tensors in this many buffers, with poison between them; some begin where only single words can be read.
fn lay_out(model: &Model, buffers: usize) -> (Vec<Vec<u8>>, Vec<(usize, usize)>) {
    let mut bytes = vec![POISON.repeat(4); buffers];
    let mut places = Vec::new();
    for (i, weights) in model.0.iter().enumerate() {
        let at = i % buffers;
        let bytes = &mut bytes[at];
        bytes.resize(bytes.len().next_multiple_of(16) + if i % 4 == 3 { 4 } else { 16 }, POISON[0]);
        places.push((at, bytes.len()));
        bytes.extend(weights.bytes());
        bytes.resize(bytes.len().next_multiple_of(4), POISON[0]);
    }
    bytes.iter_mut().for_each(|bytes| bytes.extend(POISON.repeat(4)));
    (bytes, places)
}

fn operands<'a>(model: &Model, buffers: &'a [wgpu::Buffer], places: &[(usize, usize)]) -> Vec<Operand<'a>> {
    let operand = |(weights, &(at, offset)): (&Weights, &(usize, usize))| Operand {
        buffer: &buffers[at],
        offset: offset as u64,
        len: weights.len() as u64,
        dtype: weights.dtype(),
    };
    model.0.iter().zip(places).map(operand).collect()
}

/// Prunes a model with one budget after the other, on the device in one encoder. Compares the reports of each, and every
/// byte at the end.
fn equal(gpu: &Gpu, model: &Model, buffers: usize, budgets: &[Budget]) {
    let (bytes, places) = lay_out(model, buffers);
    let on_device: Vec<wgpu::Buffer> = bytes.iter().map(|bytes| buffer(gpu, bytes, USAGES)).collect();
    let weights = operands(model, &on_device, &places);
    let operands = Operands { weights: &weights, ..Operands::default() };
    let mut set = ParameterSet::new(gpu, model.parameters(), &operands, budgets.len()).expect("it is valid");
    let mut encoder = encoder(gpu);
    let record = |budget| set.record_prune_in_place(&mut encoder, budget).expect("the budget fits");
    let pending: Vec<_> = budgets.iter().map(record).collect();
    submit(gpu, encoder);
    let mut want = model.clone();
    for (budget, pending) in budgets.iter().zip(pending) {
        let reports = want.prune(&Cpu::new(), budget).expect("the budget fits");
        reports_equal(&reports, &pending.wait(TIMEOUT).expect("it was submitted"), budget);
    }
    for (want, buffer) in lay_out(&want, buffers).0.iter().zip(&on_device) {
        same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{budgets:?}: {error}"));
    }
}

fn prune(fraction: f64) -> Budget {
    Budget::prune(fraction).expect("it is a fraction")
}

const LENS: [usize; 10] = [1000, 0, 4097, 1, 333, 3 * TILE + 17, 64, 31, 5, 2 * TILE];

fn a_budget_prunes_what_the_cpu_does(device: &Device) {
    let gpu = device.plain();
    let models = [special(&LENS, mixed), tied(&LENS, mixed), ordinary(&LENS, |_| Dtype::F32)];
    for (i, model) in models.iter().enumerate() {
        let n = model.len() as u64;
        for kept in [0, 1, n / 3, n / 2, n - 1, n, n + 1] {
            equal(gpu, model, 1 + i, &[Budget::keep(kept)]);
        }
        for fraction in [0.1, 0.5, 0.777, 0.9] {
            equal(gpu, model, 1 + i, &[prune(fraction)]);
        }
    }
    // More than one span for each workgroup row, and a tie in each.
    equal(gpu, &tied(&[70 * TILE + 5, 3, 40 * TILE], mixed), 1, &[prune(0.6)]);
    equal(gpu, &Model(Vec::new()), 1, &[Budget::keep(3)]);
    equal(gpu, &ordinary(&[0, 0], mixed), 1, &[prune(0.5)]);
}

fn bounds_are_those_of_the_cpu(device: &Device) {
    let within = |fraction, bound: fn(usize) -> std::ops::RangeInclusive<f64>| {
        prune(fraction).within((0..LENS.len()).map(bound).collect()).expect("they are bounds")
    };
    let budgets = [
        within(0.5, |i| if i == 0 { 0.0..=1.0 } else { 0.4..=0.6 }),
        within(0.35, |i| [0.0..=1.0, 0.25..=0.25, 0.75..=1.0, 0.0..=0.0][i % 4].clone()),
        within(0.5, |i| if i == 0 { 0.0..=1.0 } else { 0.5..=0.5 }),
        within(1.0, |_| 1.0..=1.0),
    ];
    for model in [special(&LENS, mixed), tied(&LENS, mixed)] {
        for budget in &budgets {
            equal(device.plain(), &model, 2, std::slice::from_ref(budget));
        }
    }
}

fn budgets_in_tiny_windows(device: &Device) {
    let gpu = open(device, wgpu::Limits::default(), &Options { window: Some(16_640), ..Options::default() });
    for model in [special(&LENS, mixed), tied(&LENS, mixed)] {
        equal(&gpu, &model, 1, &[prune(0.3)]);
        equal(&gpu, &model, 3, &[prune(0.6)]);
    }
}

fn a_budget_of_checked_kernels(device: &Device) {
    let gpu = open(device, wgpu::Limits::default(), &Options { checked: true, ..Options::default() });
    equal(&gpu, &tied(&LENS, mixed), 2, &[prune(0.6)]);
}

fn budgets_of_a_thousand_tensors(device: &Device) {
    let lens: Vec<usize> = (0..if is_brief() { 300 } else { 1000 }).map(|i| i * 37 % 401).collect();
    equal(device.plain(), &tied(&lens, mixed), 7, &[prune(0.55)]);
}

fn every_step_keeps_its_budget(device: &Device) {
    equal(device.plain(), &ordinary(&LENS, mixed), 1, &[prune(0.25), prune(0.5), Budget::keep(1000), Budget::keep(3)]);
}

/// Prunes, masks, and takes a step with the mask in one encoder. The tensors alternate between masks and no penalty.
fn masks_on_a_device_are_those_of_the_host(device: &Device) {
    let gpu = device.plain();
    let model = special(&LENS, mixed);
    let is_mask = |i: usize| i % 4 != 2;
    let parameter =
        |i: usize| Parameter::new(format!("tensor {i}"), if is_mask(i) { Penalty::mask() } else { Penalty::none() });
    let parameters = || (0..LENS.len()).map(parameter).collect::<Vec<_>>();
    let budget = prune(0.7);
    let gradients = ordinary(&LENS, mixed);
    let mut want = model.clone();
    want.prune(&Cpu::new(), &budget).expect("the budget fits");
    let masks = Model(want.0.iter().map(Weights::mask).collect());
    let given: Vec<_> = (0..).zip(&masks.0).map(|(i, mask)| is_mask(i).then(|| mask.slice())).collect();
    let host = HostSet::new(Cpu::new(), parameters()).with_element_weights(&given).expect("they are masks");
    let sgd = Sgd { step: 0.1, momentum: Momentum::None };
    let slices: Vec<_> = gradients.0.iter().map(Weights::slice).collect();
    let mut written: Vec<_> = want.0.iter_mut().map(Weights::slice_mut).collect();
    let reports = host.sgd_and_evaluate(&mut written, &slices, &mut [], &sgd).expect("the step is valid");

    // What is written over must not matter.
    let stale = ordinary(&LENS, mixed);
    let laid_out = [&model, &gradients, &stale].map(|model| lay_out(model, 2));
    let buffers =
        laid_out.each_ref().map(|(bytes, _)| bytes.iter().map(|b| buffer(gpu, b, USAGES)).collect::<Vec<_>>());
    let [weights, of_loss, own] = [0, 1, 2].map(|i| operands(&model, &buffers[i], &laid_out[i].1));
    let own: Vec<_> = (0..).zip(own).map(|(i, operand)| is_mask(i).then_some(operand)).collect();
    let operands = Operands { weights: &weights, gradients: &of_loss, element_weights: &own, ..Operands::default() };
    let mut set = ParameterSet::new(gpu, parameters(), &operands, 2).expect("it is valid");
    let mut encoder = encoder(gpu);
    set.record_prune_in_place(&mut encoder, &budget).expect("the budget fits");
    set.record_masks(&mut encoder).expect("it is valid");
    let pending = set.record_sgd_and_evaluate(&mut encoder, &sgd).expect("the step is valid");
    submit(gpu, encoder);
    reports_equal(&reports, &pending.wait(TIMEOUT).expect("it was submitted"), &budget);
    let masks = Model(
        (0..)
            .zip(&masks.0)
            .zip(&stale.0)
            .map(|((i, mask), stale)| if is_mask(i) { mask } else { stale }.clone())
            .collect(),
    );
    for (want, buffers) in [(&want, &buffers[0]), (&masks, &buffers[2])] {
        for (want, buffer) in lay_out(want, 2).0.iter().zip(buffers) {
            same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
