//! Every separable formula in `f64`, held against its definition and against the same formula in `f32`.

use std::any::TypeId;

use super::elastic_net::ElasticNet;
use super::huber::Huber;
use super::interval::Interval;
use super::l_half::LHalf;
use super::l0::L0;
use super::log_sum::LogSum;
use super::mask::Mask;
use super::mcp::Mcp;
use super::nonnegative_l1::NonnegativeL1;
use super::scad::Scad;
use super::weighted::Weighted;
use super::{Penalty, catalogue};
use crate::Error;
use crate::formula::{Coefficients, Formula, PerWeight, TermCoefficients};
use crate::formulas::{Family, NAMES, least};
use crate::numeric::bits::coefficient;
use crate::numeric::float::Float;

const STEPS: [f64; 4] = [0.01, 0.3, 1.0, 5.0];
/// The metrics, in which only the variable-metric prox is taken.
const METRICS: [f64; 3] = [0.2, 1.7, 7.0];
const WEIGHTS: [f64; 13] = [0.0, 1e-9, 1e-3, 0.04, 0.21, 0.47, 0.8, 1.3, 1.9, 3.1, 5.7, 11.0, 1e5];
/// Weights that `f32` takes a detour for.
const LARGE: [f64; 3] = [1e12, 1e17, 1e30];
/// A few units in the last place of `f32`, relative.
const ULPS: f64 = 8.0 / (1u64 << 24) as f64;

/// What a formula does with one weight.
struct Functions<F> {
    term: fn(F, &TermCoefficients<F>) -> F,
    gradient: fn(F, &Coefficients<F>) -> F,
    limits: fn(&Coefficients<F>) -> [F; 2],
    prox: fn(F, &Coefficients<F>) -> F,
    metric_prox: fn(F, F, &Coefficients<F>) -> F,
}

impl<F: Float> Functions<F> {
    fn of<P: PerWeight<F>>() -> Functions<F> {
        Functions {
            term: P::term,
            gradient: P::gradient,
            limits: P::gradient_limits,
            prox: P::prox,
            metric_prox: P::metric_prox,
        }
    }
}

/// A formula in both types.
struct Both {
    id: TypeId,
    single: Functions<f32>,
    double: Functions<f64>,
}

fn both<P: Formula + PerWeight<f64> + 'static>() -> Both {
    Both { id: TypeId::of::<P>(), single: Functions::of::<P>(), double: Functions::of::<P>() }
}

fn separable() -> [Both; 11] {
    [
        both::<ElasticNet>(),
        both::<L0>(),
        both::<LHalf>(),
        both::<LogSum>(),
        both::<Mcp>(),
        both::<Scad>(),
        both::<Huber>(),
        both::<NonnegativeL1>(),
        both::<Interval>(),
        both::<Weighted>(),
        both::<Mask>(),
    ]
}

/// A penalty, and what it is by definition.
struct Case {
    penalty: Penalty,
    /// The element weight, if it is weighted.
    element_weight: Option<f64>,
    value: Box<dyn Fn(f64) -> f64>,
    /// The slope of the value where it is smooth.
    slope: Box<dyn Fn(f64) -> f64>,
    /// The allowed weights.
    allowed: [f64; 2],
}

const EVERYWHERE: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

impl Case {
    fn family(family: Family) -> Case {
        let [lambda, shape] = family.p;
        let (slope, allowed): (Box<dyn Fn(f64) -> f64>, _) = match family.name {
            "l0" => (Box::new(|_| 0.0), EVERYWHERE),
            "box" => (Box::new(|_| 0.0), [lambda, shape]),
            "nonnegative_l1" => (Box::new(move |_| lambda), [0.0, f64::INFINITY]),
            _ => (Box::new(move |x| family.gradient(x)), EVERYWHERE),
        };
        let value = Box::new(move |x| family.value(x));
        Case { penalty: family.penalty(), element_weight: None, value, slope, allowed }
    }

