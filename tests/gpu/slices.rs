//! Are calls on host slices all or nothing, for any length and from any thread?

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

use penalty::exact::TILE;
use penalty::wgpu::PollType;
use penalty::{Backend, Error, Gpu, Penalty};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::backends::reference;
use crate::common::cases::noise;
use crate::common::compare::same_bits;
use crate::common::device::{TIMEOUT, own, without_hanging};
use crate::common::recorded::{penalty, poll_once};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    a_dropped_future_leaves_the_slice_as_it_was,
    a_device_that_fails_midway_leaves_the_slice,
    threads_that_share_a_device_get_their_own_results,
];

/// The calls that write to one of the caller's host slices.
#[derive(Debug, Clone, Copy)]
enum Writes {
    GradientInto,
    GradientAdd,
    Prox,
    ProxAndEvaluate,
}

impl Writes {
    const ALL: [Writes; 4] = [Writes::GradientInto, Writes::GradientAdd, Writes::Prox, Writes::ProxAndEvaluate];

    async fn run(self, backend: &Backend, theta: &[f32], slice: &mut [f32]) -> Result<(), Error> {
        match self {
            Writes::GradientInto => backend.gradient_into_async(&penalty(), theta, slice).await,
            Writes::GradientAdd => backend.gradient_add_async(&penalty(), theta, slice).await,
            Writes::Prox => backend.prox_in_place_async(&penalty(), slice, 0.5).await,
            Writes::ProxAndEvaluate => backend.prox_and_evaluate_in_place_async(&penalty(), slice, 0.5).await.map(drop),
        }
    }
}

/// Weights that need two chunks of 32 MiB.
fn two_chunks() -> Vec<f32> {
    noise((32 << 20) / 4 + TILE + 4, 1)
}

/// Polls a future up to `polls` times. After each poll, the device finishes all submitted work.
fn poll_often<F: Future>(gpu: &Gpu, mut future: Pin<&mut F>, polls: usize) -> Option<F::Output> {
    for _ in 0..polls {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return Some(output);
        }
        let wait = PollType::Wait { submission_index: None, timeout: Some(TIMEOUT) };
        // Polling a lost device may fail.
        let _ = gpu.device().poll(wait);
    }
    None
}

fn a_dropped_future_leaves_the_slice_as_it_was(device: &Device) {
    let gpu = own(device);
    let (backend, theta) = (Backend::Gpu(gpu.clone()), two_chunks());
    for call in Writes::ALL {
        let mut slice = theta.clone();
        // Drops the future at each of its waits in turn, until the call completes.
        let mut waits = 0;
        loop {
            let done = poll_often(&gpu, pin!(call.run(&backend, &theta, &mut slice)), waits + 1);
            if let Some(done) = done {
                assert_eq!(done, Ok(()));
                break;
            }
            waits += 1;
            assert!(slice == theta, "{call:?} was dropped when it waited for the {waits}th time");
        }
        assert!(waits >= 2, "{call:?} waits for each of two chunks");
        let mut want = theta.clone();
        pollster::block_on(call.run(&Backend::cpu(), &theta, &mut want)).expect("the CPU does not fail");
        same_bits(&want, &slice).unwrap_or_else(|error| panic!("{call:?}: {error}"));
    }
}

fn a_device_that_fails_midway_leaves_the_slice(device: &Device) {
    for call in Writes::ALL {
        let gpu = own(device);
        without_hanging(move || {
            let (backend, theta) = (Backend::Gpu(gpu.clone()), two_chunks());
            let mut slice = theta.clone();
            let outcome = {
                let mut future = pin!(call.run(&backend, &theta, &mut slice));
                // The first chunk is back. The second is under way.
                let waits = if matches!(call, Writes::ProxAndEvaluate) { 3 } else { 2 };
                assert_eq!(poll_often(&gpu, future.as_mut(), waits), None);
                gpu.device().destroy();
                poll_often(&gpu, future, 100)
            };
            // Work under way may still finish.
            let mut want = theta.clone();
            if outcome == Some(Ok(())) {
                pollster::block_on(call.run(&Backend::cpu(), &theta, &mut want)).expect("the CPU does not fail");
            }
            assert!(slice == want, "{call:?}: {outcome:?}");
        });
    }
}

fn threads_that_share_a_device_get_their_own_results(device: &Device) {
    let penalty = Penalty::elastic_net(0.1, 0.5).expect("the λ is valid");
    let backend = device.backend();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let (backend, penalty) = (&backend, &penalty);
            scope.spawn(move || {
                let weights = noise(300 + 100 * thread as usize, thread);
                let want = reference().partial(0, &weights).expect("the CPU does not fail");
                let shrunk = reference().prox(penalty, &weights, 0.5).expect("the CPU does not fail");
                // Many rounds: one thread's poll may pick up another thread's answer, and must hand it over.
                for round in 0..40 {
                    assert_eq!(backend.partial(0, &weights).as_ref(), Ok(&want), "thread {thread}, round {round}");
                }
                for round in 0..10 {
                    let got = backend.prox(penalty, &weights, 0.5).expect("the device does not fail");
                    same_bits(&shrunk, &got).unwrap_or_else(|error| panic!("thread {thread}, round {round}: {error}"));
                }
            });
        }
    });
}
