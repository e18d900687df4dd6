//! Do gradients and proxes have the reference's bits, on any number of threads?

use penalty::{Backend, Penalty};

use crate::common::backends::{on_one_thread, on_threads};
use crate::common::cases::{self, COEFFICIENTS, every_bf16, every_f16, noise};
use crate::common::compare::{POISON, same_bits};
use crate::common::oracle::Weight;
use crate::common::trials::BackendTest;

pub(crate) const ON_EVERY_CPU: &[BackendTest] = named![any_number_of_threads_gives_the_same_updates];

/// Compares gradient, gradient added and prox, with every kind of coefficients.
#[track_caller]
pub(crate) fn same_updates<E: Weight>(backend: &Backend, name: &str, weights: &[E], others: &[E]) {
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

fn any_number_of_threads_gives_the_same_updates(backend: &Backend) {
    for threads in [1, 2, 3, 7] {
        on_threads(threads, || {
            let (weights, others) = cases::elementwise();
            same_updates(backend, "edges", &weights, &others);
            same_updates(backend, "noise", &noise(600_001, 5), &noise(600_001, 6));
            let ((half, halves), (brain, brains)) = (every_f16(), every_bf16());
            same_updates(backend, "every f16", &half, &halves);
            same_updates(backend, "every bf16", &brain, &brains);
        });
    }
}
