//! The promise: the same bits from every CPU and every adapter. The reference is the CPU on one thread with the baseline
//! instructions; the others are held against it by [`Partial::to_bytes`](penalty::Partial::to_bytes) and by the bits of
//! every gradient and prox.

mod common;

use common::adapters::{Device, DeviceTest};
use common::cases::{self, COEFFICIENTS, Case, LENGTHS, noise};
use common::compare::{POISON, close, same_bits};
use common::golden;
use common::oracle::{Formula, Weight, statistics};
use libtest_mimic::Trial;
use penalty::half::{bf16, f16};
use penalty::{Backend, Cpu, Determinism, InstructionSet, Penalty, TILE};

fn main() {
    let sets = InstructionSet::available().into_iter().map(|set| {
        let run = move || {
            cpu_gives_the_same_bits(set);
            Ok(())
        };
        Trial::test("any_number_of_threads_gives_the_same_bits", run).with_kind(format!("CPU, {set:?}"))
    });
    let tests: &[DeviceTest] = &[
        ("the_self_check_promises_the_cpus_bits", the_self_check_promises_the_cpus_bits),
        ("sums_at_every_scale", sums_at_every_scale),
        ("sums_where_they_are_easy_to_get_wrong", sums_where_they_are_easy_to_get_wrong),
        ("sums_of_every_length_and_type", sums_of_every_length_and_type),
        ("sums_of_every_half", sums_of_every_half),
        ("sums_of_millions", sums_of_millions),
        ("updates_of_f32", updates_of_f32),
        ("updates_of_every_f16", updates_of_every_f16),
        ("updates_of_every_bf16", updates_of_every_bf16),
        ("updates_of_every_length_and_type", updates_of_every_length_and_type),
        ("slices_longer_than_a_chunk", slices_longer_than_a_chunk),
        ("lists_of_many_tensors", lists_of_many_tensors),
        ("threads_that_share_a_device_get_their_own_results", threads_that_share_a_device_get_their_own_results),
        ("sums_agree_with_the_oracle", sums_agree_with_the_oracle),
        ("golden_proxes_and_values_come_out", golden_proxes_and_values_come_out),
    ];
    common::adapters::run(sets.collect(), tests);
}

fn reference() -> Backend {
    Backend::Cpu(Cpu::with_instructions(InstructionSet::Baseline).expect("every processor has these"))
}

/// What the reference gives, on one thread.
fn on_one_thread<R: Send>(compute: impl FnOnce(&Backend) -> R + Send) -> R {
    on_threads(1, || compute(&reference()))
}

fn on_threads<R: Send>(threads: usize, compute: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("the system gives threads");
    pool.install(compute)
}

#[track_caller]
fn same_sums<E: Weight>(backend: &Backend, name: &str, weights: &[E]) {
    let want = on_one_thread(|cpu| cpu.partial(0, weights)).expect("the CPU does not fail");
    let got = backend.partial(0, weights).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(want.to_bytes(), got.to_bytes(), "{name}, {} × {}: {want:?} but {got:?}", weights.len(), E::DTYPE);
}

#[track_caller]
fn same_sums_of_every_type(backend: &Backend, (name, weights): &Case) {
    same_sums(backend, name, weights);
    same_sums(backend, name, &weights.iter().map(|&x| f16::nearest(x)).collect::<Vec<_>>());
    same_sums(backend, name, &weights.iter().map(|&x| bf16::nearest(x)).collect::<Vec<_>>());
}

/// Gradient, gradient added and prox, with every kind of coefficients.
#[track_caller]
fn same_updates<E: Weight>(backend: &Backend, name: &str, weights: &[E], others: &[E]) {
    let poison = vec![bytemuck::pod_read_unaligned::<E>(&POISON[..size_of::<E>()]); weights.len()];
    for (l1, l2_squared, step) in COEFFICIENTS {
        let penalty = Penalty::keras(l1, l2_squared).expect("the λs are valid");
        let updates = |backend: &Backend| -> penalty::Result<[Vec<E>; 3]> {
            let (mut gradient, mut sum) = (poison.clone(), others.to_vec());
            backend.gradient_into(&penalty, weights, &mut gradient)?;
            backend.gradient_add(&penalty, weights, &mut sum)?;
            Ok([gradient, sum, backend.prox(&penalty, weights, step)?])
        };
        let want = on_one_thread(|cpu| updates(cpu)).expect("the CPU does not fail");
        let got = updates(backend).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (operation, (want, got)) in ["gradient", "gradient_add", "prox"].iter().zip(want.iter().zip(&got)) {
            if let Err(error) = same_bits(want, got) {
                panic!(
                    "{operation} of {name}, {} × {}, λ {l1:e} {l2_squared:e}, step {step:e}: {error}",
                    weights.len(),
                    E::DTYPE
                );
            }
        }
    }
}

