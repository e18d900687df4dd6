//! Which instruction sets can a caller ask for?

use penalty::cpu::InstructionSet;
use penalty::{Cpu, Error};

#[test]
fn instructions_that_the_processor_lacks_are_rejected() {
    for set in [InstructionSet::Baseline, InstructionSet::Avx2, InstructionSet::Avx512] {
        match Cpu::with_instructions(set) {
            Ok(cpu) => assert_eq!(cpu.instruction_set(), set),
            Err(error) => assert_eq!(error, Error::InstructionSet(set)),
        }
        assert_eq!(Cpu::with_instructions(set).is_ok(), InstructionSet::available().contains(&set));
    }
    assert_eq!(Some(&Cpu::new().instruction_set()), InstructionSet::available().last());
}
