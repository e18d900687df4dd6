//! None, L1, L2² and the elastic net: λ₁Σ|θ| + λ₂Σθ², one formula with two coefficients.
//!
//! Twin of `shaders/penalty/elastic_net.wgsl`. Finite numbers only, below 2^-120 none but +0.

use crate::elementwise::flush;

/// ∂R/∂θ = c₀·sign θ + c₁·θ with c = (λ₁, 2λ₂); 0 at θ = 0.
#[inline(always)]
pub(crate) fn gradient(theta: f32, c: [f32; 2]) -> f32 {
    let sign = theta.to_bits() & 0x8000_0000;
    let kink = if theta.to_bits() == 0 { 0 } else { c[0].to_bits() | sign };
    let slope = flush(c[1] * theta);
    f32::from_bits(kink) + slope
}

/// The limit of the gradient as θ → +∞.
#[inline(always)]
pub(crate) fn gradient_at_infinity(c: [f32; 2]) -> f32 {
    if c[1].to_bits() == 0 { c[0] } else { f32::INFINITY }
}

/// prox(v) = (v − clamp(v, −c₀, c₀))·c₁ with c = (step·λ₁, 1/(1 + 2·step·λ₂)).
#[inline(always)]
pub(crate) fn prox(v: f32, c: [f32; 2]) -> f32 {
    soft(v, c[0]) * c[1]
}

/// argmin over x of R(x) + d/2·(x − v)² with d > 0: (v − clamp(v, −c₀/d, c₀/d))·d/(d + c₁), where c = (step·λ₁, 2·step·λ₂).
#[inline(always)]
pub(crate) fn metric_prox(v: f32, d: f32, c: [f32; 2]) -> f32 {
    // d/d is 1 here, but not on every device.
    let shrink = if c[1].to_bits() == 0 { 1.0 } else { d / (d + c[1]) };
    soft(v, c[0] / d) * shrink
}

#[inline(always)]
fn soft(v: f32, threshold: f32) -> f32 {
    // Comparisons, not `f32::clamp`: it asks for NaN too, which costs two instructions a weight.
    let raised = if v > -threshold { v } else { -threshold };
    let clamped = if raised < threshold { raised } else { threshold };
    v - clamped
}
