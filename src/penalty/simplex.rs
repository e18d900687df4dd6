//! The simplex: 0 where θ ≥ 0 and Σθ is a radius, else ∞.

use super::{Kind, Penalty, radius};
use crate::formula::{Formula, Named, Numbers, Parameters};
use crate::structure::Rule;
use crate::{Groups, Result};

pub(crate) struct Simplex;

impl Penalty {
    /// R(θ) = 0 where every θ ≥ 0 and Σθ = radius, else ∞: the scaled probability simplex, or one of each group
    /// [`over`](Penalty::over) groups.
    ///
    /// prox(v) is the projection, max(v − τ, 0) with the τ, of any sign, that makes its sum the radius, whatever the step; that sum, of
    /// what the weights' type holds, is never above the radius. The value takes a sum for equal that is above it by nothing and below it
    /// by at most 2^-20 of it, 2^-8 of f16 and 2^-5 of bf16. The gradient is 0. Convex.
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
        Ok(Penalty::of_groups(Kind::Simplex, [self::radius(radius)?, 0.0], Groups::whole()))
    }
}

impl Formula for Simplex {
    const RULE: Option<Rule> = Some(Rule::Simplex);
    const NAMED: &'static [Named] = &[Named {
        name: "simplex",
        parameters: &["radius"],
        formula: "0 where every θ ≥ 0 and Σθ = radius, else ∞",
        new: |p| Penalty::simplex(p[0]),
    }];

    fn weights(_: Parameters) -> [f64; 3] {
        [0.0, 0.0, f64::INFINITY]
    }

    fn amount([radius, _]: Parameters, _step: f64) -> f64 {
        radius
    }

    #[inline(always)]
    fn gradient(_: f32, _: &Numbers) -> f32 {
        0.0
    }

    #[inline(always)]
    fn gradient_limits(_: &Numbers) -> [f32; 2] {
        [0.0; 2]
    }

    /// As the L1 ball's, of signed weights.
    #[inline(always)]
    fn prox(v: f32, c: &Numbers) -> f32 {
        let rest = (v - c[3]) - c[4];
        if rest > 0.0 { rest } else { 0.0 }
    }
}
