//! Does a budget prune what a stable sort by magnitude prunes?

use penalty::cpu::InstructionSet;
use penalty::{Budget, Cpu, Dtype, Error, HostSet, Penalty};

use crate::common::budgets::{Model, Weights, mixed, ordinary, special, tied};
use crate::common::compare::same_bytes;
use crate::common::tensors::reports_equal;

fn cpus() -> Vec<Cpu> {
    InstructionSet::available().into_iter().map(|set| Cpu::with_instructions(set).expect("it has them")).collect()
}

fn equal(want: &Model, got: &Model, of: &dyn std::fmt::Debug) {
    for (tensor, (want, got)) in want.0.iter().zip(&got.0).enumerate() {
        same_bytes(want.bytes(), got.bytes()).unwrap_or_else(|error| panic!("{of:?}, tensor {tensor}: {error}"));
    }
}

/// Prunes on every CPU, and compares with a stable sort.
fn check(model: &Model, budget: &Budget, bounds: &[std::ops::RangeInclusive<f64>]) {
    let pruned = budget.pruned(model.len() as u64) as usize;
    let want = model.sorted(pruned, &model.ranges(bounds));
    for cpu in cpus() {
        for len in [97, 4096, usize::MAX] {
            let mut got = model.clone();
            got.prune_in_chunks(&cpu, budget, len).expect("the bounds allow it");
            equal(&want, &got, &(budget, &cpu, len));
        }
        let mut got = model.clone();
        let reports = got.prune(&cpu, budget).expect("the bounds allow it");
        equal(&want, &got, &(budget, &cpu));
        assert_eq!(reports.total.len, model.len() as u64);
        assert!(reports.total.zeros() >= pruned as u64, "{budget:?}");
        let slices: Vec<_> = want.0.iter().map(Weights::slice).collect();
        let again = HostSet::new(cpu, model.parameters()).evaluate(&slices).expect("it is valid");
        reports_equal(&again, &reports, budget);
    }
}

const LENS: [usize; 9] = [1000, 0, 4097, 1, 333, 9000, 64, 31, 5];

fn models() -> [Model; 6] {
    [
        ordinary(&LENS, |_| Dtype::F32),
        ordinary(&LENS, mixed),
        tied(&LENS, |_| Dtype::BF16),
        tied(&LENS, mixed),
        special(&LENS, |_| Dtype::F32),
        special(&LENS, mixed),
    ]
}

#[test]
fn a_budget_prunes_what_a_stable_sort_does() {
    for model in models() {
        let n = model.len() as u64;
        for kept in [0, 1, 2, n / 10, n / 3, n / 2, n - 1000, n - 1, n, n + 1, u64::MAX] {
            check(&model, &Budget::keep(kept), &[]);
        }
        for fraction in [0.0, 0.1, 0.3, 0.5, 0.77, 0.9, 0.999, 1.0] {
            check(&model, &Budget::prune(fraction).expect("it is a fraction"), &[]);
        }
    }
}

#[test]
fn long_tensors_are_cut_where_a_sort_does() {
    // Longer than a task takes, with a tie in every span.
    for model in [tied(&[600_001, 300_000], mixed), special(&[5, 530_000], |_| Dtype::F32)] {
        for fraction in [0.2, 0.5, 0.8] {
            check(&model, &Budget::prune(fraction).expect("it is a fraction"), &[]);
        }
    }
}

