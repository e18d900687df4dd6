//! Which names do penalties and tensors have?

use penalty::exact::TILE;
use penalty::{Adam, Backend, Cpu, Error, Groups, HostSet, Metric, Parameter, Penalty, Result};

/// By constructor: every penalty whose name differs from its formula's, and some others.
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
        (Penalty::n_of_m(2, 4)?.over(Groups::runs(4)?)?, "n_of_m"),
        // Its m is the size of its groups. Over other groups it is another penalty.
        (Penalty::n_of_m(2, 4)?.over(Groups::runs(8)?)?, "top_k"),
    ])
}

#[test]
fn errors_call_a_penalty_as_the_caller_does() -> Result<()> {
    let cpu = Backend::cpu();
    let with_some = |penalty: &Penalty| penalty.with_element_weights(&[1.0f32]).map(drop).unwrap_err().to_string();
    for (penalty, name) in constructed()? {
        assert_eq!(with_some(&penalty), format!("{name} must be given no element weights, found some"));
        // The same for a copy, and for a penalty in a set.
        assert!(with_some(&penalty.clone()).starts_with(&format!("{name} ")));
        let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", penalty.clone())]);
        let one = [1.0f32];
        let set = set.with_element_weights(&[Some((&one[..]).into())])?;
        let error = set.evaluate(&[(&one[..]).into()]).unwrap_err().to_string();
        assert_eq!(error, format!("\"w\": {name} must be given no element weights, found some"));
    }
    for (penalty, name) in [
        (Penalty::weighted_l1(0.5)?, "weighted_l1"),
        (Penalty::weighted_elastic_net(0.5, 1.0)?, "weighted_elastic_net"),
    ] {
        let error = cpu.evaluate(&penalty, &[1.0f32]).unwrap_err().to_string();
        assert_eq!(error, format!("{name} must be given element weights, found none"));
    }
    // Errors give the name that the command takes, whichever constructor made the penalty.
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
    let want = "groups of rows of 2 must go with a group penalty: found weight_decay, a separable penalty";
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
    let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", lasso)]);
    let (gradient, [mut w, mut m, mut v]) = ([1.0f32; 2], [[1.0f32; 2]; 3]);
    let adam = Adam { metric: Metric::Adam, ..Adam::default() };
    let [w, m, v] = [&mut w, &mut m, &mut v].map(|slice| [(&mut slice[..]).into()]);
    let rejected =
        set.adam_and_evaluate(&mut { w }, &[(&gradient[..]).into()], &mut { m }, &mut { v }, &adam).unwrap_err();
    assert!(
        text(rejected.clone()).starts_with("\"w\": ") && text(rejected.clone()).contains("group_lasso"),
        "{rejected}"
    );
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
    // So a partial made for one also serves the other.
    let cpu = Backend::cpu();
    let weights = [1.0f32, 2.0, 3.0, 0.0];
    assert_eq!(cpu.partial_for(&top, 0, &weights)?.report(&runs)?, cpu.evaluate(&runs, &weights)?);
    Ok(())
}

#[test]
fn an_error_of_one_of_several_tensors_says_which() -> Result<()> {
    let covered = "groups of rows of 5 must cover the tensor: its 12 weights do not divide so";
    let rows = Penalty::l2_norm(1.0)?.over(Groups::rows(5)?)?;
    // Tensors of a list have no names. The index is that of the tensor's report.
    let all = Backend::cpu().evaluate_all(&rows, &[&[1.0f32; 10][..], &[1.0; 12], &[1.0; 12]]).unwrap_err();
    assert_eq!(all.to_string(), format!("tensor 1: {covered}"));
    assert_eq!(Backend::cpu().evaluate(&rows, &[1.0f32; 12]).unwrap_err().to_string(), covered);

    // Neighbours with the same penalty or length come first. The error must not name them.
    let at = |name: &str, penalty: &Penalty| Parameter::new(name, penalty.clone());
    let steep = Penalty::l2_squared(1e38)?;
    let (a, b, c) = ([1.0f32; 10], [1.0f32; 10], [1.0f32; 12]);
    let run = |penalties: [&Penalty; 3], step| {
        let [p, q, r] = penalties;
        let set = HostSet::new(Cpu::new(), vec![at("a", p), at("b", q), at("a \"c\"\n", r)]);
        let (mut a, mut b, mut c) = (a, b, c);
        let rejected = set.prox_in_place(&mut [(&mut a[..]).into(), (&mut b[..]).into(), (&mut c[..]).into()], step);
        assert!(a == [1.0; 10] && b == [1.0; 10] && c == [1.0; 12], "nothing is written");
        rejected.unwrap_err().to_string()
    };
    assert_eq!(run([&rows, &rows, &rows], 1.0), format!("\"a \\\"c\\\"\\n\": {covered}"));
    let shrinkage = "\"b\": 2·step·lambda must be below 2^119, found 2e38";
    assert_eq!(run([&Penalty::none(), &steep, &steep], 1.0), shrinkage);
    // An error in the step names no tensor.
    assert_eq!(run([&steep, &rows, &rows], -1.0), "step must be a finite number ≥ 0, found -1");
    Ok(())
}

#[test]
fn names_are_found_and_others_rejected() {
    let text =
        |name, parameters: &[(&str, f64)]| Penalty::named(name, parameters).expect_err("it is wrong").to_string();
    assert_eq!(
        text("lasso", &[]),
        "the penalty must be one of l1, l2_squared, elastic_net, l0, l_half, log_sum, mcp, scad, huber, nonnegative_l1, box, weighted_l1, weighted_elastic_net, l2_norm, group_lasso, sparse_group_lasso, l2_ball, linf_norm, l1_ball, simplex, top_k, n_of_m, none, mask, scikit_learn, glmnet, keras, weight_decay, interval; found lasso"
    );
    assert_eq!(text("mcp", &[("lambda", 1.0)]), "mcp must have the parameters lambda, gamma; found lambda");
    assert_eq!(text("l0", &[]), "l0 must have the parameters lambda; found none");
    let twice = [("lambda", 1.0), ("gamma", 2.0), ("gamma", 3.0)];
    assert_eq!(text("mcp", &twice), "mcp must have the parameters lambda, gamma; found lambda, gamma, gamma");
    assert_eq!(Penalty::named("l-half", &[("lambda", 1.0)]), Penalty::l_half(1.0));
    assert_eq!(Penalty::named("box", &[("upper", 1.0), ("lower", -1.0)]), Penalty::interval(-1.0, 1.0));
}
