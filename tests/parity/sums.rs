//! Do sums have the reference's bits, on any number of threads?

use penalty::Backend;
use penalty::exact::TILE;
use penalty::half::{bf16, f16};

use crate::common::backends::{on_one_thread, on_threads};
use crate::common::cases::{self, Case, LENGTHS, every_bf16, every_f16, noise};
use crate::common::oracle::Weight;
use crate::common::trials::BackendTest;

pub(crate) const ON_EVERY_CPU: &[BackendTest] = named![any_number_of_threads_gives_the_same_sums];

#[track_caller]
pub(crate) fn same_sums<E: Weight>(backend: &Backend, name: &str, weights: &[E]) {
    let want = on_one_thread(|cpu| cpu.partial(0, weights)).expect("the CPU does not fail");
    let got = backend.partial(0, weights).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(want.to_bytes(), got.to_bytes(), "{name}, {} × {}: {want:?} but {got:?}", weights.len(), E::DTYPE);
}

#[track_caller]
pub(crate) fn same_sums_of_every_type(backend: &Backend, (name, weights): &Case) {
    same_sums(backend, name, weights);
    same_sums(backend, name, &weights.iter().map(|&x| f16::nearest(x)).collect::<Vec<_>>());
    same_sums(backend, name, &weights.iter().map(|&x| bf16::nearest(x)).collect::<Vec<_>>());
}

fn any_number_of_threads_gives_the_same_sums(backend: &Backend) {
    for threads in [1, 2, 3, 7] {
        on_threads(threads, || {
            for case in cases::scales(TILE + 1025).iter().chain(&cases::traps()) {
                same_sums_of_every_type(backend, case);
            }
            for len in LENGTHS {
                same_sums_of_every_type(backend, &("noise".into(), noise(len, len as u64)));
            }
            same_sums(backend, "every f16", &every_f16().0);
            same_sums(backend, "every bf16", &every_bf16().0);
            same_sums(backend, "many carries", &cases::carries(50));
            // More spans than threads.
            same_sums(backend, "noise", &noise(1_000_003, 4));
        });
    }
}
