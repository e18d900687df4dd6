//! What does a penalty say about itself? What does it become with another λ?

use penalty::{Error, Groups, Penalty, Result};

use crate::common::custom::pinball;

/// A valid number for each parameter, with many digits if allowed.
fn value_of(key: &str) -> f64 {
    match key {
        "lambda" | "l1" | "weight_decay" => 0.1,
        "l2" => 1.0 / 3.0,
        "alpha" | "l1_ratio" => 0.3,
        "gamma" | "a" => 3.7,
        "epsilon" => 1e-3,
        "delta" => 0.7,
        "lower" => f64::NEG_INFINITY,
        "upper" => 2.0 / 3.0,
        "radius" => 1e-7,
        "k" | "n" => 2.0,
        "m" | "group_size" => 4.0,
        _ => panic!("{key} has no value here"),
    }
}

/// Every penalty of the catalogue by name, and every convention by its constructor.
pub(crate) fn every_penalty() -> Result<Vec<Penalty>> {
    let by_name = Penalty::all().map(|named| {
        let parameters: Vec<(&str, f64)> = named.parameters.iter().map(|key| (*key, value_of(key))).collect();
        Penalty::named(named.name, &parameters)
    });
    let by_constructor = [
        Ok(Penalty::none()),
        Penalty::scikit_learn(0.1, 0.3),
        Penalty::glmnet(0.1, 0.3),
        Penalty::keras(0.1, 1.0 / 3.0),
        Penalty::weight_decay(0.1),
        Penalty::interval(-0.1, f64::INFINITY),
        Penalty::l1(-0.0),
    ];
    by_name.chain(by_constructor).collect()
}

/// Groups of every kind.
pub(crate) fn every_groups() -> Result<[Groups; 7]> {
    Ok([
        Groups::whole(),
        Groups::runs(4)?,
        Groups::rows(8)?,
        Groups::columns(8)?,
        Groups::tiles(8, 3, 2)?,
        Groups::lists(&[vec![3, 0], vec![1], vec![2, 4]])?,
        Groups::lists::<[u64; 0]>(&[])?,
    ])
}

/// Every penalty. Group penalties are taken over every kind of groups.
pub(crate) fn every_penalty_over_groups() -> Result<Vec<Penalty>> {
    let mut all = every_penalty()?;
    for penalty in all.clone().iter().filter(|penalty| penalty.groups().is_some()) {
        for groups in every_groups()? {
            all.push(penalty.over(groups)?);
        }
    }
    Ok(all)
}

fn bits(penalty: &Penalty) -> Vec<(&str, u64)> {
    penalty.parameters().into_iter().map(|(key, number)| (key, number.to_bits())).collect()
}

/// Asserts that the penalties are equal, bit for bit.
pub(crate) fn assert_same(found: &Penalty, penalty: &Penalty) {
    assert_eq!(found, penalty);
    assert_eq!((found.name(), bits(found)), (penalty.name(), bits(penalty)));
    // Coefficients follow from what this shows: the formula, its parameters and the groups.
    assert_eq!(format!("{found:?}"), format!("{penalty:?}"));
}

#[test]
fn name_and_parameters_make_the_same_penalty() -> Result<()> {
    for penalty in every_penalty_over_groups()? {
        let made = Penalty::named(penalty.name(), &penalty.parameters())?;
        assert_eq!(made.groups().is_some(), penalty.groups().is_some());
        let made = match penalty.groups() {
            Some(groups) => made.over(groups.clone())?,
            None => made,
        };
        assert_same(&made, &penalty);
    }
    Ok(())
}

