//! Which properties do separable penalties other than the elastic net have?

use penalty::exact::TILE;
use penalty::{Adam, Backend, Cpu, HostSet, Metric, Parameter, Penalty};
use proptest::collection::vec;
use proptest::prelude::*;

use super::any::{ROUNDING, bits};
use crate::common::cases;
use crate::common::formulas::{Family, NAMES};
use crate::common::oracle::SUM;

/// The largest relative error of one weight's term in a value.
const TERM: f64 = 4e-7;

/// One penalty of the family, with parameters of ordinary size.
fn family() -> impl Strategy<Value = Family> {
    let size = || (-6.0..3.0f64).prop_map(f64::exp2);
    (0..NAMES.len(), size(), size()).prop_map(|(i, lambda, shape)| {
        let name = NAMES[i].0;
        let p = match name {
            "scad" => [lambda, 1.0 + shape],
            "box" => [-lambda, shape],
            _ => [lambda, shape],
        };
        Family { name, p }
    })
}

pub(crate) fn step() -> impl Strategy<Value = f64> {
    (-6.0..3.0f64).prop_map(f64::exp2)
}

pub(crate) fn weight() -> impl Strategy<Value = f32> {
    prop_oneof![1 => Just(0.0f32), 8 => -10.0f32..10.0, 4 => -0.1f32..0.1]
}

