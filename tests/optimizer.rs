//! Proximal steps against their formulas in `f64`, at their fixed points, and where numbers are not ordinary.

mod common;

use common::cases::noise;
use common::oracle::Formula;
use penalty::{Adam, Backend, Cpu, Dtype, HostSet, Metric, Momentum, Parameter, Penalty, Sgd};

const STEPS: u64 = 5;

fn set(len: usize, penalty: &Penalty) -> HostSet<'static> {
    HostSet::new(Cpu::new(), vec![Parameter::new("theta", len as u64, Dtype::F32, penalty.clone())])
}

fn sgd(set: &HostSet, sgd: &Sgd, g: &[f32], theta: &mut [f32], b: &mut [f32]) {
    set.sgd(sgd, &[g.into()], &mut [theta.into()], &mut [b.into()]).expect("the step is valid");
}

fn adam(set: &HostSet, adam: &Adam, g: &[f32], theta: &mut [f32], [m, v]: [&mut [f32]; 2]) {
    set.adam(adam, &[g.into()], &mut [theta.into()], &mut [m.into()], &mut [v.into()]).expect("the step is valid");
}

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
    let set = set(len, &penalty);
    let kinds = [
        (Momentum::None, 0.0, false),
        (Momentum::HeavyBall(0.75), 0.75, false),
        (Momentum::Nesterov(0.75), 0.75, true),
    ];
    for (momentum, mu, nesterov) in kinds {
        let (mut theta, mut b) = (noise(len, 1), vec![0f32; len]);
        for k in 0..STEPS {
            let (g, step) = (noise(len, 10 + k), 0.125 / (k + 1) as f64);
            let (old, old_b) = (theta.clone(), b.clone());
            sgd(&set, &Sgd { step, momentum }, &g, &mut theta, &mut b);
            for i in 0..len {
                let [old, old_b, g] = [old[i], old_b[i], g[i]].map(f64::from);
                let next = mu * old_b + g;
                let d = if nesterov { g + mu * next } else { next };
                if mu > 0.0 {
                    close(next, b[i], 2.0 + next.abs(), "the momentum");
                }
                let want = formula.minimizer(step / (1.0 - mu), old - step * d);
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
    let set = set(len, &penalty);
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
                // ηR(x) + d/2·(x − u)² has the minimizer of the plain prox with the step η/d.
                let size = if metric == Metric::Adam { 0.02 / root } else { 0.02 };
                close(formula.minimizer(size, u), theta[i], 1.0 + old.abs() + moved.abs(), "the weight");
            }
        }
    }
}

/// f = ½(θ − 1)² and R = λ|θ| with λ = ½ have their minimum at ½; with λ = 2, at 0, exactly.
#[test]
fn the_fixed_points_are_the_minimizers() {
    for (lambda, want) in [(0.5, 0.5f32), (2.0, 0.0)] {
        let set = set(1, &Penalty::l1(lambda).expect("the λ is valid"));
        for momentum in [Momentum::None, Momentum::HeavyBall(0.9), Momentum::Nesterov(0.9)] {
            let (mut theta, mut b) = ([3f32], [0f32]);
            for _ in 0..5000 {
                let g = [theta[0] - 1.0];
                sgd(&set, &Sgd { step: 0.01, momentum }, &g, &mut theta, &mut b);
            }
            assert!((theta[0] - want).abs() < 1e-5, "{momentum:?}: expected {want}, found {}", theta[0]);
        }
        let (mut theta, mut m, mut v) = ([3f32], [0f32], [0f32]);
        for iteration in 1..=20_000 {
            let g = [theta[0] - 1.0];
            let step = Adam { step: 1e-3, metric: Metric::Adam, iteration, ..Adam::default() };
            adam(&set, &step, &g, &mut theta, [&mut m, &mut v]);
        }
        assert!((theta[0] - want).abs() < 1e-3, "Adam: expected {want}, found {}", theta[0]);
    }
}

#[test]
fn without_a_penalty_they_are_the_plain_optimizers() {
    let len = 1000;
    let set = set(len, &Penalty::none());
    let (mut theta, mut b) = (noise(len, 1), vec![0f32; len]);
    let (old, g) = (theta.clone(), noise(len, 2));
    sgd(&set, &Sgd { step: 0.5, momentum: Momentum::HeavyBall(0.5) }, &g, &mut theta, &mut b);
    assert_eq!(b, g, "the first momentum is the gradient");
    assert!((0..len).all(|i| theta[i] == old[i] - 0.5 * g[i]));

    // The first step of Adam is by η in the gradient's direction, whatever its size.
    let (mut theta, mut m, mut v) = (old.clone(), vec![0f32; len], vec![0f32; len]);
    adam(&set, &Adam { step: 0.25, epsilon: 1e-30, ..Adam::default() }, &g, &mut theta, [&mut m, &mut v]);
    assert!((0..len).all(|i| (theta[i] - (old[i] - 0.25 * g[i].signum())).abs() < 1e-6));
}

/// A step of the set is its prox after an ordinary step, bit for bit, and its report is that of what it leaves.
#[test]
fn a_step_is_the_prox_of_the_plain_step() {
    let (penalty, _) = elastic_net();
    let len = 10_000;
    let (g, start) = (noise(len, 2), noise(len, 1));
    let (mut fused, mut plain) = (start.clone(), start);
    let step = Sgd { step: 0.3, momentum: Momentum::None };
    let (theta, none) = (&mut fused[..], &mut [][..]);
    let reports = set(len, &penalty).sgd(&step, &[(&g[..]).into()], &mut [theta.into()], none).expect("it is valid");
    sgd(&set(len, &Penalty::none()), &step, &g, &mut plain, &mut []);
    Backend::cpu().prox_in_place(&penalty, &mut plain, 0.3).expect("the step is valid");
    assert_eq!(fused, plain);
    assert_eq!(reports.total, Backend::cpu().evaluate(&penalty, &fused).expect("the CPU does not fail"));
}

/// A NaN never becomes sparsity, and a weight that is not finite stays where nothing moves it.
#[test]
fn what_is_not_finite_stays_or_spoils() {
    let set = set(8, &Penalty::l1(1.0).expect("the λ is valid"));
    let nan = |payload: u32| f32::from_bits(0x7fc0_0000 | payload);
    let inf = f32::INFINITY;
    let start = [nan(1), inf, -inf, 1.0, 1.0, 1.0, inf, 1e-40];
    let g = [1.0, 1.0, -1.0, nan(2), inf, -inf, inf, 0.0];
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    let spoilt = [nan(1), inf, -inf, nan(2), -inf, inf, nan(0), 0.0];
    for momentum in [Momentum::None, Momentum::HeavyBall(0.5), Momentum::Nesterov(0.5)] {
        let (mut theta, mut b) = (start, [0f32; 8]);
        sgd(&set, &Sgd { step: 0.5, momentum }, &g, &mut theta, &mut b);
        assert_eq!(bits(&theta), bits(&spoilt), "{momentum:?}");
    }
    for metric in [Metric::Plain, Metric::Adam] {
        let (mut theta, mut m, mut v) = (start, [0f32; 8], [0f32; 8]);
        adam(&set, &Adam { metric, ..Adam::default() }, &g, &mut theta, [&mut m, &mut v]);
        // m/√v of infinite ones is no number.
        let spoilt = [nan(1), inf, -inf, nan(2), nan(0), nan(0), nan(0), 0.0];
        assert_eq!(bits(&theta), bits(&spoilt), "{metric:?}");
    }
}
