//! Does a prox's expression give what the prox gives?

use penalty::expression::{Binary, Input, Node, Unary};
use penalty::{Adam, Cpu, Dtype, Error, Expression, HostSet, Metric, Momentum, Parameter, Penalty, Sgd};

use crate::common::custom::at_least;
use crate::common::formulas::NAMES;

/// A few units in the last place of `f32`, relative.
const ULPS: f64 = 8.0 / (1u64 << 24) as f64;
const WEIGHTS: [f32; 12] = [0.0, 1e-9, 1e-3, 0.04, 0.21, 0.47, 0.8, 1.3, 1.9, 3.1, 11.0, 1e12];
const ELEMENT_WEIGHTS: [f32; 3] = [0.0, 0.4, 40.0];

/// What an expression gives, in `f64`. Truth values are 1 and 0.
fn results(expression: &Expression, inputs: impl Fn(Input) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = Vec::new();
    for node in expression.nodes() {
        let truth = |holds: bool| f64::from(u8::from(holds));
        values.push(match *node {
            Node::Input(input) => inputs(input),
            Node::Constant(number) => number,
            Node::Unary(function, a) => {
                let a = values[a];
                match function {
                    Unary::Neg => -a,
                    Unary::Abs => a.abs(),
                    Unary::Sqrt => a.sqrt(),
                    Unary::Ln => a.ln(),
                    Unary::Ln1p => a.ln_1p(),
                    Unary::Not => 1.0 - a,
                }
            }
            Node::Binary(function, [a, b]) => {
                let (a, b) = (values[a], values[b]);
                match function {
                    Binary::Add => a + b,
                    Binary::Sub => a - b,
                    Binary::Mul => a * b,
                    Binary::Div => a / b,
                    Binary::Min => a.min(b),
                    Binary::Max => a.max(b),
                    Binary::Less => truth(a < b),
                    Binary::LessEqual => truth(a <= b),
                    Binary::Equal => truth(a == b),
                    Binary::And => truth(a == 1.0 && b == 1.0),
                    Binary::Or => truth(a == 1.0 || b == 1.0),
                }
            }
            Node::Select([mask, yes, no]) => values[if values[mask] == 1.0 { yes } else { no }],
        });
    }
    expression.results().iter().map(|result| values[*result]).collect()
}

/// Every separable penalty, with parameters on both sides of the branches.
fn penalties() -> Vec<Penalty> {
    let mut penalties = vec![Penalty::none(), Penalty::mask()];
    for other in [Penalty::interval(-0.5, 1.0), Ok(Penalty::mask())] {
        let terms =
            [Penalty::l1(0.3), Penalty::l2_squared(0.2), other].map(|term| term.expect("its parameters are valid"));
        penalties.push(Penalty::sum(terms).expect("it has a prox"));
    }
    for (name, keys) in NAMES {
        for shape in [0.3, 1.6, 4.0] {
            let p = if name == "box" {
                [-0.5, 0.25 * shape]
            } else {
                [0.6, if name == "scad" { 1.0 + shape } else { shape }]
            };
            let parameters: Vec<(&str, f64)> = keys.iter().copied().zip(p).collect();
            penalties.push(Penalty::named(name, &parameters).expect("its parameters are valid"));
        }
    }
    for (lambda, alpha) in [(0.7, 0.0), (0.3, 1.0), (2.0, 0.25)] {
        penalties.push(Penalty::elastic_net(lambda, alpha).expect("its parameters are valid"));
        penalties.push(Penalty::weighted_elastic_net(lambda, alpha).expect("its parameters are valid"));
    }
    penalties
}

/// An optimizer, and the results of its step in order.
#[derive(Debug, Clone, Copy)]
enum Optimizer {
    Sgd(Sgd),
    Adam(Adam),
}

fn optimizers() -> Vec<Optimizer> {
    let momenta = [
        Momentum::None,
        Momentum::HeavyBall { momentum: 0.5, dampening: 0.25 },
        Momentum::Nesterov { momentum: 0.5, dampening: 0.25 },
    ];
    let sgd = momenta.into_iter().map(|momentum| Optimizer::Sgd(Sgd { step: 0.3, momentum }));
    let steps = [(0.01, 1), (0.6, 3), (5.0, 1000)].into_iter();
    let adam = steps.flat_map(|(step, iteration)| {
        let adam = Adam { step, iteration, epsilon: 1e-3, decay: 0.02, ..Adam::default() };
        [Metric::Adam, Metric::Plain].map(|metric| Optimizer::Adam(Adam { metric, ..adam }))
    });
    sgd.chain(adam).collect()
}

/// The weight, the gradient and the two states.
type Given = [f32; 4];

/// What the loops give: the weight and the states after the step.
fn loops(optimizer: Optimizer, penalty: &Penalty, element_weight: f32, [theta, g, first, second]: Given) -> [f32; 3] {
    let element_weights = [element_weight];
    let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", penalty.clone())]);
    let set = if penalty.is_weighted() {
        set.with_element_weights(&[Some((&element_weights[..]).into())]).expect("it is a number")
    } else {
        set
    };
    let (mut theta, g, mut first, mut second) = ([theta], [g], [first], [second]);
    {
        let weights = &mut [(&mut theta[..]).into()];
        let gradients = &[(&g[..]).into()];
        let first = &mut [(&mut first[..]).into()];
        match optimizer {
            Optimizer::Sgd(sgd) if sgd.momentum == Momentum::None => set.sgd(weights, gradients, &mut [], &sgd),
            Optimizer::Sgd(sgd) => set.sgd(weights, gradients, first, &sgd),
            Optimizer::Adam(adam) => set.adam(weights, gradients, first, &mut [(&mut second[..]).into()], &adam),
        }
        .expect("the step is valid");
    }
    [theta[0], first[0], second[0]]
}

