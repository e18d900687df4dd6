//! Is every error one line that says what was expected and what was found?

use std::time::Duration;

use penalty::cpu::InstructionSet;
use penalty::{Dtype, Error, Penalty};

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
        (
            Error::NoExpression { penalty: "l2_ball" },
            "l2_ball has no expression: expected a separable penalty of this library, found a group penalty or a custom one",
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
            Error::Ranks { rank: 1, size: 4, problem: "expected every rank within 2s, found no word of rank 3".into() },
            "rank 1 of 4: expected every rank within 2s, found no word of rank 3",
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
    let rejected = Penalty::l1(1e300).expect_err("it is too large").to_string();
    assert_eq!(rejected, "lambda must be a number from 0 to half of f32::MAX, found 1e300");
    // Other errors round the number to `f32` before they show it.
    for (found, shown) in [(-1e30f32, "-1e30"), (-0.1, "-0.1"), (f32::NAN, "NaN"), (-2.0, "-2")] {
        let error = Error::ElementWeight { index: 1, found: found.into() };
        assert_eq!(error.to_string(), format!("the element weights must be numbers ≥ 0, found {shown} at index 1"));
        let (expected, found) = ("finite".into(), "inf".into());
        let input = shown.parse().expect("it is a number");
        let error = Error::CustomPenalty { penalty: "own", operation: "the prox".into(), input, expected, found };
        assert_eq!(error.to_string(), format!("own: the prox at {shown} must be finite, found inf"));
    }
}
