//! Which adapters and instruction sets can be asked for?

use penalty::cpu::InstructionSet;
use penalty::gpu::Choice;
use penalty::{Cpu, Error, Gpu, gpu};

#[test]
fn an_adapter_that_nobody_has_is_rejected_with_those_that_there_are() {
    let error = Gpu::open(&Choice::Named("no such adapter".into())).expect_err("there is none of that name");
    let Error::NoAdapter { request, found } = &error else { panic!("{error}") };
    assert_eq!(request, "is named like \"no such adapter\"");
    let adapters = gpu::adapters();
    assert_eq!(found == "none", adapters.is_empty());
    for adapter in adapters {
        assert!(found.contains(&adapter.get_info().name), "{found}");
    }
    assert_eq!(error.to_string(), format!("no adapter {request}; found {found}"));
}

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
