//! What does serde write, and what does it read?

use std::fmt::Debug;

use penalty::exact::Partial;
use penalty::{Adam, Backend, Dtype, Groups, Metric, Momentum, Penalty, Report, Reports, Result, Sgd};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::common::custom::pinball;
use crate::penalties::{assert_same, every_groups, every_penalty_over_groups};

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("it can be written")
}

/// The value after writing and reading: as text, in a binary format with field names, and in one without.
fn round_trips<T: Serialize + DeserializeOwned>(value: &T) -> [T; 3] {
    let bytes =
        [rmp_serde::to_vec_named(value), rmp_serde::to_vec(value)].map(|bytes| bytes.expect("it can be written"));
    let [named, plain] = bytes.map(|bytes| rmp_serde::from_slice(&bytes).expect("it can be read"));
    [serde_json::from_str(&json(value)).expect("it can be read"), named, plain]
}

#[track_caller]
fn assert_round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    for found in round_trips(value) {
        assert_eq!(&found, value);
    }
}

#[track_caller]
fn assert_rejected<T: DeserializeOwned + Debug>(text: &str, expected: &str) {
    let found = serde_json::from_str::<T>(text).expect_err(text).to_string();
    // The rest says where in the text the error is.
    let found = found.rsplit_once(" at line ").map_or(&found[..], |(found, _)| found);
    assert_eq!(found, expected);
}

#[test]
fn every_penalty_survives() -> Result<()> {
    for penalty in every_penalty_over_groups()? {
        for found in round_trips(&penalty) {
            assert_same(&found, &penalty);
        }
    }
    Ok(())
}

