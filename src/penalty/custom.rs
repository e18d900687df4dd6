//! Custom penalties: what a user's type provides, and how it becomes a formula among the others.
//!
//! [`Elementwise`] is the trait. [`Penalty::custom`] makes a penalty of it. [`Gpu::check`](crate::Gpu::check) compares
//! its two halves. The Rust half may call the functions here; its WGSL has functions of the same names.

use std::marker::PhantomData;

use super::Penalty;
use super::origin::Origin;
use super::validate::factor;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients, pointwise};
use crate::numeric::bits::coefficient;
use crate::{Error, Result};

pub use crate::numeric::arithmetic::{ln, ln_1p, quotient, root};
pub use crate::numeric::bits::{bounded, flush, signed, threshold};

/// A custom penalty, R(θ) = factor·Σterm(θᵢ): its functions of one number in Rust, and of four numbers in WGSL.
///
/// Implement it for a type that has no values. [`Penalty::custom`] makes a penalty of it, which goes wherever the
/// built-in ones go: host slices on the CPU and on a device, buffers, parameter sets and optimizer steps, in `f32`,
/// `f16` and `bf16`.
///
/// ```
/// use penalty::custom::{self, Elementwise};
/// use penalty::{Backend, Error, Penalty, Result};
///
/// /// λΣ τθ where θ > 0, else (τ − 1)θ: L1 that pulls harder from one side.
/// enum Pinball {}
///
/// impl Elementwise for Pinball {
///     const NAME: &'static str = "pinball";
///     const WGSL: &'static str = "
///         fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
///             return select(-theta * t[1], theta * t[0], theta > vec4<f32>(0.0));
///         }
///         fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
///             let below = select(vec4<f32>(0.0), -c[1], theta < vec4<f32>(0.0));
///             return select(below, c[0], theta > vec4<f32>(0.0));
///         }
///         fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
///             return opaque(v - clamp(v, -c[1], c[0]));
///         }";
///
///     fn accept([_, tau]: [f64; 2]) -> Result<()> {
///         let rejected = Error::Parameter { name: "tau", expected: "from 0 to 1", found: tau };
///         if (0.0..=1.0).contains(&tau) { Ok(()) } else { Err(rejected) }
///     }
///
///     fn term_coefficients([_, tau]: [f64; 2]) -> [f64; 3] {
///         [tau, 1.0 - tau, 0.0]
///     }
///
///     fn gradient_coefficients([lambda, tau]: [f64; 2]) -> [f64; 3] {
///         [lambda * tau, lambda * (1.0 - tau), 0.0]
///     }
///
///     fn gradient_limits([lambda, tau]: [f64; 2]) -> [f64; 2] {
///         [-lambda * (1.0 - tau), lambda * tau]
///     }
///
///     fn prox_coefficients([lambda, tau]: [f64; 2], step: f64) -> Result<[f64; 5]> {
///         Ok([step * lambda * tau, step * lambda * (1.0 - tau), 0.0, 0.0, 0.0])
///     }
///
///     #[inline(always)]
///     fn term(theta: f32, t: &[f32; 3]) -> f32 {
///         if theta > 0.0 { theta * t[0] } else { -theta * t[1] }
///     }
///
///     #[inline(always)]
///     fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
///         if theta > 0.0 { c[0] } else if theta < 0.0 { -c[1] } else { 0.0 }
///     }
///
///     #[inline(always)]
///     fn prox(v: f32, c: &[f32; 5]) -> f32 {
///         let raised = if v > -c[1] { v } else { -c[1] };
///         v - if raised < c[0] { raised } else { c[0] }
///     }
/// }
///
/// let pinball = Penalty::custom::<Pinball>([0.5, 0.25])?;
/// let cpu = Backend::cpu();
/// assert_eq!(cpu.evaluate(&pinball, &[4.0f32, -4.0])?.value, 0.5 + 1.5);
/// assert_eq!(cpu.gradient(&pinball, &[4.0f32, 0.0, -4.0])?, [0.125, 0.0, -0.375]);
/// assert_eq!(cpu.prox(&pinball, &[4.0f32, 0.125, -4.0], 1.0)?, [3.875, 0.0, -3.625]);
/// # Ok::<(), penalty::Error>(())
/// ```
///
/// # What its functions see
///
/// They see only finite `f32`, and numbers below 2^-120 in magnitude arrive as +0. What they return is set to +0 if it
/// is below 2^-120. Elements that are not finite never reach them: the gradient of a NaN is that NaN, that of an
/// infinite weight is the [limit](Elementwise::gradient_limits), and a prox returns both bit by bit. Coefficients are
/// computed in `f64` on the host, once for each tensor and step, and rounded once to `f32`: 0 below 2^-120, and at most
/// `f32::MAX`.
///
/// Put `#[inline(always)]` on each of them, so that the loops use the processor's vectors. Without it the bits are the
/// same. A panic in them reaches the caller.
///
/// # The WGSL
///
/// [`WGSL`](Elementwise::WGSL) defines `term`, `gradient` and `prox` as above, on four numbers at a time. If there is a
/// metric prox, it also defines
/// `metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients)`. The library defines `gradient_limits`. Coefficients are
/// `alias Coefficients = array<vec4<f32>, 5>` and `alias TermCoefficients = array<vec4<f32>, 3>`.
/// The functions of this module exist under the same names for `vec4<f32>`. A name that the kernels already use is
/// rejected when the WGSL is compiled. Kernels of custom penalties keep wgpu's checks of bounds and loops, which those
/// of the built-in penalties do without.
///
/// For the same bits on every device:
///
/// - Put `opaque(…)` around every product that is then added to, and around every sum; else a driver may fuse or
///   reassociate them. The last one, if it is what the function returns, may do without.
/// - Use [`quotient`] in place of `/`, [`root`] in place of `sqrt`, and [`ln`] and [`ln_1p`] in place of `log`.
/// - Do not test for NaN or infinity, which WGSL may assume away. Let nothing overflow, or limit it with [`bounded`].
pub trait Elementwise: 'static {
    /// What errors call it. A [`Partial`](crate::exact::Partial) knows whose value it holds by this name and the term's
    /// coefficients.
    const NAME: &'static str;
    /// Its functions for a device, in WGSL.
    const WGSL: &'static str;

    /// Rejects invalid parameters, usually with [`Error::Parameter`].
    fn accept(_parameters: [f64; 2]) -> Result<()> {
        Ok(())
    }
    /// The factor of the term sum in the value, ≥ 0. By default, the first parameter. ∞ makes a constraint: the value
    /// is then ∞ unless every term is 0, and the penalty has [no gradient](Penalty::has_gradient).
    fn factor(parameters: [f64; 2]) -> f64 {
        parameters[0]
    }
    /// The coefficients of [`term`](Elementwise::term). By default, the second parameter.
    fn term_coefficients([_, shape]: [f64; 2]) -> [f64; 3] {
        [shape, 0.0, 0.0]
    }
    /// The coefficients of [`gradient`](Elementwise::gradient). By default, both parameters. The WGSL finds them in the
    /// first three places of `Coefficients`.
    fn gradient_coefficients([lambda, shape]: [f64; 2]) -> [f64; 3] {
        [lambda, shape, 0.0]
    }
    /// The limits of the gradient as θ → −∞ and as θ → +∞; beyond `f32::MAX`, ±∞.
    fn gradient_limits(parameters: [f64; 2]) -> [f64; 2];
    /// The coefficients of [`prox`](Elementwise::prox) at a finite step ≥ 0. By default, the step times the first
    /// parameter, and the second parameter. It may reject steps.
    fn prox_coefficients([lambda, shape]: [f64; 2], step: f64) -> Result<[f64; 5]> {
        Ok([step * lambda, shape, 0.0, 0.0, 0.0])
    }
    /// The coefficients of [`metric_prox`](Elementwise::metric_prox). By default there is none: a step in [Adam's
    /// metric](crate::Metric::Adam) is [`Error::NoMetricProx`].
    fn metric_coefficients(_parameters: [f64; 2], _step: f64) -> Result<[f64; 5]> {
        Err(Error::NoMetricProx { penalty: Self::NAME })
    }

    /// A weight's share of the value, without the factor: a finite number ≥ 0, and at most 2^115 where |θ| < 2^57, so
    /// that the terms of a tile can be summed.
    fn term(theta: f32, t: &[f32; 3]) -> f32;
    /// ∂R/∂θ, 0 at a kink. Nothing asks for a constraint's gradient, and its WGSL need not define one.
    fn gradient(theta: f32, c: &[f32; 3]) -> f32;
    /// argmin over x of step·R(x) + ½(x − v)², finite.
    fn prox(v: f32, c: &[f32; 5]) -> f32;
    /// argmin over x of step·R(x) + d/2·(x − v)², finite, for d > 0.
    fn metric_prox(v: f32, _d: f32, _c: &[f32; 5]) -> f32 {
        v
    }
}

