//! Are sums and values right? Checked for every type, length and scale, against sums in `f64`.

use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Backend, Penalty, Result};

use crate::common::cases::{self, LENGTHS, noise, power};
use crate::common::compare::close;
use crate::common::oracle::{Formula, SUM, Weight, statistics};

pub(crate) const FORMULA: Formula = Formula { l1: 0.75, l2_squared: 3.5 };

#[track_caller]
fn check_sums<E: Weight>(name: &str, weights: &[E]) {
    let penalty = Penalty::keras(FORMULA.l1, FORMULA.l2_squared).expect("the λs are valid");
    let report = Backend::cpu().evaluate(&penalty, weights).expect("the CPU does not fail");
    if let Err(error) = statistics(weights).check(&FORMULA, &report) {
        panic!("{name}, {} × {}: {error}", weights.len(), E::DTYPE);
    }
}

#[track_caller]
fn check_sums_of_every_type(name: &str, weights: &[f32]) {
    check_sums(name, weights);
    check_sums(name, &weights.iter().map(|&x| f16::nearest(x)).collect::<Vec<_>>());
    check_sums(name, &weights.iter().map(|&x| bf16::nearest(x)).collect::<Vec<_>>());
}

#[test]
fn sums_are_right_at_every_length() {
    let span = 64 * TILE;
    for len in LENGTHS.into_iter().chain([span - 1, span, span + 1, 3 * span + 77]) {
        check_sums_of_every_type("noise", &noise(len, len as u64));
        check_sums_of_every_type("ones", &vec![-1.0; len]);
    }
}

#[test]
fn sums_are_right_at_every_scale() {
    for (name, weights) in cases::scales(TILE + 1025) {
        check_sums_of_every_type(&name, &weights);
    }
}

#[test]
fn sums_are_right_where_they_are_easy_to_get_wrong() {
    for (name, weights) in cases::traps() {
        check_sums_of_every_type(&name, &weights);
    }
    check_sums("many carries", &cases::carries(100));
}

#[test]
fn sums_of_one_weight_are_exact() -> Result<()> {
    let cpu = Backend::cpu();
    for k in -149..=127 {
        let report = cpu.evaluate(&Penalty::none(), &[-power(k) as f32])?;
        assert_eq!((report.l1, report.l2_squared, report.max_abs), (power(k), power(2 * k), power(k)), "2^{k}");
    }
    Ok(())
}

#[test]
fn sums_of_every_half_are_right() {
    let half: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
    let brain: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
    check_sums("every f16", &half);
    check_sums("every bf16", &brain);
    check_sums("every finite f16", &half.into_iter().filter(|x| x.is_finite()).collect::<Vec<_>>());
    check_sums("every finite bf16", &brain.into_iter().filter(|x| x.is_finite()).collect::<Vec<_>>());
}

#[test]
fn sums_of_millions_keep_their_error() -> Result<()> {
    // Here a running sum in `f32` is off by several percent.
    let weights = vec![0.1f32; 20_000_000];
    let report = Backend::cpu().evaluate(&Penalty::none(), &weights)?;
    close(f64::from(0.1f32) * 2e7, report.l1, SUM).expect("Σ|θ|");
    close(f64::from(0.1f32).powi(2) * 2e7, report.l2_squared, SUM).expect("Σθ²");
    Ok(())
}

#[test]
fn the_square_of_a_large_weight_does_not_overflow() -> Result<()> {
    let report = Backend::cpu().evaluate(&Penalty::l2_squared(2.0)?, &[f32::MAX; 5000])?;
    close(2.0 * 5000.0 * f64::from(f32::MAX).powi(2), report.value, SUM).expect("the value");
    Ok(())
}

/// Each constructor's R(θ), taken from the other library's documentation.
#[test]
fn values_follow_the_convention_of_each_constructor() -> Result<()> {
    let weights = noise(1000, 9);
    let (l1, l2) = (statistics(&weights).l1, statistics(&weights).l2_squared);
    let conventions = [
        ("none", Penalty::none(), 0.0),
        ("l1", Penalty::l1(0.3)?, 0.3 * l1),
        ("l2_squared", Penalty::l2_squared(0.3)?, 0.3 * l2),
        ("elastic_net", Penalty::elastic_net(0.3, 0.2)?, 0.3 * (0.2 * l1 + 0.8 * l2)),
        (
            "scikit-learn: alpha * l1_ratio * ||w||_1 + 0.5 * alpha * (1 - l1_ratio) * ||w||²_2",
            Penalty::scikit_learn(0.3, 0.2)?,
            0.3 * 0.2 * l1 + 0.5 * 0.3 * (1.0 - 0.2) * l2,
        ),
        (
            "glmnet: lambda * ((1-alpha)/2 ||beta||_2^2 + alpha ||beta||_1)",
            Penalty::glmnet(0.3, 0.2)?,
            0.3 * ((1.0 - 0.2) / 2.0 * l2 + 0.2 * l1),
        ),
        ("Keras: l1 * reduce_sum(abs(x)) + l2 * reduce_sum(square(x))", Penalty::keras(0.3, 0.7)?, 0.3 * l1 + 0.7 * l2),
        ("PyTorch: d/dw (weight_decay / 2 * ||w||²) = weight_decay * w", Penalty::weight_decay(0.3)?, 0.3 / 2.0 * l2),
    ];
    for (name, penalty, want) in conventions {
        let got = Backend::cpu().evaluate(&penalty, &weights)?.value;
        close(want, got, SUM).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    Ok(())
}

#[test]
fn a_nan_or_an_infinity_shows_in_the_report_and_not_in_the_counts_of_others() -> Result<()> {
    let l1 = Penalty::l1(1.0)?;
    let report = |weights: &[f32]| Backend::cpu().evaluate(&l1, weights);
    let nan = report(&[1.0, f32::NAN, 0.0, f32::INFINITY])?;
    assert_eq!((nan.len, nan.nonzero, nan.zeros(), nan.nan, nan.inf), (4, 3, 1, 1, 1));
    assert!(nan.value.is_nan() && nan.l1.is_nan() && nan.l2_squared.is_nan() && nan.max_abs.is_nan());
    let inf = report(&[1.0, f32::NEG_INFINITY, 0.0])?;
    assert_eq!((inf.nonzero, inf.nan, inf.inf), (2, 0, 1));
    assert_eq!([inf.value, inf.l1, inf.l2_squared, inf.max_abs], [f64::INFINITY; 4]);
    // No 0·∞ occurs: without a penalty, the value of an infinite weight is infinite, not NaN.
    assert_eq!(Backend::cpu().evaluate(&Penalty::none(), &[f32::INFINITY])?.value, f64::INFINITY);
    assert_eq!(Backend::cpu().gradient(&l1, &[f32::INFINITY, f32::NEG_INFINITY])?, [1.0, -1.0]);
    Ok(())
}

#[test]
fn nothing_weighs_nothing() -> Result<()> {
    let report = Backend::cpu().evaluate::<f32>(&Penalty::l1(1.0)?, &[])?;
    assert_eq!((report.len, report.nonzero), (0, 0));
    for zero in [report.value, report.l1, report.l2_squared, report.max_abs] {
        assert_eq!(zero.to_bits(), 0);
    }
    Ok(())
}
