//! Projections and gradients if weights and parameters have very different scales.

use super::cases::{noise, power};
use super::exact::{self, Projection};
use super::oracle::Weight;
use penalty::half::{bf16, f16};
use penalty::{Backend, Groups, Penalty, Result};

/// How far a projection may be off, in billionths of the radius.
const OF_RADIUS: u32 = 1000;

type Project = fn(&[f64], f64) -> Projection;

fn balls(radius: f64) -> [(Result<Penalty>, Project); 3] {
    [
        (Penalty::l1_ball(radius), exact::l1_ball),
        (Penalty::l2_ball(radius), exact::l2_ball),
        (Penalty::simplex(radius), exact::simplex),
    ]
}

/// Groups of weights near a scale: equal weights, weights that differ in their last places, both signs, many scales,
/// one large weight among small ones, and negative weights.
fn groups(scale: f64, len: usize, seed: u64) -> [Vec<f64>; 6] {
    let noise: Vec<f64> = noise(len, seed).into_iter().map(f64::from).collect();
    let of = |f: &dyn Fn(usize, f64) -> f64| noise.iter().enumerate().map(|(i, &x)| scale * f(i, x)).collect();
    [
        of(&|_, _| 1.0),
        of(&|i, _| 1.0 - power(-24) * (i % 5) as f64),
        of(&|_, x| x),
        of(&|i, x| x * power(-((i % 40) as i32))),
        of(&|i, x| if i == len / 2 { 1.0 } else { x * 1e-9 }),
        of(&|i, x| -1.0 - x.abs() * power(-((i % 30) as i32))),
    ]
}

/// Projects weights of every scale, relative to a radius, in groups of a given length. Compares each group with the
/// exact projection.
fn project<E: Weight>(backend: &Backend, radius: f64, scales: &[i32], len: usize, of_itself: u32) {
    let groups: Vec<Vec<f64>> = scales.iter().flat_map(|&k| groups(radius * power(k), len, k as u64)).collect();
    // The exact values after rounding to this type.
    let nearest: Vec<E> = groups.concat().iter().map(|&x| E::nearest(x as f32)).collect();
    let runs = Groups::runs(len as u64).expect("no group is empty");
    for (penalty, exact) in balls(radius) {
        let penalty = penalty.and_then(|penalty| penalty.over(runs.clone())).expect("its parameters are valid");
        let found = backend.prox(&penalty, &nearest, 1.0).expect("the groups cover it");
        for (x, v) in found.chunks(len).zip(nearest.chunks(len)) {
            let [x, v] = [x, v].map(|weights| weights.iter().map(|w| w.exact()).collect::<Vec<f64>>());
            if let Some(i) = exact(&v, radius).first_off(&x, radius, [OF_RADIUS, of_itself]) {
                panic!(
                    "{penalty:?} of {}: {i} of {:?} is {:?}",
                    E::DTYPE,
                    &v[..v.len().min(20)],
                    &x[..x.len().min(20)]
                );
            }
        }
        let again = backend.prox(&penalty, &found, 1.0).expect("the groups cover it");
        let value = backend.evaluate(&penalty, &found).expect("the groups cover it").value;
        assert_eq!(value, 0.0, "the value of a projection, {penalty:?} of {}", E::DTYPE);
        let bits = |weights: &[E]| weights.iter().map(|w| w.to_u32()).collect::<Vec<u32>>();
        assert!(bits(&again) == bits(&found), "{penalty:?} of {} changes what it projected", E::DTYPE);
    }
}

