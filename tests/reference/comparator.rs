//! Do the comparator and the oracle reject planted wrong answers?

use penalty::half::{bf16, f16};
use penalty::{Backend, Penalty};

use crate::common::compare::{POISON, between, close, same_bits, same_bytes};
use crate::common::oracle::{Formula, SUM, Weight, statistics};
use crate::common::{cases, golden};

/// Correct results of an operation. Tests plant errors in them.
fn shrunk() -> (Vec<f32>, Vec<f32>) {
    let weights = cases::noise(5000, 1);
    let penalty = Penalty::keras(0.1, 0.25).expect("the λs are valid");
    let shrunk = Backend::cpu().prox(&penalty, &weights, 0.5).expect("the CPU does not fail");
    (weights, shrunk)
}

const FORMULA: Formula = Formula { l1: 0.1, l2_squared: 0.25 };

#[test]
fn equal_results_are_accepted() {
    let (weights, shrunk) = shrunk();
    assert_eq!(same_bits(&shrunk, &shrunk.clone()), Ok(()));
    assert_eq!(same_bytes(&POISON, &POISON), Ok(()));
    for (v, got) in weights.iter().zip(&shrunk) {
        assert_eq!(FORMULA.check_prox(0.5, *v, *got), Ok(()));
    }
}

#[test]
fn one_element_that_is_one_ulp_off_is_rejected() {
    let (_, shrunk) = shrunk();
    for at in [0, 1, 4095, 4096, 4999] {
        let mut wrong = shrunk.clone();
        wrong[at] = f32::from_bits(wrong[at].to_bits() ^ 1);
        let error = same_bits(&shrunk, &wrong).expect_err("it differs");
        assert!(error.starts_with(&format!("1 of 5000 elements differ, the first at {at}:")), "{error}");
    }
}

#[test]
fn a_missing_element_is_rejected() {
    let (_, shrunk) = shrunk();
    assert_eq!(same_bits(&shrunk, &shrunk[..4999]), Err("expected 5000 elements, found 4999".into()));
    assert_eq!(same_bytes(&POISON, &POISON[..3]), Err("expected 4 bytes, found 3".into()));
}

#[test]
fn a_zero_of_the_wrong_sign_is_rejected() {
    assert!(same_bits(&[0.0f32], &[-0.0]).is_err());
    assert!(FORMULA.check_prox(1.0, 0.05f32, -0.0).is_err());
    assert!(FORMULA.check_prox(1.0, -0.0f32, -0.0).is_err());
    assert!(FORMULA.check_gradient(-0.0f32, -0.0).is_err());
    assert!(FORMULA.check_prox(1.0, 0.05f32, 0.0).is_ok());
}

#[test]
fn a_nan_that_became_a_zero_or_another_nan_is_rejected() {
    let nan = f32::from_bits(0x7f80_1234);
    for wrong in [0.0, f32::NAN, -nan, 1.0] {
        assert!(same_bits(&[nan], &[wrong]).is_err());
        assert!(FORMULA.check_prox(1.0, nan, wrong).is_err());
        assert!(FORMULA.check_gradient(nan, wrong).is_err());
        assert!(FORMULA.check_gradient_add(1.0, nan, wrong).is_err());
    }
    assert_eq!(same_bits(&[nan], &[nan]), Ok(()));
    assert!(FORMULA.check_gradient_add(f32::INFINITY, f32::NEG_INFINITY, 0.0).is_err());
}

#[test]
fn a_missed_write_shows_the_poison() {
    let (weights, shrunk) = shrunk();
    let poison = f32::from_le_bytes(POISON);
    assert!(poison.is_nan() && f16::from_bits(0x7fc1).is_nan() && bf16::from_bits(0x7fc1).is_nan());
    for at in [0, 2500, 4999] {
        let mut wrong = shrunk.clone();
        wrong[at] = poison;
        assert!(same_bits(&shrunk, &wrong).is_err());
        assert!(FORMULA.check_prox(0.5, weights[at], wrong[at]).is_err());
    }
}

#[test]
fn a_touched_guard_band_is_rejected() {
    let guarded = [&POISON[..], &[1, 2, 3, 4], &POISON].concat();
    let mut wrong = guarded.clone();
    wrong[9] = 0;
    let error = same_bytes(&guarded, &wrong).expect_err("it differs");
    assert_eq!(error, "1 of 12 bytes differ, the first at 9: expected the word 0x7fc17fc1, found 0x7fc100c1");
}

#[test]
fn the_result_of_another_tensor_is_rejected() {
    let cpu = Backend::cpu();
    let penalty = Penalty::keras(FORMULA.l1, FORMULA.l2_squared).expect("the λs are valid");
    let [mine, other] = [cases::noise(5000, 1), cases::noise(5000, 2)];
    let report = cpu.evaluate(&penalty, &mine).expect("the CPU does not fail");
    assert_eq!(statistics(&mine).check(&FORMULA, &report), Ok(()));
    assert!(statistics(&other).check(&FORMULA, &report).is_err());
}

