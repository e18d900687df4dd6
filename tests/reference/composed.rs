//! Is the prox of a sum of penalties the minimizer that it should be, and do steps end there?

use penalty::{Adam, Backend, Cpu, Error, Groups, HostSet, Metric, Momentum, Parameter, Penalty, Report, Sgd};

use crate::common::cases::noise;
use crate::common::composed::{sum, terms};

const CENTRE: [f32; 8] = [1.0, 0.4, -2.0, 0.1, -0.7, 3.0, 0.05, -0.12];
/// The element weights of weighted terms.
const WEIGHTS: [f32; 8] = [1.0, 0.0, 2.0, 0.5, 1.0, 0.0, 3.0, 1.0];

fn evaluate(penalty: &Penalty, theta: &[f32]) -> Report {
    let backend = Backend::cpu();
    let report = match penalty.is_weighted() {
        true => backend.evaluate(penalty.with_element_weights(&WEIGHTS).expect("they are valid"), theta),
        false => backend.evaluate(penalty, theta),
    };
    report.expect("the CPU does not fail")
}

fn prox(penalty: &Penalty, v: &[f32], step: f64) -> Vec<f32> {
    let backend = Backend::cpu();
    let shrunk = match penalty.is_weighted() {
        true => backend.prox(penalty.with_element_weights(&WEIGHTS).expect("they are valid"), v, step),
        false => backend.prox(penalty, v, step),
    };
    shrunk.expect("the step is valid")
}

#[test]
fn the_prox_of_a_sum_is_its_minimizer() {
    for terms in terms() {
        let sum = sum(&terms);
        assert_eq!(sum.name(), "sum");
        for (seed, step) in [(1, 1.0), (2, 0.3), (3, 4.0)] {
            let moved = noise(8, seed);
            let v: Vec<f32> = CENTRE.iter().zip(moved).map(|(c, moved)| c + 0.3 * moved.clamp(-1.0, 1.0)).collect();
            // What is minimized, by one call for each term.
            let objective = |x: &[f32]| {
                let value: f64 = terms.iter().map(|term| evaluate(term, x).value).sum();
                let far: f64 = x.iter().zip(&v).map(|(x, v)| f64::from(x - v).powi(2)).sum();
                step * value + 0.5 * far
            };
            let x = prox(&sum, &v, step);
            let least = objective(&x);
            assert!(least.is_finite(), "{sum} leaves its set: {x:?}");
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * (1.0 + b.abs());
            let value: f64 = terms.iter().map(|term| evaluate(term, &x).value).sum();
            assert!(close(evaluate(&sum, &x).value, value), "the value of {sum} at {x:?}");
            // Nothing near it or far from it is less. The other term's own prox leads into its set.
            let other =
                terms.iter().find(|term| term.l2_squared_factor() == 0.0 && **term != Penalty::l1(0.2).unwrap());
            let other = other.expect("each sum has one");
            for k in 0..400u64 {
                let size = [1e-3, 1e-2, 0.1, 1.0][k as usize % 4];
                let at = (k / 4 % 9) as usize;
                let directions = noise(8, 100 + k);
                let near = (0..8)
                    .map(|i| if at == 8 || at == i { x[i] + size * directions[i].clamp(-1.0, 1.0) } else { x[i] });
                let near: Vec<f32> = near.collect();
                let mut zeroed = x.clone();
                zeroed[at % 8] = 0.0;
                for y in [&near, &zeroed, &prox(other, &near, 0.1 * step), &prox(other, &near, 1e-6)] {
                    let found = objective(y);
                    assert!(least <= found + 1e-6, "{sum}, step {step}: {least} at {x:?}, but {found} at {y:?}");
                }
            }
        }
    }
}

/// Ends at the prox of the centre, the minimizer of ½‖θ − c‖² + R.
fn ends(penalty: &Penalty, steps: u64, mut step: impl FnMut(&HostSet, &[f32], &mut [f32], u64)) {
    let weights = [penalty.is_weighted().then(|| (&WEIGHTS[..]).into())];
    let set = HostSet::new(Cpu::new(), vec![Parameter::new("theta", penalty.clone())]);
    let set = set.with_element_weights(&weights).expect("they are valid");
    let mut theta = CENTRE.map(|c| 1.5 * c);
    for k in 1..=steps {
        let g: Vec<f32> = theta.iter().zip(CENTRE).map(|(theta, c)| theta - c).collect();
        step(&set, &g, &mut theta, k);
    }
    let want = prox(penalty, &CENTRE, 1.0);
    let far = theta.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-5, "{penalty}: expected {want:?}, found {theta:?}");
}

