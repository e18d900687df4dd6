//! What a penalty is: its constructors from every convention in use, and the numbers that kernels need of it.

pub(crate) mod elastic_net;

use crate::elementwise::SMALLEST;
use crate::{Error, Result};

/// λ's are at most this, so that 2λ is a finite `f32`.
const MAX_LAMBDA: f64 = f32::MAX as f64 / 2.0;
/// 2·step·λ is below this, so that the factor 1/(1 + 2·step·λ) is no subnormal.
const MAX_SHRINK: f64 = (1u128 << 119) as f64;

/// A regularization penalty R(θ), λ included; valid by construction.
///
/// | constructor | R(θ) | gradient, 0 at the kink | prox with step η |
/// | --- | --- | --- | --- |
/// | [`none`](Penalty::none) | 0 | 0 | v |
/// | [`l1`](Penalty::l1) | λΣ\|θ\| | λ·sign θ | v − clamp(v, −ηλ, ηλ) |
/// | [`l2_squared`](Penalty::l2_squared) | λΣθ² | 2λθ | v / (1 + 2ηλ) |
/// | [`elastic_net`](Penalty::elastic_net) | λ(αΣ\|θ\| + (1−α)Σθ²) | λα·sign θ + 2λ(1−α)θ | (v − clamp(v, −ηλα, ηλα)) / (1 + 2ηλ(1−α)) |
///
/// There is no ½ on the square. Other libraries put one there; their conventions are constructors of their own:
/// [`scikit_learn`](Penalty::scikit_learn), [`glmnet`](Penalty::glmnet), [`keras`](Penalty::keras),
/// [`weight_decay`](Penalty::weight_decay).
///
/// Every constructor refuses a λ that is negative, NaN, infinite or above half of `f32::MAX`. A product that a kernel
/// needs, such as ηλ, is worked out in `f64` and rounded once to `f32`; below 2^-120 it is 0. The value uses λ in `f64`.
#[derive(Debug, Clone, PartialEq)]
pub struct Penalty {
    l1: f64,
    l2_squared: f64,
}

impl Penalty {
    /// R(θ) = 0. Prox leaves every bit as it is; evaluating still gives the statistics.
    pub fn none() -> Penalty {
        Penalty { l1: 0.0, l2_squared: 0.0 }
    }

    /// R(θ) = λΣ|θ|, the lasso's penalty (Tibshirani 1996).
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn l1(lambda: f64) -> Result<Penalty> {
        Ok(Penalty { l1: weight("lambda", lambda)?, l2_squared: 0.0 })
    }

