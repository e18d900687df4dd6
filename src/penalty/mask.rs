//! A mask: 0 where each θ whose element weight is 0 is 0, else ∞.

use super::named::Named;
use super::{Penalty, constraint};
use crate::Result;
use crate::formula::descriptor::Descriptor;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight, TermCoefficients};
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::element::Element;
use crate::numeric::float::Float;

pub(super) static FORMULA: Descriptor = Descriptor::separable::<Mask>(include_str!("../../shaders/penalty/mask.wgsl"));

pub(super) static NAMED: Named = Named {
    name: "mask",
    parameters: &[],
    lambdas: 0,
    formula: "0 where each θ with the weight 0 is 0, else ∞",
    new: |_| Ok(Penalty::mask()),
};

pub(super) struct Mask;

impl Penalty {
    /// R(θ) = 0 where θᵢ = 0 wherever mᵢ = 0, else ∞: a mask that keeps pruned weights at 0 through later steps. The mask
    /// is the element weights m; see [`with_element_weights`](Penalty::with_element_weights).
    /// [`mask_of`](Penalty::mask_of) makes it from the weights that are left.
    ///
    /// prox(v) is v where m > 0, else 0, whatever the step and the metric. So a step of `sgd` or `adam` trains the kept
    /// weights as if there were no penalty, and the others stay 0; their optimizer states still move. A weight that is
    /// not finite stays as it is, so that divergence shows. It has [no gradient](Penalty::has_gradient). Convex.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Momentum, Parameter, Penalty, Sgd};
    ///
    /// let (mut theta, gradient) = ([0.5f32, 0.0, -2.0], [1.0f32; 3]); // the second one was pruned
    /// let mask = Penalty::mask_of(&theta);
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::mask())]);
    /// let set = set.with_element_weights(&[Some((&mask[..]).into())])?;
    /// let sgd = Sgd { step: 0.25, momentum: Momentum::None };
    /// set.sgd(&mut [(&mut theta[..]).into()], &[(&gradient[..]).into()], &mut [], &sgd)?;
    /// assert_eq!(theta, [0.25, 0.0, -2.25]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn mask() -> Penalty {
        Penalty::of(&FORMULA, [0.0; 2], NAMED.given([]))
    }

    /// A [mask](Penalty::mask) of the weights that are not 0: 1 for each of these, also for those that are not finite, and
    /// 0 for ±0.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert_eq!(Penalty::mask_of(&[0.5f32, -0.0, f32::NAN, 1e-44]), [1.0, 0.0, 1.0, 1.0]);
    /// ```
    pub fn mask_of<E: Element>(weights: &[E]) -> Vec<E> {
        let one = E::encode(1.0f32.to_bits());
        weights.iter().map(|w| if w.decode() & MAGNITUDE == 0 { E::zeroed() } else { one }).collect()
    }
}

impl Formula for Mask {
    const NAME: &'static str = "mask";
    const WEIGHTED: bool = true;

    fn factors(_: Parameters) -> [f64; 3] {
        constraint::FACTORS
    }

    fn metric_coefficients(p: Parameters, step: f64) -> Result<[f64; 5]> {
        Mask::prox_coefficients(p, step)
    }
}

impl<F: Float> PerWeight<F> for Mask {
    /// 1 if θ is forbidden, else 0.
    #[inline(always)]
    fn term(theta: F, t: &TermCoefficients<F>) -> F {
        let zero = F::equal(theta, F::ZERO) | F::less(F::ZERO, t[2]);
        F::select(zero, F::ZERO, F::ONE)
    }

    #[inline(always)]
    fn prox(v: F, c: &Coefficients<F>) -> F {
        F::select(F::less(F::ZERO, c[4]), v, F::ZERO)
    }

    #[inline(always)]
    fn metric_prox(v: F, _: F, c: &Coefficients<F>) -> F {
        Mask::prox(v, c)
    }
}