/// Weights are up to 2^100 times as large or as small as the radius.
pub(crate) fn projections_are_exact_at_every_ratio(backend: &Backend) {
    // One unit in the last place, in billionths.
    const F16: u32 = 976_563;
    const BF16: u32 = 7_812_500;
    let all: Vec<i32> = (-100..=100).collect();
    let some = [-100, -55, -24, -3, -1, 0, 1, 2, 3, 4, 20, 23, 24, 25, 30, 53, 57, 99];
    project::<f32>(backend, 1.0, &all, 7, 0);
    project::<f32>(backend, 1.0, &some, 300, 0);
    project::<f32>(backend, 1e-9, &some[..17], 3, 0);
    project::<f32>(backend, 0.7, &some, 1, 0);
    project::<f32>(backend, power(-98), &some[5..], 7, 0);
    // Weights of about 2^126, with radii of 2^27 and 1.5·2^126. Differences of weights overflow here.
    project::<f32>(backend, power(27), &[-100, 99], 7, 0);
    project::<f32>(backend, 1.5 * power(126), &[-100, -3, 0], 7, 0);
    project::<f16>(backend, 1.0, &[-3, 0, 1, 3, 8, 12, 14], 7, F16);
    project::<f16>(backend, 0.7, &[-2, 0, 5, 13], 60, F16);
    project::<bf16>(backend, 1.0, &some, 7, BF16);
    project::<bf16>(backend, 1e-9, &some[..17], 60, BF16);
    // Only a weight of 0 is as small as these radii.
    for radius in [0.0, 1e-40, 1e-300] {
        for (penalty, _) in balls(radius) {
            let penalty = penalty.expect("its parameters are valid");
            for v in [[0.0f32, 1.0, 0.0, 3.0], [0.0; 4], [-1.0, -3e38, -1e-20, -1.0]] {
                assert_eq!(backend.prox(&penalty, &v, 1.0), Ok(vec![0.0; 4]), "{penalty:?} of {v:?}");
            }
            assert_eq!(backend.evaluate(&penalty, &[0.0f32; 4]).map(|report| report.value), Ok(0.0), "{penalty:?}");
        }
    }
}

/// Cases that users reported: weights and radius differ by many scales.
pub(crate) fn reported_projections_are_right(backend: &Backend) {
    let project = |penalty: Result<Penalty>, v: &[f32]| {
        let penalty = penalty.expect("its parameters are valid");
        let found = backend.prox(&penalty, v, 1.0).expect("it is one group");
        assert_eq!(backend.evaluate(&penalty, &found).expect("it is one group").value, 0.0, "{penalty:?} of {found:?}");
        found
    };
    let third = 1.0f32 / 3.0;
    let close = |found: &[f32], want: f32| assert!(found.iter().all(|x| (x - want).abs() <= want * 1e-6), "{found:?}");
    close(&project(Penalty::simplex(1.0), &[2f32.powi(30); 3]), third);
    close(&project(Penalty::simplex(1.0), &vec![4096.0; 100_000]), 1e-5);
    close(&project(Penalty::simplex(1e-9), &[0.3; 7]), 1e-9 / 7.0);
    assert_eq!(project(Penalty::simplex(1.0), &[1e20, 1.0, 1.0]), [1.0, 0.0, 0.0]);
    // The threshold is above the largest `f32`.
    assert_eq!(project(Penalty::simplex(1.5 * power(127)), &[-1.5 * 2f32.powi(127)]), [1.5 * 2f32.powi(127)]);
    close(&project(Penalty::l1_ball(1.0), &[3e38; 3]), third);
    assert_eq!(project(Penalty::l1_ball(1.0), &[3e38, -3e38, 1.0]), [0.5, -0.5, 0.0]);
    close(&project(Penalty::l2_ball(1.0), &[3e38; 3]), 0.577_350_3);
    close(&project(Penalty::l2_ball(2f64.powi(-110)), &[3e38; 4]), 2f32.powi(-111));
}

/// λ√n·θ/‖θ‖ in `f64`. No intermediate result overflows there.
fn norm_gradient(theta: &[f64], [kink, lambda]: [f64; 2]) -> Vec<f64> {
    let norm = theta.iter().map(|t| t * t).sum::<f64>().sqrt();
    let slope = |t: f64| if t == 0.0 { 0.0 } else { kink * t.signum() + lambda * t / norm };
    theta.iter().map(|&t| slope(t)).collect()
}

