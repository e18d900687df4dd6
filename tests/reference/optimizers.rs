//! Do optimizers take the steps of their formulas, and end where they should? Fixed points, NaN and infinities are
//! included.

use penalty::{Adam, Backend, Metric, Momentum, Penalty, Sgd};

use crate::common::cases::noise;
use crate::common::minimizer::{CENTRE, LAMBDA, OPTIMIZERS, PLAIN_METRIC, adam, distance, end, set, sgd};
use crate::common::oracle::Formula;

const STEPS: u64 = 5;

fn close(want: f64, got: f32, scale: f64, what: &str) {
    assert!((want - f64::from(got)).abs() <= 4e-7 * scale, "{what}: expected {want:e}, found {got:e}");
}

fn elastic_net() -> (Penalty, Formula) {
    (Penalty::keras(0.25, 0.5).expect("the λs are valid"), Formula { l1: 0.25, l2_squared: 0.5 })
}

#[test]
fn steps_of_gradient_descent_are_the_formulas() {
    let (penalty, formula) = elastic_net();
    let len = 5000;
    let set = set(&penalty);
    let kinds = [
        (Momentum::None, 0.0, 0.0, false),
        (Momentum::heavy_ball(0.75), 0.75, 0.0, false),
        (Momentum::nesterov(0.75), 0.75, 0.0, true),
        (Momentum::HeavyBall { momentum: 0.75, dampening: 0.3 }, 0.75, 0.3, false),
        (Momentum::Nesterov { momentum: 0.75, dampening: 0.3 }, 0.75, 0.3, true),
    ];
    for (momentum, mu, dampening, nesterov) in kinds {
        let (mut theta, mut b) = (noise(len, 1), vec![0f32; len]);
        for k in 0..STEPS {
            let (g, step) = (noise(len, 10 + k), 0.125 / (k + 1) as f64);
            let (old, old_b) = (theta.clone(), b.clone());
            sgd(&set, &Sgd { step, momentum }, &g, &mut theta, &mut b);
            for i in 0..len {
                let [old, old_b, g] = [old[i], old_b[i], g[i]].map(f64::from);
                let next = mu * old_b + (1.0 - dampening) * g;
                let d = if nesterov { g + mu * next } else { next };
                if mu > 0.0 {
                    close(next, b[i], 2.0 + next.abs(), "the momentum");
                }
                // How much of a constant gradient a step follows.
                let followed = if nesterov { 1.0 - mu * dampening } else { 1.0 - dampening };
                let want = formula.minimizer(step * followed / (1.0 - mu), old - step * d);
                close(want, theta[i], 1.0 + old.abs() + step * d.abs(), "the weight");
            }
        }
        assert!(theta.contains(&0.0), "the prox makes exact zeros");
    }
}

#[test]
fn steps_of_adam_are_the_formulas() {
    let (penalty, formula) = elastic_net();
    let len = 5000;
    let set = set(&penalty);
    for (metric, decay) in [(Metric::Plain, 0.0), (Metric::Plain, 0.5), (Metric::Adam, 0.0), (Metric::Adam, 0.5)] {
        let (mut theta, mut m, mut v) = (noise(len, 1), vec![0f32; len], vec![0f32; len]);
        for iteration in 1..=STEPS {
            let g = noise(len, 10 + iteration);
            let (old, old_m, old_v) = (theta.clone(), m.clone(), v.clone());
            let step = Adam { step: 0.02, beta1: 0.75, beta2: 0.9, epsilon: 1e-3, decay, metric, iteration };
            adam(&set, &step, &g, &mut theta, [&mut m, &mut v]);
            for i in 0..len {
                let [old, old_m, old_v, g] = [old[i], old_m[i], old_v[i], g[i]].map(f64::from);
                let (next_m, next_v) = (0.75 * old_m + 0.25 * g, 0.9 * old_v + 0.1 * g * g);
                close(next_m, m[i], 1.0, "m");
                close(next_v, v[i], next_v, "v");
                let root = (next_v / (1.0 - 0.9f64.powi(iteration as i32))).sqrt() + 1e-3;
                let moved = 0.02 * next_m / (1.0 - 0.75f64.powi(iteration as i32)) / root;
                let u = old * (1.0 - 0.02 * decay) - moved;
                // The minimizer of ηR(x) + d/2·(x − u)² is the plain prox with the step η/d.
                let size = if metric == Metric::Adam { 0.02 / root } else { 0.02 };
                close(formula.minimizer(size, u), theta[i], 1.0 + old.abs() + moved.abs(), "the weight");
            }
        }
    }
}