fn prox(penalty: &Penalty, v: f32, step: f64) -> f64 {
    Backend::cpu().prox(penalty, &[v], step).expect("the step is valid")[0].into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn prox_is_the_global_minimum(family in family(), step in step(), v in weight()) {
        let x = prox(&family.penalty(), v, step);
        let v = f64::from(v);
        let (found, least) = (family.objective(step, 1.0, v, x), family.least(step, 1.0, v));
        // If x is off by some roundings, the objective is off by their square, or by the slope at an end of the domain.
        let allowed = 16.0 * ROUNDING * (least.abs() + v * v);
        prop_assert!(found <= least + allowed, "{x} gives {found}, where {least} can be had");
    }

    #[test]
    fn prox_does_not_turn_or_grow(family in family(), step in step(), v in weight()) {
        prop_assume!(family.name != "box");
        let x = prox(&family.penalty(), v, step);
        prop_assert!(x * f64::from(v) >= 0.0 && x.abs() <= f64::from(v.abs()), "{x} of {v}");
    }

    #[test]
    fn prox_is_monotone_and_if_convex_firmly_non_expansive(
        family in family(), step in step(), a in weight(), b in weight()
    ) {
        let penalty = family.penalty();
        let (pa, pb) = (prox(&penalty, a, step), prox(&penalty, b, step));
        let (dv, dx) = (f64::from(a) - f64::from(b), pa - pb);
        let allowed = 8.0 * ROUNDING * f64::from(a).abs().max(f64::from(b).abs());
        prop_assert!(dx * dv >= -allowed * dv.abs(), "not monotone: {dx} {dv}");
        if family.is_convex() {
            prop_assert!(dx * dx <= dx * dv + allowed * (dx.abs() + allowed), "{dx} {dv}");
        }
    }

    #[test]
    fn values_are_those_of_the_formula(family in family(), weights in vec(weight(), 0..70)) {
        let found = Backend::cpu().evaluate(&family.penalty(), &weights).expect("the CPU does not fail").value;
        let want = weights.iter().map(|&w| family.value(w.into())).fold(0.0, |sum, value| sum + value);
        prop_assert!(found == want || (found - want).abs() <= (SUM + TERM) * want, "{found}, not {want}");
    }

    #[test]
    fn gradients_are_those_of_the_formula(family in family(), theta in weight()) {
        prop_assert_eq!(family.penalty().has_gradient(), family.has_gradient());
        if !family.has_gradient() {
            return Ok(());
        }
        let found: f64 = Backend::cpu().gradient(&family.penalty(), &[theta]).expect("the CPU does not fail")[0].into();
        let want = family.gradient(theta.into());
        // The gradients of MCP and SCAD are differences that end at 0.
        let allowed = TERM * want.abs().max(if matches!(family.name, "mcp" | "scad") { family.p[0] } else { 0.0 });
        let steep = family.p[1] * family.p[0] / (family.p[1] - 1.0).abs();
        let allowed = if family.name == "scad" { allowed.max(TERM * steep) } else { allowed };
        prop_assert!((found - want).abs() <= allowed, "{found}, not {want}");
    }

    #[test]
    fn the_prox_in_adams_metric_is_the_global_minimum(family in family(), step in step(), v in weight(), g in 0.01f32..10.0) {
        // With β = 0 the step is −η·g/d. The metric is d = |g| + ε.
        let adam = Adam { step, beta1: 0.0, beta2: 0.0, epsilon: 1e-8, metric: Metric::Adam, ..Adam::default() };
        let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", family.penalty())]);
        let (mut theta, mut m, mut s) = ([v], [0f32], [0f32]);
        set.adam_and_evaluate(&mut [(&mut theta[..]).into()], &[(&[g][..]).into()], &mut [(&mut m[..]).into()], &mut [(&mut s[..]).into()], &adam)
            .expect("the step is valid");
        let d = f64::from(g) + 1e-8;
        let u = f64::from(v) - step * f64::from(g) / d;
        let (found, least) = (family.objective(step, d, u, theta[0].into()), family.least(step, d, u));
        let allowed = 32.0 * ROUNDING * (least.abs() + d * (u * u + f64::from(v) * f64::from(v) + step * step));
        prop_assert!(found <= least + allowed, "{} of {u} gives {found}, where {least} can be had", theta[0]);
    }

    #[test]
    fn the_limits_of_mcp_and_scad_are_l1(lambda in step(), step in step(), weights in vec(weight(), 1..40)) {
        let cpu = Backend::cpu();
        let large = 2f64.powi(100);
        let l1 = Penalty::l1(lambda).expect("λ is valid");
        for limit in [Penalty::mcp(lambda, large), Penalty::scad(lambda, large)] {
            let limit = limit.expect("its parameters are valid");
            let proxes = |penalty| cpu.prox(penalty, &weights, step).expect("the step is valid");
            prop_assert_eq!(bits(&proxes(&limit)), bits(&proxes(&l1)));
            let gradients = |penalty| cpu.gradient(penalty, &weights).expect("the CPU does not fail");
            prop_assert_eq!(bits(&gradients(&limit)), bits(&gradients(&l1)));
            let value = |penalty| cpu.evaluate(penalty, &weights).expect("the CPU does not fail").value;
            prop_assert!((value(&limit) - value(&l1)).abs() <= 2.0 * SUM * value(&l1));
        }
    }

    #[test]
    fn projections_are_idempotent_and_land_inside(low in -10.0..10.0f64, width in 0.0..10.0f64, weights in vec(weight(), 1..40)) {
        let cpu = Backend::cpu();
        let penalties = [Penalty::interval(low, low + width), Penalty::nonnegative_l1(0.0)];
        for penalty in penalties.map(|penalty| penalty.expect("its parameters are valid")) {
            let once = cpu.prox(&penalty, &weights, 1.0).expect("the step is valid");
            prop_assert_eq!(bits(&cpu.prox(&penalty, &once, 1.0).expect("the step is valid")), bits(&once));
            prop_assert_eq!(cpu.evaluate(&penalty, &once).expect("the CPU does not fail").value, 0.0);
        }
    }

    #[test]
    fn what_is_not_finite_stays_and_shows(family in family(), step in step(), nan in any::<u32>(), weights in vec(weight(), 1..40)) {
        let (penalty, cpu) = (family.penalty(), Backend::cpu());
        let nan = f32::from_bits(nan | 0x7fc0_0000);
        let spoilt: Vec<f32> = weights.iter().copied().chain([nan, f32::INFINITY, f32::NEG_INFINITY]).collect();
        let shrunk = cpu.prox(&penalty, &spoilt, step).expect("the step is valid");
        prop_assert_eq!(bits(&shrunk[weights.len()..]), bits(&spoilt[weights.len()..]));
        let report = cpu.evaluate(&penalty, &spoilt).expect("the CPU does not fail");
        prop_assert!(report.value.is_nan() && report.nan == 1 && report.inf == 2);
        let infinite = cpu.evaluate(&penalty, &spoilt[weights.len() + 1..]).expect("the CPU does not fail");
        prop_assert_eq!(infinite.value, f64::INFINITY);
        if !family.has_gradient() {
            return Ok(());
        }
        let gradient = cpu.gradient(&penalty, &spoilt).expect("the CPU does not fail");
        prop_assert_eq!(gradient[weights.len()].to_bits(), nan.to_bits());
        let limits = [f64::from(f32::MAX), -f64::from(f32::MAX)].map(|x| family.gradient(x));
        for (found, want) in gradient[weights.len() + 1..].iter().zip(limits) {
            prop_assert!((f64::from(*found) - want).abs() <= TERM * want.abs() + 1e-15, "{found}, not {want}");
        }
    }
}

/// A tile's terms are scaled down if their sum could overflow. The weights include small ones too.
#[test]
fn values_of_large_weights_do_not_overflow() {
    for (name, p) in [
        ("huber", [0.5, 0.25]),
        ("mcp", [0.5, 3.0]),
        ("mcp", [1e20, 1e30]),
        ("l_half", [0.5, 0.0]),
        ("log_sum", [0.5, 0.1]),
    ] {
        let family = Family { name, p };
        for k in [-30, 20, 56, 57, 58, 113, 114, 127] {
            let weights: Vec<f32> = cases::at_scale(k, 3 * TILE + 5).into_iter().chain(cases::noise(100, 3)).collect();
            let found = Backend::cpu().evaluate(&family.penalty(), &weights).expect("the CPU does not fail").value;
            let want = weights.iter().map(|&w| family.value(w.into())).fold(0.0, |sum, value| sum + value);
            assert!((found - want).abs() <= (SUM + TERM) * want, "{family:?} at 2^{k}: {found:e}, not {want:e}");
        }
    }
}
