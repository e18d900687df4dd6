//! Do weighted penalties have the reference's bits?

use penalty::half::{bf16, f16};
use penalty::{Backend, Penalty};

use crate::common::cases;
use crate::common::everything::same_in_turn;
use crate::common::oracle::{Weight, to};
use crate::common::trials::BackendTest;
use crate::common::weighted::{element_weights, family};

pub(crate) const EVERYWHERE: &[BackendTest] = named![same_bits_as_the_reference,];

fn same_bits_as_the_reference(backend: &Backend) {
    let ((edges, others), (tiles, tiles_others)) = (cases::edges(), cases::tiles());
    fn of<E: Weight>(
        backend: &Backend,
        turn: usize,
        (penalty, step): &(Penalty, f64),
        name: &str,
        [theta, others]: [&[f32]; 2],
    ) {
        let weights = to::<E>(&element_weights(theta.len()));
        let weighted = penalty.with_element_weights(&weights).expect("the weights are valid");
        same_in_turn(
            backend,
            turn,
            (weighted, *step),
            &format!("{name} by {penalty:?}"),
            &to::<E>(theta),
            &to::<E>(others),
        );
    }
    let (edges, tiles) = ([&edges[..], &others], [&tiles[..], &tiles_others]);
    for (i, case) in family().iter().enumerate() {
        // The two formulas.
        let turn = usize::from(i > 2);
        of::<f32>(backend, turn, case, "edges", edges);
        of::<f32>(backend, turn, case, "tiles", tiles);
        if i % 3 == 0 {
            of::<f16>(backend, turn + 1, case, "edges", edges);
            of::<bf16>(backend, turn + 2, case, "tiles", tiles);
        }
    }
}
