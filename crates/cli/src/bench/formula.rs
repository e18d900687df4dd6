//! What is computed in a benchmark: the penalty, the optimizers' parameters, the weights, and the plainest formulas for
//! the answers.

use penalty::half::{bf16, f16};
use penalty::{Adam, Element, Metric, Momentum, Penalty, Result, Sgd};

use super::case::Operation;

/// The penalty's factors. That of L1 is so large that a step leaves zeros at zero, whatever their gradients.
const L1: f64 = 8.0;
const L2: f64 = 1.0;
const MOMENTUM: f64 = 0.9;
/// Enough iterations that the corrections of Adam's means are near 1.
const ITERATION: u64 = 1000;
/// The step of the answers that are checked: large enough to be seen.
pub(super) const CHECKED_STEP: f64 = 1e-4;
/// The step of the runs that are timed: so small that no weight becomes zero in all of them.
pub(super) const TIMED_STEP: f64 = 1e-8;

/// The arrays' numbers.
pub(super) const THETA: usize = 0;
pub(super) const GRADIENT: usize = 1;
pub(super) const FIRST: usize = 2;

/// The types of weights, as numbers.
pub(super) trait Number: Element {
    /// The relative error of rounding to this type, with what precedes it in `f32`.
    const ERROR: f64;
    fn rounded(x: f32) -> Self;
    fn exact(self) -> f64;
}

impl Number for f32 {
    const ERROR: f64 = 1.0 / (1 << 20) as f64;
    fn rounded(x: f32) -> f32 {
        x
    }
    fn exact(self) -> f64 {
        self.into()
    }
}

impl Number for f16 {
    const ERROR: f64 = 1.0 / (1 << 10) as f64;
    fn rounded(x: f32) -> f16 {
        f16::from_f32(x)
    }
    fn exact(self) -> f64 {
        self.into()
    }
}

impl Number for bf16 {
    const ERROR: f64 = 1.0 / (1 << 7) as f64;
    fn rounded(x: f32) -> bf16 {
        bf16::from_f32(x)
    }
    fn exact(self) -> f64 {
        self.into()
    }
}

pub(super) fn penalty() -> Result<Penalty> {
    Penalty::keras(L1, L2)
}

pub(super) fn sgd(step: f64) -> Sgd {
    Sgd { step, momentum: Momentum::heavy_ball(MOMENTUM) }
}

pub(super) fn adam(step: f64, metric: Metric) -> Adam {
    Adam { step, metric, iteration: ITERATION, ..Adam::default() }
}

/// Element `at` of an array before the first step. Weights and gradients are irregular, of either sign and from 1/4 to 1
/// in magnitude; with `zeros`, 90 % of the weights are zero. An optimizer's states are zero.
pub(super) fn element(array: usize, at: usize, zeros: bool) -> f32 {
    if array >= FIRST {
        return 0.0;
    }
    // The last steps of SplitMix64.
    let mut z = ((2 * at + array) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    if zeros && array == THETA && !z.is_multiple_of(10) {
        return 0.0;
    }
    let magnitude = 0.25 + 0.75 * (z >> 40) as f32 / (1 << 24) as f32;
    if z & (1 << 39) == 0 { magnitude } else { -magnitude }
}

/// What a step makes of one element of each array, of θ and g: θ, g and the states, which were zero.
pub(super) fn expected(operation: Operation, step: f64) -> impl Fn(f64, f64) -> [f64; 4] + Sync {
    let Adam { beta1, beta2, epsilon, .. } = Adam::default();
    let [bias1, bias2] = [beta1, beta2].map(|beta| 1.0 - beta.powi(ITERATION as i32));
    // argmin over x of step·R(x) + ½d(x − u)².
    let prox = |u: f64, step: f64, d: f64| {
        let threshold = step * L1 / d;
        (u - u.clamp(-threshold, threshold)) / (1.0 + 2.0 * step * L2 / d)
    };
    let gradient = |theta: f64| if theta == 0.0 { 0.0 } else { L1 * theta.signum() + 2.0 * L2 * theta };
    move |theta, g| match operation {
        Operation::Evaluate => [theta, g, 0.0, 0.0],
        Operation::Gradient => [theta, gradient(theta), 0.0, 0.0],
        Operation::AddGradient => [theta, g + gradient(theta), 0.0, 0.0],
        Operation::Prox => [prox(theta, step, 1.0), g, 0.0, 0.0],
        Operation::Sgd => [prox(theta - step * g, step / (1.0 - MOMENTUM), 1.0), g, g, 0.0],
        Operation::Adam(metric) => {
            let (m, v) = ((1.0 - beta1) * g, (1.0 - beta2) * g * g);
            let root = (v / bias2).sqrt() + epsilon;
            let d = if metric == Metric::Plain { 1.0 } else { root };
            [prox(theta - step * (m / bias1) / root, step, d), g, m, v]
        }
    }
}
