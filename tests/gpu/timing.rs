//! Does a set tell when the dispatches of its steps begin and end?

use penalty::{Error, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::small;
use crate::common::device::{TIMEOUT, contents, encoder, submit};

pub(crate) const ON_DEVICES: &[DeviceTest] =
    named![a_step_writes_its_times, queries_that_cannot_be_written_are_rejected];

fn queries(device: &wgpu::Device, ty: wgpu::QueryType, count: u32) -> wgpu::QuerySet {
    device.create_query_set(&wgpu::QuerySetDescriptor { label: None, ty, count })
}

/// Adapters without clocks have nothing to write.
fn a_step_writes_its_times(device: &Device) {
    let gpu = device.gpu();
    if !gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        return println!("skipped: the device has no clock");
    }
    let (_, mut set) = small(gpu, 4);
    let queries = queries(gpu.device(), wgpu::QueryType::Timestamp, 2);
    let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
    let descriptor = wgpu::BufferDescriptor { label: None, size: 16, usage, mapped_at_creation: false };
    let resolved = gpu.device().create_buffer(&descriptor);
    let mut reports = Vec::new();
    let mut times = Vec::new();
    for on in [true, true, false] {
        set.time_steps(on.then_some(&queries)).expect("the queries are timestamps");
        let mut encoder = encoder(gpu);
        let pending = set.record_evaluate(&mut encoder).expect("there is a slot");
        encoder.resolve_query_set(&queries, 0..2, &resolved, 0);
        submit(gpu, encoder);
        reports.push(pending.wait(TIMEOUT).expect("it was submitted"));
        times.push(bytemuck::pod_collect_to_vec::<u8, u64>(&contents(gpu, &resolved)));
    }
    assert!(reports[0] == reports[1] && reports[1] == reports[2]);
    let [first, second, last] = &times[..] else { panic!("three steps") };
    assert!(0 < first[0] && first[0] <= first[1], "{first:?}");
    assert!(first[1] <= second[0] && second[0] <= second[1], "{first:?}, then {second:?}");
    assert_eq!(second, last, "nothing is written any more");
}

fn queries_that_cannot_be_written_are_rejected(device: &Device) {
    let gpu = device.gpu();
    let (_, mut set) = small(gpu, 1);
    let mut reject = |queries: &wgpu::QuerySet| set.time_steps(Some(queries)).expect_err("they cannot be written");
    let error = reject(&queries(gpu.device(), wgpu::QueryType::Occlusion, 2));
    assert_eq!(error.to_string(), "the queries: they must be two or more timestamps, found 2 of Occlusion");
    if !gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        return;
    }
    let error = reject(&queries(gpu.device(), wgpu::QueryType::Timestamp, 1));
    assert!(matches!(error, Error::Operand { .. }), "{error}");
    let destroyed = queries(gpu.device(), wgpu::QueryType::Timestamp, 2);
    destroyed.destroy();
    let error = reject(&destroyed);
    assert!(matches!(error, Error::Device(_)), "{error}");
    // A set with rejected queries goes on as before.
    let mut encoder = encoder(gpu);
    let pending = set.record_evaluate(&mut encoder).expect("there is a slot");
    submit(gpu, encoder);
    pending.wait(TIMEOUT).expect("it was submitted");
}
