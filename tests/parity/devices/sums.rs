//! Do sums of every length, scale and type have the reference's bits on a device?

use penalty::exact::TILE;
use penalty::half::f16;
use penalty::{Backend, Penalty};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::cases::{self, LENGTHS, every_bf16, every_f16, noise};
use crate::common::oracle::{Formula, Weight, statistics};
use crate::sums::{same_sums, same_sums_of_every_type};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    sums_at_every_scale,
    sums_where_they_are_easy_to_get_wrong,
    sums_of_every_length_and_type,
    sums_of_every_half,
    sums_of_millions,
    sums_of_tiles_of_every_kind,
    lists_of_many_tensors,
    sums_agree_with_the_oracle,
];

fn sums_at_every_scale(device: &Device) {
    for (name, weights) in cases::scales(TILE + 1025) {
        same_sums(&device.backend(), &name, &weights);
    }
}

fn sums_where_they_are_easy_to_get_wrong(device: &Device) {
    for case in cases::traps() {
        same_sums_of_every_type(&device.backend(), &case);
    }
    // There are enough tiles for carries within a workgroup's accumulator and in the shared one.
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
    // Every workgroup meets ordinary tiles and others.
    for (i, w) in weights.iter_mut().enumerate().step_by(3 * TILE / 2) {
        *w = [0.0, f32::NAN, f32::INFINITY, 2f32.powi(90), f32::from_bits(1)][i % 5];
    }
    same_sums(&device.backend(), "mixed tiles", &weights);
}

/// Workgroups finish up to eight tiles together. Here, all subsets of eight tiles are not ordinary.
fn sums_of_tiles_of_every_kind(device: &Device) {
    let mut weights = noise(256 * 8 * TILE, 9);
    for (tile, weights) in weights.chunks_mut(TILE).enumerate() {
        if ((tile / 8) >> (tile % 8)) & 1 == 1 {
            weights[tile] = [f32::NAN, 2f32.powi(90), f32::from_bits(1), f32::NEG_INFINITY][tile % 4];
        } else {
            weights[tile..2 * tile].fill(0.0);
        }
    }
    for penalty in [Penalty::none(), Penalty::huber(0.1, 0.5).expect("the parameters are valid")] {
        let want = Backend::cpu().evaluate(&penalty, &weights).expect("the CPU does not fail");
        assert_eq!(want, device.backend().evaluate(&penalty, &weights).expect("the device does not fail"));
    }
}

/// The tensors differ in length and contents, so one tensor's result cannot pass for another's.
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

/// The sums must be right, not only equal to the CPU's.
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