impl Penalty {
    /// A custom penalty, from a type that implements [`Elementwise`](crate::custom::Elementwise).
    ///
    /// On the CPU, the library trusts the Rust functions. On a device, it compares them with the WGSL before it uses
    /// them there: calls on host slices do that on their first use, and [`Gpu::check`](crate::Gpu::check) does it
    /// before anything is recorded.
    ///
    /// It is never [none](Penalty::is_none), and [`named`](Penalty::named) does not find it.
    ///
    /// ```
    /// # use penalty::custom::{Elementwise, signed, threshold};
    /// use penalty::{Backend, Penalty};
    /// # enum Lasso {}
    /// # impl Elementwise for Lasso {
    /// #     const NAME: &'static str = "lasso";
    /// #     const WGSL: &'static str = "
    /// #         fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> { return abs(theta); }
    /// #         fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    /// #             return select(signed(c[0], theta), vec4<f32>(0.0), theta == vec4<f32>(0.0));
    /// #         }
    /// #         fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> { return threshold(v, c[0]); }";
    /// #     fn gradient_limits([lambda, _]: [f64; 2]) -> [f64; 2] {
    /// #         [-lambda, lambda]
    /// #     }
    /// #     fn term(theta: f32, _: &[f32; 3]) -> f32 {
    /// #         theta.abs()
    /// #     }
    /// #     fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
    /// #         if theta == 0.0 { 0.0 } else { signed(c[0], theta) }
    /// #     }
    /// #     fn prox(v: f32, c: &[f32; 5]) -> f32 {
    /// #         threshold(v, c[0]) // c[0] is step·λ
    /// #     }
    /// # }
    ///
    /// let lasso = Penalty::custom::<Lasso>([0.5, 0.0])?; // `Lasso` is a type that implements `Elementwise`
    /// assert_eq!(Backend::cpu().prox(&lasso, &[1.0f32, -0.25], 1.0)?, [0.5, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of its [`accept`](crate::custom::Elementwise::accept). [`Error::Parameter`] unless its factor is from 0 to
    /// half of `f32::MAX` or infinite, and no coefficient is NaN.
    pub fn custom<E: Elementwise>(parameters: [f64; 2]) -> Result<Penalty> {
        E::accept(parameters)?;
        let of_terms = E::factor(parameters);
        if of_terms != f64::INFINITY {
            factor("the factor", of_terms)?;
        }
        not_nan("the coefficients of the term", E::term_coefficients(parameters))?;
        not_nan("the coefficients of the gradient", E::gradient_coefficients(parameters))?;
        not_nan("the limits of the gradient", E::gradient_limits(parameters))?;
        let formula =
            const { &Descriptor::custom::<Adapted<E>>(E::WGSL, include_str!("../../shaders/penalty/custom.wgsl")) };
        Ok(Penalty::of(formula, parameters, Origin::new(E::NAME, &[], [])))
    }
}

