//! Do any number of ranks give the bits of one?

mod common;

use common::*;
use penalty::{Adam, Budget, Dtype, Groups, Momentum, Penalty, Sgd};
use penalty_mpi::Tensor;

fn every_call(tensors: &[Tensor], non_finite: bool) {
    let (weights, gradients) = (of(tensors, 1, non_finite), of(tensors, 100, false));
    let states = of(tensors, 200, false);
    let positive = |weights: &Weights| match weights {
        Weights::F32(x) => Weights::F32(x.iter().map(|x| x.abs()).collect()),
        Weights::F16(x) => {
            Weights::F16(x.iter().map(|x| penalty::half::f16::from_bits(x.to_bits() & 0x7fff)).collect())
        }
        Weights::BF16(x) => {
            Weights::BF16(x.iter().map(|x| penalty::half::bf16::from_bits(x.to_bits() & 0x7fff)).collect())
        }
    };
    let second: Vec<Weights> = states.iter().map(positive).collect();
    same_on_all_ranks(tensors, std::slice::from_ref(&weights), "evaluating", |set, operands| {
        set.evaluate(&slices(&operands[0]))
    });
    same_on_all_ranks(tensors, std::slice::from_ref(&weights), "the prox", |set, operands| {
        set.prox_and_evaluate_in_place(&mut slices_mut(&mut operands[0]), 0.7)
    });
    same_on_all_ranks(tensors, std::slice::from_ref(&weights), "the prox alone", |set, operands| {
        set.prox_in_place(&mut slices_mut(&mut operands[0]), 0.7)
    });
    for momentum in [Momentum::None, Momentum::heavy_ball(0.9)] {
        let sgd = Sgd { step: 0.3, momentum };
        let operands = [weights.clone(), gradients.clone(), states.clone()];
        same_on_all_ranks(tensors, &operands, "a step of sgd", |set, operands| {
            let [weights, gradients, first] = operands else { panic!("there are three operands") };
            let mut first = if momentum == Momentum::None { Vec::new() } else { slices_mut(first) };
            set.sgd_and_evaluate(&mut slices_mut(weights), &slices(gradients), &mut first, &sgd)
        });
    }
    let adam = Adam { step: 0.01, iteration: 3, ..Adam::default() };
    let groups = tensors.iter().any(|tensor| tensor.penalty.groups().is_some());
    let adam = if groups { Adam { metric: penalty::Metric::Plain, ..adam } } else { adam };
    let operands = [weights, gradients, states, second];
    same_on_all_ranks(tensors, &operands, "a step of adam", |set, operands| {
        let [weights, gradients, first, second] = operands else { panic!("there are four operands") };
        let (weights, first, second) = (&mut slices_mut(weights), &mut slices_mut(first), &mut slices_mut(second));
        set.adam_and_evaluate(weights, &slices(gradients), first, second, &adam)
    });
}

#[test]
fn tensors_of_every_kind() {
    every_call(&mixed(), false);
    every_call(&mixed(), true);
}

#[test]
fn gradients() {
    let has = |tensor: &Tensor| tensor.penalty.has_gradient();
    let mut tensors: Vec<Tensor> = mixed().into_iter().filter(has).collect();
    tensors.extend(whole(20_000, Dtype::F32).into_iter().filter(has));
    assert!(tensors.len() > 8, "{tensors:?}");
    let operands = [of(&tensors, 1, true), of(&tensors, 2, false)];
    same_on_all_ranks(&tensors, &operands, "the gradient", |set, operands| {
        let [weights, gradients] = operands else { panic!("there are two operands") };
        set.evaluate_and_gradient_add(&slices(weights), &mut slices_mut(gradients))
    });
}

/// Short of a tile for each rank, some tiles, and so many weights that one rank reads samples of them.
#[test]
fn groups_that_are_spread_over_ranks() {
    for (len, dtype) in [(5000, Dtype::F32), (40_000, Dtype::F16), (40_961, Dtype::BF16), (200_000, Dtype::F32)] {
        every_call(&whole(len, dtype), len == 40_961);
    }
}

#[test]
fn groups_of_every_type_in_one_set() {
    let mut tensors = whole(30_000, Dtype::F32);
    for (i, tensor) in tensors.iter_mut().enumerate() {
        tensor.dtype = [Dtype::F16, Dtype::F32, Dtype::BF16][i % 3];
    }
    tensors.extend(mixed());
    every_call(&tensors, false);
}

