//! None, L1, L2² and the elastic net: λ₁Σ|θ| + λ₂Σθ², one formula with two coefficients.

use super::Penalty;
use super::named::Named;
use super::validate::{factor, ratio, shrink};
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::arithmetic::quotient;
use crate::numeric::bits::{LARGE, MAGNITUDE, SMALLEST, flush, select, signed, threshold};
use crate::numeric::float::Float;

pub(super) static FORMULA: Descriptor =
    Descriptor::separable::<ElasticNet>(include_str!("../../shaders/penalty/elastic_net.wgsl"));

pub(super) static NONE: Named =
    Named { name: "none", parameters: &[], lambdas: 0, formula: "0", new: |_| Ok(Penalty::none()) };

pub(super) static L1: Named =
    Named { name: "l1", parameters: &["lambda"], lambdas: 1, formula: "λΣ|θ|", new: |p| Penalty::l1(p[0]) };

pub(super) static L2_SQUARED: Named = Named {
    name: "l2_squared",
    parameters: &["lambda"],
    lambdas: 1,
    formula: "λΣθ²",
    new: |p| Penalty::l2_squared(p[0]),
};

pub(super) static ELASTIC_NET: Named = Named {
    name: "elastic_net",
    parameters: &["lambda", "alpha"],
    lambdas: 1,
    formula: "λ(αΣ|θ| + (1−α)Σθ²)",
    new: |p| Penalty::elastic_net(p[0], p[1]),
};

pub(super) static SCIKIT_LEARN: Named = Named {
    name: "scikit_learn",
    parameters: &["alpha", "l1_ratio"],
    lambdas: 1,
    formula: "α(ρΣ|θ| + ½(1−ρ)Σθ²), with ρ = l1-ratio",
    new: |p| Penalty::scikit_learn(p[0], p[1]),
};

pub(super) static GLMNET: Named = Named {
    name: "glmnet",
    parameters: &["lambda", "alpha"],
    lambdas: 1,
    formula: "λ(αΣ|θ| + ½(1−α)Σθ²)",
    new: |p| Penalty::glmnet(p[0], p[1]),
};

pub(super) static KERAS: Named = Named {
    name: "keras",
    parameters: &["l1", "l2"],
    lambdas: 2,
    formula: "l1·Σ|θ| + l2·Σθ²",
    new: |p| Penalty::keras(p[0], p[1]),
};

pub(super) static WEIGHT_DECAY: Named = Named {
    name: "weight_decay",
    parameters: &["weight_decay"],
    lambdas: 1,
    formula: "½λΣθ², with λ = weight-decay",
    new: |p| Penalty::weight_decay(p[0]),
};

pub(super) struct ElasticNet;

