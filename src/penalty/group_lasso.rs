//! The group lasso and the sparse-group lasso: λ(αΣ|θ| + (1−α)Σ√n_g‖θ_g‖₂).

use super::Penalty;
use super::named::Named;
use super::validate::{factor, ratio, whole};
use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Rule;
use crate::formula::{Coefficients, Formula, Parameters, PerWeight};
use crate::numeric::arithmetic::times_wide;
use crate::numeric::bits::{flush, threshold};
use crate::{Groups, Result};

pub(super) static FORMULA: Descriptor =
    Descriptor::of::<GroupLasso>(include_str!("../../shaders/penalty/group_lasso.wgsl"));

pub(super) static GROUP_LASSO_OF_RUNS: Named = Named {
    name: "group_lasso",
    parameters: &["lambda", "group_size"],
    lambdas: 1,
    formula: "λΣ√n‖θ_g‖₂ over runs of n = group-size weights",
    new: |p| Penalty::group_lasso(p[0], Groups::runs(whole("group_size", p[1])?)?),
};

pub(super) static GROUP_LASSO: Named = Named {
    name: "group_lasso",
    parameters: &["lambda"],
    lambdas: 1,
    formula: "λΣ√n_g‖θ_g‖₂ over groups of n_g weights",
    new: |p| Penalty::group_lasso(p[0], Groups::whole()),
};

pub(super) static SPARSE_GROUP_LASSO_OF_RUNS: Named = Named {
    name: "sparse_group_lasso",
    parameters: &["lambda", "alpha", "group_size"],
    lambdas: 1,
    formula: "λ(αΣ|θ| + (1−α)Σ√n‖θ_g‖₂) over runs of n = group-size weights",
    new: |p| Penalty::sparse_group_lasso(p[0], p[1], Groups::runs(whole("group_size", p[2])?)?),
};

pub(super) static SPARSE_GROUP_LASSO: Named = Named {
    name: "sparse_group_lasso",
    parameters: &["lambda", "alpha"],
    lambdas: 1,
    formula: "λ(αΣ|θ| + (1−α)Σ√n_g‖θ_g‖₂) over groups of n_g weights",
    new: |p| Penalty::sparse_group_lasso(p[0], p[1], Groups::whole()),
};

pub(super) struct GroupLasso;

impl Penalty {
    /// R(θ) = λΣ√n_g‖θ_g‖₂ over groups of n_g weights: the group lasso (Yuan, Lin 2006). A group's weights become zero
    /// together.
    ///
    /// prox(v) is v_g·max(1 − ηλ√n_g/‖v_g‖₂, 0). The gradient is λ√n_g·θ_g/‖θ_g‖₂, 0 in a group of zeros. A weight that
    /// is not finite stays as it is, and its group is shrunk as if that weight were 0. Convex.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// // The columns of a matrix of two: each has four weights, so √n = 2.
    /// let columns = Penalty::group_lasso(1.0, Groups::columns(2)?)?;
    /// let weights = [2.0f32, 0.5, 2.0, 0.5, -2.0, 0.5, 2.0, 0.5];
    /// assert_eq!(Backend::cpu().evaluate(&columns, &weights)?.value, 2.0 * 4.0 + 2.0 * 1.0);
    /// assert_eq!(Backend::cpu().prox(&columns, &weights, 1.0)?, [1.0, 0.0, 1.0, 0.0, -1.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2.
    pub fn group_lasso(lambda: f64, groups: Groups) -> Result<Penalty> {
        let penalty = Penalty::sparse_group_lasso(lambda, 0.0, groups)?;
        Ok(Penalty { origin: GROUP_LASSO.given([lambda]), ..penalty })
    }

    /// R(θ) = λ(αΣ|θ| + (1−α)Σ√n_g‖θ_g‖₂): the sparse-group lasso (Simon et al. 2013). Whole groups become zero, and
    /// single weights in the other groups. α = 1 is L1, α = 0 is the group lasso.
    ///
    /// prox(v) is u_g·max(1 − ηλ(1−α)√n_g/‖u_g‖₂, 0), where u is L1's prox with ηλα. The gradient is the sum of both
    /// gradients. Convex.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// let penalty = Penalty::sparse_group_lasso(1.0, 0.5, Groups::runs(4)?)?;
    /// let shrunk = Backend::cpu().prox(&penalty, &[4.5f32, -3.5, 0.25, 0.0, 0.5, 0.5, 0.5, 0.75], 1.0)?;
    /// assert_eq!(shrunk, [3.2, -2.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`](crate::Error::Parameter) unless 0 ≤ λ ≤ `f32::MAX`/2 and 0 ≤ α ≤ 1.
    pub fn sparse_group_lasso(lambda: f64, alpha: f64, groups: Groups) -> Result<Penalty> {
        let (lambda, alpha) = (factor("lambda", lambda)?, ratio("alpha", alpha)?);
        let parameters = [lambda * alpha, lambda * (1.0 - alpha)];
        Ok(Penalty::of_groups(&FORMULA, parameters, SPARSE_GROUP_LASSO.given([lambda, alpha]), groups))
    }
}

impl Formula for GroupLasso {
    const NAME: &'static str = "sparse_group_lasso";
    const RULE: Option<Rule> = Some(Rule::Shrink { sized: true });

    fn factors([l1, group]: Parameters) -> [f64; 3] {
        [l1, 0.0, group]
    }

    fn bound([_, group]: Parameters, step: f64) -> f64 {
        step * group
    }

    /// λα, λ(1−α).
    fn gradient_coefficients([l1, group]: Parameters) -> [f64; 5] {
        [l1, group, 0.0, 0.0, 0.0]
    }

    /// step·λα.
    fn prox_coefficients([l1, _]: Parameters, step: f64) -> Result<[f64; 5]> {
        Ok([step * l1, 0.0, 0.0, 0.0, 0.0])
    }
}

impl PerWeight<f32> for GroupLasso {
    #[inline(always)]
    fn gradient(theta: f32, c: &Coefficients) -> f32 {
        let kink = if theta > 0.0 {
            c[0]
        } else if theta < 0.0 {
            -c[0]
        } else {
            0.0
        };
        kink + flush(times_wide(theta, c[3]))
    }

    #[inline(always)]
    fn gradient_limits(c: &Coefficients) -> [f32; 2] {
        [-(c[0] + c[4]), c[0] + c[4]]
    }

    #[inline(always)]
    fn prox(v: f32, c: &Coefficients) -> f32 {
        threshold(v, c[0]) * c[3]
    }
}
