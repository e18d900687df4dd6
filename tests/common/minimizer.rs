//! Optimizers that minimize f = ½‖θ − c‖² and R = ½‖θ‖₁, and where they end on the CPU.

use penalty::{Adam, Cpu, HostSet, Metric, Momentum, Parameter, Penalty, Sgd};

use super::tensors::Call;

pub(crate) fn set(penalty: &Penalty) -> HostSet<'static> {
    HostSet::new(Cpu::new(), vec![Parameter::new("theta", penalty.clone())])
}

pub(crate) fn sgd(set: &HostSet, sgd: &Sgd, g: &[f32], theta: &mut [f32], b: &mut [f32]) {
    set.sgd_and_evaluate(&mut [theta.into()], &[g.into()], &mut [b.into()], sgd).expect("the step is valid");
}

pub(crate) fn adam(set: &HostSet, adam: &Adam, g: &[f32], theta: &mut [f32], [m, v]: [&mut [f32]; 2]) {
    set.adam_and_evaluate(&mut [theta.into()], &[g.into()], &mut [m.into()], &mut [v.into()], adam)
        .expect("the step is valid");
}

/// f = ½‖θ − c‖² and R = ½‖θ‖₁ have their minimum at `MINIMIZER`.
pub(crate) const CENTRE: [f32; 4] = [1.0, 0.4, -2.0, 0.1];

pub(crate) const LAMBDA: f64 = 0.5;

const MINIMIZER: [f32; 4] = [0.5, 0.0, -1.5, 0.0];

/// An optimizer that minimizes f + R: its name, how many steps it needs, and its step at each iteration.
pub(crate) type Optimizer = (&'static str, u64, fn(u64) -> Call);

pub(crate) const OPTIMIZERS: [Optimizer; 6] = [
    ("plain", 60, |_| Call::SgdAndEvaluate(Sgd { step: 0.5, momentum: Momentum::None })),
    ("heavy ball", 350, |_| Call::SgdAndEvaluate(Sgd { step: 0.05, momentum: Momentum::heavy_ball(0.9) })),
    ("dampened heavy ball", 350, |_| {
        Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::HeavyBall { momentum: 0.9, dampening: 0.4 } })
    }),
    ("Nesterov", 350, |_| Call::SgdAndEvaluate(Sgd { step: 0.05, momentum: Momentum::nesterov(0.9) })),
    ("dampened Nesterov", 350, |_| {
        Call::SgdAndEvaluate(Sgd { step: 0.05, momentum: Momentum::Nesterov { momentum: 0.9, dampening: 0.4 } })
    }),
    ("Adam", 700, |iteration| Call::AdamAndEvaluate(Adam { step: 0.02, iteration, ..Adam::default() })),
];

/// In the plain metric Adam minimizes another objective.
pub(crate) const PLAIN_METRIC: Optimizer = ("Adam in the plain metric", 700, |iteration| {
    Call::AdamAndEvaluate(Adam { step: 0.02, metric: Metric::Plain, iteration, ..Adam::default() })
});

/// The largest distance of a weight from the minimizer.
pub(crate) fn distance(theta: &[f32]) -> f32 {
    theta.iter().zip(MINIMIZER).map(|(theta, want)| (theta - want).abs()).fold(0.0, f32::max)
}

/// f's gradient is the gradient of ½θ², also a penalty, added to −c. So the device and the host compute it alike.
pub(crate) fn sets<S>(set: impl Fn(Parameter) -> S) -> [S; 2] {
    [Penalty::l2_squared(0.5), Penalty::l1(LAMBDA)]
        .map(|penalty| set(Parameter::new("theta", penalty.expect("the λ is valid"))))
}

/// Where an optimizer ends on the CPU if it starts at 0.
pub(crate) fn end((_, steps, step): Optimizer) -> [f32; 4] {
    let [loss, set] = sets(|parameter| HostSet::new(Cpu::new(), vec![parameter]));
    let [mut theta, mut first, mut second] = [[0f32; 4]; 3];
    for k in 1..=steps {
        let mut g = CENTRE.map(|c| -c);
        loss.gradient_add(&[(&theta[..]).into()], &mut [(&mut g[..]).into()]).expect("the operands are valid");
        match step(k) {
            Call::AdamAndEvaluate(step) => adam(&set, &step, &g, &mut theta, [&mut first, &mut second]),
            Call::SgdAndEvaluate(step) => sgd(&set, &step, &g, &mut theta, &mut first),
            other => panic!("{other:?} is no step"),
        }
    }
    theta
}