fn expression(optimizer: Optimizer, penalty: &Penalty) -> Result<Expression, Error> {
    match optimizer {
        Optimizer::Sgd(sgd) => Expression::sgd(&sgd, penalty, Dtype::F32),
        Optimizer::Adam(adam) => Expression::adam(&adam, penalty, Dtype::F32),
    }
}

/// What the loops give at a weight is what the expression gives within a few units in the last place of that weight. So
/// jumps and cancellation need no exceptions.
#[test]
fn expressions_give_what_the_loops_give() {
    let states = [[0.0, 0.0, 0.0], [0.3, -0.2, 0.05], [-1e-3, 0.4, 2.0]];
    for (penalty, optimizer) in
        penalties().iter().flat_map(|penalty| optimizers().into_iter().map(move |o| (penalty, o)))
    {
        let expression = expression(optimizer, penalty).expect("the penalty is separable");
        let element_weights = if penalty.is_weighted() { &ELEMENT_WEIGHTS[..] } else { &[1.0] };
        let weights = || WEIGHTS.into_iter().flat_map(|v| [v, -v]);
        for (&element_weight, (theta, [g, first, second])) in element_weights
            .iter()
            .flat_map(|w| weights().flat_map(move |v| states.map(|s| (v, s))).map(move |at| (w, at)))
        {
            let given = [theta, g, first, second];
            let about = format!("{optimizer:?}, {penalty}, element weight {element_weight}, {given:?}");
            let found = loops(optimizer, penalty, element_weight, given);
            let [wide, g, first, second] = given.map(f64::from);
            // The step before the prox is not exact to the last place either, so the weight moves by as much as its summands allow.
            let blur = ULPS * (wide.abs() + 10.0 * (g.abs() + first.abs()));
            let near = [wide - blur, wide, wide + blur].map(|theta| {
                results(&expression, |input| match input {
                    Input::Weight => theta,
                    Input::Gradient => g,
                    Input::First => first,
                    Input::Second => second,
                    Input::ElementWeight => element_weight.into(),
                })
            });
            for (at, found) in found.into_iter().take(near[0].len()).enumerate() {
                let low = near.iter().map(|results| results[at]).fold(f64::INFINITY, f64::min);
                let high = near.iter().map(|results| results[at]).fold(f64::NEG_INFINITY, f64::max);
                let allowed = ULPS * low.abs().max(high.abs());
                assert!(
                    (low - allowed..=high + allowed).contains(&found.into()),
                    "{about}: result {at} is {found}, not from {low} to {high}"
                );
            }
        }
    }
}

/// A weight that is not finite keeps its bits, and over an infinite state nothing moves.
#[test]
fn weights_that_are_not_finite_stay() {
    let adam = Optimizer::Adam(Adam::default());
    let at = |optimizer, penalty: &Penalty, theta: f64, second: f64| {
        let expression = expression(optimizer, penalty).expect("the penalty is separable");
        results(&expression, |input| match input {
            Input::Weight => theta,
            Input::Second => second,
            Input::ElementWeight => 1.0,
            _ => 0.0,
        })[0]
    };
    for penalty in penalties() {
        for optimizer in optimizers() {
            assert!(at(optimizer, &penalty, f64::NAN, 0.1).is_nan(), "{penalty}, {optimizer:?}");
            assert_eq!(at(optimizer, &penalty, f64::INFINITY, 0.1), f64::INFINITY, "{penalty}, {optimizer:?}");
        }
        assert_eq!(at(adam, &penalty, 0.25, f64::INFINITY), 0.25, "{penalty}");
    }
}

/// What is known when the expression is made is not computed for each weight.
#[test]
fn expressions_have_no_idle_nodes() {
    let count = |sgd: &Sgd, penalty: &Penalty| {
        Expression::sgd(sgd, penalty, Dtype::F32).expect("it is separable").nodes().len()
    };
    let sgd = Sgd { step: 0.1, momentum: Momentum::None };
    // θ, g, −η, their product, and the sum.
    assert_eq!(count(&sgd, &Penalty::none()), 5);
    // Also t, −t, the clamp in two nodes and the difference; |v|, the largest float, a comparison and a selection.
    assert_eq!(count(&sgd, &Penalty::l1(0.5).expect("it is valid")), 5 + 5 + 4);
}

#[test]
fn group_penalties_and_custom_ones_have_none() {
    let sgd = Sgd { step: 0.1, momentum: Momentum::None };
    for penalty in [Penalty::l2_norm(0.1).expect("it is valid"), at_least(0.5)] {
        let error = Expression::sgd(&sgd, &penalty, Dtype::F32).expect_err("it has none");
        assert_eq!(error, Error::NoExpression { penalty: penalty.name() });
    }
    let error = Expression::sgd(&Sgd { step: -1.0, ..sgd }, &Penalty::none(), Dtype::F32);
    assert!(matches!(error, Err(Error::Parameter { name: "step", found: -1.0, .. })), "{error:?}");
}
