//! Runs every operation of a penalty on some weights, and compares each bit with the CPU's plainest instructions.

use penalty::cpu::InstructionSet;
use penalty::exact::Partial;
use penalty::{Backend, Cpu, Error, Report, Weighted};

use crate::common::compare::same_bits;
use crate::common::oracle::Weight;
use crate::common::trials::sample;

/// The results of the chosen operations. Reports compare by their bits.
struct Everything<E> {
    partial: Option<[u8; Partial::BYTES]>,
    reports: Vec<Report>,
    /// Gradients are missing if the penalty has none.
    updates: Vec<(&'static str, Vec<E>)>,
}

/// Which operations are compared. A device compiles a kernel for each operation, formula and type.
#[derive(Debug, Clone, Copy)]
enum Operations {
    All,
    /// One of the five in turn, or all if devices take no sample.
    Turn(usize),
}

impl Operations {
    fn has(self, operation: usize) -> bool {
        match self {
            Operations::All => true,
            Operations::Turn(turn) => (turn + operation).is_multiple_of(sample().min(5)),
        }
    }
}

fn everything<E: Weight>(
    backend: &Backend,
    penalty: Weighted<'_, [E]>,
    step: f64,
    weights: &[E],
    others: &[E],
    chosen: Operations,
) -> penalty::Result<Everything<E>> {
    let (mut sum, mut shrunk) = (others.to_vec(), weights.to_vec());
    let mut all = Everything { partial: None, reports: Vec::new(), updates: Vec::new() };
    if chosen.has(0) {
        all.partial = Some(backend.partial_for(penalty, 0, weights)?.to_bytes());
        all.reports.push(backend.evaluate(penalty, weights)?);
    }
    if chosen.has(1) {
        all.updates.push(("prox", backend.prox(penalty, weights, step)?));
    }
    if chosen.has(2) {
        all.reports.push(backend.prox_and_evaluate_in_place(penalty, &mut shrunk, step)?);
        all.updates.push(("prox_and_evaluate_in_place", shrunk));
    }
    let mut add = |operation, gradient: penalty::Result<Vec<E>>| match gradient {
        Err(Error::NoGradient { .. }) => Ok(()),
        gradient => gradient.map(|gradient| all.updates.push((operation, gradient))),
    };
    if chosen.has(3) {
        add("gradient", backend.gradient(penalty, weights))?;
    }
    if chosen.has(4) {
        add("gradient_add", backend.gradient_add(penalty, weights, &mut sum).map(|()| sum))?;
    }
    Ok(all)
}

/// Asserts that a backend has the reference's bits.
pub(crate) fn same<'a, E: Weight>(
    backend: &Backend,
    case: (impl Into<Weighted<'a, [E]>>, f64),
    name: &str,
    weights: &[E],
    others: &[E],
) {
    compare(backend, case, name, weights, others, Operations::All);
}

/// The same. A device compares only some of the operations, and others in each turn.
pub(crate) fn same_in_turn<'a, E: Weight>(
    backend: &Backend,
    turn: usize,
    case: (impl Into<Weighted<'a, [E]>>, f64),
    name: &str,
    weights: &[E],
    others: &[E],
) {
    let on_cpu = matches!(backend, Backend::Cpu(_));
    let chosen = if on_cpu { Operations::All } else { Operations::Turn(turn) };
    compare(backend, case, name, weights, others, chosen);
}

fn compare<'a, E: Weight>(
    backend: &Backend,
    (penalty, step): (impl Into<Weighted<'a, [E]>>, f64),
    name: &str,
    weights: &[E],
    others: &[E],
    chosen: Operations,
) {
    let penalty = penalty.into();
    let case = format!("{name}, {}, {step:e}", E::DTYPE);
    let reference = Backend::Cpu(Cpu::with_instructions(InstructionSet::Baseline).expect("every processor has these"));
    let want = everything(&reference, penalty, step, weights, others, chosen).expect("the CPU does not fail");
    let got =
        everything(backend, penalty, step, weights, others, chosen).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(want.updates.len(), got.updates.len(), "the gradients of {case}");
    for ((operation, want), (_, got)) in want.updates.iter().zip(&got.updates) {
        same_bits(want, got).unwrap_or_else(|error| panic!("{operation} of {case}: {error}"));
    }
    assert_eq!(want.reports, got.reports, "{case}");
    assert_eq!(want.partial, got.partial, "the partial of {case}");
}
