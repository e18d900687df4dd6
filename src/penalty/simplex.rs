//! The simplex: 0 where θ ≥ 0 and Σθ is a radius, else ∞.

use super::Penalty;
use super::named::Named;
use super::validate::radius;
use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Rule;
use crate::formula::{Coefficients, Formula, Parameters};
use crate::numeric::bits::toward_zero;
use crate::{Dtype, Groups, Result};

pub(super) static FORMULA: Descriptor = Descriptor::of::<Simplex>(include_str!("../../shaders/penalty/simplex.wgsl"));

pub(super) const NAMED: &[Named] = &[Named {
    name: "simplex",
    parameters: &["radius"],
    formula: "0 where every θ ≥ 0 and Σθ = radius, else ∞",
    new: |p| Penalty::simplex(p[0]),
}];

pub(super) struct Simplex;

impl Penalty {
    /// R(θ) = 0 where every θ ≥ 0 and Σθ = radius, else ∞: the scaled probability simplex, or one of each group
    /// [`over`](Penalty::over) groups.
    ///
    /// prox(v) is the projection, max(v − τ, 0) with the τ, of any sign, that makes its sum the radius, whatever the step; that sum, of
    /// what the weights' type holds, is never above the radius. Each weight is within 1e-6 of the radius of the exact projection, and what
    /// its type rounds, however different the scales of weights and radius are. The value takes a sum for equal that is above the radius by
    /// nothing and below it by at most 2^-20 of it, 2^-8 of f16 and 2^-5 of bf16, and 2^-120 a weight. It has
    /// [no gradient](Penalty::has_gradient). Convex.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let simplex = Penalty::simplex(1.0)?;
    /// assert_eq!(Backend::cpu().prox(&simplex, &[0.75f32, 0.5, -1.0], 1.0)?, [0.625, 0.375, 0.0]);
    /// assert_eq!(Backend::cpu().prox(&simplex, &[0.0f32, 0.0], 1.0)?, [0.5, 0.5]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ radius ≤ `f32::MAX`.
    pub fn simplex(radius: f64) -> Result<Penalty> {
        Ok(Penalty::of_groups(&FORMULA, [self::radius(radius)?, 0.0], Groups::whole()))
    }
}

impl Formula for Simplex {
    const NAME: &'static str = "simplex";
    const RULE: Option<Rule> = Some(Rule::Simplex);

    fn factors(_: Parameters) -> [f64; 3] {
        [0.0, 0.0, f64::INFINITY]
    }

    fn bound([radius, _]: Parameters, _step: f64) -> f64 {
        radius
    }

    /// How many bits weights of this type lack is a number of the formula's.
    fn on([radius, _]: Parameters, dtype: Dtype) -> Parameters {
        [radius, dtype.lost_bits().into()]
    }

    /// The bits that are lost.
    fn prox_coefficients([_, lost_bits]: Parameters, _step: f64) -> Result<[f64; 5]> {
        Ok([lost_bits, 0.0, 0.0, 0.0, 0.0])
    }

    /// As the L1 ball's, of signed weights.
    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        let rest = toward_zero((v - c[3]) - c[4], c[0], c[4].to_bits() & 1 == 1);
        if rest > 0.0 { rest } else { 0.0 }
    }
}
