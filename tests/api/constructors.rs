//! Which parameters do constructors take?

use penalty::{Backend, Error, Penalty, Result};

pub(crate) const HALF_MAX: f64 = f32::MAX as f64 / 2.0;

type Constructor = fn(f64) -> Result<Penalty>;

/// Every λ argument, with its name in errors.
const WEIGHTS: [(&str, Constructor); 8] = [
    ("lambda", Penalty::l1),
    ("lambda", Penalty::l2_squared),
    ("lambda", |x| Penalty::elastic_net(x, 0.5)),
    ("alpha", |x| Penalty::scikit_learn(x, 0.5)),
    ("lambda", |x| Penalty::glmnet(x, 0.5)),
    ("l1", |x| Penalty::keras(x, 0.0)),
    ("l2", |x| Penalty::keras(0.0, x)),
    ("weight_decay", Penalty::weight_decay),
];

/// Every mixing ratio argument.
const RATIOS: [(&str, Constructor); 3] = [
    ("alpha", |x| Penalty::elastic_net(1.0, x)),
    ("l1_ratio", |x| Penalty::scikit_learn(1.0, x)),
    ("alpha", |x| Penalty::glmnet(1.0, x)),
];

#[test]
fn every_weight_from_zero_to_half_of_the_largest_float_is_accepted() {
    for (name, constructor) in WEIGHTS {
        for x in [0.0, -0.0, f64::from_bits(1), 1e-300, 1e-4, 1.0, 1e38, HALF_MAX] {
            assert!(constructor(x).is_ok(), "{name} {x:e}");
        }
    }
}

#[test]
fn every_other_weight_is_rejected_by_its_name() {
    let rejected = [
        (-1.0, "-1"),
        (-f64::from_bits(1), "-5e-324"),
        (HALF_MAX.next_up(), "1.7014117331926445e38"),
        (f64::MAX, "1.7976931348623157e308"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "NaN"),
    ];
    for (name, constructor) in WEIGHTS {
        for (x, found) in rejected {
            let text = constructor(x).expect_err(name).to_string();
            let want = format!("{name} must be a number from 0 to half of f32::MAX, found {found}");
            assert_eq!(text, want);
        }
    }
    assert_eq!(
        Penalty::l1(-0.5).expect_err("it is negative").to_string(),
        "lambda must be a number from 0 to half of f32::MAX, found -0.5"
    );
}

#[test]
fn ratios_lie_between_zero_and_one() {
    for (name, constructor) in RATIOS {
        for x in [0.0, -0.0, f64::from_bits(1), 0.5, 1.0] {
            assert!(constructor(x).is_ok(), "{name} {x:e}");
        }
        for (x, found) in [(-0.25, "-0.25"), (1.5, "1.5"), (f64::INFINITY, "inf"), (f64::NAN, "NaN")] {
            let text = constructor(x).expect_err(name).to_string();
            assert_eq!(text, format!("{name} must be from 0 to 1, found {found}"));
        }
        assert!(constructor(1f64.next_up()).is_err() && constructor(-f64::from_bits(1)).is_err());
    }
}

#[test]
fn a_refusal_names_the_first_bad_argument_and_can_be_matched() {
    let error = Penalty::elastic_net(-1.0, 2.0).expect_err("both are bad");
    assert!(matches!(error, Error::Parameter { name: "lambda", found: -1.0, .. }), "{error}");
}

#[test]
fn no_more_than_m_of_m_weights_are_kept() -> Result<()> {
    for (n, m) in [(1, 1), (2, 4), (4, 4), (u64::from(u32::MAX), u64::from(u32::MAX))] {
        let penalty = Penalty::n_of_m(n, m)?;
        assert_eq!(Penalty::named("n_of_m", &[("m", m as f64), ("n", n as f64)])?, penalty);
    }
    for (n, m) in [(5, 4), (2, 1), (u64::from(u32::MAX), u64::from(u32::MAX) - 1)] {
        let want = Error::Parameter { name: "n", expected: "at most m", found: n as f64 };
        assert_eq!(Penalty::n_of_m(n, m), Err(want.clone()));
        assert_eq!(Penalty::named("n_of_m", &[("n", n as f64), ("m", m as f64)]), Err(want));
    }
    for (n, m, name) in [(0, 4, "n"), (1 << 32, 1 << 32, "n"), (0, 0, "n"), (1, 0, "m"), (1, 1 << 32, "m")] {
        let error = Penalty::n_of_m(n, m).expect_err("it is out of range");
        assert!(matches!(error, Error::Parameter { name: found, .. } if found == name), "{n} of {m}: {error}");
    }
    Ok(())
}

#[test]
fn parameters_out_of_range_are_rejected() {
    // Errors show numbers with the fewest digits.
    let shown = |x: f64| format!("{x:?}").trim_end_matches(".0").to_owned();
    let text = |penalty: penalty::Result<Penalty>| penalty.expect_err("it is out of range").to_string();
    let lambda = "lambda must be a number from 0 to half of f32::MAX, found";
    for x in [-1.0, f64::NAN, f64::INFINITY, 2e38] {
        let all = [Penalty::l0(x), Penalty::l_half(x), Penalty::log_sum(x, 1.0), Penalty::mcp(x, 1.0)];
        let more = [Penalty::scad(x, 3.7), Penalty::huber(x, 1.0), Penalty::nonnegative_l1(x)];
        for penalty in all.into_iter().chain(more) {
            assert_eq!(text(penalty), format!("{lambda} {}", shown(x)));
        }
    }
    for x in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e31] {
        assert_eq!(text(Penalty::log_sum(1.0, x)), format!("epsilon must be from 2^-100 to 2^100, found {}", shown(x)));
        assert_eq!(text(Penalty::mcp(1.0, x)), format!("gamma must be from 2^-100 to 2^100, found {}", shown(x)));
        assert_eq!(text(Penalty::huber(1.0, x)), format!("delta must be from 2^-100 to 2^100, found {}", shown(x)));
    }
    assert_eq!(text(Penalty::scad(1.0, 1.0)), "a must be above 1 and at most 2^100, found 1");
    assert_eq!(text(Penalty::interval(f64::NAN, 1.0)), "lower must be a number, found NaN");
    assert_eq!(text(Penalty::interval(1.0, 0.5)), "upper must be a number that is not below lower, found 0.5");
    let product = 1e38 * 4.0;
    let huber = text(Penalty::huber(1e38, 4.0));
    assert_eq!(huber, format!("lambda·delta must be a number from 0 to half of f32::MAX, found {}", shown(product)));
    for step in [-1.0, f64::NAN, f64::INFINITY] {
        let prox = Backend::cpu().prox(&Penalty::mcp(1.0, 3.0).expect("it is valid"), &[1f32], step);
        assert_eq!(
            prox.expect_err("the step is bad").to_string(),
            format!("step must be a finite number ≥ 0, found {}", shown(step))
        );
    }
}
