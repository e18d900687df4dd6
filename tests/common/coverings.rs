//! Every call with groups that cover a tensor, and with groups that do not.

use penalty::{Backend, Dtype, Error, Penalty, Result};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::covering::coverings;
use super::grouped::CALLS;
use super::tensors::{Call, Tensors};
use crate::common;

/// Makes every call with groups and a tensor of some length, on slices and in sets. Then `also` gets two tensors, and
/// whether the groups cover the second one.
pub(crate) fn every_weight_is_in_one_group_or_every_call_is_rejected(
    cases: u32,
    backend: &Backend,
    also: impl Fn(&Tensors, bool),
) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let run = runner.run(&coverings(), |(covering, len)| {
        let Ok(groups) = covering.groups() else { return Ok(()) };
        let penalty = Penalty::l2_norm(LAMBDA).and_then(|norm| norm.over(groups)).expect("it is valid");
        let theta: Vec<f32> = (0..len).map(|i| ((i * 37 % 101 + 1) as f32).copysign((i % 3) as f32 - 0.5)).collect();
        let calls = Calls { backend, penalty: &penalty, theta: &theta };
        let group_of = covering.group_of(len);
        match &group_of {
            Some(group_of) => calls.take_each_group(group_of),
            None => calls.are_rejected(),
        }
        also(&calls.tensors(), group_of.is_some());
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

const LAMBDA: f64 = 0.5;

pub(crate) const STEP: f64 = 3.0;

/// Calls of a set that reduce groups.
pub(crate) const ALL: [Call; 7] = [
    Call::Evaluate,
    Call::GradientAdd,
    Call::EvaluateAndGradientAdd,
    Call::Prox(STEP),
    Call::ProxAndEvaluate(STEP),
    CALLS[1],
    CALLS[2],
];

/// Asserts that a call is rejected because the groups do not cover the tensor.
pub(crate) fn is_rejected(what: &str, penalty: &Penalty, result: Result<()>) {
    let error = match result.expect_err(what) {
        Error::InParameter { error, .. } => *error,
        error => error,
    };
    assert!(matches!(error, Error::Groups { .. }), "{what} by {penalty:?}: {error}");
}

/// Calls with a group penalty.
struct Calls<'a> {
    backend: &'a Backend,
    penalty: &'a Penalty,
    theta: &'a [f32],
}

impl Calls<'_> {
    /// Each shrunk weight tells its group's norm.
    fn take_each_group(&self, group_of: &[u64]) {
        let Calls { backend, penalty, theta, .. } = *self;
        let norm = |group: u64| {
            let members = theta.iter().zip(group_of).filter(|(_, of)| **of == group);
            members.map(|(x, _)| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
        };
        let near = |want: f64, got: f32, what: &str| {
            let off = (want - f64::from(got)).abs();
            assert!(off <= 1e-5 * want.abs(), "{what} by {penalty:?}: {got}, not {want}");
        };
        penalty.check_len(theta.len() as u64).expect("they cover it");
        let mut groups = group_of.to_vec();
        groups.sort_unstable();
        groups.dedup();
        let value = backend.evaluate(penalty, theta).expect("they cover it").value;
        near(LAMBDA * groups.iter().map(|group| norm(*group)).sum::<f64>(), value as f32, "the value");
        let gradient = backend.gradient(penalty, theta).expect("they cover it");
        let shrunk = backend.prox(penalty, theta, STEP).expect("they cover it");
        for ((x, group), (g, v)) in theta.iter().zip(group_of).zip(gradient.iter().zip(&shrunk)) {
            let (x, norm) = (f64::from(*x), norm(*group));
            near(LAMBDA * x / norm, *g, "the gradient");
            near(x * (1.0 - LAMBDA * STEP / norm).max(0.0), *v, "the prox");
        }
        // The same in a set, as the second tensor.
        let mut tensors = self.tensors();
        tensors.host(Call::Prox(STEP)).expect("they cover it");
        assert_eq!(common::tensors::numbers(&tensors.words[0][1], &tensors.parameters[1]), shrunk);
    }

    /// Every call is rejected, and writes and records nothing.
    fn are_rejected(&self) {
        let Calls { backend, penalty, theta, .. } = *self;
        let groups = |what: &str, result: Result<()>| is_rejected(what, penalty, result);
        let mut written = theta.to_vec();
        groups("check_len", penalty.check_len(theta.len() as u64));
        groups("evaluate", backend.evaluate(penalty, theta).map(drop));
        groups("evaluate_all", backend.evaluate_all(penalty, &[theta]).map(drop));
        groups("partial_for", backend.partial_for(penalty, 0, theta).map(drop));
        groups("gradient", backend.gradient(penalty, theta).map(drop));
        groups("gradient_into", backend.gradient_into(penalty, theta, &mut written));
        groups("gradient_add", backend.gradient_add(penalty, theta, &mut written));
        groups("prox", backend.prox(penalty, theta, STEP).map(drop));
        groups("prox_in_place", backend.prox_in_place(penalty, &mut written, STEP));
        let evaluated = backend.prox_and_evaluate_in_place(penalty, &mut written, STEP);
        groups("prox_and_evaluate_in_place", evaluated.map(drop));
        assert_eq!(written, theta, "{penalty:?}");
        let before = self.tensors();
        for call in ALL {
            let mut after = before.clone();
            groups("a set on the host", after.host(call).map(drop));
            assert_eq!(before.words, after.words, "{call:?} by {penalty:?}");
        }
    }

    /// A tensor with an L1 penalty, and one with these weights and the group penalty.
    fn tensors(&self) -> Tensors {
        let penalties = [Penalty::l1(0.1).expect("it is valid"), self.penalty.clone()];
        let mut tensors = Tensors::with(&[8, self.theta.len()], |_| Dtype::F32, &penalties);
        tensors.words[0][1] = common::tensors::words(Dtype::F32, self.theta);
        tensors
    }
}
