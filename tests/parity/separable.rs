//! Do separable penalties have the reference's bits at every edge?

use penalty::half::{bf16, f16};
use penalty::{Backend, Penalty};

use crate::common::cases::{self, family_by_formula};
use crate::common::everything::same_in_turn;
use crate::common::oracle::{Weight, to};
use crate::common::trials::BackendTest;

pub(crate) const EVERYWHERE: &[BackendTest] = named![same_bits_as_the_reference,];

fn same_bits_as_the_reference(backend: &Backend) {
    fn of<E: Weight>(
        backend: &Backend,
        turn: usize,
        (penalty, step): &(Penalty, f64),
        name: &str,
        [weights, others]: [&[f32]; 2],
    ) {
        let [weights, others] = [weights, others].map(to::<E>);
        same_in_turn(backend, turn, (penalty, *step), &format!("{name} by {penalty:?}"), &weights, &others);
    }
    let ((edges, edges_others), (tiles, tiles_others)) = (cases::edges(), cases::tiles());
    let (edges, tiles) = ([&edges[..], &edges_others], [&tiles[..], &tiles_others]);
    let cases = family_by_formula().into_iter().enumerate();
    let cases = cases.flat_map(|(formula, cases)| cases.into_iter().map(move |case| (formula, case)));
    for (i, (formula, case)) in cases.enumerate() {
        of::<f32>(backend, formula, &case, "edges", edges);
        of::<f32>(backend, formula, &case, "tiles", tiles);
        // Only the bounds of the box depend on the type. All other formulas ignore it.
        if i % 9 == 8 {
            of::<f16>(backend, i / 9, &case, "edges", edges);
            of::<bf16>(backend, i / 9 + 1, &case, "tiles", tiles);
        }
    }
}
