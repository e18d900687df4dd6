//! Proximal steps against their formulas in `f64`, at their fixed points, and where numbers are not ordinary.

mod common;

use common::adapters::{Device, DeviceTest};
use common::cases::noise;
use common::compare::same_bits;
use common::device::{PATIENCE, USAGES, buffer, contents, encoder, submit};
use common::oracle::Formula;
use common::tensors::{Call, record};
use libtest_mimic::Trial;
use penalty::gpu::{Operand, Operands, ParameterSet};
use penalty::{Adam, Backend, Cpu, Dtype, Gpu, HostSet, Metric, Momentum, Parameter, Penalty, Sgd, wgpu};

const STEPS: u64 = 5;

fn main() {
    let host = [
        ("steps_of_gradient_descent_are_the_formulas", steps_of_gradient_descent_are_the_formulas as fn()),
        ("steps_of_adam_are_the_formulas", steps_of_adam_are_the_formulas),
        ("every_optimizer_ends_at_the_minimizer", every_optimizer_ends_at_the_minimizer),
        ("zeros_are_exact_at_the_minimizer", zeros_are_exact_at_the_minimizer),
        ("momentum_near_one_stays_at_the_minimizer", momentum_near_one_stays_at_the_minimizer),
        ("momentum_and_dampening_are_in_their_ranges", momentum_and_dampening_are_in_their_ranges),
        ("a_step_names_itself_and_what_it_lacks", a_step_names_itself_and_what_it_lacks),
        ("adam_refuses_groups_in_its_own_metric", adam_refuses_groups_in_its_own_metric),
        ("without_a_penalty_they_are_the_plain_optimizers", without_a_penalty_they_are_the_plain_optimizers),
        ("a_step_is_the_prox_of_the_plain_step", a_step_is_the_prox_of_the_plain_step),
        ("what_is_not_finite_stays_or_spoils", what_is_not_finite_stays_or_spoils),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let tests: &[DeviceTest] =
        &[("every_optimizer_ends_at_the_minimizer_on_a_device", every_optimizer_ends_at_the_minimizer_on_a_device)];
    common::adapters::run(host.map(trial).into(), tests);
}

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

fn steps_of_gradient_descent_are_the_formulas() {
    let (penalty, formula) = elastic_net();
    let len = 5000;
    let set = set(len, &penalty);
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
                // As far as a constant gradient is followed in a step.
                let followed = if nesterov { 1.0 - mu * dampening } else { 1.0 - dampening };
                let want = formula.minimizer(step * followed / (1.0 - mu), old - step * d);
                close(want, theta[i], 1.0 + old.abs() + step * d.abs(), "the weight");
            }
        }
        assert!(theta.contains(&0.0), "the prox makes exact zeros");
    }
}

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

/// f = ½‖θ − c‖² and R = ½‖θ‖₁ have their minimum at `MINIMIZER`.
const CENTRE: [f32; 4] = [1.0, 0.4, -2.0, 0.1];
const LAMBDA: f64 = 0.5;
const MINIMIZER: [f32; 4] = [0.5, 0.0, -1.5, 0.0];