    /// R(θ) = λΣθ², ridge (Hoerl and Kennard 1970), **without a ½**: the gradient is 2λθ.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn l2_squared(lambda: f64) -> Result<Penalty> {
        Ok(Penalty { l1: 0.0, l2_squared: weight("lambda", lambda)? })
    }

    /// R(θ) = λ(αΣ|θ| + (1−α)Σθ²), the elastic net (Zou and Hastie 2005) without a ½.
    ///
    /// With α = 1 it is exactly [`l1`](Penalty::l1), with α = 0 exactly [`l2_squared`](Penalty::l2_squared).
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless 0 ≤ λ ≤ `f32::MAX`/2 and 0 ≤ α ≤ 1.
    pub fn elastic_net(lambda: f64, alpha: f64) -> Result<Penalty> {
        let (lambda, alpha) = (weight("lambda", lambda)?, ratio("alpha", alpha)?);
        Ok(Penalty { l1: lambda * alpha, l2_squared: lambda * (1.0 - alpha) })
    }

    /// scikit-learn's `ElasticNet(alpha, l1_ratio)`: R(θ) = α·ρΣ|θ| + ½α(1−ρ)Σθ², where ρ is `l1_ratio`.
    ///
    /// scikit-learn divides its loss by the number of samples; divide yours too, or multiply α by it.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless 0 ≤ α ≤ `f32::MAX`/2 and 0 ≤ ρ ≤ 1.
    pub fn scikit_learn(alpha: f64, l1_ratio: f64) -> Result<Penalty> {
        let (alpha, rho) = (weight("alpha", alpha)?, ratio("l1_ratio", l1_ratio)?);
        Ok(Penalty { l1: alpha * rho, l2_squared: 0.5 * alpha * (1.0 - rho) })
    }

    /// glmnet's `lambda` and `alpha`: R(θ) = λ(αΣ|θ| + ½(1−α)Σθ²) (Friedman, Hastie and Tibshirani 2010, eq. 3).
    ///
    /// glmnet divides its loss by the number of observations; divide yours too, or multiply λ by it.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless 0 ≤ λ ≤ `f32::MAX`/2 and 0 ≤ α ≤ 1.
    pub fn glmnet(lambda: f64, alpha: f64) -> Result<Penalty> {
        let (lambda, alpha) = (weight("lambda", lambda)?, ratio("alpha", alpha)?);
        Ok(Penalty { l1: lambda * alpha, l2_squared: 0.5 * lambda * (1.0 - alpha) })
    }

    /// Keras' `regularizers.L1L2(l1, l2)`: R(θ) = l1·Σ|θ| + l2·Σθ². There is no ½ in Keras either.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless both are in 0 ..= `f32::MAX`/2.
    pub fn keras(l1: f64, l2: f64) -> Result<Penalty> {
        Ok(Penalty { l1: weight("l1", l1)?, l2_squared: weight("l2", l2)? })
    }

    /// PyTorch's `weight_decay` as `SGD` and `Adam` apply it, adding λθ to the gradient: R(θ) = ½λΣθ².
    ///
    /// `AdamW`'s decoupled decay is no penalty: it multiplies θ by 1 − ηλ, outside Adam's scaling.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn weight_decay(lambda: f64) -> Result<Penalty> {
        Ok(Penalty { l1: 0.0, l2_squared: 0.5 * weight("weight_decay", lambda)? })
    }

    /// The factor of Σ|θ|.
    pub fn l1_weight(&self) -> f64 {
        self.l1
    }

    /// The factor of Σθ².
    pub fn l2_squared_weight(&self) -> f64 {
        self.l2_squared
    }

    /// Whether R(θ) = 0 for every θ.
    pub fn is_none(&self) -> bool {
        self.l1 == 0.0 && self.l2_squared == 0.0
    }

    /// R(θ) from the sums over finite weights.
    pub(crate) fn value(&self, l1: f64, l2_squared: f64) -> f64 {
        // A term whose λ is 0 is absent, never 0·Σ: Σ can be infinite in f64 arithmetic that follows.
        let term = |lambda: f64, sum: f64| if lambda == 0.0 { 0.0 } else { lambda * sum };
        term(self.l1, l1) + term(self.l2_squared, l2_squared)
    }

    /// What the value is put together with on a device: λ₁ and λ₂.
    pub(crate) fn weights(&self) -> [f32; 2] {
        [coefficient(self.l1), coefficient(self.l2_squared)]
    }

    /// What the gradient's kernels need: λ₁ and 2λ₂.
    pub(crate) fn gradient_coefficients(&self) -> [f32; 2] {
        [coefficient(self.l1), coefficient(2.0 * self.l2_squared)]
    }

    /// What the prox's kernels need: the threshold step·λ₁ and the factor 1/(1 + 2·step·λ₂).
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] where the step is no number ≥ 0, or so large that the factor is no normal `f32`.
    pub(crate) fn prox_coefficients(&self, step: f64) -> Result<[f32; 2]> {
        let [threshold, shrink] = self.scaled(step)?;
        Ok([coefficient(threshold), coefficient(1.0 / (1.0 + shrink))])
    }

    /// What the prox in Adam's metric needs: step·λ₁ and 2·step·λ₂.
    ///
    /// # Errors
    ///
    /// As [`prox_coefficients`](Penalty::prox_coefficients).
    pub(crate) fn metric_prox_coefficients(&self, step: f64) -> Result<[f32; 2]> {
        Ok(self.scaled(step)?.map(coefficient))
    }

    /// step·λ₁, at most the largest `f32`, and 2·step·λ₂.
    fn scaled(&self, step: f64) -> Result<[f64; 2]> {
        if !(step >= 0.0 && step.is_finite()) {
            return Err(Error::Parameter { name: "step", expected: "a finite number ≥ 0", found: step });
        }
        let shrink = 2.0 * step * self.l2_squared;
        if shrink >= MAX_SHRINK {
            return Err(Error::Parameter { name: "2·step·lambda", expected: "below 2^119", found: shrink });
        }
        // A threshold above every weight makes all of them 0; the largest finite one does that too.
        Ok([(step * self.l1).min(f32::MAX.into()), shrink])
    }
}

/// Rounds a coefficient ≥ 0 once to `f32`; below 2^-120 it is 0, as every number is that a kernel reads.
pub(crate) fn coefficient(x: f64) -> f32 {
    let c = x as f32;
    if c < SMALLEST { 0.0 } else { c }
}

fn weight(name: &'static str, x: f64) -> Result<f64> {
    if (0.0..=MAX_LAMBDA).contains(&x) {
        Ok(x)
    } else {
        Err(Error::Parameter { name, expected: "a number from 0 to half of f32::MAX", found: x })
    }
}

fn ratio(name: &'static str, x: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&x) { Ok(x) } else { Err(Error::Parameter { name, expected: "from 0 to 1", found: x }) }
}
