//! Which steps do optimizers take, and what are they called?

use penalty::{Adam, Metric, Momentum, Penalty, Sgd};

use crate::common::minimizer::{LAMBDA, set};

#[test]
fn momentum_and_dampening_are_in_their_ranges() {
    let set = set(&Penalty::l1(LAMBDA).expect("the λ is valid"));
    let step = |momentum| {
        let (mut theta, mut v) = ([1f32], [0f32]);
        let (theta, v) = ((&mut theta[..]).into(), (&mut v[..]).into());
        set.sgd_and_evaluate(&mut [theta], &[(&[1f32][..]).into()], &mut [v], &Sgd { step: 0.1, momentum }).map(drop)
    };
    for kind in [
        |momentum, dampening| Momentum::HeavyBall { momentum, dampening },
        |momentum, dampening| Momentum::Nesterov { momentum, dampening },
    ] {
        let largest = 1.0 - f64::from(f32::EPSILON) / 2.0;
        for (momentum, dampening) in [(0.0, 0.0), (0.9, 0.1), (largest, 0.0), (0.0, 1.0 - f64::EPSILON / 2.0)] {
            assert_eq!(step(kind(momentum, dampening)), Ok(()), "{momentum} {dampening}");
        }
        // As an `f32`, 1 − 2^-26 is 1, so the momentum would never forget a gradient.
        for momentum in [-0.1, 1.0, 1.0 - f64::from(f32::EPSILON) / 8.0, f64::NAN, f64::INFINITY] {
            let error = step(kind(momentum, 0.0)).expect_err("it is out of range").to_string();
            assert_eq!(error, format!("momentum must be from 0 to 1 − 2^-24, found {momentum}"));
        }
        for dampening in [-0.1, 1.0, 2.0, f64::NAN] {
            let error = step(kind(0.9, dampening)).expect_err("it is out of range").to_string();
            assert_eq!(error, format!("dampening must be from 0 to below 1, found {dampening}"));
        }
    }
}

#[test]
fn a_step_names_itself_and_what_it_lacks() {
    let l1 = set(&Penalty::l1(LAMBDA).expect("the λ is valid"));
    let mut theta = [1f32];
    for (momentum, name) in [
        (Momentum::None, "a step of gradient descent"),
        (Momentum::heavy_ball(0.9), "a step with momentum"),
        (Momentum::nesterov(0.9), "a step with Nesterov's momentum"),
    ] {
        let mut v = [0f32];
        let (theta, v) = ((&mut theta[..]).into(), (&mut v[..]).into());
        let rejected = l1
            .sgd_and_evaluate(&mut [theta], &[], &mut [v], &Sgd { step: 0.1, momentum })
            .expect_err("it has no gradient");
        assert_eq!(rejected.to_string(), format!("{name} needs the gradient for each of the 1 tensors, found 0"));
    }
}

/// Rejected in the default metric, `Metric::Adam`. The error says what the plain metric does.
#[test]
fn adam_rejects_groups_in_its_own_metric() {
    let set = set(&Penalty::l2_norm(0.5).expect("the λ is valid"));
    let step = |metric| {
        let [mut theta, mut m, mut v] = [[1f32]; 3];
        let [theta, m, v] = [&mut theta, &mut m, &mut v].map(|state| (&mut state[..]).into());
        set.adam_and_evaluate(
            &mut [theta],
            &[(&[1f32][..]).into()],
            &mut [m],
            &mut [v],
            &Adam { metric, ..Adam::default() },
        )
    };
    let rejected = step(Metric::default()).expect_err("a norm has no prox in this metric").to_string();
    assert!(rejected.contains("Metric::Plain") && rejected.contains("another objective"), "{rejected}");
    assert!(step(Metric::Plain).is_ok());
}
