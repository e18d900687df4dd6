//! Do gradients and proxes of every length and type have the reference's bits on a device?

use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Backend, Penalty};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::backends::reference;
use crate::common::cases::{self, LENGTHS, every_bf16, every_f16, noise};
use crate::common::compare::same_bits;
use crate::common::golden;
use crate::common::oracle::Weight;
use crate::sums::same_sums;
use crate::updates::same_updates;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    updates_of_f32,
    updates_of_every_f16,
    updates_of_every_bf16,
    updates_of_every_length_and_type,
    slices_longer_than_a_chunk,
    golden_cases_come_out,
];

fn golden_cases_come_out(device: &Device) {
    golden::cases_come_out(&device.backend());
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
    // A device with the adapter's limits.
    let on_device = Backend::Gpu(device.gpu().clone());
    same_sums(&on_device, "noise", &weights);
    let updates = |backend: &Backend| -> penalty::Result<[Vec<f32>; 2]> {
        let mut sum = weights.clone();
        backend.gradient_add(&penalty, &weights, &mut sum)?;
        Ok([sum, backend.prox(&penalty, &weights, 0.5)?])
    };
    let (want, got) = (updates(&Backend::cpu()).expect("the CPU"), updates(&on_device).expect("the device"));
    for (want, got) in want.iter().zip(&got) {
        same_bits(want, got).expect("the chunks are joined as they were cut");
    }
}