fn every_f16() -> (Vec<f16>, Vec<f16>) {
    let others = (0..=u16::MAX).map(|i| f16::from_bits(i.wrapping_mul(0x9e3b)));
    ((0..=u16::MAX).map(f16::from_bits).collect(), others.collect())
}

fn every_bf16() -> (Vec<bf16>, Vec<bf16>) {
    let others = (0..=u16::MAX).map(|i| bf16::from_bits(i.wrapping_mul(0x9e3b)));
    ((0..=u16::MAX).map(bf16::from_bits).collect(), others.collect())
}

fn cpu_gives_the_same_bits(set: InstructionSet) {
    let backend = Backend::Cpu(Cpu::with_instructions(set).expect("the processor has them"));
    for threads in [1, 2, 3, 7] {
        on_threads(threads, || {
            for case in cases::scales(TILE + 1025).iter().chain(&cases::traps()) {
                same_sums_of_every_type(&backend, case);
            }
            for len in LENGTHS {
                same_sums_of_every_type(&backend, &("noise".into(), noise(len, len as u64)));
            }
            same_sums(&backend, "every f16", &every_f16().0);
            same_sums(&backend, "every bf16", &every_bf16().0);
            same_sums(&backend, "many carries", &cases::carries(50));
            // More spans than threads.
            same_sums(&backend, "noise", &noise(1_000_003, 4));
            let (weights, others) = cases::elementwise();
            same_updates(&backend, "edges", &weights, &others);
            same_updates(&backend, "noise", &noise(600_001, 5), &noise(600_001, 6));
            let ((half, halves), (brain, brains)) = (every_f16(), every_bf16());
            same_updates(&backend, "every f16", &half, &halves);
            same_updates(&backend, "every bf16", &brain, &brains);
        });
    }
}

fn the_self_check_promises_the_cpus_bits(device: &Device) {
    assert_eq!(device.gpu().determinism(), Determinism::GpuToGpu);
    // The driver that the test's name says is the one that answers.
    let (asked, answered) = (device.adapter.get_info(), device.gpu().adapter_info());
    assert_eq!(
        (&asked.name, asked.backend, &asked.driver_info),
        (&answered.name, answered.backend, &answered.driver_info)
    );
}

fn sums_at_every_scale(device: &Device) {
    for (name, weights) in cases::scales(TILE + 1025) {
        same_sums(&device.backend(), &name, &weights);
    }
}

fn sums_where_they_are_easy_to_get_wrong(device: &Device) {
    for case in cases::traps() {
        same_sums_of_every_type(&device.backend(), &case);
    }
    // So many tiles that a workgroup carries within its own accumulator, and workgroups into the shared one.
    same_sums(&device.backend(), "many carries", &cases::carries(50));
}

fn sums_of_every_length_and_type(device: &Device) {
    for len in LENGTHS {
        same_sums_of_every_type(&device.backend(), &("noise".into(), noise(len, len as u64)));
    }
}

fn sums_of_every_half(device: &Device) {
    same_sums(&device.backend(), "every f16", &every_f16().0);
    same_sums(&device.backend(), "every bf16", &every_bf16().0);
}

fn sums_of_millions(device: &Device) {
    let mut weights = noise(3_000_001, 8);
    same_sums(&device.backend(), "noise", &weights);
    // Ordinary tiles between tiles that are not, so that one workgroup meets both.
    for (i, w) in weights.iter_mut().enumerate().step_by(3 * TILE / 2) {
        *w = [0.0, f32::NAN, f32::INFINITY, 2f32.powi(90), f32::from_bits(1)][i % 5];
    }
    same_sums(&device.backend(), "mixed tiles", &weights);
}

fn updates_of_f32(device: &Device) {
    let (weights, others) = cases::elementwise();
    same_updates(&device.backend(), "edges", &weights, &others);
}

fn updates_of_every_f16(device: &Device) {
    let (weights, others) = every_f16();
    same_updates(&device.backend(), "every f16", &weights, &others);
}

fn updates_of_every_bf16(device: &Device) {
    let (weights, others) = every_bf16();
    same_updates(&device.backend(), "every bf16", &weights, &others);
}

