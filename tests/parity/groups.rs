//! Do group penalties have the reference's bits, over every kind of groups?

use penalty::half::{bf16, f16};
use penalty::{Backend, Groups, Penalty};

use crate::common::cases::at_scale;
use crate::common::everything;
use crate::common::grouped::{penalties, weights};
use crate::common::oracle::Weight;
use crate::common::trials::BackendTest;

pub(crate) const EVERYWHERE: &[BackendTest] = named![same_bits_as_the_reference,];

/// Every kind of groups over 1,536 weights, small and large.
fn groupings() -> Vec<Groups> {
    let backwards: Vec<u64> = (0..700).rev().collect();
    let odd: Vec<u64> = (700..1536).step_by(2).collect();
    let even: Vec<u64> = (701..1536).step_by(2).collect();
    let groups = [
        Ok(Groups::whole()),
        Groups::runs(4),
        Groups::runs(48),
        Groups::rows(96),
        Groups::columns(3),
        Groups::tiles(48, 8, 16),
        Groups::lists(&[backwards, odd, even]),
    ];
    groups.map(|groups| groups.expect("they are valid")).into()
}

fn same_bits_as_the_reference(backend: &Backend) {
    fn same<E: Weight>(backend: &Backend, turn: usize, (penalty, step): (&Penalty, f64), weights: &[E]) {
        everything::same_in_turn(backend, turn, (penalty, step), &format!("{penalty:?}"), weights, weights);
    }
    let ordinary = weights(1536);
    let half: Vec<f16> = ordinary.iter().map(|&x| f16::nearest(x)).collect();
    let brain: Vec<bf16> = ordinary.iter().map(|&x| bf16::nearest(x)).collect();
    the_least_excess_counts(backend);
    let scales = [-120, -60, 60, 127].map(|k| at_scale(k, 1536));
    for (i, (penalty, step)) in penalties().iter().enumerate() {
        for (j, groups) in groupings().into_iter().enumerate() {
            let penalty = penalty.over(groups).expect("it takes weights together");
            // All kinds of groups share their kernels.
            same(backend, i, (&penalty, *step), &ordinary);
            if j == 1 {
                scales.iter().for_each(|weights| same(backend, i, (&penalty, *step), weights));
            }
            // The rules ignore the type, except for its rounding. So each kind of groups is tested with some of the
            // types in turn.
            if (i + j) % 4 == 1 {
                same(backend, i + 1, (&penalty, *step), &half);
                same(backend, i + 2, (&penalty, *step), &brain);
            }
        }
    }
}

/// A group outside its ball by less than a unit of its sums counts as outside.
fn the_least_excess_counts(backend: &Backend) {
    let mut weights = vec![0.0f32; 96];
    for (at, w) in [(3, 0.5), (9, 2f32.powi(-70)), (70, 0.5), (80, 2f32.powi(-70))] {
        weights[at] = w;
    }
    let ball = |radius: f64, groups: Groups| Penalty::l1_ball(radius).and_then(|ball| ball.over(groups));
    let runs = Groups::runs(48).expect("they are valid");
    for penalty in [ball(1.0, Groups::whole()), ball(0.5, runs)] {
        let penalty = penalty.expect("its parameters are valid");
        everything::same(backend, (&penalty, 1.0), &format!("{penalty:?}"), &weights, &weights);
        let value = |weights: &[f32]| backend.evaluate(&penalty, weights).expect("the groups cover it").value;
        assert_eq!(value(&weights), f64::INFINITY);
        assert_eq!(value(&backend.prox(&penalty, &weights, 1.0).expect("the groups cover it")), 0.0);
    }
}