#[test]
fn bounds_of_tensors_are_kept() {
    for model in models() {
        for (fraction, least, most) in [(0.5, 0.4, 0.6), (0.5, 0.5, 0.5), (0.3, 0.0, 0.35), (0.9, 0.85, 1.0)] {
            // A short tensor's bounds may round away; the first is free to make up for all.
            let mut bounds = vec![least..=most; LENS.len()];
            bounds[0] = 0.0..=1.0;
            let budget = Budget::prune(fraction).and_then(|budget| budget.within(bounds.clone()));
            check(&model, &budget.expect("they are bounds"), &bounds);
        }
        // Bounds that differ from tensor to tensor; some pin a tensor.
        let bounds: Vec<_> =
            (0..LENS.len()).map(|i| [0.0..=1.0, 0.25..=0.25, 0.75..=1.0, 0.0..=0.0][i % 4].clone()).collect();
        for fraction in [0.4, 0.5] {
            let budget = Budget::prune(fraction).and_then(|budget| budget.within(bounds.clone()));
            check(&model, &budget.expect("they are bounds"), &bounds);
        }
    }
}

#[test]
fn equal_bounds_prune_each_tensor_alone() {
    let model = tied(&[100, 50, 20], mixed);
    let mut whole = model.clone();
    let budget = Budget::prune(0.5).and_then(|budget| budget.within(vec![0.5..=0.5; 3])).expect("they are bounds");
    whole.prune(&Cpu::new(), &budget).expect("it is valid");
    for (alone, of_whole) in model.0.iter().zip(whole.0) {
        let mut alone = Model(vec![alone.clone()]);
        alone.prune(&Cpu::new(), &Budget::prune(0.5).expect("it is a fraction")).expect("it is valid");
        assert_eq!(alone.0[0], of_whole);
    }
}

#[test]
fn what_no_budget_can_be_is_rejected() {
    let text = |result: penalty::Result<Budget>| result.expect_err("it is no budget").to_string();
    assert_eq!(text(Budget::prune(1.5)), "fraction must be from 0 to 1, found 1.5");
    assert_eq!(text(Budget::prune(f64::NAN)), "fraction must be from 0 to 1, found NaN");
    let within = |bound| Budget::keep(1).within(vec![bound]);
    assert_eq!(text(within(0.0..=1.5)), "an upper bound must be from 0 to 1, found 1.5");
    assert_eq!(text(within(0.75..=0.5)), "a lower bound must be from 0 to the upper bound, found 0.75");
    assert_eq!(text(within(f64::NAN..=0.5)), "a lower bound must be from 0 to the upper bound, found NaN");

    let model = ordinary(&[10, 10], mixed);
    let failed = |budget: penalty::Result<Budget>| {
        let mut left = model.clone();
        let error = left.prune(&Cpu::new(), &budget.expect("it is a budget")).expect_err("it does not fit");
        assert_eq!(left, model, "nothing is pruned");
        error
    };
    let missing = failed(Budget::keep(1).within(vec![0.0..=1.0]));
    let text = "a budget with bounds needs bounds for each of the 2 tensors, found 1";
    assert_eq!(missing.to_string(), text);
    let too_many = failed(Budget::keep(1).within(vec![0.0..=0.5; 2]));
    let text = "the number of pruned weights must be at most what the bounds allow, found 19";
    assert_eq!(too_many.to_string(), text);
    let too_few = failed(Budget::keep(19).within(vec![0.5..=1.0; 2]));
    assert_eq!(too_few.to_string(), "the number of pruned weights must be at least what the bounds demand, found 1");
}

#[test]
fn a_set_rejects_what_it_cannot_evaluate_before_it_prunes() {
    let mut parameters = ordinary(&[10, 10], mixed).parameters();
    parameters[1].penalty = Penalty::n_of_m(2, 4).expect("it is valid");
    let mut model = ordinary(&[10, 10], |_| Dtype::F32);
    let before = model.clone();
    let set = HostSet::new(Cpu::new(), parameters);
    let mut slices: Vec<_> = model.0.iter_mut().map(Weights::slice_mut).collect();
    let error = set.prune_in_place(&Budget::keep(3), &mut slices).expect_err("2:4 does not cover 10");
    assert!(matches!(error, Error::InParameter { .. }), "{error}");
    assert!(set.prune_in_place(&Budget::keep(3), &mut slices[..1]).is_err());
    assert_eq!(model, before);
}
