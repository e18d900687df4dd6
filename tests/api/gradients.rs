//! Which penalties have no gradient? Are calls for one rejected?

use penalty::{Backend, Momentum, Sgd};

use crate::common::rejected::{
    a_constraint_has_no_gradient, gradients_that_would_be_zero_are_rejected, names_the_second, one_without,
    without_gradient,
};
use crate::common::tensors::Call;

#[test]
fn constraints_have_no_gradient() {
    gradients_that_would_be_zero_are_rejected(&Backend::cpu());
    a_constraint_has_no_gradient(&Backend::cpu());
}

#[test]
fn a_set_names_what_has_no_gradient() {
    for penalty in without_gradient() {
        let before = one_without(&penalty);
        let mut after = before.clone();
        for call in [Call::GradientAdd, Call::EvaluateAndGradientAdd] {
            names_the_second(after.host(call));
        }
        assert_eq!(before.words, after.words, "{penalty:?}");
        after.host(Call::Evaluate).expect("it has a value");
        after.host(Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) })).expect("it has a prox");
    }
}