#[test]
fn every_optimizer_ends_at_the_minimizer() {
    for optimizer in OPTIMIZERS {
        let theta = end(optimizer);
        assert!(distance(&theta) < 1e-6, "{}: found {theta:?}", optimizer.0);
        assert_eq!([theta[1], theta[3]], [0.0; 2], "{}", optimizer.0);
    }
    let theta = end(PLAIN_METRIC);
    assert!(distance(&theta) > 0.3, "the plain metric minimizes another objective, found {theta:?}");
    assert_eq!(Adam::default().metric, Metric::Adam);
    assert_eq!(Metric::default(), Metric::Adam);
    // For any momentum and dampening.
    for momentum in [0.0, 0.5, 0.95] {
        for dampening in [0.0, 0.1, 0.5, 0.875] {
            for kind in [Momentum::HeavyBall { momentum, dampening }, Momentum::Nesterov { momentum, dampening }] {
                let set = set(&Penalty::l1(LAMBDA).expect("the λ is valid"));
                let [mut theta, mut v] = [[0f32; 4]; 2];
                for _ in 0..2000 {
                    let g: [f32; 4] = std::array::from_fn(|i| theta[i] - CENTRE[i]);
                    sgd(&set, &Sgd { step: 0.05, momentum: kind }, &g, &mut theta, &mut v);
                }
                assert!(distance(&theta) < 1e-5, "{kind:?}: found {theta:?}");
            }
        }
    }
}

/// f = ½(θ − 1)² and R = 2|θ| have their minimum at 0.
#[test]
fn zeros_are_exact_at_the_minimizer() {
    let set = set(&Penalty::l1(2.0).expect("the λ is valid"));
    for momentum in [Momentum::None, Momentum::heavy_ball(0.9), Momentum::Nesterov { momentum: 0.9, dampening: 0.1 }] {
        let (mut theta, mut b) = ([3f32], [0f32]);
        for _ in 0..2000 {
            let g = [theta[0] - 1.0];
            sgd(&set, &Sgd { step: 0.01, momentum }, &g, &mut theta, &mut b);
        }
        assert_eq!(theta, [0.0], "{momentum:?}");
    }
    let (mut theta, mut m, mut v) = ([3f32], [0f32], [0f32]);
    for iteration in 1..=5000 {
        let g = [theta[0] - 1.0];
        adam(&set, &Adam { iteration, ..Adam::default() }, &g, &mut theta, [&mut m, &mut v]);
    }
    assert_eq!(theta, [0.0], "Adam");
}

/// Kernels have μ as an `f32`, so the prox's step must fit that μ. At μ = 1 − 1e-6, rounding changes 1 − μ by 1.3 %.
#[test]
fn momentum_near_one_stays_at_the_minimizer() {
    let set = set(&Penalty::l1(LAMBDA).expect("the λ is valid"));
    let momentum = 1.0 - 1e-6;
    let limit = (1.0 / (1.0 - f64::from(momentum as f32))) as f32;
    // At the minimizer ½ of ½(θ − 1)² + ½|θ|. The gradient there is −½, and the momentum has its limit for this
    // gradient.
    for (kind, dampening) in [
        (Momentum::heavy_ball(momentum), 0.0),
        (Momentum::nesterov(momentum), 0.0),
        (Momentum::HeavyBall { momentum, dampening: 0.25 }, 0.25),
        (Momentum::Nesterov { momentum, dampening: 0.25 }, 0.25),
    ] {
        let (mut theta, mut v) = ([0.5f32], [-0.5 * (1.0 - dampening) * limit]);
        sgd(&set, &Sgd { step: 1e-6, momentum: kind }, &[-0.5], &mut theta, &mut v);
        assert!((theta[0] - 0.5).abs() < 1e-6, "{kind:?}: {}", theta[0]);
    }
}