/// Rejects NaN.
fn not_nan<const N: usize>(name: &'static str, coefficients: [f64; N]) -> Result<[f64; N]> {
    match coefficients.into_iter().find(|x| x.is_nan()) {
        None => Ok(coefficients),
        Some(found) => Err(Error::Parameter { name, expected: "numbers", found }),
    }
}

/// A user's type as a formula.
struct Adapted<E>(PhantomData<E>);

impl<E: Elementwise> Formula for Adapted<E> {
    const NAME: &'static str = E::NAME;
    const MAY_RETURN_NAN: bool = true;

    fn factors(p: Parameters) -> [f64; 3] {
        [0.0, 0.0, E::factor(p)]
    }

    fn term_coefficients(p: Parameters) -> [f64; 3] {
        E::term_coefficients(p)
    }

    /// The user's three, then the gradient's limits.
    fn gradient_coefficients(p: Parameters) -> [f64; 5] {
        let ([a, b, c], [low, high]) = (E::gradient_coefficients(p), E::gradient_limits(p));
        [a, b, c, low, high]
    }

    fn prox_coefficients(p: Parameters, step: f64) -> Result<[f64; 5]> {
        not_nan("the coefficients of the prox", E::prox_coefficients(p, step)?)
    }

    fn metric_coefficients(p: Parameters, step: f64) -> Result<[f64; 5]> {
        not_nan("the coefficients of the prox", E::metric_coefficients(p, step)?)
    }
}

