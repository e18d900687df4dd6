//! What every backend rejects, with the same error text.

use penalty::{Backend, Dtype, Error, Groups, Penalty};

use super::cases::family;
use super::custom::{RIGHT, at_least, l1_with};
use super::tensors::Tensors;

/// Counts and constraints. Group penalties are taken over several kinds of groups.
pub(crate) fn without_gradient() -> Vec<Penalty> {
    let lists = || Groups::lists(&[[7, 1, 2, 3], [4, 5, 6, 0]]);
    let penalties = [
        Penalty::l0(0.1),
        Penalty::l0(0.0),
        Penalty::nonnegative_l1(0.1),
        Penalty::nonnegative_l1(0.0),
        Penalty::interval(-0.5, 0.5),
        Penalty::interval(f64::NEG_INFINITY, f64::INFINITY),
        Penalty::l1_ball(0.5),
        Penalty::l1_ball(0.5).and_then(|ball| ball.over(Groups::runs(4)?)),
        Penalty::l2_ball(0.5),
        Penalty::l2_ball(0.5).and_then(|ball| ball.over(Groups::columns(2)?)),
        Penalty::simplex(1.0),
        Penalty::simplex(1.0).and_then(|simplex| simplex.over(Groups::tiles(4, 2, 2)?)),
        Penalty::top_k(2),
        Penalty::top_k(2).and_then(|top| top.over(lists()?)),
        Penalty::n_of_m(2, 4),
    ];
    penalties.map(|penalty| penalty.expect("its parameters are valid")).into()
}

pub(crate) fn gradients_that_would_be_zero_are_rejected(backend: &Backend) {
    let (weights, before) = ([3.0f32, -2.0, 0.5, 0.0, -1.0, 4.0, 0.25, 1.0], [7.0f32; 8]);
    for penalty in without_gradient() {
        assert!(!penalty.has_gradient(), "{penalty:?}");
        let mut sum = before;
        let rejected = [
            backend.gradient(&penalty, &weights).map(drop),
            backend.gradient_into(&penalty, &weights, &mut sum),
            backend.gradient_add(&penalty, &weights, &mut sum),
            pollster::block_on(backend.gradient_into_async(&penalty, &weights, &mut sum)),
            pollster::block_on(backend.gradient_add_async(&penalty, &weights, &mut sum)),
            // Rejected even if there is nothing to add, and if the groups do not cover the weights.
            backend.gradient::<f32>(&penalty, &[]).map(drop),
            backend.gradient(&penalty, &weights[..7]).map(drop),
        ];
        for (i, result) in rejected.into_iter().enumerate() {
            assert!(matches!(result, Err(Error::NoGradient { .. })), "{i} of {penalty:?}: {result:?}");
        }
        assert_eq!(sum, before, "{penalty:?}");
        backend.prox(&penalty, &weights, 0.5).expect("it has a prox");
    }
    for (penalty, _) in family().iter().filter(|(penalty, _)| penalty.has_gradient()) {
        backend.gradient(penalty, &weights).expect("it has a gradient");
    }
    let text = backend.gradient(&Penalty::l0(0.1).expect("it is valid"), &weights).map_err(|error| error.to_string());
    assert_eq!(text, Err("l0 has no gradient: use its prox, or an optimizer's step, which takes it".into()));
}

/// Three tensors. The second has no gradient.
pub(crate) fn one_without(penalty: &Penalty) -> Tensors {
    let l1 = Penalty::l1(0.1).expect("its parameters are valid");
    Tensors::with(&[12, 8, 5], |i| [Dtype::F32, Dtype::F16, Dtype::F32][i], &[l1.clone(), penalty.clone(), l1])
}

#[track_caller]
pub(crate) fn names_the_second<R: std::fmt::Debug>(result: penalty::Result<R>) {
    let error = result.map(|_| ()).expect_err("the second has no gradient");
    let Error::InParameter { parameter, error } = error else { panic!("{error}") };
    assert_eq!(parameter, "\"tensor 1\"");
    assert!(matches!(*error, Error::NoGradient { .. }), "{error}");
}

