//! Do custom penalties have the reference's bits? Does a built-in one, written again, have the built-in one's bits?

use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Backend, Error, Penalty};

use crate::common::cases::{self, noise};
use crate::common::compare::same_bits;
use crate::common::custom::{RIGHT, l1_with, penalties};
use crate::common::everything::same_in_turn;
use crate::common::oracle::{Weight, to};
use crate::common::trials::BackendTest;

pub(crate) const EVERYWHERE: &[BackendTest] = named![same_bits_as_the_reference, written_again,];

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
    for (i, case) in penalties().iter().enumerate() {
        // The first two types have three penalties each, the other two have one each.
        let turn = [0, 0, 0, 1, 1, 1, 2, 3][i];
        of::<f32>(backend, turn, case, "edges", edges);
        of::<f32>(backend, turn, case, "tiles", tiles);
        if i == 0 || i == 3 {
            of::<f16>(backend, turn + 1, case, "edges", edges);
            of::<bf16>(backend, turn + 2, case, "tiles", tiles);
        }
    }
}

/// A custom L1 has the built-in one's bits. So does its value, since term sums are added up as Σ|θ| is.
fn written_again(backend: &Backend) {
    let (edges, others) = cases::edges();
    let (built_in, again) = (Penalty::l1(0.5).expect("its parameters are valid"), l1_with::<RIGHT>());
    let of = |penalty: &Penalty| {
        let mut sum = others.clone();
        backend.gradient_add(penalty, &edges, &mut sum)?;
        let (gradient, prox) = (backend.gradient(penalty, &edges)?, backend.prox(penalty, &edges, 0.3)?);
        Ok::<_, Error>([gradient, sum, prox])
    };
    let (want, got) = (of(&built_in).expect("the calls are valid"), of(&again).expect("the calls are valid"));
    for (want, got) in want.iter().zip(&got) {
        same_bits(want, got).expect("L1 written again has L1's bits");
    }
    let weights = noise(2 * TILE + 300, 7);
    let value = |penalty: &Penalty| backend.evaluate(penalty, &weights).expect("the calls are valid").value;
    assert_eq!(value(&built_in).to_bits(), value(&again).to_bits());
}
