//! Custom penalties for tests: correct ones, a built-in one written again, and some that break rules.

use penalty::custom::{self as twins, Elementwise};
use penalty::{Error, Penalty, Result};

/// λΣr(θ), where r(θ) is τθ if θ > 0, else (τ − 1)θ.
pub(crate) enum Pinball {}

impl Elementwise for Pinball {
    const NAME: &'static str = "pinball";
    const WGSL: &'static str = "
        fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
            return select(-theta * t[1], theta * t[0], theta > vec4<f32>(0.0));
        }
        fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
            let below = select(vec4<f32>(0.0), -c[1], theta < vec4<f32>(0.0));
            return select(below, c[0], theta > vec4<f32>(0.0));
        }
        fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
            return opaque(v - clamp(v, -c[1], c[0]));
        }";

    fn accept([_, tau]: [f64; 2]) -> Result<()> {
        let rejected = Error::Parameter { name: "tau", expected: "from 0 to 1", found: tau };
        if (0.0..=1.0).contains(&tau) { Ok(()) } else { Err(rejected) }
    }

    fn term_coefficients([_, tau]: [f64; 2]) -> [f64; 3] {
        [tau, 1.0 - tau, 0.0]
    }

    fn gradient_coefficients([lambda, tau]: [f64; 2]) -> [f64; 3] {
        [lambda * tau, lambda * (1.0 - tau), 0.0]
    }

    fn gradient_limits([lambda, tau]: [f64; 2]) -> [f64; 2] {
        [-lambda * (1.0 - tau), lambda * tau]
    }

    /// Rejects a step of 0. Other penalties accept it.
    fn prox_coefficients([lambda, tau]: [f64; 2], step: f64) -> Result<[f64; 5]> {
        if step == 0.0 {
            return Err(Error::Parameter { name: "step", expected: "above 0", found: step });
        }
        Ok([step * lambda * tau, step * lambda * (1.0 - tau), 0.0, 0.0, 0.0])
    }

    #[inline(always)]
    fn term(theta: f32, t: &[f32; 3]) -> f32 {
        if theta > 0.0 { theta * t[0] } else { -theta * t[1] }
    }

    #[inline(always)]
    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        if theta > 0.0 {
            c[0]
        } else if theta < 0.0 {
            -c[1]
        } else {
            0.0
        }
    }

    #[inline(always)]
    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        let raised = if v > -c[1] { v } else { -c[1] };
        v - if raised < c[0] { raised } else { c[0] }
    }
}

/// The reverse of Huber's penalty: λΣ|θ| up to δ, and λΣ(θ² + δ²)/(2δ) beyond (Owen 2007). It has a prox in Adam's
/// metric.
pub(crate) enum BerHu {}

impl Elementwise for BerHu {
    const NAME: &'static str = "berhu";
    const WGSL: &'static str = "
        fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
            let a = abs(theta);
            let beyond = bounded(opaque(opaque(a * a) * 0.5) + t[1]);
            return select(beyond, bounded(a * t[0]), a <= t[0]);
        }
        fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
            let a = abs(theta);
            let slope = select(bounded(a * c[1]), c[0], a <= c[2]);
            return select(signed(slope, theta), vec4<f32>(0.0), theta == vec4<f32>(0.0));
        }
        fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
            return select(opaque(v * c[2]), threshold(v, c[0]), abs(v) <= c[1]);
        }
        fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
            let k = quotient(c[0], d);
            let beyond = opaque(v * quotient(d, opaque(d + c[2])));
            return select(beyond, threshold(v, k), abs(v) <= opaque(c[1] + k));
        }";

    fn accept([_, delta]: [f64; 2]) -> Result<()> {
        let rejected = Error::Parameter { name: "delta", expected: "from 2^-40 to 2^40", found: delta };
        if (2f64.powi(-40)..=2f64.powi(40)).contains(&delta) { Ok(()) } else { Err(rejected) }
    }

    /// The term is δ times the summand, so it needs no quotient.
    fn factor([lambda, delta]: [f64; 2]) -> f64 {
        lambda / delta
    }

    fn term_coefficients([_, delta]: [f64; 2]) -> [f64; 3] {
        [delta, 0.5 * delta * delta, 0.0]
    }

    fn gradient_coefficients([lambda, delta]: [f64; 2]) -> [f64; 3] {
        [lambda, lambda / delta, delta]
    }

    fn gradient_limits([lambda, _]: [f64; 2]) -> [f64; 2] {
        if lambda == 0.0 { [0.0; 2] } else { [f64::NEG_INFINITY, f64::INFINITY] }
    }

    fn prox_coefficients([lambda, delta]: [f64; 2], step: f64) -> Result<[f64; 5]> {
        let k = step * lambda;
        Ok([k, delta + k, 1.0 / (1.0 + k / delta), 0.0, 0.0])
    }

    fn metric_coefficients([lambda, delta]: [f64; 2], step: f64) -> Result<[f64; 5]> {
        Ok([step * lambda, delta, step * lambda / delta, 0.0, 0.0])
    }

    #[inline(always)]
    fn term(theta: f32, t: &[f32; 3]) -> f32 {
        let a = theta.abs();
        if a <= t[0] { twins::bounded(a * t[0]) } else { twins::bounded((a * a) * 0.5 + t[1]) }
    }

    #[inline(always)]
    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        let a = theta.abs();
        let slope = if a <= c[2] { c[0] } else { twins::bounded(a * c[1]) };
        if theta == 0.0 { 0.0 } else { twins::signed(slope, theta) }
    }

    #[inline(always)]
    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        if v.abs() <= c[1] { twins::threshold(v, c[0]) } else { v * c[2] }
    }

    #[inline(always)]
    fn metric_prox(v: f32, d: f32, c: &[f32; 5]) -> f32 {
        let k = twins::quotient(c[0], d);
        let beyond = v * twins::quotient(d, d + c[2]);
        if v.abs() <= c[1] + k { twins::threshold(v, k) } else { beyond }
    }
}