impl Penalty {
    /// R(θ) = 0. Its prox leaves every bit as it is. Evaluating it still gives the statistics.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let report = Backend::cpu().evaluate(&Penalty::none(), &[3.0f32, -4.0])?;
    /// assert_eq!((report.value, report.l1, report.l2_squared), (0.0, 7.0, 25.0));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn none() -> Penalty {
        Penalty::of(&FORMULA, [0.0, 0.0], NONE.given([]))
    }

    /// R(θ) = λΣ|θ|, the lasso's penalty (Tibshirani 1996). It makes weights exactly zero.
    ///
    /// prox(v) is the soft threshold v − clamp(v, −ηλ, ηλ). The gradient is λ·sign θ, 0 at 0. Convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let (cpu, l1) = (Backend::cpu(), Penalty::l1(0.5)?);
    /// assert_eq!(cpu.evaluate(&l1, &[1.0f32, -3.0])?.value, 2.0);
    /// assert_eq!(cpu.prox(&l1, &[1.0f32, -3.0, 0.25], 1.0)?, [0.5, -2.5, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn l1(lambda: f64) -> Result<Penalty> {
        Ok(Penalty::of(&FORMULA, [factor("lambda", lambda)?, 0.0], L1.given([lambda])))
    }

    /// R(θ) = λΣθ², ridge (Hoerl and Kennard 1970), **without a ½**.
    ///
    /// prox(v) is v/(1 + 2ηλ). The gradient is 2λθ. Convex; it makes no zeros.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let (cpu, ridge) = (Backend::cpu(), Penalty::l2_squared(0.5)?);
    /// assert_eq!(cpu.evaluate(&ridge, &[1.0f32, -3.0])?.value, 5.0);
    /// assert_eq!(cpu.gradient(&ridge, &[1.0f32, -3.0])?, [1.0, -3.0]); // 2λθ
    /// assert_eq!(cpu.prox(&ridge, &[1.0f32, -3.0], 1.0)?, [0.5, -1.5]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn l2_squared(lambda: f64) -> Result<Penalty> {
        Ok(Penalty::of(&FORMULA, [0.0, factor("lambda", lambda)?], L2_SQUARED.given([lambda])))
    }

    /// R(θ) = λ(αΣ|θ| + (1−α)Σθ²), the elastic net (Zou and Hastie 2005) without a ½.
    ///
    /// prox(v) is (v − clamp(v, −ηλα, ηλα))/(1 + 2ηλ(1−α)). The gradient is λα·sign θ + 2λ(1−α)θ, 0 at 0. Convex. With
    /// α = 1 it is exactly [`l1`](Penalty::l1), with α = 0 exactly [`l2_squared`](Penalty::l2_squared).
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let (cpu, elastic_net) = (Backend::cpu(), Penalty::elastic_net(1.0, 0.5)?);
    /// assert_eq!(cpu.evaluate(&elastic_net, &[1.0f32, -3.0])?.value, 0.5 * 4.0 + 0.5 * 10.0);
    /// assert_eq!(cpu.prox(&elastic_net, &[1.5f32, -3.5, 0.25], 1.0)?, [0.5, -1.5, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2 and 0 ≤ α ≤ 1.
    pub fn elastic_net(lambda: f64, alpha: f64) -> Result<Penalty> {
        let (lambda, alpha) = (factor("lambda", lambda)?, ratio("alpha", alpha)?);
        Ok(Penalty::of(&FORMULA, [lambda * alpha, lambda * (1.0 - alpha)], ELASTIC_NET.given([lambda, alpha])))
    }

    /// scikit-learn's `ElasticNet(alpha, l1_ratio)`: R(θ) = α·ρΣ|θ| + ½α(1−ρ)Σθ², where ρ is `l1_ratio`.
    ///
    /// scikit-learn divides its loss by the number of samples; divide yours too, or multiply α by it.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert_eq!(Penalty::scikit_learn(1.0, 0.5)?, Penalty::keras(0.5, 0.25)?); // Σ|θ| and Σθ² times these
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ α ≤ `f32::MAX`/2 and 0 ≤ ρ ≤ 1.
    pub fn scikit_learn(alpha: f64, l1_ratio: f64) -> Result<Penalty> {
        let (alpha, rho) = (factor("alpha", alpha)?, ratio("l1_ratio", l1_ratio)?);
        let parameters = [alpha * rho, 0.5 * alpha * (1.0 - rho)];
        Ok(Penalty::of(&FORMULA, parameters, SCIKIT_LEARN.given([alpha, l1_ratio])))
    }

    /// glmnet's `lambda` and `alpha`: R(θ) = λ(αΣ|θ| + ½(1−α)Σθ²) (Friedman, Hastie and Tibshirani 2010, eq. 3).
    ///
    /// glmnet divides its loss by the number of observations; divide yours too, or multiply λ by it.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert_eq!(Penalty::glmnet(1.0, 0.5)?, Penalty::keras(0.5, 0.25)?); // Σ|θ| and Σθ² times these
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2 and 0 ≤ α ≤ 1.
    pub fn glmnet(lambda: f64, alpha: f64) -> Result<Penalty> {
        let (lambda, alpha) = (factor("lambda", lambda)?, ratio("alpha", alpha)?);
        Ok(Penalty::of(&FORMULA, [lambda * alpha, 0.5 * lambda * (1.0 - alpha)], GLMNET.given([lambda, alpha])))
    }

    /// Keras' `regularizers.L1L2(l1, l2)`: R(θ) = l1·Σ|θ| + l2·Σθ². There is no ½ in Keras either.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// assert_eq!(Backend::cpu().evaluate(&Penalty::keras(0.5, 0.25)?, &[2.0f32, -2.0])?.value, 2.0 + 2.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless both are in 0 ..= `f32::MAX`/2.
    pub fn keras(l1: f64, l2: f64) -> Result<Penalty> {
        Ok(Penalty::of(&FORMULA, [factor("l1", l1)?, factor("l2", l2)?], KERAS.given([l1, l2])))
    }

    /// PyTorch's `weight_decay` as `SGD` and `Adam` apply it, adding λθ to the gradient: R(θ) = ½λΣθ².
    ///
    /// The decoupled decay of `AdamW` is not a penalty: it multiplies θ by 1 − ηλ, outside Adam's scaling.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// assert_eq!(Backend::cpu().gradient(&Penalty::weight_decay(0.5)?, &[2.0f32, -4.0])?, [1.0, -2.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn weight_decay(lambda: f64) -> Result<Penalty> {
        let parameters = [0.0, 0.5 * factor("weight_decay", lambda)?];
        Ok(Penalty::of(&FORMULA, parameters, WEIGHT_DECAY.given([lambda])))
    }
}

