//! Does a slot belong to one step until that step is done?

use penalty::gpu::Operand;
use penalty::{Dtype, Error, Momentum, Penalty, Sgd, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{record, small};
use crate::common::device::{TIMEOUT, USAGES, buffer, encoder, submit};
use crate::common::tensors::{Call, reports_equal};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    a_full_ring_rejects,
    dropped_and_unsubmitted_steps_are_errors,
    a_reused_slot_is_an_error,
    a_loop_reads_with_a_lag,
    an_async_loop_reads_with_a_lag,
];

fn a_full_ring_rejects(device: &Device) {
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
    // Every operation has a separate ring. After the steps are done, there is room again.
    set.record_gradient_add(&mut encoder).expect("there is a slot");
    submit(gpu, encoder);
    let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(TIMEOUT) };
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
    let unsubmitted = pending.wait(TIMEOUT).map(drop);
    assert!(matches!(unsubmitted, Err(Error::NotSubmitted { .. })), "{unsubmitted:?}");
    submit(gpu, first);
    reports_equal(&want, &pending.wait(TIMEOUT).expect("it was submitted"), &"submitted late");

    let mut dropped = encoder(gpu);
    let pending = set.record_evaluate(&mut dropped).expect("the earlier report was read");
    drop(dropped);
    let error = pending.wait(TIMEOUT).map(drop);
    assert!(matches!(error, Err(Error::NotSubmitted { .. })), "{error:?}");
    let mut next = encoder(gpu);
    let pending = set.record_evaluate(&mut next).expect("a dropped encoder frees its slot");
    submit(gpu, next);
    reports_equal(&want, &pending.wait(TIMEOUT).expect("it was submitted"), &"after a dropped one");
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
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(TIMEOUT) };
        gpu.device().poll(wait).expect("the device answers");
    }
    for pending in &pending[..3] {
        let error = pending.wait(TIMEOUT).map(drop);
        assert!(matches!(error, Err(Error::SlotReused { .. })), "{error:?}");
        let out = buffer(gpu, &[0; 64], USAGES);
        let output = Operand { buffer: &out, offset: 0, len: 16, dtype: Dtype::F32 };
        let error = set.record_resolve(&mut encoder(gpu), pending, &output);
        assert!(matches!(error, Err(Error::SlotReused { .. })), "{error:?}");
    }
    for pending in &pending[3..] {
        reports_equal(&want, &pending.wait(TIMEOUT).expect("its slot is its own"), &"the last two");
    }
}

/// Reads step k's report while step k+2 is on the device. Each report equals the host's of the same step.
fn a_loop_reads_with_a_lag(device: &Device) {
    let gpu = device.plain();
    let (mut tensors, mut set) = small(gpu, 3);
    let sgd = |k: u32| Call::SgdAndEvaluate(Sgd { step: 0.1 / f64::from(k + 1), momentum: Momentum::nesterov(0.9) });
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
            reports_equal(&want, &pending.wait(TIMEOUT).expect("it was submitted"), &k);
            read += 1;
        }
    }
    assert_eq!(read, 18);
}

fn an_async_loop_reads_with_a_lag(device: &Device) {
    let gpu = device.plain();
    let (mut tensors, mut set) = small(gpu, 3);
    let poller = penalty::gpu::Poller::spawn(gpu, TIMEOUT).expect("there are threads");
    let mut earlier = None;
    for k in 0..10 {
        let call = Call::ProxAndEvaluate(0.01 * f64::from(k));
        let mut encoder = encoder(gpu);
        let pending = record(&mut set, &mut encoder, call).expect("there is a slot").expect("it reports");
        submit(gpu, encoder);
        let want = tensors.host(call).expect("it is valid").expect("it reports");
        if let Some((want, pending)) = earlier.replace((want, pending)) {
            let pending: penalty::gpu::Pending<penalty::Reports> = pending;
            reports_equal(&want, &pollster::block_on(pending.read()).expect("it was submitted"), &k);
        }
    }
    drop(poller);
}
