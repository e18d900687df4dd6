//! Which values parameters may have.

use crate::{Error, Result};

/// λ is at most this, so that 2λ is a finite `f32`.
const MAX_LAMBDA: f64 = f32::MAX as f64 / 2.0;

/// Rejects a prox's step that is not a finite number ≥ 0.
pub(crate) fn finite_step(step: f64) -> Result<()> {
    finite("step", step)
}

pub(crate) fn finite(name: &'static str, x: f64) -> Result<()> {
    if x >= 0.0 && x.is_finite() {
        Ok(())
    } else {
        Err(Error::Parameter { name, expected: "a finite number ≥ 0", found: x })
    }
}

/// A parameter that counts something.
pub(crate) fn whole(name: &'static str, x: f64) -> Result<u64> {
    const LARGEST: f64 = u32::MAX as f64;
    if x.fract() == 0.0 && (1.0..=LARGEST).contains(&x) {
        Ok(x as u64)
    } else {
        Err(Error::Parameter { name, expected: "a whole number from 1 to 2^32 − 1", found: x })
    }
}

/// A ball's radius.
pub(crate) fn radius(x: f64) -> Result<f64> {
    if (0.0..=f64::from(f32::MAX)).contains(&x) {
        Ok(x)
    } else {
        Err(Error::Parameter { name: "radius", expected: "a number from 0 to f32::MAX", found: x })
    }
}

pub(crate) fn factor(name: &'static str, x: f64) -> Result<f64> {
    if (0.0..=MAX_LAMBDA).contains(&x) {
        Ok(x)
    } else {
        Err(Error::Parameter { name, expected: "a number from 0 to half of f32::MAX", found: x })
    }
}

pub(crate) fn ratio(name: &'static str, x: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&x) { Ok(x) } else { Err(Error::Parameter { name, expected: "from 0 to 1", found: x }) }
}

/// A prox divides by 1 plus this. Below 2^119, the quotient is not subnormal.
pub(crate) fn shrink(name: &'static str, x: f64) -> Result<f64> {
    const ABOVE: f64 = (1u128 << 119) as f64;
    if x < ABOVE { Ok(x) } else { Err(Error::Parameter { name, expected: "below 2^119", found: x }) }
}

/// A shape parameter, such as γ. If it is tiny or huge, a kernel could not tell it from 0 or ∞.
pub(crate) fn shape(name: &'static str, x: f64, above: f64) -> Result<f64> {
    const TINIEST: f64 = 1.0 / (1u128 << 100) as f64;
    const LARGEST: f64 = (1u128 << 100) as f64;
    if x > above && (TINIEST..=LARGEST).contains(&x) {
        return Ok(x);
    }
    let expected = if above == 1.0 { "above 1 and at most 2^100" } else { "from 2^-100 to 2^100" };
    Err(Error::Parameter { name, expected, found: x })
}