/// step·λ₁ and 2·step·λ₂.
fn scaled([l1, l2_squared]: Parameters, step: f64) -> Result<[f64; 2]> {
    Ok([step * l1, shrink("2·step·lambda", 2.0 * step * l2_squared)?])
}

impl Formula for ElasticNet {
    const NAME: &'static str = "elastic_net";
    const SUMS_TERMS: bool = false;

    fn factors([l1, l2_squared]: Parameters) -> [f64; 3] {
        [l1, l2_squared, 0.0]
    }

    fn term_coefficients(_: Parameters) -> [f64; 3] {
        [0.0; 3]
    }

    /// λ₁ and 2λ₂.
    fn gradient_coefficients([l1, l2_squared]: Parameters) -> [f64; 5] {
        [l1, 2.0 * l2_squared, 0.0, 0.0, 0.0]
    }

    /// step·λ₁ and 1/(1 + 2·step·λ₂).
    fn prox_coefficients(p: Parameters, step: f64) -> Result<[f64; 5]> {
        let [threshold, shrink] = scaled(p, step)?;
        Ok([threshold, 1.0 / (1.0 + shrink), 0.0, 0.0, 0.0])
    }

    /// step·λ₁ and 2·step·λ₂.
    fn metric_coefficients(p: Parameters, step: f64) -> Result<[f64; 5]> {
        let [threshold, shrink] = scaled(p, step)?;
        Ok([threshold, shrink, 0.0, 0.0, 0.0])
    }

    /// Both terms have the sign of θ, so no sum is tiny. Nor need the slope be flushed: a tiny one is below half a unit in
    /// c₀'s last place.
    #[inline(always)]
    fn has_short_gradient(c: &Coefficients) -> bool {
        c[0] >= LARGE
    }

    #[inline(always)]
    fn short_gradient(theta: u32, c: &Coefficients) -> u32 {
        let x = f32::from_bits(theta);
        let slope = signed(c[0], x) + c[1] * x;
        select(theta & MAGNITUDE < SMALLEST.to_bits(), 0, slope.to_bits())
    }

    /// For L1.
    #[inline(always)]
    fn has_sign_gradient(c: &Coefficients) -> bool {
        c[0] >= LARGE && c[1] == 0.0
    }

    /// A tiny v is below the threshold. Any other v − c₀ is a multiple of a unit in the threshold's last place, which is
    /// at least 2^-113. So no result is tiny.
    #[inline(always)]
    fn has_short_prox(c: &Coefficients) -> bool {
        c[0] >= 2f32.powi(-90) && c[1] >= 2f32.powi(-7)
    }

    #[inline(always)]
    fn short_prox(v: u32, c: &Coefficients) -> u32 {
        <ElasticNet as PerWeight<f32>>::prox(f32::from_bits(v), c).to_bits()
    }

    /// For L1, where the second quotient is 1. A tiny v is below the threshold, or the result is as tiny.
    #[inline(always)]
    fn has_short_metric_prox(c: &Coefficients) -> bool {
        c[1] == 0.0
    }

    #[inline(always)]
    fn short_metric_prox(v: u32, d: f32, c: &Coefficients) -> u32 {
        flush(threshold(f32::from_bits(v), quotient(c[0], d))).to_bits()
    }
}

impl<F: Float> PerWeight<F> for ElasticNet {
    #[inline(always)]
    fn term(_: F, _: &TermCoefficients<F>) -> F {
        F::ZERO
    }

    /// c₀·sign θ + c₁·θ.
    #[inline(always)]
    fn gradient(theta: F, c: &Coefficients<F>) -> F {
        let kink = F::select(F::equal(theta, F::ZERO), F::ZERO, F::signed(c[0], theta));
        let slope = F::flush(c[1] * theta);
        kink + slope
    }

    #[inline(always)]
    fn gradient_limits(c: &Coefficients<F>) -> [F; 2] {
        let limit = F::select(F::equal(c[1], F::ZERO), c[0], F::INFINITY);
        [-limit, limit]
    }