#[test]
fn budgets() {
    let tensors = mixed();
    let len: u64 = tensors.iter().map(|tensor| tensor.len).sum();
    let fractions = [0.0, 0.1, 0.5, 0.9, 0.999, 1.0].map(|fraction| Budget::prune(fraction).expect("it is one"));
    let bounds = |low: f64, high: f64| tensors.iter().map(|_| low..=high).collect();
    let bounded = [(0.2, 0.7), (0.5, 0.51), (0.0, 0.6)]
        .map(|(low, high)| Budget::prune(0.5).and_then(|budget| budget.within(bounds(low, high))).expect("it is one"));
    let each = (0..tensors.len()).map(|i| i as f64 / 20.0..=0.4 + i as f64 / 18.0).collect();
    let each = Budget::prune(0.5).and_then(|budget| budget.within(each)).expect("it is one");
    let kept = [1, 4096, len - 1].map(Budget::keep);
    for budget in fractions.iter().chain(&bounded).chain(&kept).chain([&each]) {
        let what = format!("{budget:?}");
        same_on_all_ranks(&tensors, &[of(&tensors, 7, true)], &what, |set, operands| {
            set.prune_in_place(budget, &mut slices_mut(&mut operands[0]))
        });
    }
}

/// All weights tie: the order of tensors and indices alone decides.
#[test]
fn budgets_of_equal_weights() {
    let tensors = mixed();
    let equal: Vec<Weights> =
        tensors.iter().map(|tensor| Weights::new(tensor.dtype, vec![-0.5; tensor.len as usize])).collect();
    let len: u64 = tensors.iter().map(|tensor| tensor.len).sum();
    for pruned in [0, 1, 4096, 30_001, 30_102, len / 2, len - 1, len] {
        same_on_all_ranks(&tensors, std::slice::from_ref(&equal), &format!("{pruned} pruned"), |set, operands| {
            set.prune_in_place(&Budget::keep(len - pruned), &mut slices_mut(&mut operands[0]))
        });
    }
}

/// Rows, runs and columns, which are on one rank each, and whole tensors, whose squares the ranks add in turn.
#[test]
fn budgets_of_groups() {
    let lasso = |groups: penalty::Result<Groups>| groups.and_then(|groups| Penalty::group_lasso(0.05, groups));
    let mut tensors = mixed();
    tensors.extend([
        tensor("runs", 40_000, Dtype::F16, lasso(Groups::runs(4))),
        tensor("tiles", 24_000, Dtype::F32, lasso(Groups::tiles(60, 4, 6))),
        tensor("whole", 40_000, Dtype::F32, lasso(Ok(Groups::whole()))),
        tensor("another", 20_000, Dtype::BF16, Penalty::l2_norm(0.5)),
    ]);
    let grouped = |tensor: &&Tensor| tensor.penalty.groups().is_some();
    let len: u64 = tensors.iter().filter(grouped).map(|tensor| tensor.len).sum();
    let each = (0..tensors.len()).map(|i| i as f64 / 40.0..=0.4 + i as f64 / 30.0).collect();
    let fractions = [0.0, 0.3, 0.9, 1.0].map(Budget::prune);
    let others = [Ok(Budget::keep(len / 7)), Budget::prune(0.5).and_then(|budget| budget.within(each))];
    for (budget, non_finite) in fractions.into_iter().chain(others).zip([false, true].into_iter().cycle()) {
        let budget = budget.expect("it is one");
        same_on_all_ranks(&tensors, &[of(&tensors, 9, non_finite)], &format!("{budget:?}"), |set, operands| {
            set.prune_groups_in_place(&budget, &mut slices_mut(&mut operands[0]))
        });
    }
}

/// All groups tie: the order of tensors and groups alone decides.
#[test]
fn budgets_of_equal_groups() {
    let tensors = mixed();
    let equal: Vec<Weights> =
        tensors.iter().map(|tensor| Weights::new(tensor.dtype, vec![-0.5; tensor.len as usize])).collect();
    for fraction in [0.25, 0.5, 0.75] {
        let budget = Budget::prune(fraction).expect("it is one");
        same_on_all_ranks(&tensors, std::slice::from_ref(&equal), &format!("{fraction} pruned"), |set, operands| {
            set.prune_groups_in_place(&budget, &mut slices_mut(&mut operands[0]))
        });
    }
}
