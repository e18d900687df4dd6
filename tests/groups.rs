//! Penalties that take weights together.

mod common;

use common::adapters::{Device, DeviceTest};
use common::cases::noise;
use penalty::{Backend, Groups, Penalty};

fn main() {
    let tests: &[DeviceTest] = &[("probe", probe)];
    common::adapters::run(Vec::new(), tests);
}

fn probe(device: &Device) {
    let gpu = device.backend();
    let cpu = Backend::cpu();
    let weights = noise(4 * 96, 3);
    let groups = [
        Groups::runs(8).unwrap(),
        Groups::columns(4).unwrap(),
        Groups::lists(&[(0..200).rev().collect::<Vec<u64>>(), (200..384).collect()]).unwrap(),
        Groups::whole(),
    ];
    let penalties = [
        Penalty::l2_norm(0.3),
        Penalty::sparse_group_lasso(0.4, 0.3, Groups::whole()),
        Penalty::l2_ball(0.7),
        Penalty::linf_norm(0.5),
        Penalty::l1_ball(1.5),
        Penalty::simplex(1.1),
        Penalty::top_k(3),
    ];
    for p in penalties {
        for g in &groups {
            let p = p.clone().unwrap().over(g.clone()).unwrap();
            let a = gpu.prox(&p, &weights, 0.7).unwrap();
            let b = cpu.prox(&p, &weights, 0.7).unwrap();
            let bad = a.iter().zip(&b).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            let va = gpu.evaluate(&p, &weights).unwrap();
            let vb = cpu.evaluate(&p, &weights).unwrap();
            let ga = gpu.gradient(&p, &weights).unwrap();
            let gb = cpu.gradient(&p, &weights).unwrap();
            let gbad = ga.iter().zip(&gb).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            eprintln!("{p:?}: prox {bad} gradient {gbad} value {} {}", va.value, vb.value);
        }
    }
}
