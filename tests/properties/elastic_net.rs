//! Which properties do proxes and gradients of L1, L2² and the elastic net have?

use penalty::half::{bf16, f16};
use penalty::{Backend, Penalty};
use proptest::collection::vec;
use proptest::prelude::*;

use super::any::{ROUNDING, SMALLEST, any_bits, bits, coefficients, ordinary, penalty};
use super::partials::{at_scale, partial};

fn prox1(penalty: &Penalty, v: f32, step: f64) -> f64 {
    Backend::cpu().prox(penalty, &[v], step).expect("the step is valid")[0].into()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn prox_is_optimal((l1, l2, step) in coefficients(), v in ordinary()) {
        // 0 ∈ x − v + step·∂R(x)
        let x = prox1(&penalty(l1, l2), v, step);
        let rest = f64::from(v) - x - step * 2.0 * l2 * x;
        let allowed = 4.0 * ROUNDING * f64::from(v).abs() + SMALLEST;
        if x == 0.0 {
            prop_assert!(rest.abs() <= step * l1 + allowed, "{rest} is no subgradient at 0");
        } else {
            prop_assert!((rest - step * l1.copysign(x)).abs() <= allowed, "{rest} is not {}", step * l1);
        }
    }

    #[test]
    fn prox_is_firmly_non_expansive((l1, l2, step) in coefficients(), a in ordinary(), b in ordinary()) {
        let penalty = penalty(l1, l2);
        let (pa, pb) = (prox1(&penalty, a, step), prox1(&penalty, b, step));
        let (dv, dx) = (f64::from(a) - f64::from(b), pa - pb);
        let size = f64::from(a).abs().max(f64::from(b).abs());
        let allowed = 4.0 * ROUNDING * size + SMALLEST;
        prop_assert!(dx * dx <= dx * dv + allowed * (dx.abs() + allowed), "{dx} {dv}");
        prop_assert!(dx * dv >= -allowed * dv.abs(), "prox is not monotone: {dx} {dv}");
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_value((l1, l2, _) in coefficients(), theta in ordinary()) {
        prop_assume!(theta.abs() > 1e-3);
        let (penalty, cpu) = (penalty(l1, l2), Backend::cpu());
        // Both ends are floats, so a parabola's difference quotient is exact except for the errors of the values.
        let h = (theta.abs() / 4.0).to_bits() & 0x7f80_0000;
        let (low, high) = (theta - f32::from_bits(h), theta + f32::from_bits(h));
        let value = |x: f32| cpu.evaluate(&penalty, &[x]).expect("the CPU does not fail").value;
        let quotient = (value(high) - value(low)) / (f64::from(high) - f64::from(low));
        let gradient = f64::from(cpu.gradient(&penalty, &[theta]).expect("the CPU does not fail")[0]);
        let curve = l2 * (f64::from(high) + f64::from(low) - 2.0 * f64::from(theta));
        let allowed = 1e-5 * gradient.abs() + SMALLEST;
        prop_assert!((quotient - curve - gradient).abs() <= allowed, "{quotient} {gradient}");
    }

    #[test]
    fn moreaus_identity_holds_for_l1(lambda in (-10.0..6.0f64).prop_map(f64::exp2), v in ordinary()) {
        // v = prox of λ|x| at v + projection of v onto [−λ, λ]. The projection is the conjugate's prox.
        let x = prox1(&penalty(lambda, 0.0), v, 1.0);
        let projected = f64::from(v).clamp(-lambda, lambda);
        prop_assert!((x + projected - f64::from(v)).abs() <= 2.0 * ROUNDING * f64::from(v).abs() + SMALLEST);
        // The prox moves a weight by at most the threshold.
        prop_assert!((f64::from(v) - x).abs() <= lambda * (1.0 + 4.0 * ROUNDING) + ROUNDING * f64::from(v).abs());
    }

    #[test]
    fn a_ratio_of_one_is_l1_and_of_zero_l2_squared(
        lambda in (-40.0..40.0f64).prop_map(f64::exp2), step in 0.0..10.0f64, weights in vec(any_bits(), 1..40)
    ) {
        let net = |alpha| Penalty::elastic_net(lambda, alpha).expect("the λ is valid");
        let l1 = Penalty::l1(lambda).expect("the λ is valid");
        let l2 = Penalty::l2_squared(lambda).expect("the λ is valid");
        let cpu = Backend::cpu();
        for (net, pure) in [(net(1.0), l1), (net(0.0), l2)] {
            prop_assert_eq!(&net, &pure);
            prop_assert_eq!(cpu.evaluate(&net, &weights)?, cpu.evaluate(&pure, &weights)?);
            prop_assert_eq!(bits(&cpu.gradient(&net, &weights)?), bits(&cpu.gradient(&pure, &weights)?));
            prop_assert_eq!(bits(&cpu.prox(&net, &weights, step)?), bits(&cpu.prox(&pure, &weights, step)?));
        }
    }

    #[test]
    fn updates_do_not_see_their_neighbours((l1, l2, step) in coefficients(), weights in vec(any_bits(), 1..70)) {
        let (penalty, cpu) = (penalty(l1, l2), Backend::cpu());
        let (gradient, prox) = (cpu.gradient(&penalty, &weights)?, cpu.prox(&penalty, &weights, step)?);
        for (i, &w) in weights.iter().enumerate() {
            prop_assert_eq!(gradient[i].to_bits(), cpu.gradient(&penalty, &[w])?[0].to_bits());
            prop_assert_eq!(prox[i].to_bits(), cpu.prox(&penalty, &[w], step)?[0].to_bits());
        }
        let mut in_place = weights.clone();
        cpu.prox_in_place(&penalty, &mut in_place, step)?;
        prop_assert_eq!(bits(&in_place), bits(&prox));
    }

    #[test]
    fn a_lambda_of_zero_is_none(step in 0.0..10.0f64, alpha in 0.0..=1.0f64, weights in vec(any_bits(), 0..40)) {
        let cpu = Backend::cpu();
        let zeros = [
            Penalty::none(), Penalty::l1(0.0)?, Penalty::l1(-0.0)?, Penalty::l2_squared(0.0)?,
            Penalty::elastic_net(0.0, alpha)?, Penalty::scikit_learn(0.0, alpha)?, Penalty::glmnet(0.0, alpha)?,
            Penalty::keras(0.0, 0.0)?, Penalty::weight_decay(0.0)?,
        ];
        for penalty in zeros {
            prop_assert!(penalty.is_none());
            prop_assert_eq!(cpu.evaluate(&penalty, &weights)?, cpu.evaluate(&Penalty::none(), &weights)?);
            prop_assert_eq!(bits(&cpu.gradient(&penalty, &weights)?), bits(&cpu.gradient(&Penalty::none(), &weights)?));
            let mut sum = weights.clone();
            cpu.gradient_add(&penalty, &weights, &mut sum)?;
            prop_assert_eq!(bits(&sum), bits(&weights));
            prop_assert_eq!(bits(&cpu.prox(&penalty, &weights, step)?), bits(&weights));
            let mut in_place = weights.clone();
            cpu.prox_in_place(&penalty, &mut in_place, step)?;
            prop_assert_eq!(bits(&in_place), bits(&weights));
        }
    }

    #[test]
    fn what_lies_within_the_threshold_becomes_plus_zero(t in (-60.0..60.0f32).prop_map(f32::exp2), part in -1.0..=1.0f32) {
        for v in [part * t, t, -t, 0.0, -0.0] {
            let shrunk = Backend::cpu().prox(&penalty(t.into(), 0.0), &[v], 1.0)?[0];
            prop_assert_eq!(shrunk.to_bits(), 0, "prox({}) = {}", v, shrunk);
        }
        let above = t.next_up();
        prop_assert!(prox1(&penalty(t.into(), 0.0), above, 1.0) > 0.0);
    }

    #[test]
    fn what_is_not_finite_is_kept_and_counted((l1, l2, step) in coefficients(), weights in vec(any_bits(), 1..60)) {
        let (penalty, cpu) = (penalty(l1, l2), Backend::cpu());
        let report = cpu.evaluate(&penalty, &weights)?;
        let count = |test: fn(&f32) -> bool| weights.iter().copied().filter(test).count() as u64;
        let (nan, inf) = (count(|w| w.is_nan()), count(|w| w.is_infinite()));
        prop_assert_eq!((report.nan, report.inf), (nan, inf));
        prop_assert_eq!((report.nonzero, report.zeros()), (count(|&w| w != 0.0), count(|&w| w == 0.0)));
        for float in [report.value, report.l1, report.l2_squared, report.max_abs] {
            prop_assert_eq!(float.is_nan(), nan > 0);
            prop_assert_eq!(float == f64::INFINITY, nan == 0 && inf > 0);
        }
        let prox = cpu.prox(&penalty, &weights, step)?;
        let gradient = cpu.gradient(&penalty, &weights)?;
        for (i, w) in weights.iter().enumerate() {
            if !w.is_finite() {
                prop_assert_eq!(prox[i].to_bits(), w.to_bits());
            }
            if w.is_nan() && !penalty.is_none() {
                prop_assert_eq!(gradient[i].to_bits(), w.to_bits());
            }
        }
    }

    #[test]
    fn halves_have_the_same_properties((l1, l2, step) in coefficients(), weights in vec(any::<u16>(), 1..60)) {
        let (penalty, cpu) = (penalty(l1, l2), Backend::cpu());
        let weights: Vec<f16> = weights.into_iter().map(f16::from_bits).collect();
        let wide: Vec<f32> = weights.iter().map(|w| w.to_f32()).collect();
        // Equal numbers have equal sums in any type.
        prop_assert_eq!(cpu.evaluate(&penalty, &weights)?, cpu.evaluate(&penalty, &wide)?);
        for (half, wide) in cpu.prox(&penalty, &weights, step)?.iter().zip(cpu.prox(&penalty, &wide, step)?) {
            // A small negative number that `f16` rounds to −0 becomes +0. Only `none()` leaves −0 alone.
            let rounded = f16::from_f32(wide).to_bits();
            let want = if rounded == 0x8000 && !penalty.is_none() { 0 } else { rounded };
            if !wide.is_nan() {
                prop_assert_eq!(half.to_bits(), want);
            }
        }
    }

    #[test]
    fn prox_shrinks_and_keeps_signs_and_order((l1, l2, step) in coefficients(), mut v in vec(ordinary(), 2..50)) {
        v.sort_by(f32::total_cmp);
        let (penalty, cpu) = (penalty(l1, l2), Backend::cpu());
        let x = cpu.prox(&penalty, &v, step)?;
        for (v, x) in v.iter().zip(&x) {
            prop_assert!(x.abs() <= v.abs() && x * v >= 0.0, "{v:e} became {x:e}");
        }
        prop_assert!(x.is_sorted(), "{x:?}");
        let minus = |x: &[f32]| x.iter().map(|x| -x).collect::<Vec<f32>>();
        prop_assert_eq!(minus(&x), cpu.prox(&penalty, &minus(&v), step)?);
        prop_assert_eq!(minus(&cpu.gradient(&penalty, &v)?), cpu.gradient(&penalty, &minus(&v))?);
        prop_assert_eq!(partial(&v), partial(&minus(&v)));
    }

    #[test]
    fn a_step_of_zero_moves_nothing((l1, l2, _) in coefficients(), v in vec(any_bits(), 1..50)) {
        let penalty = penalty(l1, l2);
        let vanishes = |v: f32| !penalty.is_none() && f64::from(v.abs()) < SMALLEST;
        let want: Vec<f32> = v.iter().map(|&v| if vanishes(v) { 0.0 } else { v }).collect();
        prop_assert_eq!(bits(&Backend::cpu().prox(&penalty, &v, 0.0)?), bits(&want));
    }
}

#[test]
fn a_lambda_below_every_float_counts_in_the_value_and_moves_no_weight() -> penalty::Result<()> {
    let (tiny, cpu, weights) = (Penalty::elastic_net(1e-40, 0.5)?, Backend::cpu(), at_scale(0, 1000, 7));
    let report = cpu.evaluate(&tiny, &weights)?;
    let want = 0.5e-40 * (report.l1 + report.l2_squared);
    assert!((report.value / want - 1.0).abs() < 1e-15, "the value uses λ in f64");
    assert_eq!(bits(&cpu.prox(&tiny, &weights, 1.0)?), bits(&weights));
    assert_eq!(bits(&cpu.gradient(&tiny, &weights)?), [0; 1000]);
    // A large step brings the threshold back: the product counts, not its factors.
    assert_eq!(cpu.prox(&Penalty::l1(1e-40)?, &[2.0f32], 1e40)?, [1.0]);
    Ok(())
}

#[test]
fn the_largest_lambda_covers_what_it_should_and_overflows_nothing() -> penalty::Result<()> {
    let (half, cpu) = (f32::MAX / 2.0, Backend::cpu());
    let (l1, l2) = (Penalty::l1(half.into())?, Penalty::l2_squared(half.into())?);
    assert_eq!(bits(&cpu.prox(&l1, &[f32::MAX, half, 1.0, -1.0, -0.0], 1.0)?), bits(&[half, 0.0, 0.0, 0.0, 0.0]));
    assert_eq!(bits(&cpu.prox(&l1, &[f32::MAX, f32::MIN], 1e300)?), [0; 2], "a threshold beyond f32");
    assert_eq!(cpu.gradient(&l2, &[1.0, -2.0, 0.0f32])?, [f32::MAX, f32::NEG_INFINITY, 0.0]);
    assert!(cpu.evaluate(&l2, &[f32::MAX; 5000])?.value.is_finite());
    Ok(())
}

#[test]
fn prox_of_zero_with_a_threshold_of_zero_is_zero_and_no_nan() -> penalty::Result<()> {
    // Here 1 − t/|v| would compute 0/0.
    let penalties =
        [Penalty::l1(1e-40)?, Penalty::l1(1.0)?, Penalty::l2_squared(1.0)?, Penalty::elastic_net(1.0, 0.5)?];
    for penalty in penalties {
        for step in [0.0, 1e-300, 1.0] {
            assert_eq!(bits(&Backend::cpu().prox(&penalty, &[0.0, -0.0], step)?), [0; 2]);
        }
    }
    Ok(())
}

#[test]
fn a_prox_never_writes_minus_zero() -> penalty::Result<()> {
    for penalty in [Penalty::l1(1e-3)?, Penalty::l2_squared(3.0)?, Penalty::elastic_net(0.1, 0.5)?] {
        let all: Vec<f32> = (-150..128).flat_map(|k| at_scale(k, 100, 7)).collect();
        assert!(Backend::cpu().prox(&penalty, &all, 0.5)?.iter().all(|x| x.to_bits() != 1 << 31));
        let all: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
        assert!(Backend::cpu().prox(&penalty, &all, 0.5)?.iter().all(|x| x.to_bits() != 1 << 15));
        let all: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        assert!(Backend::cpu().prox(&penalty, &all, 0.5)?.iter().all(|x| x.to_bits() != 1 << 15));
    }
    Ok(())
}

#[test]
fn the_subgradient_at_a_kink_is_zero() -> penalty::Result<()> {
    let gradient = Backend::cpu().gradient(&Penalty::l1(0.5)?, &[0.0f32, -0.0, 1.0, -1.0])?;
    assert_eq!(bits(&gradient), bits(&[0.0, 0.0, 0.5, -0.5]));
    Ok(())
}