#[test]
fn a_penalty_is_its_name_its_parameters_and_its_groups() -> Result<()> {
    let cases = [
        (Penalty::none(), r#"{"name":"none","parameters":{}}"#),
        (Penalty::glmnet(0.1, 0.5)?, r#"{"name":"glmnet","parameters":{"lambda":0.1,"alpha":0.5}}"#),
        (
            Penalty::interval(f64::NEG_INFINITY, 1.0)?,
            r#"{"name":"interval","parameters":{"lower":"-inf","upper":1.0}}"#,
        ),
        (
            Penalty::group_lasso(0.1, Groups::tiles(8, 3, 2)?)?,
            r#"{"name":"group_lasso","parameters":{"lambda":0.1},"groups":{"tiles":{"columns":8,"height":3,"width":2}}}"#,
        ),
        (Penalty::n_of_m(2, 4)?, r#"{"name":"n_of_m","parameters":{"n":2.0,"m":4.0}}"#),
    ];
    for (penalty, text) in cases {
        assert_eq!(json(&penalty), text);
    }
    // Text as people write it.
    let written = [
        (r#"{"name": "none"}"#, Penalty::none()),
        (r#"{"parameters": {"m": 4, "n": 2}, "name": "n-of-m", "groups": null}"#, Penalty::n_of_m(2, 4)?),
        (
            r#"{"name": "group-lasso", "parameters": {"lambda": 1, "group-size": 4}}"#,
            Penalty::group_lasso(1.0, Groups::runs(4)?)?,
        ),
        (r#"{"name": "top_k", "parameters": {"k": 3}, "groups": "whole"}"#, Penalty::top_k(3)?),
    ];
    for (text, penalty) in written {
        assert_eq!(serde_json::from_str::<Penalty>(text).expect(text), penalty);
    }
    Ok(())
}

#[test]
fn what_is_no_penalty_is_rejected_with_the_constructors_words() {
    let cases = [
        (
            r#"{"name": "mcp", "parameters": {"lambda": 0.1}}"#,
            "mcp must have the parameters lambda, gamma; found lambda",
        ),
        (
            r#"{"name": "mcp", "parameters": {"lambda": 0.1, "gamma": 3, "gamma": 4}}"#,
            "mcp must have the parameters lambda, gamma; found lambda, gamma, gamma",
        ),
        (
            r#"{"name": "l1", "parameters": {"lambda": 0.1, "alpha": 1}}"#,
            "l1 must have the parameters lambda; found lambda, alpha",
        ),
        (r#"{"name": "l1", "parameters": {"mu": 0.1}}"#, "l1 must have the parameters lambda; found mu"),
        (r#"{"name": "l1"}"#, "l1 must have the parameters lambda; found none"),
        (
            r#"{"name": "l1", "parameters": {"lambda": -1}}"#,
            "lambda must be a number from 0 to half of f32::MAX, found -1",
        ),
        (
            r#"{"name": "l1", "parameters": {"lambda": "inf"}}"#,
            "lambda must be a number from 0 to half of f32::MAX, found inf",
        ),
        (r#"{"name": "box", "parameters": {"lower": "NaN", "upper": 1}}"#, "lower must be a number, found NaN"),
        (
            r#"{"name": "l1", "parameters": {"lambda": "0.1"}}"#,
            r#"invalid value: string "0.1", expected a number, "NaN", "inf" or "-inf""#,
        ),
        (
            r#"{"name": "l1", "parameters": {"lambda": null}}"#,
            r#"invalid type: null, expected a number, "NaN", "inf" or "-inf""#,
        ),
        (
            r#"{"name": "l1", "parameters": [0.1]}"#,
            "invalid type: sequence, expected a map of the parameters, names with numbers",
        ),
        (
            r#"{"name": "l1", "parameters": {"lambda": 1}, "groups": "whole"}"#,
            "a group of all must go with a group penalty: found l1, a separable penalty",
        ),
        (
            r#"{"name": "n_of_m", "parameters": {"n": 2, "m": 4}, "groups": {"rows": 4}}"#,
            "groups of rows of 4 must be said once: the parameters of n_of_m say groups of runs of 4",
        ),
        (
            r#"{"name": "group_lasso", "parameters": {"lambda": 1, "group_size": 4}, "groups": {"runs": 4}}"#,
            "groups of runs of 4 must be said once: the parameters of group_lasso say groups of runs of 4",
        ),
        (
            r#"{"name": "l2_norm", "parameters": {"lambda": 1}, "groups": {"rows": 0}}"#,
            "groups of rows of 0 must have weights: 0",
        ),
        (r#"{"parameters": {"lambda": 1}}"#, "missing field `name`"),
        (r#"{"name": "l1", "name": "l0"}"#, "duplicate field `name`"),
        (r#"{"name": "l1", "lambda": 1}"#, "unknown field `lambda`, expected one of `name`, `parameters`, `groups`"),
    ];
    for (text, expected) in cases {
        assert_rejected::<Penalty>(text, expected);
    }
    let unknown =
        serde_json::from_str::<Penalty>(r#"{"name": "lasso"}"#).expect_err("there is no such name").to_string();
    assert!(unknown.starts_with("the penalty must be one of l1, ") && unknown.contains("; found lasso"), "{unknown}");
    let custom =
        "pinball cannot be serialized: it is a custom penalty, and only its type knows what its parameters mean";
    assert_eq!(serde_json::to_string(&pinball(0.5, 0.25)).expect_err("it is custom").to_string(), custom);
    let custom = rmp_serde::to_vec(&pinball(0.5, 0.25)).expect_err("it is custom").to_string();
    assert!(custom.contains("pinball cannot be serialized"), "{custom}");
}

#[test]
fn groups_survive_and_others_are_rejected() -> Result<()> {
    let texts = [
        r#""whole""#,
        r#"{"runs":4}"#,
        r#"{"rows":8}"#,
        r#"{"columns":8}"#,
        r#"{"tiles":{"columns":8,"height":3,"width":2}}"#,
        // The indices of a group are in ascending order.
        r#"{"lists":[[0,3],[1],[2,4]]}"#,
        r#"{"lists":[]}"#,
    ];
    for (groups, text) in every_groups()?.iter().zip(texts) {
        assert_round_trips(groups);
        assert_eq!(json(groups), text);
    }
    let cases = [
        (r#"{"runs": 0}"#, "groups of runs of 0 must have weights: 0"),
        (
            r#"{"tiles": {"columns": 5, "height": 1, "width": 2}}"#,
            "groups of tiles of 1x2 in 5 columns must divide the columns: 5",
        ),
        (r#"{"tiles": {"columns": 4, "height": 1}}"#, "missing field `width`"),
        (
            r#"{"tiles": {"columns": 4, "height": 1, "width": 2, "depth": 3}}"#,
            "unknown field `depth`, expected one of `columns`, `height`, `width`",
        ),
        (r#"{"lists": [[0, 1], [1]]}"#, "2 lists of indices must have every index once: 1 twice"),
        (r#"{"lists": [[0], []]}"#, "2 lists of indices must have an index each: none in the list 1"),
        (r#"{"rows": -1}"#, "invalid value: integer `-1`, expected u64"),
        (r#""all""#, "unknown variant `all`, expected one of `whole`, `runs`, `rows`, `columns`, `tiles`, `lists`"),
    ];
    for (text, expected) in cases {
        assert_rejected::<Groups>(text, expected);
    }
    Ok(())
}

#[test]
fn optimizers_survive_and_others_are_rejected() {
    let nesterov = Momentum::Nesterov { momentum: 0.9, dampening: 1.0 / 3.0 };
    for momentum in [Momentum::None, Momentum::heavy_ball(0.1 + 0.2), nesterov] {
        assert_round_trips(&momentum);
        assert_round_trips(&Sgd { step: 1e-3, momentum });
    }
    let adam = Adam { step: 1.0 / 3.0, metric: Metric::Plain, iteration: u64::MAX, ..Adam::default() };
    assert_round_trips(&adam);
    assert_round_trips(&Adam::default());
    for metric in [Metric::Plain, Metric::Adam] {
        assert_round_trips(&metric);
    }
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        assert_round_trips(&dtype);
        assert_eq!(json(&dtype), format!("\"{dtype}\""));
    }
    assert_eq!(json(&Sgd { step: 0.5, momentum: Momentum::None }), r#"{"step":0.5,"momentum":"none"}"#);
    assert_eq!(json(&Momentum::heavy_ball(0.5)), r#"{"heavy_ball":{"momentum":0.5,"dampening":0.0}}"#);
    assert_eq!(
        json(&Adam::default()),
        r#"{"step":0.001,"beta1":0.9,"beta2":0.999,"epsilon":1e-8,"decay":0.0,"metric":"adam","iteration":1}"#
    );

    let step = "step must be a number from 0 to f32::MAX, found";
    assert_rejected::<Sgd>(r#"{"step": -1, "momentum": "none"}"#, &format!("{step} -1"));
    assert_rejected::<Sgd>(&json(&Sgd { step: f64::NAN, momentum: Momentum::None }), &format!("{step} NaN"));
    assert_rejected::<Sgd>(r#"{"step": 1}"#, "missing field `momentum`");
    assert_rejected::<Sgd>(
        r#"{"step": 1, "momentum": "none", "lr": 1}"#,
        "unknown field `lr`, expected `step` or `momentum`",
    );
    let momentum = r#"{"nesterov": {"momentum": 1, "dampening": 0}}"#;
    assert_rejected::<Momentum>(momentum, "momentum must be from 0 to 1 − 2^-24, found 1");
    let dampening = r#"{"step": 1, "momentum": {"heavy_ball": {"momentum": 0, "dampening": 1}}}"#;
    assert_rejected::<Sgd>(dampening, "dampening must be from 0 to below 1, found 1");
    assert_rejected::<Momentum>(
        r#""polyak""#,
        "unknown variant `polyak`, expected one of `none`, `heavy_ball`, `nesterov`",
    );
    for (field, value, expected) in [
        ("beta1", 1.0, "beta1 must be from 0 to below 1, found 1"),
        ("beta2", -0.5, "beta2 must be from 0 to below 1, found -0.5"),
        ("epsilon", 0.0, "epsilon must be from 2^-120 to f32::MAX, found 0"),
        ("decay", 2000.0, "step·decay must be from 0 to 1, found 2"),
    ] {
        let mut adam = serde_json::to_value(Adam::default()).expect("it can be written");
        adam[field] = value.into();
        assert_rejected::<Adam>(&adam.to_string(), expected);
    }
    let iteration = json(&Adam::default()).replace(":1}", ":0}");
    assert_rejected::<Adam>(&iteration, "iteration must be at least 1, found 0");
    assert_rejected::<Metric>(r#""Adam""#, "unknown variant `Adam`, expected `plain` or `adam`");
    assert_rejected::<Dtype>(r#""F64""#, "unknown variant `F64`, expected one of `F32`, `F16`, `BF16`");
}

#[test]
fn partials_survive_and_other_bytes_are_rejected() -> Result<()> {
    let cpu = Backend::cpu();
    let weights = [0.1f32, -7.0, f32::NAN, 0.0, f32::INFINITY];
    let (statistics, mcp) = (cpu.partial(0, &weights)?, cpu.partial_for(&Penalty::mcp(0.1, 3.0)?, 0, &weights)?);
    for partial in [Partial::default(), statistics.clone(), mcp, cpu.partial_for(&pinball(0.5, 0.25), 0, &weights)?] {
        assert_round_trips(&partial);
        assert_eq!(json(&partial).len(), 2 * Partial::BYTES + 2);
        // A binary string has a header of three bytes.
        let bytes = rmp_serde::to_vec(&partial).expect("it can be written");
        assert_eq!(bytes[bytes.len() - Partial::BYTES..], partial.to_bytes());
        assert!(bytes.len() <= Partial::BYTES + 3);
        // In a format without bytes, a partial is a list.
        let list = rmp_serde::to_vec(&partial.to_bytes().to_vec()).expect("it can be written");
        assert_eq!(rmp_serde::from_slice::<Partial>(&list).expect("it can be read"), partial);
    }
    let digits = json(&statistics);
    assert_eq!(serde_json::from_str::<Partial>(&digits.to_uppercase()).expect("digits may be large"), statistics);
    let text = "not a serialized partial: expected";
    assert_rejected::<Partial>("\"00ff\"", &format!("{text} 244 bytes, found 2"));
    let spoilt = format!("\"{}06{}", &digits[1..273], &digits[275..]);
    assert_rejected::<Partial>(&spoilt, &format!("{text} as many non-zero weights as weights at most, found 6"));
    for bad in ["0", "0g", "+1", "é"] {
        let expected =
            format!("invalid value: string {bad:?}, expected the 244 bytes of a partial, or their hexadecimal digits");
        assert_rejected::<Partial>(&format!("\"{bad}\""), &expected);
    }
    let short = rmp_serde::to_vec(&vec![0u8; 3]).expect("it can be written");
    let error = rmp_serde::from_slice::<Partial>(&short).expect_err("it is too short").to_string();
    assert!(error.contains(&format!("{text} 244 bytes, found 3")), "{error}");
    Ok(())
}

#[test]
fn reports_survive_with_numbers_that_are_none() -> Result<()> {
    let (cpu, l1) = (Backend::cpu(), Penalty::l1(0.1)?);
    for weights in [&[][..], &[0.1, -3.0, 0.0], &[1.0, f32::NAN], &[f32::NEG_INFINITY]] {
        assert_round_trips(&cpu.evaluate(&l1, weights)?);
    }
    let reports = cpu.evaluate_all(&l1, &[&[0.1f32, f32::NAN][..], &[], &[2.0, f32::INFINITY]])?;
    assert_round_trips(&reports);
    // Binary formats keep the NaN's bits.
    let payload = Report { value: f64::from_bits(0xfff8_0000_0000_0123), ..reports.total };
    let [text, named, plain] = round_trips(&payload);
    assert_eq!((named, plain), (payload, payload));
    assert_eq!(text, Report { value: f64::NAN, ..payload });
    assert_eq!(
        json(&cpu.evaluate(&l1, &[2.0f32, f32::INFINITY])?),
        r#"{"len":2,"l1":"inf","l2_squared":"inf","max_abs":"inf","nonzero":2,"nan":0,"inf":1,"value":"inf"}"#
    );
    let report = json(&cpu.evaluate(&Penalty::l1(1.0)?, &[2.0f32, 0.0])?);
    assert_eq!(report, r#"{"len":2,"l1":2.0,"l2_squared":4.0,"max_abs":2.0,"nonzero":1,"nan":0,"inf":0,"value":2.0}"#);
    let more = report.replace(r#""nonzero":1"#, r#""nonzero":3"#);
    assert_rejected::<Report>(
        &more,
        "invalid value: integer `3`, expected as many non-zero weights as weights at most",
    );
    assert_rejected::<Report>(&report.replace("\"l1\":2.0,", ""), "missing field `l1`");
    assert_rejected::<Report>(
        &report.replace(",\"value\":2.0", ",\"value\":null"),
        r#"invalid type: null, expected a number, "NaN", "inf" or "-inf""#,
    );
    assert_rejected::<Reports>(r#"{"tensors": []}"#, "missing field `total`");
    Ok(())
}
