//! Strategies for weights and parameters, shared by the other files.

use penalty::Penalty;
use proptest::prelude::*;

pub(crate) const SMALLEST: f64 = 1.0 / (1u128 << 120) as f64;

/// The relative error of one rounding to `f32`.
pub(crate) const ROUNDING: f64 = 1.0 / 16_777_216.0;

/// λ₁, λ₂ and a step of ordinary size. Each may be 0.
pub(crate) fn coefficients() -> impl Strategy<Value = (f64, f64, f64)> {
    let weight = || prop_oneof![1 => Just(0.0), 9 => (-20.0..6.0).prop_map(f64::exp2)];
    (weight(), weight(), weight())
}

pub(crate) fn penalty(l1: f64, l2_squared: f64) -> Penalty {
    Penalty::keras(l1, l2_squared).expect("the λs are valid")
}

/// A weight of ordinary size.
pub(crate) fn ordinary() -> impl Strategy<Value = f32> {
    prop_oneof![1 => Just(0.0f32), 1 => Just(-0.0f32), 8 => -100.0f32..100.0, 4 => -0.01f32..0.01]
}

/// Any bits, including NaN and infinities.
pub(crate) fn any_bits() -> impl Strategy<Value = f32> {
    let special = prop_oneof![Just(0u32), Just(0x8000_0000), Just(1), Just(0x7f80_0000), Just(0xff80_0000)];
    prop_oneof![1 => special, 4 => any::<u32>()].prop_map(f32::from_bits)
}

pub(crate) fn bits(weights: &[f32]) -> Vec<u32> {
    weights.iter().map(|w| w.to_bits()).collect()
}
