//! Everything that a penalty does with some weights, held against the plainest instructions of the CPU bit by bit.

use penalty::{Backend, Cpu, Error, InstructionSet, Partial, Report, Weighted};

use crate::common::compare::same_bits;
use crate::common::oracle::Weight;

/// Reports compare by their bits.
struct Everything<E> {
    partial: [u8; Partial::BYTES],
    reports: [Report; 2],
    /// The gradients only where there are some.
    updates: Vec<(&'static str, Vec<E>)>,
}

fn everything<E: Weight>(
    backend: &Backend,
    penalty: Weighted<'_, [E]>,
    step: f64,
    weights: &[E],
    others: &[E],
) -> penalty::Result<Everything<E>> {
    let (mut sum, mut shrunk) = (others.to_vec(), weights.to_vec());
    let after = backend.prox_and_evaluate_in_place(penalty, &mut shrunk, step)?;
    let mut updates = vec![("prox", backend.prox(penalty, weights, step)?), ("prox_and_evaluate_in_place", shrunk)];
    match backend.gradient(penalty, weights) {
        Err(Error::NoGradient { .. }) => {}
        gradient => {
            backend.gradient_add(penalty, weights, &mut sum)?;
            updates.extend([("gradient", gradient?), ("gradient_add", sum)]);
        }
    }
    Ok(Everything {
        partial: backend.partial_for(penalty, 0, weights)?.to_bytes(),
        reports: [backend.evaluate(penalty, weights)?, after],
        updates,
    })
}

/// Asserts that a backend has the reference's bits.
pub(crate) fn same<'a, E: Weight>(
    backend: &Backend,
    (penalty, step): (impl Into<Weighted<'a, [E]>>, f64),
    name: &str,
    weights: &[E],
    others: &[E],
) {
    let penalty = penalty.into();
    let case = format!("{name}, {}, {step:e}", E::DTYPE);
    let reference = Backend::Cpu(Cpu::with_instructions(InstructionSet::Baseline).expect("every processor has these"));
    let want = everything(&reference, penalty, step, weights, others).expect("the CPU does not fail");
    let got = everything(backend, penalty, step, weights, others).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(want.updates.len(), got.updates.len(), "the gradients of {case}");
    for ((operation, want), (_, got)) in want.updates.iter().zip(&got.updates) {
        same_bits(want, got).unwrap_or_else(|error| panic!("{operation} of {case}: {error}"));
    }
    assert_eq!(want.reports, got.reports, "{case}");
    assert_eq!(want.partial, got.partial, "the partial of {case}");
}
