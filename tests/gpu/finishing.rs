//! Does the device resolve a step's results as the host would?

use penalty::gpu::Operand;
use penalty::{Dtype, Error};

use crate::common;

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, operands, set};
use crate::common::compare::same_bytes;
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, submit};
use crate::common::tensors::{Tensors, lens, numbers};

pub(crate) const ON_DEVICES: &[DeviceTest] =
    named![results_are_finished_on_the_device, exact_results_lie_on_the_device, a_step_is_finished_after_a_move,];

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
        set.record_resolve(&mut encoder, &pending, &output).expect("the output is valid");
        submit(gpu, encoder);
        let reports = pending.wait(TIMEOUT).expect("it was submitted");
        let bytes = contents(gpu, &out);
        same_bytes(&common::compare::POISON.repeat(64), &bytes[..256]).expect("nothing before the output");
        let finished: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes[256..]);
        let all = std::iter::once(&reports.total).chain(&reports.tensors);
        for (i, (report, row)) in all.zip(finished.chunks(4)).enumerate() {
            let exact = [report.l1, report.l2_squared, report.max_abs];
            for (want, &got) in exact.iter().zip(&row[1..]) {
                assert!(want.is_nan() && got.is_nan() || *want as f32 == got, "row {i}: expected {want}, found {got}");
            }
            // Two roundings for the products and one for their sum; more for the total.
            let units = if i == 0 { 16.0 } else { 3.0 };
            // A λ below 2^-120 is 0 on the device.
            let absent = i > 0 && tensors.parameters[i - 1].penalty.l1_factor() == 1e-40;
            let want = if absent && report.value.is_finite() { 0.0 } else { report.value };
            common::compare::close(want, row[0].into(), units / 16_777_216.0)
                .unwrap_or_else(|error| panic!("the value of row {i}: {error}"));
        }
        assert_eq!(reports.total.nan + reports.total.inf, if spoilt { 2 } else { 0 });

        let short = Operand { len: 4, ..output };
        let rejected = set.record_resolve(&mut self::encoder(gpu), &pending, &short);
        assert!(matches!(rejected, Err(Error::Length { .. })), "{rejected:?}");
        let crooked = Operand { offset: 4, ..output };
        let rejected = set.record_resolve(&mut self::encoder(gpu), &pending, &crooked);
        assert!(matches!(rejected, Err(Error::Operand { .. })), "{rejected:?}");
    }
}

/// Resolved rows of every scale are the exact sums, rounded once.
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
    set.record_resolve(&mut encoder, &pending, &output).expect("the output is valid");
    submit(gpu, encoder);
    let partials = pending.wait_partials(TIMEOUT).expect("it was submitted");
    let (results, offset, size) = set.results(&pending).expect("the step is the set's");
    assert_eq!(size, 4 * 52 * 5, "a header, a row a tensor, the total");
    let words: Vec<u32> = bytemuck::pod_collect_to_vec(&contents(gpu, results)[offset as usize..]);
    let mut total = penalty::exact::Partial::default();
    for (row, partial) in words[52..].chunks(52).zip(&partials) {
        assert_eq!(bytemuck::cast_slice::<u32, u8>(&row[..32]), &partial.to_bytes()[..128]);
        total.merge(partial);
    }
    assert_eq!(bytemuck::cast_slice::<u32, u8>(&words[208..240]), &total.to_bytes()[..128], "the total's limbs");
}

/// The step before a move can still be resolved, as long as its table stays in place.
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
    // First to a layout with as many dispatches, then to one with more than the table has room for.
    for (images, rejected) in [(tensors.lay_out(Layout::Page), false), (tensors.lay_out(Layout::Scattered(25)), true)] {
        let buffers = images.upload(gpu);
        let lists = images.operands(&tensors, &buffers);
        set.rebind(&operands(&lists)).expect("the operands are valid");
        let next = set.record_evaluate(&mut encoder).expect("the call is valid");
        let finished = set.record_resolve(&mut encoder, &first, &output(0));
        assert_eq!(matches!(finished, Err(Error::Operand { .. })), rejected, "{finished:?}");
        set.record_resolve(&mut encoder, &next, &output(1)).expect("the output is valid");
    }
    submit(gpu, encoder);
    assert_eq!(contents(gpu, &outputs[0]), contents(gpu, &outputs[1]));
    let total: f32 = bytemuck::pod_read_unaligned(&contents(gpu, &outputs[0])[..4]);
    let want = first.wait(TIMEOUT).expect("it was submitted").total.value;
    common::compare::close(want, total.into(), 1e-6).expect("the total value");
}