#[test]
fn without_a_penalty_they_are_the_plain_optimizers() {
    let len = 1000;
    let set = set(&Penalty::none());
    let (mut theta, mut b) = (noise(len, 1), vec![0f32; len]);
    let (old, g) = (theta.clone(), noise(len, 2));
    sgd(&set, &Sgd { step: 0.5, momentum: Momentum::heavy_ball(0.5) }, &g, &mut theta, &mut b);
    assert_eq!(b, g, "the first momentum is the gradient");
    assert!((0..len).all(|i| theta[i] == old[i] - 0.5 * g[i]));
    let (mut theta, mut b) = (old.clone(), vec![0f32; len]);
    let momentum = Momentum::HeavyBall { momentum: 0.5, dampening: 0.75 };
    sgd(&set, &Sgd { step: 0.5, momentum }, &g, &mut theta, &mut b);
    assert!((0..len).all(|i| b[i] == 0.25 * g[i]), "the first momentum is the dampened gradient");

    // Adam's first step is η in the gradient's direction, whatever the gradient's size.
    let (mut theta, mut m, mut v) = (old.clone(), vec![0f32; len], vec![0f32; len]);
    adam(&set, &Adam { step: 0.25, epsilon: 1e-30, ..Adam::default() }, &g, &mut theta, [&mut m, &mut v]);
    assert!((0..len).all(|i| (theta[i] - (old[i] - 0.25 * g[i].signum())).abs() < 1e-6));
}

/// A set's step is an ordinary step followed by the prox, bit for bit. Its report describes the resulting weights.
#[test]
fn a_step_is_the_prox_of_the_plain_step() {
    let (penalty, _) = elastic_net();
    let len = 10_000;
    let (g, start) = (noise(len, 2), noise(len, 1));
    let (mut fused, mut plain) = (start.clone(), start);
    let step = Sgd { step: 0.3, momentum: Momentum::None };
    let (theta, none) = (&mut fused[..], &mut [][..]);
    let reports =
        set(&penalty).sgd_and_evaluate(&mut [theta.into()], &[(&g[..]).into()], none, &step).expect("it is valid");
    sgd(&set(&Penalty::none()), &step, &g, &mut plain, &mut []);
    Backend::cpu().prox_in_place(&penalty, &mut plain, 0.3).expect("the step is valid");
    assert_eq!(fused, plain);
    assert_eq!(reports.total, Backend::cpu().evaluate(&penalty, &fused).expect("the CPU does not fail"));
}

/// A NaN never becomes a zero. An infinite or NaN weight stays if nothing moves it.
#[test]
fn what_is_not_finite_stays_or_spoils() {
    let set = set(&Penalty::l1(1.0).expect("the λ is valid"));
    let nan = |payload: u32| f32::from_bits(0x7fc0_0000 | payload);
    let inf = f32::INFINITY;
    let start = [nan(1), inf, -inf, 1.0, 1.0, 1.0, inf, 1e-40];
    let g = [1.0, 1.0, -1.0, nan(2), inf, -inf, inf, 0.0];
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    let spoilt = [nan(1), inf, -inf, nan(2), -inf, inf, nan(0), 0.0];
    let dampened = Momentum::Nesterov { momentum: 0.5, dampening: 0.25 };
    for momentum in [Momentum::None, Momentum::heavy_ball(0.5), Momentum::nesterov(0.5), dampened] {
        let (mut theta, mut b) = (start, [0f32; 8]);
        sgd(&set, &Sgd { step: 0.5, momentum }, &g, &mut theta, &mut b);
        assert_eq!(bits(&theta), bits(&spoilt), "{momentum:?}");
    }
    for metric in [Metric::Plain, Metric::Adam] {
        let (mut theta, mut m, mut v) = (start, [0f32; 8], [0f32; 8]);
        adam(&set, &Adam { metric, ..Adam::default() }, &g, &mut theta, [&mut m, &mut v]);
        // m/√v is NaN if both are infinite.
        let spoilt = [nan(1), inf, -inf, nan(2), nan(0), nan(0), nan(0), 0.0];
        assert_eq!(bits(&theta), bits(&spoilt), "{metric:?}");
    }
}
