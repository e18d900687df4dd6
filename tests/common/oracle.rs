//! The true results in `f64`: sums of any weights, and the formulas of one weight. They share no code with `src`.
//!
//! Nothing here can overflow or underflow: the smallest `f32` squared is 2^-298, and the largest squared is 2^256.

use penalty::half::{bf16, f16};
use penalty::{Element, Report};

use crate::common::compare::{Verdict, between, close};

/// The contract's bound on the relative error of a sum: 15.1·2^-24.
pub(crate) const SUM: f64 = 15.1 / 16_777_216.0;
/// Half a unit in the last place of an `f32`, relative.
const ROUNDING: f64 = 1.0 / 16_777_216.0;
/// Elementwise operations treat a number below this magnitude as +0.
pub(crate) const SMALLEST: f64 = 1.0 / (1u128 << 120) as f64;

/// What tests need of an element: its exact number, its bits, and rounding by an independent implementation.
pub(crate) trait Weight: Element {
    fn exact(self) -> f64;
    fn nearest(x: f32) -> Self;
    fn to_u32(self) -> u32;
}

impl Weight for f32 {
    fn exact(self) -> f64 {
        self.into()
    }
    fn nearest(x: f32) -> f32 {
        x
    }
    fn to_u32(self) -> u32 {
        self.to_bits()
    }
}

impl Weight for f16 {
    fn exact(self) -> f64 {
        self.to_f64()
    }
    fn nearest(x: f32) -> f16 {
        f16::from_f32(x)
    }
    fn to_u32(self) -> u32 {
        self.to_bits().into()
    }
}

impl Weight for bf16 {
    fn exact(self) -> f64 {
        self.to_f64()
    }
    fn nearest(x: f32) -> bf16 {
        bf16::from_f32(x)
    }
    fn to_u32(self) -> u32 {
        self.to_bits().into()
    }
}

/// Numbers as elements of a type.
pub(crate) fn to<E: Weight>(numbers: &[f32]) -> Vec<E> {
    numbers.iter().map(|&x| E::nearest(x)).collect()
}

/// The statistics of some weights.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) len: u64,
    /// Over finite weights, like the next two.
    pub(crate) l1: f64,
    pub(crate) l2_squared: f64,
    pub(crate) max_abs: f64,
    pub(crate) nonzero: u64,
    pub(crate) nan: u64,
    pub(crate) inf: u64,
}

pub(crate) fn statistics<E: Weight>(weights: &[E]) -> Statistics {
    let all = || weights.iter().map(|w| w.exact());
    let finite = || all().filter(|x| x.is_finite());
    let count = |test: fn(&f64) -> bool| all().filter(test).count() as u64;
    Statistics {
        len: weights.len() as u64,
        l1: sum(finite().map(f64::abs)),
        // The square of a 24-bit significand has 48 bits.
        l2_squared: sum(finite().map(|x| x * x)),
        max_abs: finite().fold(0.0, |max, x| f64::max(max, x.abs())),
        nonzero: count(|&x| x != 0.0),
        nan: count(|x| x.is_nan()),
        inf: count(|x| x.is_infinite()),
    }
}

/// Neumaier's compensated sum. Its error is that of one rounding.
fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0f64, 0f64);
    for x in numbers {
        let new = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - new) + x } else { (x - new) + sum };
        sum = new;
    }
    sum + lost
}

impl Statistics {
    /// Checks a report of the penalty λ₁Σ|θ| + λ₂Σθ² against these statistics.
    pub(crate) fn check(&self, formula: &Formula, report: &Report) -> Verdict {
        let counts = [
            ("len", self.len, report.len),
            ("nonzero", self.nonzero, report.nonzero),
            ("zeros", self.len - self.nonzero, report.zeros()),
            ("nan", self.nan, report.nan),
            ("inf", self.inf, report.inf),
        ];
        for (name, want, got) in counts {
            if want != got {
                return Err(format!("{name}: expected {want}, found {got}"));
            }
        }
        let spoilt = if self.nan > 0 {
            Some(f64::NAN)
        } else if self.inf > 0 {
            Some(f64::INFINITY)
        } else {
            None
        };
        let value = formula.l1 * self.l1 + formula.l2_squared * self.l2_squared;
        let floats = [
            ("max_abs", self.max_abs, report.max_abs, 0.0),
            ("l1", self.l1, report.l1, SUM),
            ("l2_squared", self.l2_squared, report.l2_squared, SUM),
            ("value", value, report.value, SUM),
        ];
        for (name, want, got, tolerance) in floats {
            close(spoilt.unwrap_or(want), got, tolerance).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }
}

/// λ₁Σ|θ| + λ₂Σθ² for one weight, in `f64`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Formula {
    pub(crate) l1: f64,
    pub(crate) l2_squared: f64,
}

impl Formula {
    pub(crate) fn value(&self, x: f64) -> f64 {
        self.l1 * x.abs() + self.l2_squared * x * x
    }

    pub(crate) fn slope(&self, x: f64) -> f64 {
        let kink = if x == 0.0 { 0.0 } else { self.l1.copysign(x) };
        kink + 2.0 * self.l2_squared * x
    }

    pub(crate) fn minimizer(&self, step: f64, v: f64) -> f64 {
        let left = (v.abs() - step * self.l1).max(0.0);
        left.copysign(v) / (1.0 + 2.0 * step * self.l2_squared)
    }