#[test]
fn steps_under_a_sum_end_at_its_minimizer() {
    let kinds = [Momentum::None, Momentum::heavy_ball(0.5), Momentum::Nesterov { momentum: 0.5, dampening: 0.25 }];
    let mut in_metric = 0;
    for terms in terms() {
        let sum = sum(&terms);
        for momentum in kinds {
            let mut first = [0f32; 8];
            ends(&sum, 80, |set, g, theta, k| {
                let sgd = Sgd { step: 0.3, momentum };
                let (theta, g, first) = (&mut [theta.into()], &[g.into()], &mut [(&mut first[..]).into()]);
                match k % 2 {
                    0 => set.sgd(theta, g, first, &sgd).expect("the step is valid"),
                    _ => drop(set.sgd_and_evaluate(theta, g, first, &sgd).expect("the step is valid")),
                }
            });
        }
        let settings = Adam { step: 0.3, beta1: 0.5, beta2: 0.9, epsilon: 1.0, ..Adam::default() };
        let follows = terms.iter().any(|term| ["interval", "nonnegative_l1", "mask"].contains(&term.name()));
        if follows {
            let mut states = [[0f32; 8]; 2];
            ends(&sum, 300, |set, g, theta, iteration| {
                let [first, second] = &mut states;
                let adam = Adam { iteration, ..settings };
                let (first, second) = (&mut [(&mut first[..]).into()], &mut [(&mut second[..]).into()]);
                set.adam(&mut [theta.into()], &[g.into()], first, second, &adam).expect("the step is valid");
            });
            in_metric += 1;
        } else {
            let weights = [sum.is_weighted().then(|| (&WEIGHTS[..]).into())];
            let set = HostSet::new(Cpu::new(), vec![Parameter::new("theta", sum.clone())]);
            let set = set.with_element_weights(&weights).expect("they are valid");
            let [mut theta, mut first, mut second] = [CENTRE; 3];
            let mut step = |metric| {
                let (theta, first) = (&mut [(&mut theta[..]).into()], &mut [(&mut first[..]).into()]);
                let second = &mut [(&mut second[..]).into()];
                set.adam(theta, &[(&CENTRE[..]).into()], first, second, &Adam { metric, ..settings })
            };
            let error = step(Metric::Adam).unwrap_err();
            assert!(error.to_string().starts_with("\"theta\": sum has no prox in closed form"), "{error}");
            step(Metric::Plain).expect("it has one in the plain metric");
        }
    }
    assert_eq!(in_metric, 10);
}

#[test]
fn what_one_formula_has_is_that_formula() -> penalty::Result<()> {
    let l1 = |lambda: f64| Penalty::l1(lambda).expect("the λ is valid");
    let ridge = Penalty::l2_squared(0.5)?;
    assert_eq!(Penalty::sum([])?, Penalty::none());
    assert_eq!(Penalty::sum([Penalty::mcp(0.5, 3.0)?, Penalty::none()])?, Penalty::mcp(0.5, 3.0)?);
    assert_eq!(Penalty::sum([l1(0.25), ridge.clone(), l1(0.5)])?, Penalty::keras(0.75, 0.5)?);
    assert_eq!(Penalty::sum([l1(0.25), Penalty::nonnegative_l1(0.5)?])?, Penalty::nonnegative_l1(0.75)?);
    let groups = || Groups::rows(4);
    let sparse = Penalty::sum([l1(0.25), Penalty::group_lasso(0.75, groups()?)?])?;
    assert_eq!(sparse, Penalty::sparse_group_lasso(1.0, 0.25, groups()?)?);
    // The order and the nesting do not matter.
    let (interval, net) = (Penalty::interval(-1.0, 1.0)?, Penalty::keras(0.25, 0.5)?);
    let nested = Penalty::sum([Penalty::sum([ridge.clone(), interval.clone()])?, l1(0.25)])?;
    assert_eq!(nested, Penalty::sum([interval.clone(), net])?);
    assert_eq!(nested.to_string(), "keras:l1=0.25,l2=0.5 + box:lower=-1,upper=1");
    assert_eq!(nested.scaled(2.0)?, Penalty::sum([interval.clone(), Penalty::keras(0.5, 1.0)?])?);
    assert_eq!(nested.scaled(0.0)?, interval);
    assert!(!nested.has_gradient() && nested.parameters().is_empty());
    let norm = Penalty::sum([l1(0.25), Penalty::l2_norm(0.5)?])?;
    assert_eq!(norm.over(groups()?)?, Penalty::sum([l1(0.25), Penalty::l2_norm(0.5)?.over(groups()?)?])?);
    Ok(())
}

#[test]
fn what_does_not_compose_is_rejected_with_the_reason() -> penalty::Result<()> {
    let rows = Groups::rows(4)?;
    let others = [
        Penalty::huber(0.5, 1.0)?,
        Penalty::log_sum(0.5, 1.0)?,
        Penalty::mcp(0.5, 3.0)?,
        Penalty::scad(0.5, 3.7)?,
        Penalty::l_half(0.5)?,
        Penalty::l0(0.5)?,
        Penalty::weighted_l1(0.5)?,
        Penalty::l1_ball(1.0)?.over(rows.clone())?,
        Penalty::l2_ball(1.0)?,
        Penalty::simplex(1.0)?,
        Penalty::top_k(2)?,
        Penalty::n_of_m(2, 4)?,
    ];
    for other in others {
        let error = Penalty::sum([Penalty::l1(0.5)?, other.clone()]).unwrap_err();
        let reason =
            "the prox of their sum is not that of L1 followed by the other's, which is neither a norm nor an interval";
        assert_eq!(error, Error::SumProx { terms: ["l1", other.name()], reason });
        assert_eq!(error.to_string(), format!("the prox of l1 + {} is not known: {reason}", other.name()));
        let error = Penalty::sum([other.clone(), Penalty::l2_norm(0.5)?]).unwrap_err();
        let reason = "only one of the terms may be other than L1 and squared L2";
        assert_eq!(error.to_string(), format!("the prox of {} + l2_norm is not known: {reason}", other.name()));
    }
    let sum = Penalty::sum([Penalty::l1(0.5)?, Penalty::interval(-1.0, 1.0)?])?;
    let error = Backend::cpu().gradient(&sum, &[1.0f32]).unwrap_err();
    assert_eq!(error.to_string(), "sum has no gradient: use its prox, or an optimizer's step, which takes it");
    let most = f64::from(f32::MAX) / 2.0;
    assert!(matches!(Penalty::sum([Penalty::l1(most)?, Penalty::l1(most)?]), Err(Error::Parameter { .. })));
    // A rejected step leaves the weights.
    let mut theta = [3.0f32, -3.0];
    Backend::cpu().prox_in_place(&sum, &mut theta, f64::NAN).unwrap_err();
    assert_eq!(theta, [3.0, -3.0]);
    Ok(())
}