    fn elastic_net(penalty: Penalty, element_weight: Option<f64>, [l1, l2]: [f64; 2]) -> Case {
        let w = element_weight.unwrap_or(1.0);
        let value = Box::new(move |x: f64| w * (l1 * x.abs() + l2 * x * x));
        let slope = Box::new(move |x: f64| if x == 0.0 { 0.0 } else { w * (l1.copysign(x) + 2.0 * l2 * x) });
        Case { penalty, element_weight, value, slope, allowed: EVERYWHERE }
    }

    /// Coefficients with the element weight in the last place.
    fn weighed<const N: usize>(&self, mut c: [f64; N]) -> [f64; N] {
        if let Some(weight) = self.element_weight {
            c[N - 1] = weight;
        }
        c
    }

    fn term_coefficients(&self) -> [f64; 3] {
        self.weighed((self.penalty.formula.term_coefficients)(self.penalty.parameters))
    }

    fn gradient_coefficients(&self) -> [f64; 5] {
        self.weighed((self.penalty.formula.gradient_coefficients)(self.penalty.parameters))
    }

    fn prox_coefficients(&self, step: f64) -> [f64; 5] {
        let c = (self.penalty.formula.prox_coefficients)(self.penalty.parameters, step);
        self.weighed(c.expect("the step is valid"))
    }

    fn metric_coefficients(&self, step: f64) -> [f64; 5] {
        let c = (self.penalty.formula.metric_coefficients)(self.penalty.parameters, step);
        self.weighed(c.expect("the step is valid"))
    }

    /// Whether x minimizes step·R(x) + d/2·(x − v)²: the objective is the least there is, and smooth points are
    /// stationary to 1e-9.
    fn assert_minimizes(&self, x: f64, v: f64, step: f64, d: f64) {
        let about = || format!("{:?}: the prox of {v} at step {step}, metric {d}: {x}", self.penalty);
        let objective = |x: f64| step * (self.value)(x) + d * (x - v) * (x - v) / 2.0;
        let least = least(v, |x| objective(x.clamp(self.allowed[0], self.allowed[1])));
        let (found, scale) = (objective(x), d * v * v / 2.0 + step * (self.value)(0.0).min(1.0));
        assert!(found <= least + 1e-14 * (scale + least), "{} gives {found}, where {least} can be had", about());
        if x != 0.0 && x > self.allowed[0] && x < self.allowed[1] {
            let rest = step * (self.slope)(x) + d * (x - v);
            assert!(rest.abs() <= 1e-9 * d * v.abs(), "{} leaves a slope of {rest}", about());
        }
    }
}

/// Every separable penalty with parameters of ordinary size.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, parameters) in NAMES {
        let grid: Vec<[f64; 2]> = match name {
            "box" => vec![[-0.5, 0.25], [0.25, 2.0], [-1.0, -0.5], [0.5, 0.5]],
            _ => {
                let shapes = if parameters.len() == 1 { &[0.0][..] } else { &[0.3, 1.6, 4.0] };
                let shape = |shape: &f64| if name == "scad" { 1.0 + shape } else { *shape };
                [0.05, 0.6, 2.0].iter().flat_map(|&lambda| shapes.iter().map(move |s| [lambda, shape(s)])).collect()
            }
        };
        cases.extend(grid.into_iter().map(|p| Case::family(Family { name, p })));
    }
    let ok = "its parameters are valid";
    for [l1, l2] in [[0.0, 0.0], [0.0, 0.7], [0.3, 0.0], [0.5, 2.0]] {
        cases.push(Case::elastic_net(Penalty::keras(l1, l2).expect(ok), None, [l1, l2]));
        let (lambda, alpha) = (l1 + l2, if l1 > 0.0 { l1 / (l1 + l2) } else { 0.0 });
        for weight in [0.0, 0.4, 40.0] {
            let penalty = Penalty::weighted_elastic_net(lambda, alpha).expect(ok);
            cases.push(Case::elastic_net(penalty, Some(weight), [lambda * alpha, lambda * (1.0 - alpha)]));
        }
    }
    for (weight, allowed) in [(0.0, [0.0, 0.0]), (0.4, EVERYWHERE)] {
        let value = move |x: f64| if (allowed[0]..=allowed[1]).contains(&x) { 0.0 } else { f64::INFINITY };
        let (value, slope) = (Box::new(value), Box::new(|_| 0.0));
        cases.push(Case { penalty: Penalty::mask(), element_weight: Some(weight), value, slope, allowed });
    }
    cases
}