    /// The formula as in a kernel: if λ times the step is below 2^-120, it is 0.
    fn rounded(&self, step: f64) -> Formula {
        let kept = |c: f64, factor: f64| if c * factor < SMALLEST { 0.0 } else { c };
        // Then prox's factor 1/(1 + 2·step·λ₂) is close to 1.
        Formula { l1: kept(self.l1, step), l2_squared: kept(self.l2_squared, 2.0 * step) }
    }

    /// The formula as in gradients: a coefficient below 2^-120 is 0.
    fn of_gradients(&self) -> Formula {
        let kept = |x: f64, factor: f64| if factor * x < SMALLEST { 0.0 } else { x };
        Formula { l1: kept(self.l1, 1.0), l2_squared: kept(self.l2_squared, 2.0) }
    }

    /// What a slope loses if its smaller term, or the slope itself, is below 2^-120 and so becomes +0.
    fn vanishing(&self, x: f64) -> f64 {
        let terms = [2.0 * self.l2_squared * x, self.slope(x)].map(f64::abs);
        terms.into_iter().filter(|term| *term < SMALLEST * (1.0 + 4.0 * ROUNDING)).sum()
    }

    /// How much of the gradient may be missing: a squared term below 2^-120 becomes +0 before the addition.
    fn vanished(&self, x: f64) -> f64 {
        vanishing(2.0 * self.l2_squared * x)
    }

    /// Checks the gradient at a weight against the formula.
    pub(crate) fn check_gradient<E: Weight>(&self, theta: E, got: E) -> Verdict {
        let (formula, x) = (self.rounded(1.0), read(theta));
        if x.is_nan() {
            return unchanged(theta, got);
        }
        if x.is_infinite() {
            let limit = if formula.l2_squared == 0.0 { formula.l1 } else { f64::INFINITY }.copysign(x);
            let tolerance = if limit.is_finite() { ROUNDING * limit.abs() } else { 0.0 };
            return written(limit, tolerance, got);
        }
        let want = formula.slope(x);
        written(want, 3.0 * ROUNDING * want.abs() + formula.vanishing(x), got)
    }

    /// Checks the sum of an existing gradient and the penalty's gradient against the formula.
    pub(crate) fn check_gradient_add<E: Weight>(&self, theta: E, existing: E, got: E) -> Verdict {
        let (formula, x, e) = (self.rounded(1.0), read(theta), read(existing));
        if e.is_nan() {
            return unchanged(existing, got);
        }
        if x.is_nan() {
            return unchanged(theta, got);
        }
        let more = if !x.is_infinite() {
            formula.slope(x)
        } else if formula.l2_squared == 0.0 {
            formula.l1.copysign(x)
        } else {
            x
        };
        // What overflows `f32` stays infinite.
        let more = if more.abs() > f32::MAX.into() { f64::INFINITY.copysign(more) } else { more };
        let want = e + more;
        if want.is_nan() {
            return if got.exact().is_nan() { Ok(()) } else { Err(format!("∞ − ∞ gave {:e}", got.exact())) };
        }
        if want.is_infinite() {
            return written(want, 0.0, got);
        }
        let vanishing = if x.is_finite() { formula.vanishing(x) } else { 0.0 };
        written(want, 3.0 * ROUNDING * more.abs() + ROUNDING * want.abs() + vanishing, got)
    }

    /// Checks the prox of a weight against the formula.
    pub(crate) fn check_prox<E: Weight>(&self, step: f64, v: E, got: E) -> Verdict {
        let x = read(v);
        if !x.is_finite() || self.l1 == 0.0 && self.l2_squared == 0.0 {
            return unchanged(v, got);
        }
        let want = self.rounded(step).minimizer(step, x);
        // The threshold is rounded once; the factor, the difference and the product round once each.
        let threshold = if step * self.l1 >= x.abs() * 2.0 { 0.0 } else { ROUNDING * step * self.l1 };
        written(want, 3.0 * ROUNDING * want.abs() + threshold, got)
    }
}

/// A weight as elementwise kernels read it.
fn read<E: Weight>(weight: E) -> f64 {
    let x = weight.exact();
    if x.abs() < SMALLEST { 0.0 } else { x }
}

/// The number's magnitude if it may become +0, else 0.
fn vanishing(x: f64) -> f64 {
    if x.abs() * (1.0 - 3.0 * ROUNDING) < SMALLEST { x.abs() } else { 0.0 }
}

fn unchanged<E: Weight>(want: E, got: E) -> Verdict {
    if want.to_u32() == got.to_u32() {
        return Ok(());
    }
    Err(format!("expected the same bits, {:#010x}, found {:#010x}", want.to_u32(), got.to_u32()))
}

/// A number below 2^-120 in magnitude is written as +0. A number close to 2^-120 may be. Any other result must be close
/// to `want`.
fn written<E: Weight>(want: f64, tolerance: f64, got: E) -> Verdict {
    let may_vanish = want.abs() - tolerance < SMALLEST;
    if may_vanish && got.to_u32() == 0 {
        return Ok(());
    }
    let minus_zero = got.exact() == 0.0 && got.to_u32() != 0;
    if want.abs() + tolerance < SMALLEST || minus_zero {
        return Err(format!(
            "expected {want:e}, or +0 for what rounds to zero, found {:e} ({:#010x})",
            got.exact(),
            got.to_u32()
        ));
    }
    between(want - tolerance, want + tolerance, got)
}
