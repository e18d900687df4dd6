//! Who polls the device, and do futures complete?

use std::pin::pin;
use std::sync::Barrier;
use std::task::Poll;
use std::time::{Duration, Instant};

use penalty::gpu::Poller;
use penalty::wgpu::{self, BufferUsages, PollType};
use penalty::{Backend, Error};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::compare::same_bits;
use crate::common::device::{TIMEOUT, buffer, encoder, own, submit, without_hanging};
use crate::common::recorded::{operand, penalty, poll_once, weights};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    a_future_completes_in_the_callers_polling_loop,
    an_answer_that_another_thread_picks_up_is_handed_over,
    a_poller_completes_futures,
    a_poller_fails_futures_that_wait_too_long,
    a_poller_ends_the_wait_for_a_destroyed_device,
];

fn a_future_completes_in_the_callers_polling_loop(device: &Device) {
    let gpu = own(device);
    let (theta, held) = weights(&gpu, 5000, 1);
    let mut encoder = encoder(&gpu);
    let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand::<f32>(&held, 0, 5000)).expect("it is valid");
    submit(&gpu, encoder);
    let mut reading = pin!(pending.read());
    // Nobody has polled the device.
    assert!(poll_once(reading.as_mut()).is_pending());
    let began = Instant::now();
    let report = loop {
        gpu.device().poll(PollType::Poll).expect("the device lives");
        if let Poll::Ready(report) = poll_once(reading.as_mut()) {
            break report;
        }
        assert!(began.elapsed() < TIMEOUT, "polling the device completes the future");
    };
    assert_eq!(report, Backend::cpu().evaluate(&penalty(), &theta));
}

/// A poll collects the callbacks of all finished work, then runs them one after the other. Another thread may have
/// collected the callback that a thread waits for, and may still be busy with a slow one.
fn an_answer_that_another_thread_picks_up_is_handed_over(device: &Device) {
    let gpu = own(device);
    let (theta, held) = weights(&gpu, 1 << 19, 1);
    let want = Backend::cpu().evaluate(&penalty(), &theta);
    let operand = operand::<f32>(&held, 0, theta.len());
    let barrier = Barrier::new(2);
    let rounds = 0..15;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in rounds.clone() {
                barrier.wait();
                // By then the other thread has submitted, and the device is working.
                std::thread::sleep(Duration::from_millis(1));
                let wait = PollType::Wait { submission_index: None, timeout: Some(TIMEOUT) };
                gpu.device().poll(wait).expect("the device answers");
                barrier.wait();
            }
        });
        let mut answers = Vec::new();
        for round in rounds.clone() {
            let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
            let slow = buffer(&gpu, &[], usage);
            let mut encoder = encoder(&gpu);
            let record = || gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
            let pending = std::iter::repeat_with(record).take(4).last().expect("four were recorded");
            encoder.copy_buffer_to_buffer(&held, 0, &slow, 0, 4);
            submit(&gpu, encoder);
            // However long the callback takes.
            let nap = Duration::from_millis(if round == 0 { 1500 } else { 20 });
            slow.map_async(wgpu::MapMode::Read, .., move |_| std::thread::sleep(nap));
            barrier.wait();
            answers.push(pending.wait(TIMEOUT));
            barrier.wait();
        }
        // We compare only after the other thread has stopped waiting.
        for answer in answers {
            assert_eq!(answer, want);
        }
    });
}

fn a_poller_completes_futures(device: &Device) {
    let gpu = device.plain().clone();
    without_hanging(move || {
        let poller = Poller::spawn(&gpu, TIMEOUT).expect("the system gives threads");
        let (backend, cpu) = (Backend::Gpu(gpu.clone()), Backend::cpu());
        let (theta, held) = weights(&gpu, 5000, 1);
        let mut encoder = encoder(&gpu);
        let operand = operand::<f32>(&held, 0, 5000);
        let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
        submit(&gpu, encoder);
        let want = cpu.evaluate(&penalty(), &theta);
        pollster::block_on(async {
            assert_eq!(pending.read().await, want);
            assert_eq!(backend.evaluate_async(&penalty(), &theta).await, want);
            let lists = backend.evaluate_all_async(&penalty(), &[&theta[..7], &theta[7..]]).await;
            assert_eq!(lists, cpu.evaluate_all(&penalty(), &[&theta[..7], &theta[7..]]));
            let [mut want, mut got] = [theta.clone(), theta.clone()];
            cpu.prox_in_place(&penalty(), &mut want, 0.5)?;
            backend.prox_in_place_async(&penalty(), &mut got, 0.5).await?;
            assert_eq!(same_bits(&want, &got), Ok(()));
            cpu.gradient_add(&penalty(), &theta, &mut want)?;
            backend.gradient_add_async(&penalty(), &theta, &mut got).await?;
            assert_eq!(same_bits(&want, &got), Ok(()));
            cpu.gradient_into(&penalty(), &theta, &mut want)?;
            backend.gradient_into_async(&penalty(), &theta, &mut got).await?;
            assert_eq!(same_bits(&want, &got), Ok(()));
            Ok::<(), Error>(())
        })
        .expect("the device does not fail");
        drop(poller);
        // Without the poller, blocking calls still poll themselves.
        assert_eq!(backend.evaluate(&penalty(), &theta), cpu.evaluate(&penalty(), &theta));
    });
}

fn a_poller_fails_futures_that_wait_too_long(device: &Device) {
    let gpu = own(device);
    without_hanging(move || {
        let (theta, held) = weights(&gpu, 5000, 1);
        let mut encoder = encoder(&gpu);
        let operand = operand::<f32>(&held, 0, 5000);
        let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
        submit(&gpu, encoder);
        let poller = Poller::spawn(&gpu, Duration::ZERO).expect("the system gives threads");
        assert_eq!(pollster::block_on(pending.read()), Err(Error::Timeout(Duration::ZERO)));
        drop(poller);
        assert_eq!(pending.wait(TIMEOUT), Backend::cpu().evaluate(&penalty(), &theta), "the report is not lost");
    });
}

fn a_poller_ends_the_wait_for_a_destroyed_device(device: &Device) {
    let gpu = own(device);
    without_hanging(move || {
        let (theta, held) = weights(&gpu, 5000, 1);
        let mut encoder = encoder(&gpu);
        let operand = operand::<f32>(&held, 0, 5000);
        let pending = gpu.record_evaluate(&mut encoder, &penalty(), &operand).expect("it is valid");
        submit(&gpu, encoder);
        let mut reading = pin!(pending.read());
        assert!(poll_once(reading.as_mut()).is_pending());
        gpu.device().destroy();
        // A timeout is one of the expected errors too.
        let _poller = Poller::spawn(&gpu, Duration::from_secs(2)).expect("the system gives threads");
        // Work under way may still finish. But the future must complete.
        let report = pollster::block_on(reading);
        assert!(report.is_err() || report == Backend::cpu().evaluate(&penalty(), &theta), "{report:?}");
        let error = pollster::block_on(pending.read()).expect_err("the device is gone");
        assert!(matches!(error, Error::Device(_) | Error::NotSubmitted { .. } | Error::Timeout(_)), "{error}");
    });
}
