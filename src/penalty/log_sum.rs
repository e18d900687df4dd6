//! Log-sum: λΣln(1 + |θ|/ε).

use super::Penalty;
use super::named::Named;
use super::validate::{factor, shape};
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::float::Float;

/// If |θ|/ε is above this in `f32`, 1 + |θ|/ε counts as |θ|/ε.
const LARGE: f64 = (1u64 << 30) as f64;

pub(super) static FORMULA: Descriptor =
    Descriptor::separable::<LogSum>(include_str!("../../shaders/penalty/log_sum.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "log_sum",
    parameters: &["lambda", "epsilon"],
    lambdas: 1,
    formula: "λΣln(1 + |θ|/ε)",
    new: |p| Penalty::log_sum(p[0], p[1]),
};

pub(super) struct LogSum;

impl Penalty {
    /// R(θ) = λΣln(1 + |θ|/ε) (Candès, Wakin and Boyd 2008): what reweighted L1 minimizes.
    ///
    /// prox(v) is 0 or the larger root of x − |v| + ηλ/(ε + x) = 0 with v's sign, whichever has the lower objective. If
    /// √(ηλ) ≤ ε, it is 0 up to ηλ/ε. Otherwise it is 0 up to the threshold where both objectives are equal; that lies
    /// between 2√(ηλ) − ε and ηλ/ε, and the host finds it in `f64`. The gradient is λ/(ε + |θ|)·sign θ, 0 at 0. Not
    /// convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let log_sum = Penalty::log_sum(1.0, 1.0)?;
    /// assert_eq!(Backend::cpu().prox(&log_sum, &[0.5f32, -3.0], 0.5)?, [0.0, -2.8708286]);
    /// assert_eq!(Backend::cpu().gradient(&log_sum, &[3.0f32])?, [0.25]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2 and 2^-100 ≤ ε ≤ 2^100.
    pub fn log_sum(lambda: f64, epsilon: f64) -> Result<Penalty> {
        Ok(Penalty::of(
            &FORMULA,
            [factor("lambda", lambda)?, shape("epsilon", epsilon, 0.0)?],
            NAMED.given([lambda, epsilon]),
        ))
    }
}

impl Formula for LogSum {
    const NAME: &'static str = "log_sum";

    fn factors([lambda, _]: Parameters) -> [f64; 3] {
        [0.0, 0.0, lambda]
    }

    /// 1/ε, 2^30·ε, −ln ε.
    fn term_coefficients([_, epsilon]: Parameters) -> [f64; 3] {
        [1.0 / epsilon, LARGE * epsilon, -epsilon.ln()]
    }

    /// λ, ε.
    fn gradient_coefficients([lambda, epsilon]: Parameters) -> [f64; 5] {
        [lambda, epsilon, 0.0, 0.0, 0.0]
    }

    /// The threshold, ε, step·λ/ε, ε − 2√(step·λ), ε + 2√(step·λ).
    fn prox_coefficients([lambda, epsilon]: Parameters, step: f64) -> Result<[f64; 5]> {
        let k = step * lambda;
        Ok([jump(k, epsilon), epsilon, k / epsilon, epsilon - 2.0 * k.sqrt(), epsilon + 2.0 * k.sqrt()])
    }

    /// step·λ, ε, 1/ε.
    fn metric_coefficients([lambda, epsilon]: Parameters, step: f64) -> Result<[f64; 5]> {
        Ok([step * lambda, epsilon, 1.0 / epsilon, 0.0, 0.0])
    }
}

impl<F: Float> PerWeight<F> for LogSum {
    #[inline(always)]
    fn term(theta: F, t: &TermCoefficients<F>) -> F {
        let a = theta.abs();
        let large = F::less(if F::DOUBLE { F::INFINITY } else { t[1] }, a);
        // One logarithm serves both cases, ln(1 + a/ε) and ln a − ln ε: with two in branches, the loop would not be
        // vectorized.
        let u = F::select(large, F::ZERO, a * t[0]);
        let y = F::ONE + u;
        let lost = u - (y - F::ONE);
        F::ln(F::select(large, a, y), lost) + F::select(large, t[2], F::ZERO)
    }

    #[inline(always)]
    fn gradient(theta: F, c: &Coefficients<F>) -> F {
        let slope = F::signed(F::quotient(c[0], c[1] + theta.abs()), theta);
        F::select(F::equal(theta, F::ZERO), F::ZERO, slope)
    }

    #[inline(always)]
    fn gradient_limits(_: &Coefficients<F>) -> [F; 2] {
        [F::ZERO; 2]
    }

    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        let a = v.abs();
        let x = larger_root(a, c[1], a - c[2], a + c[3], a + c[4]);
        F::select(F::less(c[0], a), F::signed(x, v), F::ZERO)
    }

    #[inline(always)]
    fn metric_prox(v: F, d: F, c: &Coefficients<F>) -> F {
        let a = v.abs();
        let k = F::quotient(c[0], d);
        let s = F::root(k);
        let twice = F::of(2.0) * s;
        let sum = a + c[1];
        let excess = a - F::quotient(k, c[1]);
        let x = larger_root(a, c[1], excess, sum - twice, sum + twice);
        // If the objective is convex, the prox leaves 0 at k/ε. Otherwise it leaves 0 where the objective at x is lower
        // than at 0.
        let positive = F::select(F::less(F::ZERO, x), x, F::ONE);
        let paid = F::quotient(k, positive) * F::ln_1p(ratio(positive, c));
        let lower = F::less(paid, a - F::of(0.5) * positive);
        let jumps = F::less(c[1], s);
        let left = (jumps & F::less(twice, sum) & F::less(F::ZERO, x) & lower) | (!jumps & F::less(F::ZERO, excess));
        F::select(left, F::signed(x, v), F::ZERO)
    }
}

/// x/ε, but in `f32` at most what `ln_1p` takes.
#[inline(always)]
fn ratio<F: Float>(x: F, c: &Coefficients<F>) -> F {
    let r = x * c[2];
    if F::DOUBLE { r } else { F::select(F::less(r, F::of(1e30)), r, F::of(1e30)) }
}

/// The larger root of x² + (ε − a)x + k − aε = 0, from a − k/ε and both factors of the discriminant. If the difference
/// of its two terms would cancel, it comes from the product of both roots.
#[inline(always)]
fn larger_root<F: Float>(a: F, epsilon: F, excess: F, low: F, high: F) -> F {
    let positive = |x: F| F::select(F::less(F::ZERO, x), x, F::ZERO);
    let d = F::root(positive(low)) * F::root(positive(high));
    let near = F::of(2.0) * epsilon * F::quotient(positive(excess), (epsilon - a) + d);
    let far = F::of(0.5) * ((a - epsilon) + d);
    F::select(F::less(a, epsilon), near, far)
}

/// The largest v whose prox is 0, for k = step·λ.
fn jump(k: f64, epsilon: f64) -> f64 {
    let root = k.sqrt();
    if root <= epsilon {
        return k / epsilon;
    }
    // How much lower the objective is at the larger root than at 0. It grows with v.
    let gain = |v: f64| {
        let x = 0.5 * ((v - epsilon) + ((v + epsilon - 2.0 * root) * (v + epsilon + 2.0 * root)).max(0.0).sqrt());
        x * (v - 0.5 * x) - k * (x / epsilon).ln_1p()
    };
    let (mut low, mut high) = (2.0 * root - epsilon, k / epsilon);
    // Each round halves the distance, until no number lies between the two.
    for _ in 0..1100 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if gain(middle) > 0.0 { high = middle } else { low = middle }
    }
    low
}
