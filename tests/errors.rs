//! Refusals: what is accepted, what is not, and the text that says so.

use penalty::gpu::Choice;
use penalty::half::f16;
use penalty::{
    Adam, Backend, Cpu, Dtype, Error, Gpu, Groups, HostSet, InstructionSet, Metric, Parameter, Partial, Penalty,
    Result, TILE, gpu,
};
use std::time::Duration;

const HALF_MAX: f64 = f32::MAX as f64 / 2.0;

type Constructor = fn(f64) -> Result<Penalty>;

/// Every argument that is a λ, with the name that errors give it.
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

/// Every argument that is a mixing ratio.
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
fn every_other_weight_is_refused_by_its_name() {
    let refused = [
        (-1.0, "-1"),
        (-f64::from_bits(1), "-5e-324"),
        (HALF_MAX.next_up(), "1.7014117331926445e38"),
        (f64::MAX, "1.7976931348623157e308"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "NaN"),
    ];
    for (name, constructor) in WEIGHTS {
        for (x, found) in refused {
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
fn a_number_is_shown_in_its_fewest_digits() {
    let numbers = [
        (1e300, "1e300"),
        (-1e300, "-1e300"),
        (1e-300, "1e-300"),
        (f64::from_bits(1), "5e-324"),
        (0.1, "0.1"),
        (1.0 / 3.0, "0.3333333333333333"),
        (-1.0, "-1"),
        (0.0, "0"),
        (-0.0, "-0"),
        (4294967296.0, "4294967296"),
        (1e22, "1e22"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ];
    for (found, shown) in numbers {
        let error = Error::Parameter { name: "x", expected: "another", found };
        assert_eq!(error.to_string(), format!("x must be another, found {shown}"));
    }
    let refused = Penalty::l1(1e300).expect_err("it is too large").to_string();
    assert_eq!(refused, "lambda must be a number from 0 to half of f32::MAX, found 1e300");
    // Those of the other errors are f32 before they are shown.
    for (found, shown) in [(-1e30f32, "-1e30"), (-0.1, "-0.1"), (f32::NAN, "NaN"), (-2.0, "-2")] {
        let error = Error::PenaltyWeight { index: 1, found: found.into() };
        assert_eq!(error.to_string(), format!("the penalty weights must be numbers ≥ 0, found {shown} at index 1"));
        let (expected, found) = ("finite".into(), "inf".into());
        let input = shown.parse().expect("it is a number");
        let error = Error::OwnPenalty { penalty: "own", operation: "the prox".into(), input, expected, found };
        assert_eq!(error.to_string(), format!("own: the prox at {shown} must be finite, found inf"));
    }
}

/// Every penalty that is not named as its formula is, and some that are, by constructor.
fn constructed() -> Result<Vec<(Penalty, &'static str)>> {
    Ok(vec![
        (Penalty::none(), "none"),
        (Penalty::l1(0.5)?, "l1"),
        (Penalty::l2_squared(0.5)?, "l2_squared"),
        (Penalty::elastic_net(0.5, 1.0)?, "elastic_net"),
        (Penalty::scikit_learn(0.5, 1.0)?, "scikit_learn"),
        (Penalty::glmnet(0.5, 1.0)?, "glmnet"),
        (Penalty::keras(0.5, 0.0)?, "keras"),
        (Penalty::weight_decay(0.5)?, "weight_decay"),
        (Penalty::mcp(0.5, 3.0)?, "mcp"),
        (Penalty::interval(0.0, 1.0)?, "interval"),
        (Penalty::group_lasso(0.5, Groups::whole())?, "group_lasso"),
        (Penalty::sparse_group_lasso(0.5, 0.0, Groups::whole())?, "sparse_group_lasso"),
        (Penalty::l2_norm(0.5)?, "l2_norm"),
        (Penalty::top_k(2)?, "top_k"),
        (Penalty::n_of_m(2, 4)?, "n_of_m"),
        (Penalty::n_of_m(2, 4)?.over(Groups::runs(8)?)?, "n_of_m"),
    ])
}

#[test]
fn errors_call_a_penalty_as_the_caller_does() -> Result<()> {
    let cpu = Backend::cpu();
    let with_some = |penalty: &Penalty| penalty.with_weights(&[1.0f32]).map(drop).unwrap_err().to_string();
    for (penalty, name) in constructed()? {
        assert_eq!(with_some(&penalty), format!("{name} must be given no penalty weights, found some"));
        // A copy, and one in a set.
        assert!(with_some(&penalty.clone()).starts_with(&format!("{name} ")));
        let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", 1, Dtype::F32, penalty.clone())]);
        let one = [1.0f32];
        let set = set.with_penalty_weights(&[Some((&one[..]).into())])?;
        let error = set.evaluate(&[(&one[..]).into()]).unwrap_err().to_string();
        assert_eq!(error, format!("\"w\": {name} must be given no penalty weights, found some"));
    }
    for (penalty, name) in [
        (Penalty::weighted_l1(0.5)?, "weighted_l1"),
        (Penalty::weighted_elastic_net(0.5, 1.0)?, "weighted_elastic_net"),
    ] {
        let error = cpu.evaluate(&penalty, &[1.0f32]).unwrap_err().to_string();
        assert_eq!(error, format!("{name} must be given penalty weights, found none"));
    }
    // By the names that a command takes, whichever constructor is behind one.
    for named in Penalty::all() {
        let penalty = Penalty::named(named.name, &named.parameters.iter().map(|key| (*key, 1.0)).collect::<Vec<_>>());
        let penalty = penalty.or_else(|_| Penalty::named(named.name, &[("lambda", 1.0), ("a", 2.0)]))?;
        let error = if penalty.is_weighted() {
            cpu.evaluate(&penalty, &[1.0f32]).unwrap_err().to_string()
        } else {
            with_some(&penalty)
        };
        assert!(error.starts_with(&format!("{} must be given", named.name)), "{error}");
    }
    Ok(())
}

#[test]
fn every_error_that_names_a_penalty_names_it_so() -> Result<()> {
    let cpu = Backend::cpu();
    let (top, lasso) = (Penalty::top_k(2)?, Penalty::group_lasso(0.5, Groups::runs(2)?)?);
    let text = |error: Error| error.to_string();
    let rows = || Groups::rows(2);
    let over = text(Penalty::weight_decay(0.5)?.over(rows()?).unwrap_err());
    let want = "groups of rows of 2 must go with a penalty that takes weights together: found weight_decay, a penalty of \
                single weights";
    assert_eq!(over, want);
    let chunk = text(cpu.partial_for(&top, TILE as u64, &[1.0f32; 4]).unwrap_err());
    assert_eq!(
        chunk,
        "top_k is a group penalty: it needs the whole tensor at once, found a chunk from element 4096 on"
    );
    let other = text(cpu.partial_for(&lasso, 0, &[1.0f32; 4])?.report(&top).unwrap_err());
    assert_eq!(
        other,
        "the value of top_k needs partials made for it, with the same parameters and groups; found others"
    );
    let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", 2, Dtype::F32, lasso)]);
    let (gradient, [mut w, mut m, mut v]) = ([1.0f32; 2], [[1.0f32; 2]; 3]);
    let adam = Adam { metric: Metric::Adam, ..Adam::default() };
    let [w, m, v] = [&mut w, &mut m, &mut v].map(|slice| [(&mut slice[..]).into()]);
    let refused = set.adam(&adam, &[(&gradient[..]).into()], &mut { w }, &mut { m }, &mut { v }).unwrap_err();
    assert!(text(refused.clone()).starts_with("\"w\": ") && text(refused.clone()).contains("group_lasso"), "{refused}");
    Ok(())
}

#[test]
fn a_name_is_no_part_of_a_penalty() -> Result<()> {
    let l1 = Penalty::l1(0.5)?;
    for same in [Penalty::elastic_net(0.5, 1.0)?, Penalty::keras(0.5, 0.0)?, Penalty::glmnet(0.5, 1.0)?] {
        assert_eq!(l1, same);
    }
    assert_ne!(l1, Penalty::l1(0.25)?);
    assert_eq!(Penalty::named("box", &[("lower", 0.0), ("upper", 1.0)])?, Penalty::interval(0.0, 1.0)?);
    let (top, runs) = (Penalty::top_k(2)?.over(Groups::runs(4)?)?, Penalty::n_of_m(2, 4)?);
    assert_eq!(top, runs);
    // So a partial made for one is made for the other.
    let cpu = Backend::cpu();
    let weights = [1.0f32, 2.0, 3.0, 0.0];
    assert_eq!(cpu.partial_for(&top, 0, &weights)?.report(&runs)?, cpu.evaluate(&runs, &weights)?);
    Ok(())
}

#[test]
fn an_error_of_one_of_several_tensors_says_which() -> Result<()> {
    let covered = "groups of rows of 5 must cover the tensor: its 12 weights do not divide so";
    let rows = Penalty::l2_norm(1.0)?.over(Groups::rows(5)?)?;
    // A list has no names: the index is that of its report.
    let all = Backend::cpu().evaluate_all(&rows, &[&[1.0f32; 10][..], &[1.0; 12], &[1.0; 12]]).unwrap_err();
    assert_eq!(all.to_string(), format!("tensor 1: {covered}"));
    assert_eq!(Backend::cpu().evaluate(&rows, &[1.0f32; 12]).unwrap_err().to_string(), covered);

    // The neighbours of the same penalty and length come first, and it is none of theirs.
    let at = |name: &str, len, penalty: &Penalty| Parameter::new(name, len, Dtype::F32, penalty.clone());
    let steep = Penalty::l2_squared(1e38)?;
    let (a, b, c) = ([1.0f32; 10], [1.0f32; 10], [1.0f32; 12]);
    let run = |penalties: [&Penalty; 3], step| {
        let [p, q, r] = penalties;
        let set = HostSet::new(Cpu::new(), vec![at("a", 10, p), at("b", 10, q), at("a \"c\"\n", 12, r)]);
        let (mut a, mut b, mut c) = (a, b, c);
        let refused = set.prox(&mut [(&mut a[..]).into(), (&mut b[..]).into(), (&mut c[..]).into()], step);
        assert!(a == [1.0; 10] && b == [1.0; 10] && c == [1.0; 12], "nothing is written");
        refused.unwrap_err().to_string()
    };
    assert_eq!(run([&rows, &rows, &rows], 1.0), format!("\"a \\\"c\\\"\\n\": {covered}"));
    let shrinkage = "\"b\": 2·step·lambda must be below 2^119, found 2e38";
    assert_eq!(run([&Penalty::none(), &steep, &steep], 1.0), shrinkage);
    // The step is no tensor's.
    assert_eq!(run([&steep, &rows, &rows], -1.0), "step must be a finite number ≥ 0, found -1");
    Ok(())
}

#[test]
fn steps_are_finite_and_not_negative() -> Result<()> {
    let cpu = Backend::cpu();
    for penalty in [Penalty::none(), Penalty::l1(1.0)?, Penalty::l2_squared(1.0)?] {
        for (step, found) in [(-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
            let want = format!("step must be a finite number ≥ 0, found {found}");
            let mut weights = [1.0f32, 2.0];
            assert_eq!(cpu.prox(&penalty, &weights, step).expect_err("a bad step").to_string(), want);
            assert_eq!(cpu.prox_in_place(&penalty, &mut weights, step).expect_err("a bad step").to_string(), want);
            assert_eq!(weights, [1.0, 2.0], "nothing is written");
            assert!(cpu.prox::<f32>(&penalty, &[], step).is_err(), "also where there is no weight");
        }
        assert!(cpu.prox(&penalty, &[1.0f32], -0.0).is_ok());
    }
    Ok(())
}

#[test]
fn a_step_whose_shrinkage_leaves_f32_is_refused() -> Result<()> {
    let cpu = Backend::cpu();
    let limit = 2f64.powi(119);
    let l2 = Penalty::l2_squared(0.5)?;
    let error = cpu.prox(&l2, &[1.0f32], limit).expect_err("2·step·λ is 2^119");
    assert_eq!(error.to_string(), "2·step·lambda must be below 2^119, found 6.64613997892458e35");
    assert!(cpu.prox(&l2, &[1.0f32], limit.next_down()).is_ok());
    // A threshold may be as large as it likes: everything becomes 0.
    assert_eq!(cpu.prox(&Penalty::l1(1e38)?, &[f32::MAX, -1.0], 1e300)?, [0.0, 0.0]);
    Ok(())
}

#[test]
fn slices_of_different_lengths_are_refused_and_left_alone() -> Result<()> {
    let cpu = Backend::cpu();
    for penalty in [Penalty::none(), Penalty::l1(1.0)?] {
        for len in [0, 2, 4, 5000] {
            let want = format!("the gradient must have 3 elements, found {len}");
            let mut gradient = vec![7.0f32; len];
            let into = cpu.gradient_into(&penalty, &[1.0, 2.0, 3.0], &mut gradient);
            assert_eq!(into.expect_err("the lengths differ").to_string(), want);
            let add = cpu.gradient_add(&penalty, &[1.0, 2.0, 3.0], &mut gradient);
            assert_eq!(add.expect_err("the lengths differ").to_string(), want);
            let add = pollster::block_on(cpu.gradient_add_async(&penalty, &[1.0, 2.0, 3.0], &mut gradient));
            assert_eq!(add, Err(Error::Length { operand: "the gradient", expected: 3, found: len as u64 }));
            assert!(gradient.iter().all(|&x| x == 7.0));
        }
    }
    Ok(())
}

#[test]
fn a_chunk_starts_on_a_tile() {
    let cpu = Backend::cpu();
    for start in [0, TILE as u64, 7 * TILE as u64, u64::MAX - 4095] {
        assert!(cpu.partial(start, &[1.0f32]).is_ok(), "{start}");
    }
    for start in [1, 4095, 4097, 6144, u64::MAX] {
        let error = cpu.partial(start, &[f16::ONE]).expect_err("it does not start on a tile");
        assert_eq!(error, Error::ChunkStart { found: start });
        assert_eq!(error.to_string(), format!("a chunk must start at a multiple of 4096 elements, found {start}"));
    }
}

#[test]
fn bytes_that_no_partial_wrote_are_refused() -> Result<()> {
    let bytes = Backend::cpu().partial(0, &[1.0f32, 0.0, f32::NAN, f32::INFINITY])?.to_bytes();
    assert_eq!(bytes.len(), Partial::BYTES);
    let text = |bytes: &[u8]| Partial::from_bytes(bytes).expect_err("it is no partial").to_string();
    assert_eq!(text(&[]), "not a serialized partial: expected 244 bytes, found 0");
    assert_eq!(text(&bytes[..243]), "not a serialized partial: expected 244 bytes, found 243");
    assert_eq!(text(&[&bytes[..], &[0]].concat()), "not a serialized partial: expected 244 bytes, found 245");
    let with = |at: usize, value: u8| {
        let mut bytes = bytes;
        bytes[at] = value;
        bytes
    };
    // Behind 32 limbs: how many weights, non-zero, NaN, infinite; the maximum's bits.
    assert_eq!(
        text(&with(136, 5)),
        "not a serialized partial: expected as many non-zero weights as weights at most, found 5"
    );
    assert_eq!(
        text(&with(144, 3)),
        "not a serialized partial: expected as many non-finite weights as non-zero ones at most, found 3"
    );
    assert_eq!(
        text(&with(163, 0xff)),
        "not a serialized partial: expected the bits of a finite maximum, found 4286578688"
    );
    // The sums of no finite weight but zeros, and the other way round.
    let sums = "not a serialized partial: expected sums and a maximum above 0 where a weight is finite and not 0, else 0, found";
    assert_eq!(text(&with(144, 2)), format!("{sums} 0"));
    assert_eq!(
        text(
            &Backend::cpu().partial(0, &[0.0f32]).map(|zero| [
                &zero.to_bytes()[..163],
                &[1],
                &zero.to_bytes()[164..]
            ]
            .concat())?
        ),
        format!("{sums} 0")
    );
    // Behind 12 limbs of the value's own sum: whose it is.
    assert_eq!(text(&with(212, 4)), "not a serialized partial: expected 0, 1, 2 or 3 for whose sum it holds, found 4");
    assert_eq!(
        text(&with(212, 0)),
        "not a serialized partial: expected a sum of somebody's or of nobody's where there are weights, found 4"
    );
    let named = "not a serialized partial: expected the name of a penalty of this version, found";
    assert_eq!(text(&with(212, 2)), format!("{named} 0"));
    assert_eq!(text(&with(216, 7)), "not a serialized partial: expected 0 for the name of no penalty, found 7");
    let mut mcp = Backend::cpu().partial_for(&Penalty::mcp(0.1, 3.0)?, 0, &[1.0f32])?.to_bytes();
    mcp[216..224].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(text(&mcp), format!("{named} {}", u64::MAX));
    let mut empty = Partial::default().to_bytes();
    empty[164] = 1;
    assert_eq!(text(&empty), "not a serialized partial: expected a sum of 0 where there are no weights, found 0");
    Ok(())
}

#[test]
fn nothing_is_refused_for_what_the_weights_are() -> Result<()> {
    let cpu = Backend::cpu();
    let weights = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::from_bits(1), -0.0];
    for penalty in [Penalty::l1(HALF_MAX)?, Penalty::l2_squared(HALF_MAX)?, Penalty::keras(HALF_MAX, HALF_MAX)?] {
        cpu.evaluate(&penalty, &weights)?;
        cpu.gradient(&penalty, &weights)?;
        cpu.prox(&penalty, &weights, 1e-4)?;
    }
    Ok(())
}

#[test]
fn an_adapter_that_nobody_has_is_refused_with_those_that_there_are() {
    let error = Gpu::open(&Choice::Named("no such adapter".into())).expect_err("there is none of that name");
    let Error::NoAdapter { request, found } = &error else { panic!("{error}") };
    assert_eq!(request, "is named like \"no such adapter\"");
    let adapters = gpu::adapters();
    assert_eq!(found == "none", adapters.is_empty());
    for adapter in adapters {
        assert!(found.contains(&adapter.get_info().name), "{found}");
    }
    assert_eq!(error.to_string(), format!("no adapter {request}; found {found}"));
}

#[test]
fn instructions_that_the_processor_lacks_are_refused() {
    for set in [InstructionSet::Baseline, InstructionSet::Avx2, InstructionSet::Avx512] {
        match Cpu::with_instructions(set) {
            Ok(cpu) => assert_eq!(cpu.instruction_set(), set),
            Err(error) => assert_eq!(error, Error::InstructionSet(set)),
        }
        assert_eq!(Cpu::with_instructions(set).is_ok(), InstructionSet::available().contains(&set));
    }
    assert_eq!(Some(&Cpu::new().instruction_set()), InstructionSet::available().last());
}

#[test]
fn every_error_is_one_line_that_says_what_was_expected_and_what_was_found() {
    let errors = [
        (
            Error::Type { operand: "the gradient", expected: Dtype::BF16, found: Dtype::F16 },
            "the gradient must hold BF16, found F16",
        ),
        (
            Error::Operand {
                operand: "the weights",
                rule: "its offset must be a multiple of 4 bytes",
                found: "2".into(),
            },
            "the weights: its offset must be a multiple of 4 bytes, found 2",
        ),
        (
            Error::NoGradient { penalty: "l0" },
            "l0 has no gradient: use its prox, or an optimizer's step, which takes it",
        ),
        (Error::InstructionSet(InstructionSet::Avx512), "this processor has no Avx512"),
        (Error::Device("out of memory".into()), "the device failed: out of memory"),
        (Error::Timeout(Duration::from_millis(1500)), "the device did not answer within 1.5s"),
        (
            Error::NotSubmitted { expected: 7, found: 0 },
            "no result: the recorded commands were not submitted, or the device was lost; expected the serial 7 from the \
             device, found 0",
        ),
        (
            Error::SlotReused { expected: 3, found: 6 },
            "no result: a later step took its slot; expected the serial 3, found 6: read reports sooner, or build the set \
             with more slots",
        ),
        (
            Error::RingFull { slots: 3 },
            "all 3 slots hold steps that are not submitted or not done: submit, then poll the device or wait",
        ),
        (
            Error::Overlap { first: "the weights of \"a\"".into(), second: "the weights of \"b\"".into() },
            "the weights of \"a\" and the weights of \"b\" overlap: each must have memory of its own",
        ),
        (
            Error::Missing { operation: "Adam's step", operand: "the gradient", expected: 2, found: 0 },
            "Adam's step needs the gradient for each of the 2 tensors, found 0",
        ),
        (
            Error::Limit {
                limit: "the device's limit max_buffer_size",
                purpose: "the table of 3 tensors".into(),
                expected: 1000,
                found: 256,
            },
            "the device's limit max_buffer_size must be at least 1000 for the table of 3 tensors, found 256",
        ),
        (
            Error::InParameter { parameter: "\"a\"".into(), error: Box::new(Error::Timeout(Duration::from_secs(1))) },
            "\"a\": the device did not answer within 1s",
        ),
        (
            Error::Forked { expected: 1, found: 2 },
            "the device was opened by process 1, and this is its fork 2: open the device after forking",
        ),
    ];
    for (error, text) in errors {
        assert_eq!(error.to_string(), text);
        assert!(!text.contains('\n'));
    }
}