/// A constraint: no weight is below the first parameter. It has no gradient, so neither half's gradient is ever called.
pub(crate) enum AtLeast {}

impl Elementwise for AtLeast {
    const NAME: &'static str = "at_least";
    const WGSL: &'static str = "
        fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
            return select(vec4<f32>(0.0), vec4<f32>(1.0), theta < t[0]);
        }
        fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
            return max(v, c[0]);
        }";

    fn factor(_: [f64; 2]) -> f64 {
        f64::INFINITY
    }

    fn term_coefficients([lowest, _]: [f64; 2]) -> [f64; 3] {
        [lowest, 0.0, 0.0]
    }

    fn gradient_limits(_: [f64; 2]) -> [f64; 2] {
        [0.0; 2]
    }

    fn prox_coefficients([lowest, _]: [f64; 2], _: f64) -> Result<[f64; 5]> {
        Ok([lowest, 0.0, 0.0, 0.0, 0.0])
    }

    #[inline(always)]
    fn term(theta: f32, t: &[f32; 3]) -> f32 {
        if theta < t[0] { 1.0 } else { 0.0 }
    }

    fn gradient(_: f32, _: &[f32; 3]) -> f32 {
        unreachable!("a constraint has no gradient")
    }

    #[inline(always)]
    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        if v > c[0] { v } else { c[0] }
    }
}

pub(crate) fn at_least(lowest: f64) -> Penalty {
    Penalty::custom::<AtLeast>([lowest, 0.0]).expect("its parameters are valid")
}

/// L1's functions in WGSL.
macro_rules! wgsl {
    (term) => {
        "fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> { return abs(theta); }
"
    };
    (gradient) => {
        "fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
            return select(signed(c[0], theta), vec4<f32>(0.0), theta == vec4<f32>(0.0));
        }
"
    };
    (prox) => {
        "fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> { return threshold(v, c[0]); }
"
    };
    (metric_prox) => {
        "fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> { return threshold(v, quotient(c[0], d)); }
"
    };
}

/// The WGSL with each mistake.
const WGSL: [&str; 10] = [
    concat!(wgsl!(term), wgsl!(gradient), wgsl!(prox), wgsl!(metric_prox)),
    concat!(
        "fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> { return min(abs(theta), vec4<f32>(1e30)); }",
        wgsl!(gradient),
        wgsl!(prox),
        wgsl!(metric_prox)
    ),
    concat!(
        wgsl!(term),
        "fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> { return signed(c[0], theta); }",
        wgsl!(prox),
        wgsl!(metric_prox)
    ),
    concat!(
        wgsl!(term),
        wgsl!(gradient),
        "fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> { return threshold(v, c[0]) * 0.99999994; }",
        wgsl!(metric_prox)
    ),
    concat!(
        wgsl!(term),
        wgsl!(gradient),
        wgsl!(prox),
        "fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> { return threshold(v, c[0] * d); }"
    ),
    concat!(wgsl!(term), wgsl!(gradient), "fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> { return v +; }"),
    concat!(wgsl!(term), wgsl!(gradient)),
    concat!(wgsl!(term), wgsl!(gradient), "fn prox(v: vec4<f32>) -> vec4<f32> { return v; }"),
    concat!(wgsl!(term), wgsl!(gradient), wgsl!(prox), "fn visit(x: f32) -> f32 { return x; }"),
    concat!(wgsl!(term), wgsl!(gradient), wgsl!(prox), "/*"),
];

