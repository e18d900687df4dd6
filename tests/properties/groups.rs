//! Which properties do group penalties have? Compared with formulas in `f64` that sort.

use penalty::half::{bf16, f16};
use penalty::{Backend, Groups, Penalty};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::coverings::every_weight_is_in_one_group_or_every_call_is_rejected;
use crate::common::properties::{largest, of, properties, wide};

/// The largest error of a result, relative to the largest number involved.
const VECTOR: f64 = 1e-6;

fn weight() -> impl Strategy<Value = f32> {
    prop_oneof![1 => Just(0.0f32), 1 => Just(0.5f32), 8 => -10.0f32..10.0, 4 => -0.1f32..0.1]
}

fn size() -> impl Strategy<Value = f64> {
    (-6.0..3.0f64).prop_map(f64::exp2)
}

fn prox(penalty: &Penalty, v: &[f32], step: f64) -> Vec<f32> {
    Backend::cpu().prox(penalty, v, step).expect("the groups cover it")
}

fn value(penalty: &Penalty, theta: &[f32]) -> f64 {
    Backend::cpu().evaluate(penalty, theta).expect("the groups cover it").value
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn proxes_are_those_of_the_formulas(
        bound in size(), alpha in 0.0..1.0f64, step in size(), run in 1..40usize, v in vec(weight(), 120)
    ) {
        let v = &v[..120 / run * run];
        for known in properties(bound, alpha, run) {
            let found = prox(&known.penalty, v, step);
            for (x, v) in found.chunks(run).zip(v.chunks(run)) {
                let want = (known.prox)(v, step);
                // A difference is only as exact as its terms.
                let scale = largest(&want).max(2f64.powi(-4) * largest(&wide(v)));
                for (x, want) in x.iter().zip(&want) {
                    let off = (f64::from(*x) - want).abs();
                    prop_assert!(off <= VECTOR * scale, "{x}, not {want}, of {v:?} by {}", known.name);
                }
            }
            let mut double = wide(v);
            known.penalty.prox_of(&mut double, step).expect("the groups cover it");
            for (x, v) in double.chunks(run).zip(v.chunks(run)) {
                let (want, scale) = ((known.prox)(v, step), largest(&wide(v)));
                let off = x.iter().zip(&want).map(|(x, want)| (x - want).abs()).fold(0.0, f64::max);
                prop_assert!(off <= 1e-14 * scale.max(bound), "{x:?}, not {want:?}, in f64 by {}", known.name);
                let mut alone = wide(v);
                known.penalty.group_prox_with(step).expect("it has groups").apply(&mut alone);
                prop_assert_eq!(&alone[..], x);
            }
            if known.projects {
                prop_assert_eq!(known.penalty.value_of(&double), Ok(0.0), "{:?} by {}", double, known.name);
            }
        }
    }

    #[test]
    fn values_are_those_of_the_formulas(bound in size(), alpha in 0.0..1.0f64, run in 1..40usize, v in vec(weight(), 120)) {
        let v = &v[..120 / run * run];
        for known in properties(bound, alpha, run) {
            let want: f64 = v.chunks(run).map(|group| (known.value)(&wide(group))).sum();
            let found = value(&known.penalty, v);
            prop_assert!(found == want || (found - want).abs() <= VECTOR * want, "{found}, not {want}, by {}", known.name);
            let found = known.penalty.value_of(&wide(v)).expect("the groups cover it");
            prop_assert!(found == want || (found - want).abs() <= 1e-13 * want, "{found}, not {want}, by {}", known.name);
        }
    }

    #[test]
    fn gradients_are_slopes(bound in size(), alpha in 0.0..1.0f64, v in vec(0.01f32..10.0, 24), signs in vec(any::<bool>(), 24)) {
        let theta: Vec<f32> = v.iter().zip(&signs).map(|(v, negative)| if *negative { -v } else { *v }).collect();
        for known in properties(bound, alpha, 8).iter().filter(|known| !known.projects) {
            let gradient = Backend::cpu().gradient(&known.penalty, &theta).expect("the groups cover it");
            let at = wide(&theta);
            for i in 0..24 {
                let group = i / 8 * 8..i / 8 * 8 + 8;
                let shifted = |h: f64| {
                    let mut x = at.clone();
                    x[i] += h;
                    (known.value)(&x[group.clone()])
                };
                let h = 1e-6;
                let others = || at[group.clone()].iter().filter(|x| (x.abs() - at[i].abs()).abs() < 1e-5).count();
                // If two weights are nearly the largest, there is a kink.
                if known.penalty == of(of(Penalty::linf_norm(bound)).over(Groups::runs(8).expect("it is valid"))) && others() > 1 {
                    continue;
                }
                let slope = (shifted(h) - shifted(-h)) / (2.0 * h);
                prop_assert!((slope - f64::from(gradient[i])).abs() <= 1e-4 * bound, "{slope} {} {:?}", gradient[i], known.penalty);
            }
        }
    }

    #[test]
    fn convex_ones_are_firmly_non_expansive(
        bound in size(), alpha in 0.0..1.0f64, step in size(), a in vec(weight(), 24), b in vec(weight(), 24)
    ) {
        for known in properties(bound, alpha, 12).iter().filter(|known| known.convex) {
            let (pa, pb) = (wide(&prox(&known.penalty, &a, step)), wide(&prox(&known.penalty, &b, step)));
            let (mut squares, mut products) = (0.0, 0.0);
            for i in 0..24 {
                let dx = pa[i] - pb[i];
                squares += dx * dx;
                products += dx * (f64::from(a[i]) - f64::from(b[i]));
            }
            let scale = largest(&pa).max(largest(&pb)).max(largest(&wide(&a))).max(largest(&wide(&b)));
            prop_assert!(squares <= products + VECTOR * scale * (squares.sqrt() + VECTOR * scale), "{squares} {products}");
        }
    }

    #[test]
    fn projections_land_inside_and_stay(bound in size(), run in 1..40usize, v in vec(weight(), 120)) {
        let v = &v[..120 / run * run];
        for known in properties(bound, 0.5, run).iter().filter(|known| known.projects) {
            let once = prox(&known.penalty, v, 1.0);
            for group in once.chunks(run) {
                prop_assert!((known.value)(&wide(group)) == 0.0, "{group:?} by {:?}", known.penalty);
            }
            prop_assert_eq!(value(&known.penalty, &once), 0.0);
            prop_assert_eq!(&prox(&known.penalty, &once, 1.0), &once);
        }
        // The same for 16-bit weights, whose rounding is a thousand times as coarse.
        for penalty in [Penalty::l1_ball(bound), Penalty::l2_ball(bound)] {
            let penalty = of(of(penalty).over(Groups::runs(run as u64).expect("it is valid")));
            let half: Vec<f16> = v.iter().map(|&v| f16::from_f32(v)).collect();
            let brain: Vec<bf16> = v.iter().map(|&v| bf16::from_f32(v)).collect();
            let cpu = Backend::cpu();
            let half = cpu.prox(&penalty, &half, 1.0).expect("the groups cover it");
            let brain = cpu.prox(&penalty, &brain, 1.0).expect("the groups cover it");
            prop_assert_eq!(cpu.evaluate(&penalty, &half).expect("the groups cover it").value, 0.0);
            prop_assert_eq!(cpu.evaluate(&penalty, &brain).expect("the groups cover it").value, 0.0);
            prop_assert_eq!(&cpu.prox(&penalty, &half, 1.0).expect("the groups cover it"), &half);
            prop_assert_eq!(&cpu.prox(&penalty, &brain, 1.0).expect("the groups cover it"), &brain);
        }
    }

    #[test]
    fn the_sparse_group_lasso_lies_between_l1_and_the_group_lasso(
        lambda in size(), step in size(), run in 1..40usize, v in vec(weight(), 120)
    ) {
        let v = &v[..120 / run * run];
        let groups = || Groups::runs(run as u64).expect("it is valid");
        let (l1, group) = (of(Penalty::l1(lambda)), of(Penalty::group_lasso(lambda, groups())));
        let at = |alpha| of(Penalty::sparse_group_lasso(lambda, alpha, groups()));
        prop_assert_eq!(prox(&at(1.0), v, step), prox(&l1, v, step));
        prop_assert_eq!(value(&at(1.0), v), value(&l1, v));
        prop_assert_eq!(prox(&at(0.0), v, step), prox(&group, v, step));
        prop_assert_eq!(value(&at(0.0), v), value(&group, v));
        let gradient = |penalty| Backend::cpu().gradient(penalty, v).expect("the groups cover it");
        let limit = at(1.0);
        prop_assert_eq!(gradient(&limit), gradient(&l1));
    }

    #[test]
    fn the_same_groups_in_other_words_give_the_same(bound in size(), v in vec(weight(), 96)) {
        let lists: Vec<Vec<u64>> = (0..8).map(|group| (0..12).rev().map(|i| 12 * group + i).collect()).collect();
        let same = [Groups::rows(12), Groups::tiles(12, 1, 12), Groups::tiles(4, 3, 4), Groups::lists(&lists)];
        let columns: Vec<Vec<u64>> = (0..8).map(|column| (0..12).map(|row| 8 * row + column).collect()).collect();
        let others = [Groups::tiles(8, 12, 1), Groups::lists(&columns)];
        for known in properties(bound, 0.3, 12) {
            let of_groups = |groups: penalty::Result<Groups>| of(known.penalty.over(groups.expect("they are valid")));
            let everything = |penalty: &Penalty| {
                let gradient = Backend::cpu().gradient(penalty, &v);
                assert_eq!(gradient.is_ok(), !known.projects, "the groups cover it, and a projection has no gradient");
                (prox(penalty, &v, 0.7), gradient, value(penalty, &v))
            };
            for groups in same.clone() {
                prop_assert_eq!(everything(&known.penalty), everything(&of_groups(groups)));
            }
            for groups in others.clone() {
                prop_assert_eq!(everything(&of_groups(Groups::columns(8))), everything(&of_groups(groups)));
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays_and_counts_as_zero(bound in size(), step in size(), v in vec(weight(), 24), at in 0..24usize) {
        let (mut spoilt, mut zeroed) = (v.clone(), v);
        spoilt[at] = f32::from_bits(0x7fc0_1234);
        zeroed[at] = 0.0;
        for known in properties(bound, 0.5, 12) {
            let shrunk = prox(&known.penalty, &spoilt, step);
            prop_assert_eq!(shrunk[at].to_bits(), spoilt[at].to_bits());
            let others = prox(&known.penalty, &zeroed, step);
            let same = (0..24).all(|i| i == at || shrunk[i] == others[i]);
            prop_assert!(same, "{shrunk:?} {others:?} by {:?}", known.penalty);
            let report = Backend::cpu().evaluate(&known.penalty, &spoilt).expect("the groups cover it");
            prop_assert!(report.value.is_nan() && report.nan == 1);
        }
    }
}

#[test]
fn groups_cover_every_weight_or_every_call_is_rejected() {
    every_weight_is_in_one_group_or_every_call_is_rejected(2000, &Backend::cpu(), |_, _| ());
}