/// Calls `check` with every case and its formula, after making sure that no formula is left out.
fn for_each_case(check: impl Fn(&Case, &Both)) {
    let (cases, formulas) = (cases(), separable());
    for formula in catalogue::formulas().filter(|formula| formula.rule.is_none()) {
        assert!(cases.iter().any(|case| case.penalty.formula == formula), "{formula:?} has no case");
    }
    for case in cases {
        let of = formulas.iter().find(|both| both.id == case.penalty.formula.id());
        check(&case, of.expect("every separable formula is listed"));
    }
}

/// The weights, of both signs.
fn weights() -> impl Iterator<Item = f64> {
    WEIGHTS.into_iter().chain(LARGE).flat_map(|w| [w, -w])
}

/// The weights, and both sides of the largest jump of a function between each two of them.
fn with_jumps(f: impl Fn(f64) -> f64) -> Vec<f64> {
    let ascending: Vec<f64> = WEIGHTS.into_iter().chain(LARGE).collect();
    let mut all: Vec<f64> = weights().collect();
    for pair in ascending.windows(2) {
        let (mut low, mut high) = (pair[0], pair[1]);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            let jumps_above = (f(high) - f(middle)).abs() > (f(middle) - f(low)).abs();
            if jumps_above { low = middle } else { high = middle }
        }
        all.extend([low, high]);
    }
    all
}

fn close(found: f64, want: f64) -> bool {
    found == want || (found - want).abs() <= 1e-13 * want.abs()
}

#[test]
fn values_are_those_of_the_definition() {
    for_each_case(|case, Both { double, .. }| {
        for x in weights() {
            let term = (double.term)(x, &case.term_coefficients());
            let (found, want) = (case.penalty.value([x.abs(), x * x, term]), (case.value)(x));
            assert!(close(found, want), "{:?} at {x}: {found}, not {want}", case.penalty);
        }
    });
}

#[test]
fn gradients_are_slopes_of_the_value() {
    for_each_case(|case, Both { double, .. }| {
        if !case.penalty.has_gradient() {
            return;
        }
        let c = case.gradient_coefficients();
        // Where a slope is a difference, it is as exact as what it is the difference of.
        let scale = c[0].abs();
        for x in weights() {
            let (found, want) = ((double.gradient)(x, &c), (case.slope)(x));
            assert!(
                (found - want).abs() <= 1e-13 * (want.abs() + scale),
                "{:?} at {x}: {found}, not {want}",
                case.penalty
            );
        }
        for (limit, far) in (double.limits)(&c).into_iter().zip([-1e40, 1e40]) {
            let want = (case.slope)(far);
            let tends = if limit.is_infinite() { want / limit.signum() > 1e20 } else { (want - limit).abs() < 1e-12 };
            assert!(tends, "{:?}: {limit} is not the limit of {want}", case.penalty);
        }
    });
}

#[test]
fn proxes_minimize_the_objective() {
    for_each_case(|case, Both { double, .. }| {
        for step in STEPS {
            let (plain, metric) = (case.prox_coefficients(step), case.metric_coefficients(step));
            let prox = |v| (double.prox)(v, &plain);
            for v in with_jumps(prox) {
                case.assert_minimizes(prox(v), v, step, 1.0);
            }
            for d in METRICS {
                let prox = |v| (double.metric_prox)(v, d, &metric);
                for v in with_jumps(prox) {
                    case.assert_minimizes(prox(v), v, step, d);
                }
            }
        }
    });
}