/// L1 written again, correctly or with a mistake in its WGSL. Each is a separate type; all have the same name.
pub(crate) struct L1<const MISTAKE: usize>;

/// Where the mistake is.
pub(crate) const RIGHT: usize = 0;

pub(crate) const IN_TERM: usize = 1;

pub(crate) const IN_GRADIENT: usize = 2;

pub(crate) const IN_PROX: usize = 3;

pub(crate) const IN_METRIC: usize = 4;

pub(crate) const IN_SYNTAX: usize = 5;

pub(crate) const NO_PROX: usize = 6;

pub(crate) const IN_SIGNATURE: usize = 7;

pub(crate) const TAKEN_NAME: usize = 8;

pub(crate) const UNCLOSED: usize = 9;

impl<const MISTAKE: usize> Elementwise for L1<MISTAKE> {
    const NAME: &'static str = "l1_again";
    const WGSL: &'static str = WGSL[MISTAKE];

    fn gradient_limits([lambda, _]: [f64; 2]) -> [f64; 2] {
        [-lambda, lambda]
    }

    fn metric_coefficients(p: [f64; 2], step: f64) -> Result<[f64; 5]> {
        Self::prox_coefficients(p, step)
    }

    #[inline(always)]
    fn term(theta: f32, _: &[f32; 3]) -> f32 {
        assert!(theta.is_finite());
        theta.abs()
    }

    #[inline(always)]
    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        assert!(theta.is_finite());
        if theta == 0.0 { 0.0 } else { twins::signed(c[0], theta) }
    }

    #[inline(always)]
    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        assert!(v.is_finite());
        twins::threshold(v, c[0])
    }

    #[inline(always)]
    fn metric_prox(v: f32, d: f32, c: &[f32; 5]) -> f32 {
        twins::threshold(v, twins::quotient(c[0], d))
    }
}

/// Its functions break a rule, chosen by `KIND`. No device runs them.
pub(crate) struct Lawless<const KIND: usize>;

impl<const KIND: usize> Elementwise for Lawless<KIND> {
    const NAME: &'static str = "lawless";
    const WGSL: &'static str = WGSL[RIGHT];

    fn gradient_limits(_: [f64; 2]) -> [f64; 2] {
        [0.0; 2]
    }

    fn term(theta: f32, _: &[f32; 3]) -> f32 {
        [f32::NAN, -1.0, f32::INFINITY, f32::MAX, theta.abs(), theta.abs()][KIND]
    }

    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        if KIND == 4 { f32::NAN } else { L1::<RIGHT>::gradient(theta, c) }
    }

    fn prox(v: f32, _: &[f32; 5]) -> f32 {
        if KIND == 5 { f32::INFINITY } else { v }
    }
}

pub(crate) fn pinball(lambda: f64, tau: f64) -> Penalty {
    Penalty::custom::<Pinball>([lambda, tau]).expect("its parameters are valid")
}

pub(crate) fn berhu(lambda: f64, delta: f64) -> Penalty {
    Penalty::custom::<BerHu>([lambda, delta]).expect("its parameters are valid")
}

pub(crate) fn l1_with<const MISTAKE: usize>() -> Penalty {
    Penalty::custom::<L1<MISTAKE>>([0.5, 0.0]).expect("its parameters are valid")
}

/// Penalties with steps, ordinary and extreme.
pub(crate) fn penalties() -> Vec<(Penalty, f64)> {
    vec![
        (pinball(0.5, 0.25), 0.5),
        (pinball(1e38, 1.0), 1e-3),
        (pinball(0.0, 0.5), 1.0),
        (berhu(0.1, 0.5), 0.5),
        (berhu(1e-3, 1e12), 1e3),
        (berhu(1e20, 1e-12), 1.0),
        (l1_with::<RIGHT>(), 0.7),
        (at_least(-0.25), 1.0),
    ]
}

/// The error about a tensor of a set, without the tensor's name.
pub(crate) fn inner(error: Error) -> Error {
    match error {
        Error::InParameter { error, .. } => *error,
        error => error,
    }
}
