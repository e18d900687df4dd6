//! Which properties do custom penalties have on the CPU?

use penalty::cpu::InstructionSet;
use penalty::exact::TILE;
use penalty::{Backend, Cpu, Penalty};

use crate::common::cases::{self, noise};
use crate::common::custom::Lawless;

#[test]
fn functions_that_break_rules_do_not_panic() {
    fn run<const KIND: usize>() {
        let penalty = Penalty::custom::<Lawless<KIND>>([1.0, 0.0]).expect("its parameters are valid");
        let mut weights = cases::at_scale(127, TILE);
        weights.extend(noise(3 * TILE + 5, 1));
        for backend in InstructionSet::available() {
            let cpu = Backend::Cpu(Cpu::with_instructions(backend).expect("the processor has them"));
            let mut shrunk = weights.clone();
            cpu.evaluate(&penalty, &weights).expect("the CPU does not fail");
            cpu.gradient(&penalty, &weights).expect("the CPU does not fail");
            cpu.prox_and_evaluate_in_place(&penalty, &mut shrunk, 1.0).expect("the CPU does not fail");
        }
    }
    run::<0>();
    run::<1>();
    run::<2>();
    run::<3>();
    run::<4>();
    run::<5>();
}