#[test]
fn every_field_of_a_wrong_report_is_rejected() {
    let weights = cases::noise(5000, 1);
    let penalty = Penalty::keras(FORMULA.l1, FORMULA.l2_squared).expect("the λs are valid");
    let report = Backend::cpu().evaluate(&penalty, &weights).expect("the CPU does not fail");
    let off = 1.0 + 2.0 * SUM;
    type Plant = fn(&mut penalty::Report, f64);
    let plants: [(&str, Plant); 9] = [
        ("len", |r, _| r.len += 1),
        ("nonzero", |r, _| r.nonzero -= 1),
        ("nan", |r, _| r.nan += 1),
        ("inf", |r, _| r.inf += 1),
        ("max_abs", |r, _| r.max_abs = r.max_abs.next_up()),
        ("l1", |r, off| r.l1 *= off),
        ("l1", |r, off| r.l1 /= off),
        ("l2_squared", |r, off| r.l2_squared *= off),
        ("value", |r, off| r.value *= off),
    ];
    for (field, plant) in plants {
        let mut wrong = report;
        plant(&mut wrong, off);
        let error = statistics(&weights).check(&FORMULA, &wrong).expect_err(field);
        assert!(error.starts_with(field), "{field}: {error}");
    }
}

#[test]
fn a_dropped_element_a_half_and_a_forgotten_step_are_rejected() {
    let weights = cases::noise(5000, 1);
    let whole = statistics(&weights);
    for at in [0, 4096, 4999] {
        let mut short = weights.clone();
        short[at] = 0.0;
        assert!(close(whole.l1, statistics(&short).l1, SUM).is_err());
    }
    // Conventions that are easily confused: ½ on the square, and λ not multiplied by the step.
    let half = Formula { l1: 0.0, l2_squared: 0.5 };
    let l2_squared = Formula { l1: 0.0, l2_squared: 1.0 };
    for v in weights.iter().filter(|v| v.abs() > 1e-3) {
        assert!(l2_squared.check_prox(1.0, *v, half.minimizer(1.0, f64::from(*v)) as f32).is_err());
        assert!(l2_squared.check_gradient(*v, half.slope(f64::from(*v)) as f32).is_err());
        assert!(l2_squared.check_prox(0.5, *v, l2_squared.minimizer(1.0, f64::from(*v)) as f32).is_err());
    }
}

#[test]
fn four_ulps_off_the_formula_is_rejected_in_every_type() {
    fn rejects<E: Weight>(ulp: f64) {
        let want = Formula { l1: 0.0, l2_squared: 0.25 };
        for (v, off) in [(1.0, 4.0), (-1.0, 4.0), (1.0, -4.0), (-1.0, -4.0)] {
            let x = E::nearest(v);
            let right = want.minimizer(1.0, x.exact());
            assert_eq!(want.check_prox(1.0, x, E::nearest(right as f32)), Ok(()));
            assert!(want.check_prox(1.0, x, E::nearest((right * (1.0 + off * ulp)) as f32)).is_err());
            let right = want.slope(x.exact());
            assert_eq!(want.check_gradient(x, E::nearest(right as f32)), Ok(()));
            assert!(want.check_gradient(x, E::nearest((right * (1.0 + off * ulp)) as f32)).is_err());
        }
    }
    rejects::<f32>(cases::power(-23));
    rejects::<f16>(cases::power(-10));
    rejects::<bf16>(cases::power(-7));
    assert!(between(1.0, 1.0, f16::from_f32(1.001)).is_err());
}

#[test]
fn what_is_not_a_number_is_close_only_to_itself() {
    for (want, got) in [(f64::NAN, 0.0), (0.0, f64::NAN), (f64::INFINITY, 1.0), (1.0, f64::INFINITY), (0.0, 1e-300)] {
        assert!(close(want, got, 1.0).is_err(), "{want} {got}");
    }
    for same in [f64::NAN, f64::INFINITY, 0.0] {
        assert_eq!(close(same, same, 0.0), Ok(()));
    }
}

#[test]
fn the_oracle_knows_sums_by_other_means() {
    // For integers the sums are n(n+1)/2 and n(n+1)(2n+1)/6.
    let weights: Vec<f32> = (0..=2000).map(|i| if i % 2 == 0 { i as f32 } else { -(i as f32) }).collect();
    let found = statistics(&weights);
    assert_eq!((found.l1, found.l2_squared, found.max_abs), (2_001_000.0, 2_668_667_000.0, 2000.0));
    assert_eq!((found.len, found.nonzero, found.nan, found.inf), (2001, 2000, 0, 0));
    // 2^254 and 2^-298 are inside the range of `f64`. The oracle keeps what a plain sum would lose.
    let extremes = statistics(&[2f32.powi(127), f32::from_bits(1)]);
    assert_eq!(extremes.l2_squared, cases::power(254));
    assert_eq!(statistics(&[f32::from_bits(1)]).l2_squared, cases::power(-298));
    let lost: Vec<f32> = std::iter::once(2f32.powi(60)).chain(vec![1.0; 4096]).collect();
    assert_eq!(statistics(&lost).l1, cases::power(60) + 4096.0);
}

#[test]
fn the_oracles_formulas_are_those_of_the_golden_cases() {
    let own = ["l1", "l2_squared", "elastic_net"];
    for case in golden::cases().iter().filter(|case| own.contains(&case.name.as_str())) {
        let formula = Formula { l1: case.penalty.l1_factor(), l2_squared: case.penalty.l2_squared_factor() };
        close(case.prox, formula.minimizer(case.step, case.v.into()), 1e-14).expect("prox");
        close(case.value.expect("the file has it"), formula.value(case.v.into()), 1e-14).expect("the value");
    }
}