/// With the same coefficients, what `f32` gives at a weight is what `f64` gives within a few units in the last place of
/// that weight. So jumps and cancellation need no exceptions.
#[test]
fn both_types_agree() {
    let agree = |case: &Case, what: &str, x: f64, found: f32, f: &dyn Fn(f64) -> f64| {
        let near = [x * (1.0 - ULPS), x, x * (1.0 + ULPS)].map(f);
        let [low, high] =
            [near.into_iter().fold(f64::INFINITY, f64::min), near.into_iter().fold(-f64::INFINITY, f64::max)];
        let allowed = ULPS * low.abs().max(high.abs());
        let is_near = (low - allowed..=high + allowed).contains(&found.into());
        assert!(is_near, "{:?}: {what} at {x}: {found}, not from {low} to {high}", case.penalty);
    };
    for_each_case(|case, Both { single, double, .. }| {
        for x in WEIGHTS.into_iter().flat_map(|w| [w, -w]).map(|w| w as f32) {
            let wide = f64::from(x);
            let t = case.term_coefficients().map(coefficient);
            agree(case, "the term", wide, (single.term)(x, &t), &|x| (double.term)(x, &t.map(f64::from)));
            if case.penalty.has_gradient() {
                let c = case.gradient_coefficients().map(coefficient);
                let found = (single.gradient)(x, &c);
                agree(case, "the gradient", wide, found, &|x| (double.gradient)(x, &c.map(f64::from)));
            }
            for step in STEPS {
                let c = case.prox_coefficients(step).map(coefficient);
                agree(case, "the prox", wide, (single.prox)(x, &c), &|x| (double.prox)(x, &c.map(f64::from)));
                let c = case.metric_coefficients(step).map(coefficient);
                for d in METRICS.map(|d| d as f32) {
                    let found = (single.metric_prox)(x, d, &c);
                    let f = |x| (double.metric_prox)(x, d.into(), &c.map(f64::from));
                    agree(case, &format!("the prox in the metric {d} at step {step}"), wide, found, &f);
                }
            }
        }
    });
}

#[test]
fn calls_with_one_number_have_the_functions_of_the_formula() {
    for_each_case(|case, Both { double, .. }| {
        let penalty = &case.penalty;
        if case.element_weight.is_some() {
            assert!(matches!(penalty.value_at(1.0), Err(Error::ElementWeights { .. })), "{penalty:?}");
            assert!(matches!(penalty.prox_with(1.0), Err(Error::ElementWeights { .. })), "{penalty:?}");
            return;
        }
        for x in weights() {
            let value = penalty.value_at(x).expect("it has no groups");
            assert!(close(value, (case.value)(x)), "{penalty:?} at {x}: {value}");
            assert_eq!(penalty.value_of(&[x]), Ok(value));
            let slope = penalty.has_gradient().then(|| (double.gradient)(x, &case.gradient_coefficients()));
            assert_eq!(penalty.gradient_at(x).ok(), slope, "{penalty:?} at {x}");
            for step in STEPS {
                let want = (double.prox)(x, &case.prox_coefficients(step));
                assert_eq!(penalty.prox_at(x, step), Ok(want), "{penalty:?} at {x}");
                let mut all = [x, 0.5 * x];
                penalty.prox_of(&mut all, step).expect("it has no groups");
                assert_eq!(all[0], want);
            }
        }
        for x in [f64::NAN, f64::INFINITY] {
            assert!(
                penalty.value_at(x).is_err() && penalty.gradient_at(x).is_err() && penalty.prox_at(x, 1.0).is_err()
            );
            assert_eq!(penalty.prox_with(1.0).expect("a step").of(x).to_bits(), x.to_bits());
        }
        assert!(penalty.prox_at(1.0, f64::NAN).is_err() && penalty.prox_at(1.0, -1.0).is_err());
    });
    let group = Penalty::l2_norm(1.0).expect("it is valid");
    let text = "l2_norm is a group penalty: it has no value of one number; use value_of";
    assert_eq!(group.value_at(1.0).expect_err(text).to_string(), text);
}
