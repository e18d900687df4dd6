//! How many messages and bytes does each call send?

mod common;

use std::sync::Arc;

use common::*;
use penalty::exact::Transport;
use penalty::{Budget, Dtype, Groups, HostSet, Momentum, Penalty, Result, Sgd};
use penalty_mpi::{Layout, Tensor};

/// The messages and bytes of a call, which are the same on all ranks.
fn counted(
    tensors: &[Tensor],
    size: usize,
    call: impl Fn(&HostSet<'_>, &mut [Weights], &mut [Weights]) -> Result<()> + Sync,
) -> [usize; 2] {
    let (operands, gradients) = (of(tensors, 1, false), of(tensors, 2, false));
    let layout = Layout::even(tensors.to_vec(), size).expect("the groups cover the tensors");
    let found = on_ranks(size, TIMEOUT, |rank| {
        let at = rank.rank();
        let of_rank = |operands: &[Weights]| -> Vec<Weights> {
            operands.iter().enumerate().map(|(i, weights)| weights.part(layout.part(i, at))).collect()
        };
        let (mut parts, mut gradients) = (of_rank(&operands), of_rank(&gradients));
        let rank = Arc::new(Watched::new(rank, usize::MAX));
        let set = layout.set(cpu_of(at), rank.clone())?;
        rank.reset();
        call(&set, &mut parts, &mut gradients)?;
        Ok(rank.counted())
    });
    let found: Result<Vec<[usize; 2]>> = found.into_iter().collect();
    let found = found.expect("no rank fails");
    assert!(found.iter().all(|counted| *counted == found[0]), "{found:?}");
    found[0]
}

fn separable(count: usize) -> Vec<Tensor> {
    (0..count).map(|i| tensor(&format!("weight {i}"), 5000, Dtype::F32, Penalty::l1(0.5))).collect()
}

#[test]
fn a_report_sends_two_messages_of_at_most_400_bytes_for_each_tensor() {
    let sgd = Sgd { step: 0.1, momentum: Momentum::None };
    for (tensors, size) in [(1, 2), (1, 64), (10, 3), (1000, 2)] {
        let of = separable(tensors);
        for counted in [
            counted(&of, size, |set, weights, _| set.evaluate(&slices(weights)).map(drop)),
            counted(&of, size, |set, weights, _| {
                set.prox_and_evaluate_in_place(&mut slices_mut(weights), 0.5).map(drop)
            }),
            counted(&of, size, |set, weights, gradients| {
                set.sgd_and_evaluate(&mut slices_mut(weights), &slices(gradients), &mut [], &sgd).map(drop)
            }),
        ] {
            assert_eq!(counted, [2, 388 * tensors + 8], "{tensors} tensors on {size} ranks");
        }
    }
}

#[test]
fn separable_penalties_and_steps_without_a_report_send_nothing() {
    let sgd = Sgd { step: 0.1, momentum: Momentum::None };
    let mut of = separable(10);
    of.push(tensor("rows", 36_000, Dtype::F32, Penalty::group_lasso(0.05, Groups::rows(48).expect("48 is not 0"))));
    for counted in [
        counted(&of, 3, |set, weights, _| set.prox_in_place(&mut slices_mut(weights), 0.5)),
        counted(&of, 3, |set, weights, gradients| set.gradient_add(&slices(weights), &mut slices_mut(gradients))),
        counted(&of, 3, |set, weights, gradients| set.sgd(&mut slices_mut(weights), &slices(gradients), &mut [], &sgd)),
    ] {
        assert_eq!(counted, [0, 0]);
    }
}

/// What `docs/ranks.md` says.
#[test]
fn groups_and_budgets_send_what_is_documented() {
    let norm = |penalty| vec![tensor("weight", 40_000, Dtype::F32, penalty)];
    let prox = |set: &HostSet<'_>, weights: &mut [Weights], _: &mut [Weights]| {
        set.prox_in_place(&mut slices_mut(weights), 0.5)
    };
    // Whether all make the same call, a maximum, and a sum for each pass.
    assert_eq!(counted(&norm(Penalty::l2_norm(0.5)), 3, prox), [3, 8 + 4 + 40]);
    let [messages, bytes] = counted(&norm(Penalty::l1_ball(10.0)), 3, prox);
    assert!((5..=62).contains(&messages), "{messages}");
    assert_eq!(bytes, 8 + 4 + 40 * (messages - 2));
    assert_eq!(counted(&norm(Penalty::top_k(100)), 3, prox), [5, 8 + 3 * 16_384 + 8 * 3]);

    let report = [2, 388 * 10 + 8];
    let [messages, bytes] = counted(&separable(10), 3, |set, weights, _| {
        set.prune_in_place(&Budget::keep(9000), &mut slices_mut(weights)).map(drop)
    });
    assert_eq!([messages - report[0], bytes - report[1]], [5, 8 + 10 * (3 * 16_384 + 8 * 3)]);

    // 750 rows, and a whole tensor.
    let groups = vec![
        tensor("rows", 36_000, Dtype::F32, Penalty::group_lasso(0.05, Groups::rows(48).expect("48 is not 0"))),
        tensor("whole", 40_000, Dtype::F32, Penalty::l2_norm(0.5)),
    ];
    let evaluated = counted(&groups, 3, |set, weights, _| set.evaluate(&slices(weights)).map(drop));
    let pruned = counted(&groups, 3, |set, weights, _| {
        set.prune_groups_in_place(&Budget::keep(70_000), &mut slices_mut(weights)).map(drop)
    });
    assert_eq!([pruned[0] - evaluated[0], pruned[1] - evaluated[1]], [1 + 3 + 1, 8 + 3 * 8 + 750 * 8]);
}