/// If weights and results are at least 2^-120, the error is at most 4e-7 plus the type's rounding.
fn slopes<E: Weight>(backend: &Backend, scales: &[i32], lambdas: &[f64], len: usize, of_itself: f64) {
    let runs = || Groups::runs(len as u64).expect("no group is empty");
    let root = (len as f64).sqrt();
    let groups: Vec<f64> = scales.iter().flat_map(|&k| groups(power(k), len, k as u64).concat()).collect();
    let theta: Vec<E> = groups.iter().map(|&x| E::nearest(x as f32)).collect();
    for &lambda in lambdas {
        let norms = [
            (Penalty::l2_norm(lambda).and_then(|norm| norm.over(runs())), [0.0, lambda]),
            (Penalty::group_lasso(lambda, runs()), [0.0, lambda * root]),
            (Penalty::sparse_group_lasso(lambda, 0.25, runs()), [0.25 * lambda, 0.75 * lambda * root]),
        ];
        for (penalty, factors) in norms {
            let penalty = penalty.expect("its parameters are valid");
            let found = backend.gradient(&penalty, &theta).expect("the groups cover it");
            for (x, theta) in found.chunks(len).zip(theta.chunks(len)) {
                let theta: Vec<f64> = theta.iter().map(|t| t.exact()).collect();
                let kept: Vec<f64> = theta.iter().map(|&t| if t.abs() < power(-120) { 0.0 } else { t }).collect();
                for ((x, want), t) in x.iter().zip(norm_gradient(&kept, factors)).zip(&theta) {
                    let inside = t.abs() >= power(-120) && (power(-120)..3e38).contains(&want.abs());
                    let off = (x.exact() - want).abs();
                    let most = (4e-7 + of_itself) * want.abs() + if of_itself == 0.0 { 0.0 } else { power(-25) };
                    assert!(!inside || off <= most, "{penalty:?} at {t:e} of {}: {x:?}, not {want:e}", E::DTYPE);
                }
            }
        }
    }
}

/// λ/‖θ‖ leaves the range of `f32` too.
pub(crate) fn norm_gradients_are_right_at_every_scale(backend: &Backend) {
    let all: Vec<i32> = (-119..=126).collect();
    slopes::<f32>(backend, &all, &[1.0, 1e-6, 1e30, 1e-30, 1.2e38], 7, 0.0);
    slopes::<f32>(backend, &[-119, -60, 0, 100, 126], &[1.0, 1e-6, 1e38], 300, 0.0);
    slopes::<f32>(backend, &[-119, 0, 126], &[1.0, 1e-6], 1, 0.0);
    slopes::<f16>(backend, &[-14, -3, 0, 14], &[1.0, 1e-2], 7, power(-11));
    slopes::<bf16>(backend, &all, &[1.0, 1e-6, 1e30], 7, power(-8));
    let at = |lambda: f64, theta: &[f32]| {
        let norm = Penalty::l2_norm(lambda).expect("its parameters are valid");
        backend.gradient(&norm, theta).expect("it is one group")
    };
    assert_eq!(at(1.0, &[1e-30, 0.0, 0.0]), [1.0, 0.0, 0.0]);
    assert!(at(1.0, &[3e38; 3]).iter().all(|x| (x - 0.577_350_3).abs() < 2e-7));
    assert!((at(1e-6, &[1e37])[0] - 1e-6).abs() < 4e-13);
    // The weights have very different scales. Their product with λ alone, or with 1/‖θ‖ alone, would leave the range.
    let mixed = at(2f64.powi(100), &[2f32.powi(100), 2f32.powi(-60), -(2f32.powi(-119))]);
    assert_eq!(mixed, [2f32.powi(100), 2f32.powi(-60), -(2f32.powi(-119))]);
}
