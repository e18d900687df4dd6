//! What can groups cover, and which penalties take them?

use penalty::{Backend, Groups, Penalty};

use crate::common::rejected::{NOT_COVERED, half_covered, lists_cover_one_length, rejections};
use crate::common::tensors::Call;

#[test]
fn what_cannot_be_grouped_is_rejected() {
    rejections(&Backend::cpu());
    let rows = Penalty::l2_norm(1.0).and_then(|norm| norm.over(Groups::rows(5)?)).expect("it is valid");
    assert_eq!(rows.check_len(12).expect_err("it is rejected").to_string(), NOT_COVERED);
    assert_eq!([0, 5, 1000].map(|len| rows.check_len(len)), [Ok(()), Ok(()), Ok(())]);
    let long = "a group of all must have at most 2^32 − 256 weights: 4294967296";
    let simplex = Penalty::simplex(1.0).expect("it is valid");
    assert_eq!(simplex.check_len(1 << 32).expect_err("it is rejected").to_string(), long);
    assert_eq!(Penalty::none().check_len(u64::MAX), Ok(()));
    for call in [Call::Evaluate, Call::Prox(1.0), Call::GradientAdd] {
        let rejected = half_covered().host(call).expect_err("the second is not covered");
        assert_eq!(rejected.to_string(), format!("\"tensor 1\": {NOT_COVERED}"), "{call:?}");
    }
    let text = |result: penalty::Result<Penalty>| result.expect_err("it is rejected").to_string();
    let l1 = Penalty::l1(1.0).and_then(|l1| l1.over(Groups::whole()));
    let want = "a group of all must go with a group penalty: found l1, a separable penalty";
    assert_eq!(text(l1), want);
    assert_eq!(text(Penalty::l1_ball(-1.0)), "radius must be a number from 0 to f32::MAX, found -1");
    assert_eq!(text(Penalty::top_k(0)), "k must be a whole number from 1 to 2^32 − 1, found 0");
    let named = Penalty::named("top-k", &[("k", 2.5)]);
    assert_eq!(text(named), "k must be a whole number from 1 to 2^32 − 1, found 2.5");
    let named = Penalty::named("group_lasso", &[("size", 2.0)]);
    assert_eq!(text(named), "group_lasso must have the parameters lambda, group_size or lambda; found size");
    let text = |result: penalty::Result<Groups>| result.expect_err("it is rejected").to_string();
    assert_eq!(text(Groups::runs(0)), "groups of runs of 0 must have weights: 0");
    assert_eq!(text(Groups::tiles(5, 2, 2)), "groups of tiles of 2x2 in 5 columns must divide the columns: 5");
    assert_eq!(text(Groups::lists(&[[0, 1], [1, 2]])), "2 lists of indices must have every index once: 1 twice");
    let beyond = "2 lists of indices must have the indices below 4, which is how many there are: 9";
    assert_eq!(text(Groups::lists(&[[0, 1], [2, 9]])), beyond);
}

#[test]
fn lists_cover_the_length_that_they_were_made_for() {
    lists_cover_one_length(&Backend::cpu());
}