pub(crate) fn rejections(backend: &Backend) {
    let weights = [1.0f32; 12];
    let rows = Penalty::l2_norm(1.0).and_then(|norm| norm.over(Groups::rows(5)?)).expect("it is valid");
    let rejected = |result: penalty::Result<Vec<f32>>| result.expect_err("it is rejected").to_string();
    assert_eq!(rejected(backend.prox(&rows, &weights, 1.0)), NOT_COVERED);
    assert_eq!(rejected(backend.gradient(&rows, &weights)), NOT_COVERED);
    assert_eq!(backend.evaluate(&rows, &weights).expect_err("it is rejected").to_string(), NOT_COVERED);
    let tiles = Penalty::top_k(1).and_then(|top| top.over(Groups::tiles(4, 2, 2)?)).expect("it is valid");
    let text = "groups of tiles of 2x2 in 4 columns must cover the tensor: its 12 weights do not divide so";
    assert_eq!(rejected(backend.prox(&tiles, &weights, 1.0)), text);
    for step in [-1.0, f64::NAN, f64::INFINITY] {
        let text = format!("step must be a finite number ≥ 0, found {step}");
        let norm = Penalty::l2_norm(1.0).expect("it is valid");
        assert_eq!(rejected(backend.prox(&norm, &weights, step)), text);
    }
    let norm = Penalty::linf_norm(1.0).expect("it is valid");
    let later = backend.partial_for(&norm, 4096, &weights).expect_err("it is rejected");
    let text = "linf_norm is a group penalty: it needs the whole tensor at once, found a chunk from element 4096 on";
    assert_eq!(later.to_string(), text);
    // The error names the index of the tensor that is not covered.
    let all = backend.evaluate_all(&rows, &[&weights[..10], &weights[..10], &weights[..]]);
    assert_eq!(all.expect_err("the last is not covered").to_string(), format!("tensor 2: {NOT_COVERED}"));
    // An empty tensor has no groups, and every kind of groups covers it.
    assert_eq!(backend.prox::<f32>(&rows, &[], 1.0), Ok(Vec::new()));
    assert_eq!(backend.evaluate::<f32>(&rows, &[]).map(|report| report.value), Ok(0.0));
}

pub(crate) fn lists_cover_one_length(backend: &Backend) {
    let norm = |groups: Groups| Penalty::l2_norm(1.0).and_then(|norm| norm.over(groups)).expect("it is valid");
    let three = norm(Groups::lists(&[vec![0, 1], vec![2]]).expect("they are valid"));
    let none = norm(Groups::lists::<[u64; 0]>(&[]).expect("they are valid"));
    let rejected = |penalty: &Penalty, len: usize| {
        let mut weights = vec![2.0f32; len];
        let results = [
            penalty.check_len(len as u64),
            backend.evaluate(penalty, &weights).map(drop),
            backend.evaluate_all(penalty, &[&weights[..]]).map(drop),
            backend.gradient(penalty, &weights).map(drop),
            backend.prox(penalty, &weights, 0.5).map(drop),
            backend.prox_in_place(penalty, &mut weights, 0.5),
        ];
        assert_eq!(weights, vec![2.0; len]);
        results.map(|result| result.expect_err("it is not covered").to_string())
    };
    // An error about a list of tensors says which tensor.
    let of_each_call = |text: &str| {
        [false, false, true, false, false, false]
            .map(|listed| if listed { format!("tensor 0: {text}") } else { text.into() })
    };
    for len in [0, 1, 2, 4, 6] {
        let text = format!("2 lists of indices must cover the tensor: they have 3 indices, and it has {len} weights");
        assert_eq!(rejected(&three, len), of_each_call(&text));
    }
    let text = "0 lists of indices must cover the tensor: they have 0 indices, and it has 6 weights";
    assert_eq!(rejected(&none, 6), of_each_call(text));
    assert_eq!(backend.prox::<f32>(&none, &[], 1.0), Ok(Vec::new()));
    assert_eq!(backend.evaluate(&three, &[3.0f32, -4.0, 2.0]).map(|report| report.value), Ok(7.0));
}

/// Two tensors with the same penalty. Its groups cover only the first.
pub(crate) fn half_covered() -> Tensors {
    let rows = Penalty::l2_norm(1.0).and_then(|norm| norm.over(Groups::rows(5)?)).expect("it is valid");
    Tensors::with(&[10, 12], |_| Dtype::F32, &[rows])
}

pub(crate) const NOT_COVERED: &str = "groups of rows of 5 must cover the tensor: its 12 weights do not divide so";

pub(crate) fn a_constraint_has_no_gradient(backend: &Backend) {
    let (penalty, weights) = (at_least(-0.5), [1.0f32, -1.0, 0.0, -0.25]);
    assert!(!penalty.has_gradient() && l1_with::<RIGHT>().has_gradient());
    let mut sum = [7.0f32; 4];
    let rejected = Err(Error::NoGradient { penalty: "at_least" });
    assert_eq!(backend.gradient(&penalty, &weights).map(drop), rejected);
    assert_eq!(backend.gradient_into(&penalty, &weights, &mut sum), rejected);
    assert_eq!(backend.gradient_add(&penalty, &weights, &mut sum), rejected);
    assert_eq!(sum, [7.0; 4]);
    assert_eq!(backend.prox(&penalty, &weights, 1.0), Ok(vec![1.0, -0.5, 0.0, -0.25]));
    let value = |weights: &[f32]| backend.evaluate(&penalty, weights).map(|report| report.value);
    assert_eq!([value(&weights), value(&weights[2..])], [Ok(f64::INFINITY), Ok(0.0)]);
}
