//! Does the CPU follow the formulas of custom penalties?

use penalty::{Backend, Penalty};

use crate::common::cases::noise;
use crate::common::compare::close;
use crate::common::custom::{berhu, pinball};

/// Compares with formulas in `f64`.
#[test]
fn the_host_follows_the_formulas() {
    let cpu = Backend::cpu();
    let weights: Vec<f32> = noise(5000, 3).iter().map(|x| 4.0 * x).chain([0.0, 1e10, -1e10]).collect();
    let (lambda, shape, step) = (0.5, 0.25, 0.8);
    let k = lambda * step;
    // The value, the gradient and the prox of one weight.
    type Formulas = fn(f64, [f64; 3]) -> [f64; 3];
    let formulas: [(Penalty, [f32; 2], Formulas); 2] = [
        (pinball(lambda, shape), [-0.375, 0.125], |x, [lambda, tau, k]| {
            let slope = if x > 0.0 { tau } else { tau - 1.0 };
            let shrunk = x - x.clamp(-k * (1.0 - tau), k * tau);
            [lambda * slope * x, if x == 0.0 { 0.0 } else { lambda * slope }, shrunk]
        }),
        (berhu(lambda, shape), [f32::NEG_INFINITY, f32::INFINITY], |x, [lambda, delta, k]| {
            let (a, sign) = (x.abs(), if x == 0.0 { 0.0 } else { x.signum() });
            let value = if a <= delta { a } else { (x * x + delta * delta) / (2.0 * delta) };
            let slope = if a <= delta { sign } else { x / delta };
            let shrunk = if a <= delta + k { sign * (a - k).max(0.0) } else { x / (1.0 + k / delta) };
            [lambda * value, lambda * slope, shrunk]
        }),
    ];
    for (penalty, limits, formulas) in formulas {
        let of = |x: &f32| formulas(f64::from(*x), [lambda, shape, k]);
        let value: f64 = weights.iter().map(|x| of(x)[0]).sum();
        let report = cpu.evaluate(&penalty, &weights).expect("the CPU does not fail");
        close(value, report.value, 1e-6).expect("the value");
        let gradient = cpu.gradient(&penalty, &weights).expect("the CPU does not fail");
        let shrunk = cpu.prox(&penalty, &weights, step).expect("the CPU does not fail");
        for ((x, gradient), shrunk) in weights.iter().zip(gradient).zip(shrunk) {
            let [_, slope, prox] = of(x);
            assert!((f64::from(gradient) - slope).abs() <= 1e-6 * slope.abs(), "{penalty:?} at {x}: {gradient}");
            assert!((f64::from(shrunk) - prox).abs() <= 3e-7 * f64::from(x.abs()), "{penalty:?} at {x}: {shrunk}");
        }
        let infinite = cpu.gradient(&penalty, &[f32::NEG_INFINITY, f32::INFINITY]).expect("the CPU does not fail");
        assert_eq!(infinite, limits);
    }
}