/// Every optimizer that minimizes f + R: its name, how many steps take it there, and each of them.
type Optimizer = (&'static str, u64, fn(u64) -> Call);
const OPTIMIZERS: [Optimizer; 6] = [
    ("plain", 60, |_| Call::Sgd(Sgd { step: 0.5, momentum: Momentum::None })),
    ("heavy ball", 350, |_| Call::Sgd(Sgd { step: 0.05, momentum: Momentum::heavy_ball(0.9) })),
    ("dampened heavy ball", 350, |_| {
        Call::Sgd(Sgd { step: 0.1, momentum: Momentum::HeavyBall { momentum: 0.9, dampening: 0.4 } })
    }),
    ("Nesterov", 350, |_| Call::Sgd(Sgd { step: 0.05, momentum: Momentum::nesterov(0.9) })),
    ("dampened Nesterov", 350, |_| {
        Call::Sgd(Sgd { step: 0.05, momentum: Momentum::Nesterov { momentum: 0.9, dampening: 0.4 } })
    }),
    ("Adam", 700, |iteration| Call::Adam(Adam { step: 0.02, iteration, ..Adam::default() })),
];
/// What minimizes another objective.
const PLAIN_METRIC: Optimizer = ("Adam in the plain metric", 700, |iteration| {
    Call::Adam(Adam { step: 0.02, metric: Metric::Plain, iteration, ..Adam::default() })
});

/// How far weights are from the minimizer.
fn distance(theta: &[f32]) -> f32 {
    theta.iter().zip(MINIMIZER).map(|(theta, want)| (theta - want).abs()).fold(0.0, f32::max)
}

/// f's gradient is that of ½θ², a penalty too, added to −c: so the device and the host compute it alike.
fn sets<S>(set: impl Fn(Parameter) -> S) -> [S; 2] {
    [Penalty::l2_squared(0.5), Penalty::l1(LAMBDA)]
        .map(|penalty| set(Parameter::new("theta", 4, Dtype::F32, penalty.expect("the λ is valid"))))
}

/// Where an optimizer ends on the CPU, from 0.
fn end((_, steps, step): Optimizer) -> [f32; 4] {
    let [loss, set] = sets(|parameter| HostSet::new(Cpu::new(), vec![parameter]));
    let [mut theta, mut first, mut second] = [[0f32; 4]; 3];
    for k in 1..=steps {
        let mut g = CENTRE.map(|c| -c);
        loss.gradient_add(&[(&theta[..]).into()], &mut [(&mut g[..]).into()]).expect("the operands are valid");
        match step(k) {
            Call::Adam(step) => adam(&set, &step, &g, &mut theta, [&mut first, &mut second]),
            Call::Sgd(step) => sgd(&set, &step, &g, &mut theta, &mut first),
            other => panic!("{other:?} is no step"),
        }
    }
    theta
}

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
    // Whatever the momentum and the dampening.
    for momentum in [0.0, 0.5, 0.95] {
        for dampening in [0.0, 0.1, 0.5, 0.875] {
            for kind in [Momentum::HeavyBall { momentum, dampening }, Momentum::Nesterov { momentum, dampening }] {
                let set = set(4, &Penalty::l1(LAMBDA).expect("the λ is valid"));
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

fn every_optimizer_ends_at_the_minimizer_on_a_device(device: &Device) {
    for optimizer in OPTIMIZERS.into_iter().chain([PLAIN_METRIC]) {
        let theta = end_on(device.plain(), optimizer);
        same_bits(&end(optimizer), &theta).unwrap_or_else(|error| panic!("{}: {error}", optimizer.0));
    }
}

/// Where it ends on a device, which computes the loss's gradients too.
fn end_on(gpu: &Gpu, (_, steps, step): Optimizer) -> Vec<f32> {
    const SLOTS: usize = 50;
    let minus_centre = buffer(gpu, bytemuck::cast_slice(&CENTRE.map(|c| -c)), USAGES);
    let [theta, g, first, second] = [(); 4].map(|()| buffer(gpu, &[0; 16], USAGES));
    let at = |buffer| [Operand { buffer, offset: 0, len: 4, dtype: Dtype::F32 }];
    let (weights, gradients, first, second) = (at(&theta), at(&g), at(&first), at(&second));
    let operands =
        Operands { weights: &weights, gradients: &gradients, first: &first, second: &second, ..Operands::default() };
    let [mut loss, mut set] =
        sets(|parameter| ParameterSet::new(gpu, vec![parameter], &operands, SLOTS).expect("the operands are valid"));
    let all: Vec<u64> = (1..=steps).collect();
    for together in all.chunks(SLOTS) {
        let mut encoder = encoder(gpu);
        for &k in together {
            encoder.copy_buffer_to_buffer(&minus_centre, 0, &g, 0, 16);
            loss.record_gradient_add(&mut encoder).expect("the operands are valid");
            record(&mut set, &mut encoder, step(k)).expect("the step is valid");
        }
        submit(gpu, encoder);
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        gpu.device().poll(wait).expect("the device answers");
    }
    bytemuck::pod_collect_to_vec(&contents(gpu, &theta))
}

/// f = ½(θ − 1)² and R = 2|θ| have their minimum at 0.
fn zeros_are_exact_at_the_minimizer() {
    let set = set(1, &Penalty::l1(2.0).expect("the λ is valid"));
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

/// Kernels have μ as an `f32`, and the prox must be as long as that μ makes the steps: at 1 − 1e-6, 1.3 % of it is the rounding.
fn momentum_near_one_stays_at_the_minimizer() {
    let set = set(1, &Penalty::l1(LAMBDA).expect("the λ is valid"));
    let momentum = 1.0 - 1e-6;
    let limit = (1.0 / (1.0 - f64::from(momentum as f32))) as f32;
    // At the minimizer ½ of ½(θ − 1)² + ½|θ|, where the gradient is −½, and its momentum what that ends at.
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

fn momentum_and_dampening_are_in_their_ranges() {
    let set = set(1, &Penalty::l1(LAMBDA).expect("the λ is valid"));
    let step = |momentum| {
        let (mut theta, mut v) = ([1f32], [0f32]);
        let (theta, v) = ((&mut theta[..]).into(), (&mut v[..]).into());
        set.sgd(&Sgd { step: 0.1, momentum }, &[(&[1f32][..]).into()], &mut [theta], &mut [v]).map(drop)
    };
    for kind in [
        |momentum, dampening| Momentum::HeavyBall { momentum, dampening },
        |momentum, dampening| Momentum::Nesterov { momentum, dampening },
    ] {
        let largest = 1.0 - f64::from(f32::EPSILON) / 2.0;
        for (momentum, dampening) in [(0.0, 0.0), (0.9, 0.1), (largest, 0.0), (0.0, 1.0 - f64::EPSILON / 2.0)] {
            assert_eq!(step(kind(momentum, dampening)), Ok(()), "{momentum} {dampening}");
        }
        // 1 − 2^-26 is 1 as an f32: it would never let go of a gradient.
        for momentum in [-0.1, 1.0, 1.0 - f64::from(f32::EPSILON) / 8.0, f64::NAN, f64::INFINITY] {
            let error = step(kind(momentum, 0.0)).expect_err("it is out of range").to_string();
            assert_eq!(error, format!("momentum must be from 0 to 1 − 2^-24, found {momentum}"));
        }
        for dampening in [-0.1, 1.0, 2.0, f64::NAN] {
            let error = step(kind(0.9, dampening)).expect_err("it is out of range").to_string();
            assert_eq!(error, format!("dampening must be from 0 to below 1, found {dampening}"));
        }
    }
}

fn a_step_names_itself_and_what_it_lacks() {
    let l1 = set(1, &Penalty::l1(LAMBDA).expect("the λ is valid"));
    let mut theta = [1f32];
    for (momentum, name) in [
        (Momentum::None, "a step of gradient descent"),
        (Momentum::heavy_ball(0.9), "a step with momentum"),
        (Momentum::nesterov(0.9), "a step with Nesterov's momentum"),
    ] {
        let mut v = [0f32];
        let (theta, v) = ((&mut theta[..]).into(), (&mut v[..]).into());
        let refused =
            l1.sgd(&Sgd { step: 0.1, momentum }, &[], &mut [theta], &mut [v]).expect_err("it has no gradient");
        assert_eq!(refused.to_string(), format!("{name} needs the gradient for each of the 1 tensors, found 0"));
    }
}

/// In its default metric, and says what the other one does.
fn adam_refuses_groups_in_its_own_metric() {
    let set = set(1, &Penalty::l2_norm(0.5).expect("the λ is valid"));
    let step = |metric| {
        let [mut theta, mut m, mut v] = [[1f32]; 3];
        let [theta, m, v] = [&mut theta, &mut m, &mut v].map(|state| (&mut state[..]).into());
        set.adam(&Adam { metric, ..Adam::default() }, &[(&[1f32][..]).into()], &mut [theta], &mut [m], &mut [v])
    };
    let refused = step(Metric::default()).expect_err("a norm has no prox in this metric").to_string();
    assert!(refused.contains("Metric::Plain") && refused.contains("another objective"), "{refused}");
    assert!(step(Metric::Plain).is_ok());
}

fn without_a_penalty_they_are_the_plain_optimizers() {
    let len = 1000;
    let set = set(len, &Penalty::none());
    let (mut theta, mut b) = (noise(len, 1), vec![0f32; len]);
    let (old, g) = (theta.clone(), noise(len, 2));
    sgd(&set, &Sgd { step: 0.5, momentum: Momentum::heavy_ball(0.5) }, &g, &mut theta, &mut b);
    assert_eq!(b, g, "the first momentum is the gradient");
    assert!((0..len).all(|i| theta[i] == old[i] - 0.5 * g[i]));
    let (mut theta, mut b) = (old.clone(), vec![0f32; len]);
    let momentum = Momentum::HeavyBall { momentum: 0.5, dampening: 0.75 };
    sgd(&set, &Sgd { step: 0.5, momentum }, &g, &mut theta, &mut b);
    assert!((0..len).all(|i| b[i] == 0.25 * g[i]), "the first momentum is the dampened gradient");

    // The first step of Adam is by η in the gradient's direction, whatever its size.
    let (mut theta, mut m, mut v) = (old.clone(), vec![0f32; len], vec![0f32; len]);
    adam(&set, &Adam { step: 0.25, epsilon: 1e-30, ..Adam::default() }, &g, &mut theta, [&mut m, &mut v]);
    assert!((0..len).all(|i| (theta[i] - (old[i] - 0.25 * g[i].signum())).abs() < 1e-6));
}

/// A step of the set is its prox after an ordinary step, bit for bit, and its report is that of what it leaves.
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
fn what_is_not_finite_stays_or_spoils() {
    let set = set(8, &Penalty::l1(1.0).expect("the λ is valid"));
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
        // m/√v of infinite ones is no number.
        let spoilt = [nan(1), inf, -inf, nan(2), nan(0), nan(0), nan(0), 0.0];
        assert_eq!(bits(&theta), bits(&spoilt), "{metric:?}");
    }
}
