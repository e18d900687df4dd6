//! Sums of penalties that have a prox: an elastic net and one other penalty, taken one after the other.

use super::before::{Before, NAME};
use super::elastic_net::FORMULA as ELASTIC_NET;
use super::group_lasso::FORMULA as GROUP_LASSO;
use super::interval::FORMULA as INTERVAL;
use super::l2_norm::FORMULA as L2_NORM;
use super::linf_norm::FORMULA as LINF_NORM;
use super::mask::FORMULA as MASK;
use super::nonnegative_l1::FORMULA as NONNEGATIVE_L1;
use super::{Parameters, Penalty};
use crate::{Error, Groups, Result};

impl Penalty {
    /// R(θ) = R₁(θ) + R₂(θ) + …, where the prox of the sum follows from those of its terms. Every call that takes a prox takes it for one
    /// penalty: on slices, in sets, and within optimizer steps. Its value is the sum of its terms' values. It has no
    /// [gradient](Penalty::has_gradient); for that, take a [`Sum`](crate::Sum).
    ///
    /// | terms | the prox with step η |
    /// | --- | --- |
    /// | any number of [`l1`](Penalty::l1), [`l2_squared`](Penalty::l2_squared), [`elastic_net`](Penalty::elastic_net) and their other forms | that of one elastic net |
    /// | squared L2, λ₂Σθ² in all, and one other penalty R | that of R, with step η/(1 + 2ηλ₂), of θ/(1 + 2ηλ₂) |
    /// | L1, and [`l2_norm`](Penalty::l2_norm), [`linf_norm`](Penalty::linf_norm), [`group_lasso`](Penalty::group_lasso) or [`sparse_group_lasso`](Penalty::sparse_group_lasso) | that of L1, then that of the norm, which keeps signs and zeros |
    /// | L1, and [`interval`](Penalty::interval), [`nonnegative_l1`](Penalty::nonnegative_l1) or [`mask`](Penalty::mask) | that of L1, then the nearest allowed weights: for one convex function of one weight that is exact |
    /// | squared L2, L1 and one of these | both |
    ///
    /// Where one formula has the sum, such as the elastic net, the result is that penalty. Otherwise a prox takes two passes. `f16` and
    /// `bf16` weights are rounded after each. In Adam's metric, only sums with `interval`, `nonnegative_l1` or `mask` have a prox. The factors
    /// of element weights belong to the other term alone.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// let sum = Penalty::sum([Penalty::l1(0.5)?, Penalty::l2_squared(0.5)?, Penalty::interval(-1.0, 1.0)?])?;
    /// assert_eq!(Backend::cpu().prox(&sum, &[3.0f32, 0.25, -9.0], 1.0)?, [1.0, 0.0, -1.0]);
    /// assert_eq!(Backend::cpu().evaluate(&sum, &[1.0f32, -0.5])?.value, 0.5 * 1.5 + 0.5 * 1.25);
    /// assert_eq!(Penalty::sum([Penalty::l1(0.5)?, Penalty::l2_squared(0.5)?])?, Penalty::keras(0.5, 0.5)?);
    ///
    /// let error = Penalty::sum([Penalty::l1(0.5)?, Penalty::mcp(0.5, 3.0)?]).unwrap_err();
    /// assert!(error.to_string().contains("neither a norm nor an interval"), "{error}");
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::SumProx`] if the prox of the sum does not follow from those of its terms. [`Error::Parameter`] if λs that add up are more
    /// than one constructor takes.
    pub fn sum(terms: impl IntoIterator<Item = Penalty>) -> Result<Penalty> {
        let (mut net, mut other): (Parameters, Option<Penalty>) = ([0.0; 2], None);
        for term in terms {
            let (before, rest) = term.split();
            net = [net[0] + before[0], net[1] + before[1]];
            if *rest.formula == ELASTIC_NET {
                continue;
            }
            other = match other {
                None => Some(rest),
                Some(other) => {
                    let reason = "only one of the terms may be other than L1 and squared L2";
                    return Err(Error::SumProx { terms: [other.name(), rest.name()], reason });
                }
            };
        }
        let Some(other) = other else { return plain(net) };
        if net == [0.0; 2] {
            return Ok(other);
        }
        let [l1, l2_squared] = net;
        if *other.formula == NONNEGATIVE_L1 {
            let lambda = l1 + other.parameters[0];
            return match l2_squared {
                0.0 => Penalty::nonnegative_l1(lambda),
                _ => behind([lambda, l2_squared], Penalty::interval(0.0, f64::INFINITY)?),
            };
        }
        if *other.formula == GROUP_LASSO && l2_squared == 0.0 {
            let [lasso, group] = [l1 + other.parameters[0], other.parameters[1]];
            let groups = other.groups.unwrap_or(Groups::whole());
            return Penalty::sparse_group_lasso(lasso + group, lasso / (lasso + group), groups);
        }
        if l1 > 0.0 && !other.follows_l1() {
            let reason = "the prox of their sum is not that of L1 followed by the other's, which is neither a norm nor an interval";
            return Err(Error::SumProx { terms: ["l1", other.name()], reason });
        }
        behind(net, other)
    }

    /// Whether its prox follows that of L1 in the prox of their sum: a norm's keeps signs and zeros, and an interval's is a projection.
    fn follows_l1(&self) -> bool {
        [&GROUP_LASSO, &L2_NORM, &LINF_NORM].into_iter().any(|norm| self.formula == norm) || self.follows_any_metric()
    }

    /// Whether its prox projects each weight alone, in any metric.
    fn follows_any_metric(&self) -> bool {
        [&INTERVAL, &MASK].into_iter().any(|interval| self.formula == interval)
    }

    /// The elastic net's part of it, and the rest.
    fn split(self) -> (Parameters, Penalty) {
        match self.before {
            Before::Net(net) => (net, Penalty { before: Before::Nothing, ..self }),
            _ if *self.formula == ELASTIC_NET => (self.parameters, self),
            _ => ([0.0; 2], self),
        }
    }

    /// Whether it is a sum of two formulas.
    pub(crate) fn is_sum(&self) -> bool {
        matches!(self.before, Before::Net(_))
    }

    /// A sum's penalty beside the elastic net; any other penalty as it is.
    pub(crate) fn beside_net(&self) -> Penalty {
        self.clone().split().1
    }

    /// What takes a sum's prox: an elastic net, and what follows it with the same step. Of any other penalty, the penalty and nothing.
    pub(crate) fn stages(&self) -> [Penalty; 2] {
        match self.before {
            Before::Net([l1, l2_squared]) => {
                let follows = Penalty { before: Before::Taken(l2_squared), ..self.clone() };
                [Penalty { parameters: [l1, l2_squared], ..Penalty::none() }, follows]
            }
            _ => [self.clone(), Penalty::none()],
        }
    }

    /// Rejects a sum whose prox in Adam's metric is not that of its stages.
    pub(crate) fn admits_stages_in_metric(&self) -> Result<()> {
        if self.is_sum() && !self.follows_any_metric() {
            return Err(Error::NoMetricProx { penalty: NAME });
        }
        Ok(())
    }

    /// The step of the penalty's own prox, for a step of the whole.
    pub(super) fn own_step(&self, step: f64) -> Result<f64> {
        match self.before {
            Before::Nothing => Ok(step),
            Before::Taken(l2_squared) => Ok(step / (1.0 + 2.0 * step * l2_squared)),
            Before::Net(_) => {
                let reason = "their prox takes two passes, which calls for a single tensor in your encoder do not record: take a set";
                Err(Error::SumProx { terms: ["elastic_net", self.origin.name], reason })
            }
        }
    }

    /// The factors of Σ|θ| and of Σθ² that the elastic net adds.
    pub(super) fn net(&self) -> Parameters {
        match self.before {
            Before::Net(net) => net,
            _ => [0.0; 2],
        }
    }

    /// The same sum with both parts changed.
    pub(super) fn map_parts(&self, change: impl Fn(&Penalty) -> Result<Penalty>) -> Result<Penalty> {
        let (net, rest) = self.clone().split();
        Penalty::sum([change(&plain(net)?)?, change(&rest)?])
    }
}

/// λ₁Σ|θ| + λ₂Σθ².
fn plain([l1, l2_squared]: Parameters) -> Result<Penalty> {
    match (l1, l2_squared) {
        (0.0, 0.0) => Ok(Penalty::none()),
        (_, 0.0) => Penalty::l1(l1),
        (0.0, _) => Penalty::l2_squared(l2_squared),
        _ => Penalty::keras(l1, l2_squared),
    }
}

/// The sum of an elastic net and a penalty whose prox follows it.
fn behind(net: Parameters, penalty: Penalty) -> Result<Penalty> {
    plain(net)?; // rejects λs out of range
    Ok(Penalty { before: Before::Net(net), ..penalty })
}
