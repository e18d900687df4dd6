//! Top-k and n-of-m: 0 where at most k weights of a group are not zero, else ∞.

use super::named::Named;
use super::validate::whole;
use super::{Penalty, constraint};
use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Rule;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight};
use crate::{Error, Groups, Result};

pub(super) static FORMULA: Descriptor = Descriptor::of::<TopK>(include_str!("../../shaders/penalty/top_k.wgsl"));

pub(super) static TOP_K: Named = Named {
    name: "top_k",
    parameters: &["k"],
    lambdas: 0,
    formula: "0 where at most k weights are not 0, else ∞",
    new: |p| Penalty::top_k(whole("k", p[0])?),
};

pub(super) static N_OF_M: Named = Named {
    name: "n_of_m",
    parameters: &["n", "m"],
    lambdas: 0,
    formula: "0 where at most n of every m weights are not 0, else ∞",
    new: |p| Penalty::n_of_m(whole("n", p[0])?, whole("m", p[1])?),
};

pub(super) struct TopK;

impl Penalty {
    /// R(θ) = 0 where at most k weights are not zero, else ∞: pruning to a budget. [`over`](Penalty::over) groups, each
    /// group has this budget.
    ///
    /// prox(v) keeps the k largest magnitudes as they are, whatever the step. Of equal magnitudes, it keeps those with
    /// the lower index. A weight that is not finite stays and does not count among the k. It has [no
    /// gradient](Penalty::has_gradient). Not convex (iterative hard thresholding, Blumensath, Davies 2009).
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let two = Penalty::top_k(2)?;
    /// assert_eq!(Backend::cpu().prox(&two, &[1.0f32, -3.0, 0.5, 1.0], 1.0)?, [1.0, -3.0, 0.0, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 1 ≤ k < 2^32.
    pub fn top_k(k: u64) -> Result<Penalty> {
        let k = whole("k", k as f64)? as f64;
        Ok(Penalty::of_groups(&FORMULA, [k, 0.0], TOP_K.given([k]), Groups::whole()))
    }

    /// R(θ) = 0 where at most n of every m consecutive weights are not zero, else ∞: [`top_k`](Penalty::top_k) over
    /// runs. Sparse tensor cores multiply 2-of-4 matrices at twice the rate (Mishra et al. 2021). For that, m must
    /// divide the length of the matrix's rows; a slice has no rows, so nothing checks it, and otherwise groups cross
    /// rows.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let penalty = Penalty::n_of_m(2, 4)?;
    /// let pruned = Backend::cpu().prox(&penalty, &[1.0f32, -3.0, 0.5, 2.0, 1.0, 1.0, 1.0, 0.0], 1.0)?;
    /// assert_eq!(pruned, [0.0, -3.0, 0.0, 2.0, 1.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 1 ≤ n ≤ m < 2^32.
    pub fn n_of_m(n: u64, m: u64) -> Result<Penalty> {
        let [n, m] = [whole("n", n as f64)?, whole("m", m as f64)?];
        if n > m {
            return Err(Error::Parameter { name: "n", expected: "at most m", found: n as f64 });
        }
        let origin = N_OF_M.given([n as f64, m as f64]);
        Ok(Penalty::of_groups(&FORMULA, [n as f64, 0.0], origin, Groups::runs(m)?))
    }
}

impl Formula for TopK {
    const NAME: &'static str = "n_of_m";
    const RULE: Option<Rule> = Some(Rule::Select);

    fn factors(_: Parameters) -> [f64; 3] {
        constraint::FACTORS
    }

    fn bound([k, _]: Parameters, _step: f64) -> f64 {
        k
    }
}

impl PerWeight<f32> for TopK {
    /// The coefficient is the bits of the smallest magnitude that is kept.
    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        if v.abs().to_bits() >= c[3].to_bits() { v } else { 0.0 }
    }
}
