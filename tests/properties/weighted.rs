//! Which properties do weighted penalties have?

use penalty::exact::TILE;
use penalty::{Adam, Backend, Cpu, HostSet, Metric, Parameter, Penalty, Result};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::any::ROUNDING;
use super::separable::{step, weight};
use crate::common::cases;
use crate::common::compare::{close, same_bits};
use crate::common::oracle::{Formula, SMALLEST, SUM};
use crate::common::weighted::{family, l1, net};

fn element_weight() -> impl Strategy<Value = f32> {
    prop_oneof![1 => Just(0.0f32), 8 => 0.0f32..4.0, 2 => (-20.0..20.0f64).prop_map(|x| x.exp2() as f32)]
}

fn alpha() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), 0.0..1.0]
}

/// Checks a property on many cases.
fn law<S: Strategy>(cases: &S, check: impl Fn(S::Value)) {
    let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(cases, |case| {
        check(case);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Takes a step of Adam whose metric is |g| + ε.
fn metric_prox(set: &HostSet<'_>, step: f64, theta: &[f32], g: &[f32]) -> Vec<f32> {
    let adam = Adam { step, beta1: 0.0, beta2: 0.0, metric: Metric::Adam, ..Adam::default() };
    let (mut theta, mut m, mut v) = (theta.to_vec(), vec![0f32; theta.len()], vec![0f32; theta.len()]);
    let [theta_slice, m, v] = [&mut theta, &mut m, &mut v].map(|list| [(&mut list[..]).into()]);
    let (mut theta_slice, mut m, mut v) = (theta_slice, m, v);
    set.adam_and_evaluate(&mut theta_slice, &[g.into()], &mut m, &mut v, &adam).expect("the step is valid");
    theta
}

#[test]
fn weights_of_one_are_the_penalty_without() {
    let cpu = Backend::cpu();
    let cases = (step(), alpha(), step(), proptest::collection::vec((weight(), 0.01f32..10.0), 1..40));
    law(&cases, |(lambda, alpha, step, elements)| {
        let (theta, g): (Vec<f32>, Vec<f32>) = elements.into_iter().unzip();
        let (with, without) = (net(lambda, alpha), Penalty::elastic_net(lambda, alpha).expect("λ and α are valid"));
        let ones = vec![1f32; theta.len()];
        let weighted = with.with_element_weights(&ones).expect("the weights are valid");
        let bits = |want: Vec<f32>, got: Vec<f32>| same_bits(&want, &got).unwrap_or_else(|error| panic!("{error}"));
        let ok = "the call is valid";
        bits(cpu.gradient(&without, &theta).expect(ok), cpu.gradient(weighted, &theta).expect(ok));
        let proxes = (cpu.prox(&without, &theta, step).expect(ok), cpu.prox(weighted, &theta, step).expect(ok));
        if alpha == 1.0 {
            bits(proxes.0, proxes.1);
        } else {
            // The host rounds 1/(1 + k) once. A kernel rounds k, 1 + k and the quotient.
            for (want, got) in proxes.0.iter().zip(&proxes.1) {
                close((*want).into(), (*got).into(), 6.0 * ROUNDING).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        let value = |report: Result<penalty::Report>| report.expect(ok).value;
        let (want, got) = (value(cpu.evaluate(&without, &theta)), value(cpu.evaluate(weighted, &theta)));
        close(want, got, 2.0 * SUM).unwrap_or_else(|error| panic!("{error}"));

        let parameter = |penalty| vec![Parameter::new("theta", penalty)];
        let element_weights = [Some((&ones[..]).into())];
        let set = HostSet::new(Cpu::new(), parameter(with.clone())).with_element_weights(&element_weights).expect(ok);
        bits(
            metric_prox(&HostSet::new(Cpu::new(), parameter(without)), step, &theta, &g),
            metric_prox(&set, step, &theta, &g),
        );
    });
}

#[test]
fn what_weighs_nothing_is_unpenalised() {
    let cpu = Backend::cpu();
    let (edges, _) = cases::elementwise();
    let zeros = vec![0f32; edges.len()];
    let kept: Vec<f32> =
        edges.iter().map(|&x| if f64::from(x.abs()) < SMALLEST && !x.is_nan() { 0.0 } else { x }).collect();
    for (penalty, step) in family().iter().filter(|(penalty, _)| !penalty.is_none()) {
        let weighted = penalty.with_element_weights(&zeros).expect("the weights are valid");
        same_bits(&kept, &cpu.prox(weighted, &edges, *step).expect("the step is valid")).expect("the prox");
        let finite: Vec<f32> = edges.iter().copied().filter(|x| x.is_finite()).collect();
        let weighted = penalty.with_element_weights(&zeros[..finite.len()]).expect("the weights are valid");
        let gradient = cpu.gradient(weighted, &finite).expect("the call is valid");
        same_bits(&zeros[..finite.len()], &gradient).expect("the gradient");
        assert_eq!(cpu.evaluate(weighted, &finite).expect("the call is valid").value, 0.0);
    }
}

/// Each element has the gradient, prox and value of the elastic net with λ times its element weight.
#[test]
fn each_element_is_penalised_by_its_weight() {
    let cpu = Backend::cpu();
    let cases = (step(), alpha(), step(), proptest::collection::vec((weight(), element_weight()), 1..70));
    law(&cases, |(lambda, alpha, step, elements)| {
        let (theta, weights): (Vec<f32>, Vec<f32>) = elements.into_iter().unzip();
        let penalty = net(lambda, alpha);
        let weighted = penalty.with_element_weights(&weights).expect("the weights are valid");
        let gradient = cpu.gradient(weighted, &theta).expect("the call is valid");
        let prox = cpu.prox(weighted, &theta, step).expect("the step is valid");
        let mut value = 0.0;
        for (i, (&x, &w)) in theta.iter().zip(&weights).enumerate() {
            let (x, w) = (f64::from(x), f64::from(w));
            let formula = Formula { l1: lambda * alpha * w, l2_squared: lambda * (1.0 - alpha) * w };
            value += formula.value(x);
            close(formula.slope(x), gradient[i].into(), 5.0 * ROUNDING).unwrap_or_else(|error| panic!("{error}"));
            let (want, got) = (formula.minimizer(step, x), f64::from(prox[i]));
            let threshold = (step * formula.l1).min(x.abs()) / (1.0 + 2.0 * step * formula.l2_squared);
            let allowed = ROUNDING * (6.0 * want.abs() + 3.0 * threshold);
            assert!((want - got).abs() <= allowed, "the prox of {x} weighed {w}: {got}, not {want}");
        }
        let found = cpu.evaluate(weighted, &theta).expect("the call is valid").value;
        close(value, found, SUM + 6.0 * ROUNDING).unwrap_or_else(|error| panic!("{error}"));
    });
}

#[test]
fn the_prox_in_adams_metric_is_the_minimum() {
    let cases = (step(), alpha(), step(), weight(), element_weight(), 0.01f32..10.0);
    law(&cases, |(lambda, alpha, step, v, w, g)| {
        let parameters = vec![Parameter::new("theta", net(lambda, alpha))];
        let element_weights = [w];
        let set = HostSet::new(Cpu::new(), parameters).with_element_weights(&[Some((&element_weights[..]).into())]);
        let found = f64::from(metric_prox(&set.expect("the weight is valid"), step, &[v], &[g])[0]);
        let (v, w, g) = (f64::from(v), f64::from(w), f64::from(g));
        let d = g + 1e-8;
        let u = v - step * g / d;
        // In the metric d, the step is step/d.
        let formula = Formula { l1: lambda * alpha * w, l2_squared: lambda * (1.0 - alpha) * w };
        let want = formula.minimizer(step / d, u);
        let shrunk = 1.0 + 2.0 * step / d * formula.l2_squared;
        let threshold = (step / d * formula.l1).min(u.abs());
        let allowed = ROUNDING * (8.0 * want.abs() + (4.0 * threshold + 4.0 * (v.abs() + step)) / shrunk);
        assert!((want - found).abs() <= allowed, "{found}, not {want}");
    });
}

#[test]
fn values_saturate_where_they_say() {
    let value = |penalty: &Penalty, theta: &[f32], weights: &[f32]| {
        let weighted = penalty.with_element_weights(weights).expect("the weights are valid");
        Backend::cpu().evaluate(weighted, theta).expect("the call is valid").value
    };
    let most = cases::power(115);
    let (theta, weights) = (vec![1f32; TILE], vec![f32::INFINITY; TILE]);
    assert_eq!(value(&l1(0.5), &theta, &weights), 0.5 * TILE as f64 * most);
    assert_eq!(value(&l1(0.5), &vec![0.0; TILE], &weights), 0.0);
    // If θ is large, a term may be any finite number.
    let large = vec![cases::power(100) as f32; TILE];
    let total = TILE as f64 * f64::from(f32::MAX);
    close(total, value(&l1(1.0), &large, &weights), SUM).expect("all of them saturate");
    close(cases::power(112), value(&l1(1.0), &large, &vec![1.0; TILE]), SUM).expect("none of them does");
    close(total, value(&net(1.0, 0.5), &large, &weights), SUM).expect("all of them saturate");
}