fn updates_of_every_length_and_type(device: &Device) {
    fn check<E: Weight>(backend: &Backend, len: usize) {
        let penalty = Penalty::keras(0.1, 0.25).expect("the λs are valid");
        let weights: Vec<E> = noise(len, 1).into_iter().map(E::nearest).collect();
        let others: Vec<E> = noise(len, 2).into_iter().map(E::nearest).collect();
        let updates = |backend: &Backend| -> penalty::Result<[Vec<E>; 3]> {
            let mut sum = others.clone();
            backend.gradient_add(&penalty, &weights, &mut sum)?;
            Ok([backend.gradient(&penalty, &weights)?, sum, backend.prox(&penalty, &weights, 0.5)?])
        };
        let (want, got) = (updates(&reference()).expect("the CPU"), updates(backend).expect("the device"));
        for (want, got) in want.iter().zip(&got) {
            same_bits(want, got).unwrap_or_else(|error| panic!("{len} × {}: {error}", E::DTYPE));
        }
    }
    for len in LENGTHS {
        check::<f32>(&device.backend(), len);
        check::<f16>(&device.backend(), len);
        check::<bf16>(&device.backend(), len);
    }
}

/// The library sends slices to a device 32 MiB at a time.
fn slices_longer_than_a_chunk(device: &Device) {
    let penalty = Penalty::keras(0.1, 0.25).expect("the λs are valid");
    let len = (32 << 20) / 4 + TILE + 5;
    let weights = noise(len, 1);
    same_sums(&device.backend(), "noise", &weights);
    let updates = |backend: &Backend| -> penalty::Result<[Vec<f32>; 2]> {
        let mut sum = weights.clone();
        backend.gradient_add(&penalty, &weights, &mut sum)?;
        Ok([sum, backend.prox(&penalty, &weights, 0.5)?])
    };
    let (want, got) = (updates(&Backend::cpu()).expect("the CPU"), updates(&device.backend()).expect("the device"));
    for (want, got) in want.iter().zip(&got) {
        same_bits(want, got).expect("the chunks are joined as they were cut");
    }
}

/// Of different lengths and contents, so that one tensor's result cannot pass for another's.
fn lists_of_many_tensors(device: &Device) {
    let penalty = Penalty::elastic_net(0.1, 0.5).expect("the λ is valid");
    let mut tensors: Vec<Vec<f32>> = (0..200).map(|i| noise(i * i % 5003, i as u64)).collect();
    tensors.push(noise(70_001, 1));
    tensors[50].fill(f32::NAN);
    let want = Backend::cpu().evaluate_all(&penalty, &tensors).expect("the CPU does not fail");
    let got = device.backend().evaluate_all(&penalty, &tensors).expect("the device does not fail");
    for (i, (want, got)) in want.tensors.iter().zip(&got.tensors).enumerate() {
        assert_eq!(want, got, "tensor {i}");
    }
    assert_eq!(want, got);
    let halves: Vec<Vec<f16>> =
        (0..50).map(|i| noise(i * 37, i as u64).into_iter().map(f16::nearest).collect()).collect();
    let want = Backend::cpu().evaluate_all(&penalty, &halves).expect("the CPU does not fail");
    assert_eq!(want, device.backend().evaluate_all(&penalty, &halves).expect("the device does not fail"));
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
                // Often: one thread's poll may pick up another's answer, and must hand it over.
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

/// Not only the CPU's answer, but the right one.
fn sums_agree_with_the_oracle(device: &Device) {
    let formula = Formula { l1: 0.75, l2_squared: 3.5 };
    let penalty = Penalty::keras(formula.l1, formula.l2_squared).expect("the λs are valid");
    let (names, weights): (Vec<String>, Vec<Vec<f32>>) =
        cases::scales(TILE + 77).into_iter().step_by(9).chain(cases::traps()).unzip();
    let reports = device.backend().evaluate_all(&penalty, &weights).expect("the device does not fail");
    for ((name, weights), report) in names.iter().zip(&weights).zip(&reports.tensors) {
        statistics(weights).check(&formula, report).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn golden_proxes_and_values_come_out(device: &Device) {
    let backend = device.backend();
    for case in golden::cases() {
        let prox = backend.prox(&case.penalty, &[case.v], case.step).expect("the device does not fail")[0];
        let name = &case.name;
        close(case.prox, prox.into(), case.tolerance)
            .unwrap_or_else(|error| panic!("prox of {} by {name}: {error}", case.v));
        if let Some(want) = case.value {
            let value = backend.evaluate(&case.penalty, &[case.v]).expect("the device does not fail").value;
            close(want, value, 4e-7).unwrap_or_else(|error| panic!("{name} at {}: {error}", case.v));
        }
    }
}