    /// (v − clamp(v, −c₀, c₀))·c₁.
    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        F::threshold(v, c[0]) * c[1]
    }

    /// (v − clamp(v, −c₀/d, c₀/d))·d/(d + c₁).
    #[inline(always)]
    fn metric_prox(v: F, d: F, c: &Coefficients<F>) -> F {
        F::threshold(v, F::quotient(c[0], d)) * F::quotient(d, d + c[1])
    }
}

#[cfg(test)]
mod tests {
    use super::ElasticNet;
    use crate::formula::pointwise::{finite_gradient, gradient, metric_prox, prox, sign_gradient};
    use crate::formula::{Coefficients, Formula};
    use crate::numeric::bits::{
        INFINITY, LARGE, MAGNITUDE, SMALLEST, add, add_finite_gradient, add_large_gradient, flush,
    };

    /// Finite numbers: at and beside the limits of the short forms, and far from them.
    fn numbers() -> Vec<u32> {
        let limits = [SMALLEST, LARGE, 2f32.powi(-90), 2f32.powi(-7), 1.0, 1e30].map(f32::to_bits);
        let beside = limits.iter().flat_map(|limit| [limit - 1, *limit, limit + 1, limit + 0x55_5555]);
        let magnitudes = [0, 1, 0x7f_ffff, 0x7f7f_ffff].into_iter().chain(beside);
        magnitudes.flat_map(|m| [m, m | !MAGNITUDE]).filter(|bits| bits & MAGNITUDE < INFINITY).collect()
    }

    /// Coefficients as kernels get them: +0, or at least 2^-120.
    fn coefficients() -> impl Iterator<Item = Coefficients> {
        let factors: Vec<f32> =
            numbers().into_iter().map(f32::from_bits).filter(|c| *c == flush(*c) && *c >= 0.0).collect();
        factors.clone().into_iter().flat_map(move |a| factors.clone().into_iter().map(move |b| [a, b, 0.0, 0.0, 0.0]))
    }

    #[test]
    fn the_short_ways_to_add_a_gradient_give_the_same_bits() {
        let mut short = [0; 2];
        for c in coefficients() {
            for theta in numbers() {
                for existing in numbers() {
                    let expected = add(existing, gradient::<ElasticNet>(theta, &c));
                    let found = add_finite_gradient(existing, finite_gradient::<ElasticNet>(theta, &c));
                    assert_eq!(found, expected, "{existing:#x} {theta:#x} {c:?}");
                    if ElasticNet::has_short_gradient(&c) {
                        let found = add_large_gradient(existing, ElasticNet::short_gradient(theta, &c));
                        assert_eq!(found, expected, "{existing:#x} {theta:#x} {c:?}");
                        short[0] += 1;
                    }
                    if ElasticNet::has_sign_gradient(&c) {
                        let found = add_large_gradient(existing, sign_gradient(theta, &c));
                        assert_eq!(found, expected, "{existing:#x} {theta:#x} {c:?}");
                        short[1] += 1;
                    }
                }
            }
        }
        assert!(short.iter().all(|short| *short > 10_000), "{short:?}");
    }

    #[test]
    fn the_short_forms_give_the_same_bits() {
        let mut short = [0; 4];
        for c in coefficients() {
            for v in numbers() {
                if ElasticNet::has_short_gradient(&c) {
                    short[0] += 1;
                    assert_eq!(ElasticNet::short_gradient(v, &c), gradient::<ElasticNet>(v, &c), "{v:#x} {c:?}");
                }
                if ElasticNet::has_sign_gradient(&c) {
                    short[3] += 1;
                    assert_eq!(sign_gradient(v, &c), gradient::<ElasticNet>(v, &c), "{v:#x} {c:?}");
                }
                // The prox shrinks.
                if ElasticNet::has_short_prox(&c) && c[1] <= 1.0 {
                    short[1] += 1;
                    assert_eq!(ElasticNet::short_prox(v, &c), prox::<ElasticNet>(v, &c), "{v:#x} {c:?}");
                }
                for d in numbers().into_iter().map(f32::from_bits).filter(|d| *d >= SMALLEST) {
                    if ElasticNet::has_short_metric_prox(&c) {
                        short[2] += 1;
                        let (found, expected) =
                            (ElasticNet::short_metric_prox(v, d, &c), metric_prox::<ElasticNet>(v, d, &c));
                        assert_eq!(found, expected, "{v:#x} {d:e} {c:?}");
                    }
                }
            }
        }
        assert!(short.iter().all(|short| *short > 500), "{short:?}");
    }
}
