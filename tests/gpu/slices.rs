//! Are calls on host slices all or nothing, for any length and from any thread?

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

use penalty::exact::TILE;
use penalty::half::f16;
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
    every_chunk_has_the_cpus_bits,
    tensors_of_groups_travel_whole,
    tensors_share_chunks_and_take_several,
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

/// How many bytes travel at a time. Three such chunks are under way at once.
const CHUNK: usize = 8 << 20;

/// Weights of more chunks than are under way at once, so that a call waits for the first while it sends the last.
fn seven_chunks() -> Vec<f32> {
    noise(6 * CHUNK / 4 + TILE + 4, 1)
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
    let (backend, theta) = (Backend::Gpu(gpu.clone()), seven_chunks());
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
        assert!(waits >= 1, "{call:?} waits at least for the last chunk");
        let mut want = theta.clone();
        pollster::block_on(call.run(&Backend::cpu(), &theta, &mut want)).expect("the CPU does not fail");
        same_bits(&want, &slice).unwrap_or_else(|error| panic!("{call:?}: {error}"));
    }
}

fn a_device_that_fails_midway_leaves_the_slice(device: &Device) {
    for call in Writes::ALL {
        let gpu = own(device);
        without_hanging(move || {
            let (backend, theta) = (Backend::Gpu(gpu.clone()), seven_chunks());
            let mut slice = theta.clone();
            let outcome = {
                let mut future = pin!(call.run(&backend, &theta, &mut slice));
                // Some chunks are under way.
                assert_eq!(poll_often(&gpu, future.as_mut(), 1), None);
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

/// Lengths around one chunk and around the number of chunks under way.
fn every_chunk_has_the_cpus_bits(device: &Device) {
    let (backend, cpu) = (device.backend(), reference());
    let weighted = Penalty::weighted_l1(0.25).expect("the λ is valid");
    let per_chunk = CHUNK / 2;
    for len in [per_chunk - 1, per_chunk, per_chunk + 1, 3 * per_chunk + 5, 4 * per_chunk + TILE + 3] {
        let [theta, start, own] = [1, 2, 3].map(|seed| halves(len, seed, if seed == 3 { f32::abs } else { |x| x }));
        let (mut got, mut want) = (start.clone(), start);
        let penalty = weighted.with_element_weights(&own).expect("it is weighted");
        let [of_device, of_cpu] = [(&backend, &mut got), (&cpu, &mut want)].map(|(backend, gradient)| {
            backend.evaluate_and_gradient_add(penalty, &theta, gradient).expect("the slices are valid")
        });
        assert_eq!(of_device, of_cpu, "{len}");
        assert!(got == want, "the gradient of {len}");
        let [of_device, of_cpu] = [(&backend, &mut got), (&cpu, &mut want)].map(|(backend, weights)| {
            backend.prox_and_evaluate_in_place(penalty, weights, 0.5).expect("the slices are valid")
        });
        assert_eq!(of_device, of_cpu, "{len}");
        assert!(got == want, "the prox of {len}");
        assert_eq!(backend.evaluate(penalty, &theta), cpu.evaluate(penalty, &theta), "{len}");
    }
}

fn tensors_of_groups_travel_whole(device: &Device) {
    let (backend, cpu) = (device.backend(), reference());
    let norm = Penalty::l2_norm(3.0).expect("the λ is valid");
    // More chunks than are under way at once; each direction ends in a part of a chunk and in half a word.
    let theta = halves(4 * CHUNK / 2 + 7, 4, |x| x);
    let shrink = |backend: &Backend| {
        let mut weights = theta.clone();
        let report = backend.prox_and_evaluate_in_place(&norm, &mut weights, 0.5).expect("the slice is valid");
        (report, weights)
    };
    assert!(shrink(&backend) == shrink(&cpu));
}

fn tensors_share_chunks_and_take_several(device: &Device) {
    let l1 = Penalty::l1(0.5).expect("the λ is valid");
    let lens = [5, CHUNK / 4 - 8, 3, 4096, 4 * CHUNK / 4 + 1, 0, 2, 17];
    let tensors: Vec<Vec<f32>> = lens.iter().zip(5..).map(|(&len, seed)| noise(len, seed)).collect();
    let slices: Vec<&[f32]> = tensors.iter().map(|tensor| &tensor[..]).collect();
    assert_eq!(device.backend().evaluate_all(&l1, &slices), reference().evaluate_all(&l1, &slices));
}

fn halves(len: usize, seed: u64, of: fn(f32) -> f32) -> Vec<f16> {
    noise(len, seed).into_iter().map(|x| f16::from_f32(of(x))).collect()
}