impl<E: Elementwise> PerWeight<f32> for Adapted<E> {
    #[inline(always)]
    fn term(theta: f32, t: &TermCoefficients) -> f32 {
        E::term(finite(theta), t)
    }

    #[inline(always)]
    fn gradient(theta: f32, c: &Coefficients) -> f32 {
        E::gradient(finite(theta), &[c[0], c[1], c[2]])
    }

    /// Coefficients are finite, so the largest float stands for an infinite limit.
    #[inline(always)]
    fn gradient_limits(c: &Coefficients) -> [f32; 2] {
        [c[3], c[4]].map(|x| if x.abs() < f32::MAX { x } else { signed(f32::INFINITY, x) })
    }

    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        E::prox(finite(v), c)
    }

    #[inline(always)]
    fn metric_prox(v: f32, d: f32, c: &Coefficients) -> f32 {
        E::metric_prox(finite(v), d, c)
    }
}

/// A user's functions are in `f32`, and so is what `f64` gets of them.
impl<E: Elementwise> PerWeight<f64> for Adapted<E> {
    fn term(theta: f64, t: &TermCoefficients<f64>) -> f64 {
        pointwise::finite_term::<Adapted<E>>(single(theta).to_bits(), &t.map(coefficient)).into()
    }

    fn gradient(theta: f64, c: &Coefficients<f64>) -> f64 {
        f32::from_bits(pointwise::finite_gradient::<Adapted<E>>(single(theta).to_bits(), &c.map(coefficient))).into()
    }

    fn prox(v: f64, c: &Coefficients<f64>) -> f64 {
        f32::from_bits(pointwise::finite_prox::<Adapted<E>>(single(v).to_bits(), &c.map(coefficient))).into()
    }
}

/// The nearest finite `f32`.
fn single(x: f64) -> f32 {
    x.clamp(f32::MIN.into(), f32::MAX.into()) as f32
}

/// Replaces a non-finite input by 0; nobody uses the result. The built-in functions take any input, a user's need not.
#[inline(always)]
fn finite(x: f32) -> f32 {
    if x.is_finite() { x } else { 0.0 }
}