#[test]
fn parameters_are_those_that_were_given() -> Result<()> {
    let third = 1.0 / 3.0;
    let runs = || Groups::runs(4);
    type Pairs = [(&'static str, f64)];
    let cases: [(Penalty, &str, &Pairs); 13] = [
        (Penalty::none(), "none", &[]),
        (Penalty::l1(third)?, "l1", &[("lambda", third)]),
        (Penalty::elastic_net(0.1, third)?, "elastic_net", &[("lambda", 0.1), ("alpha", third)]),
        (Penalty::scikit_learn(0.1, third)?, "scikit_learn", &[("alpha", 0.1), ("l1_ratio", third)]),
        (Penalty::glmnet(0.1, third)?, "glmnet", &[("lambda", 0.1), ("alpha", third)]),
        (Penalty::keras(0.1, third)?, "keras", &[("l1", 0.1), ("l2", third)]),
        (Penalty::weight_decay(third)?, "weight_decay", &[("weight_decay", third)]),
        (Penalty::interval(-1.0, third)?, "interval", &[("lower", -1.0), ("upper", third)]),
        (Penalty::group_lasso(third, runs()?)?, "group_lasso", &[("lambda", third)]),
        (Penalty::sparse_group_lasso(0.1, third, runs()?)?, "sparse_group_lasso", &[("lambda", 0.1), ("alpha", third)]),
        (Penalty::n_of_m(2, 4)?, "n_of_m", &[("n", 2.0), ("m", 4.0)]),
        (Penalty::n_of_m(2, 4)?.over(Groups::rows(4)?)?, "top_k", &[("k", 2.0)]),
        (pinball(0.5, 0.25), "pinball", &[]),
    ];
    for (penalty, name, parameters) in cases {
        assert_eq!((penalty.name(), &penalty.parameters()[..]), (name, parameters));
    }
    // `group_size` becomes part of the groups.
    let sized = Penalty::named("group_lasso", &[("lambda", third), ("group_size", 4.0)])?;
    assert_same(&sized, &Penalty::group_lasso(third, runs()?)?);
    assert_eq!(sized.groups(), Some(&runs()?));
    Ok(())
}

#[test]
fn text_is_what_the_command_takes() -> Result<()> {
    let cases = [
        (Penalty::none(), "none"),
        (Penalty::l1(0.1 + 0.2)?, "l1:lambda=0.30000000000000004"),
        (Penalty::l2_squared(1e-30)?, "l2-squared:lambda=1e-30"),
        (Penalty::scikit_learn(1.0, 0.5)?, "scikit-learn:alpha=1,l1-ratio=0.5"),
        (Penalty::weight_decay(0.01)?, "weight-decay:weight-decay=0.01"),
        (Penalty::interval(f64::NEG_INFINITY, -0.0)?, "box:lower=-inf,upper=-0"),
        (Penalty::group_lasso(0.5, Groups::whole())?, "group-lasso:lambda=0.5"),
        (Penalty::group_lasso(0.5, Groups::columns(8)?)?, "group-lasso:lambda=0.5 over groups of columns, 8 of them"),
        (Penalty::l1_ball(2.0)?.over(Groups::runs(4)?)?, "l1-ball:radius=2 over groups of runs of 4"),
        (Penalty::n_of_m(2, 4)?, "n-of-m:n=2,m=4"),
        (Penalty::n_of_m(2, 4)?.over(Groups::whole())?, "top-k:k=2"),
        (Penalty::top_k(4294967295)?, "top-k:k=4294967295"),
        (pinball(0.5, 0.25), "pinball"),
    ];
    for (penalty, text) in cases {
        assert_eq!(penalty.to_string(), text);
    }
    for penalty in every_penalty()? {
        let text = penalty.to_string();
        let head = text.split(" over ").next().unwrap_or_default();
        let (name, list) = head.split_once(':').unwrap_or((head, ""));
        let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
        let parsed: Vec<(&str, f64)> = pairs.map(|(key, x)| (key, x.parse().expect("it is a number"))).collect();
        let made = Penalty::named(name, &parsed)?;
        let keys = made.parameters().into_iter().map(|(_, number)| number.to_bits());
        assert!(keys.eq(penalty.parameters().into_iter().map(|(_, number)| number.to_bits())), "{text}");
    }
    assert_eq!(format!("[{:>14}]", Penalty::l1(0.5)?), "[ l1:lambda=0.5]");
    Ok(())
}

#[test]
fn a_factor_multiplies_lambda_alone() -> Result<()> {
    const LAMBDAS: [(&str, &[&str]); 3] =
        [("scikit_learn", &["alpha"]), ("keras", &["l1", "l2"]), ("weight_decay", &["weight_decay"])];
    for penalty in every_penalty_over_groups()? {
        assert_same(&penalty.scaled(1.0)?, &penalty);
        for factor in [0.0, 0.3, 0.5, 7.0] {
            let scaled = penalty.scaled(factor)?;
            assert_eq!((scaled.name(), scaled.groups()), (penalty.name(), penalty.groups()));
            let lambdas = LAMBDAS.iter().find(|(name, _)| *name == penalty.name()).map_or(&["lambda"][..], |(_, l)| l);
            let expected: Vec<(&str, f64)> = penalty
                .parameters()
                .into_iter()
                .map(|(key, number)| (key, if lambdas.contains(&key) { number * factor } else { number }))
                .collect();
            assert_eq!(scaled.parameters(), expected);
            assert_eq!(scaled.has_gradient(), penalty.has_gradient());
        }
    }
    Ok(())
}

#[test]
fn factors_out_of_range_are_rejected() -> Result<()> {
    for (factor, found) in [(-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        for penalty in every_penalty()? {
            let text = penalty.scaled(factor).expect_err("it is out of range").to_string();
            assert_eq!(text, format!("factor must be a finite number ≥ 0, found {found}"));
        }
    }
    let text = |penalty: Penalty| penalty.scaled(4.0).expect_err("its λ is too large").to_string();
    let half = "must be a number from 0 to half of f32::MAX, found 4e38";
    assert_eq!(text(Penalty::l1(1e38)?), format!("lambda {half}"));
    assert_eq!(text(Penalty::scikit_learn(1e38, 0.5)?), format!("alpha {half}"));
    assert_eq!(text(Penalty::huber(1e30, 1e8)?), format!("lambda·delta {half}"));
    let rejected = pinball(0.5, 0.25).scaled(1.0);
    assert_eq!(rejected, Err(Error::NotBuiltIn { penalty: "pinball", asked: "scaled" }));
    assert_eq!(
        rejected.expect_err("it is custom").to_string(),
        "pinball cannot be scaled: it is a custom penalty, and only its type knows what its parameters mean"
    );
    Ok(())
}
