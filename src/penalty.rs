//! What a penalty is. Each penalty's constructor and formula are in a file of their own.

pub(crate) mod at;
mod before;
pub(crate) mod catalogue;
mod coefficients;
mod composed;
mod constraint;
pub mod custom;
pub(crate) mod element_weights;
mod expression;
mod fingerprint;
pub(crate) mod groups;
pub(crate) mod named;
mod origin;
mod over;
mod parts;
mod scaled;
#[cfg(feature = "serde")]
mod serialized;
pub(crate) mod sum;
mod text;
pub(crate) mod validate;

mod elastic_net;
mod group_lasso;
mod huber;
#[cfg(test)]
mod in_f64;
mod interval;
mod l0;
mod l1_ball;
mod l2_ball;
mod l2_norm;
mod l_half;
mod linf_norm;
mod log_sum;
mod mask;
mod mcp;
mod nonnegative_l1;
mod scad;
mod simplex;
mod top_k;
mod weighted;

use before::Before;
use groups::{Geometry, Groups};
use origin::Origin;

#[cfg(doc)]
use crate::Error;
use crate::Result;
use crate::formula::Parameters;
use crate::formula::descriptor::Descriptor;
use crate::formula::rule::Rule;

/// A regularization penalty R(θ), λ included; valid by construction.
///
#[doc = include_str!("../docs/penalties.md")]
///
/// Every constructor rejects a λ that is negative, NaN, infinite or above half of `f32::MAX`. A product that a kernel
/// needs, such as ηλ, is computed in `f64` and rounded once to `f32`; below 2^-120 it is 0. The value uses λ in `f64`.
///
/// ```
/// use penalty::{Backend, Penalty};
///
/// let penalty = Penalty::elastic_net(1.0, 0.5)?;
/// assert_eq!(penalty.to_string(), "elastic-net:lambda=1,alpha=0.5");
/// assert_eq!(Backend::cpu().evaluate(&penalty, &[1.0f32, -2.0])?.value, 0.5 * 3.0 + 0.5 * 5.0);
/// assert_eq!(penalty, Penalty::keras(0.5, 0.5)?); // whichever constructor made it
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Penalty {
    formula: &'static Descriptor,
    parameters: Parameters,
    /// `None` if the penalty is separable.
    groups: Option<Groups>,
    before: Before,
    /// What it is called, and what can make it anew.
    origin: Origin,
}

/// Two penalties are equal whichever constructors made them.
impl PartialEq for Penalty {
    fn eq(&self, other: &Penalty) -> bool {
        let key = |p: &Penalty| (p.formula, p.parameters, p.before);
        key(self) == key(other) && self.groups == other.groups
    }
}

impl Penalty {
    fn of(formula: &'static Descriptor, parameters: Parameters, origin: Origin) -> Penalty {
        Penalty { formula, parameters, groups: None, before: Before::Nothing, origin }
    }

    fn of_groups(formula: &'static Descriptor, parameters: Parameters, origin: Origin, groups: Groups) -> Penalty {
        Penalty { groups: Some(groups), ..Penalty::of(formula, parameters, origin) }
    }

    /// What it is called: the name of its constructor, or that under which [`named`](Penalty::named) found it. Errors
    /// call it so. A [`custom`](Penalty::custom) penalty has the name of its type, and a [`sum`](Penalty::sum) of two formulas
    /// is called `sum`.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert_eq!(Penalty::glmnet(0.1, 0.5)?.name(), "glmnet");
    /// assert_eq!(Penalty::interval(0.0, 1.0)?.name(), "interval");
    /// assert_eq!(Penalty::named("box", &[("lower", 0.0), ("upper", 1.0)])?.name(), "box");
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn name(&self) -> &'static str {
        if self.is_sum() { before::NAME } else { self.origin.name }
    }

    /// The numbers that its constructor was given, with their names and to the bit. Groups are apart, in
    /// [`groups`](Penalty::groups). None of a [`custom`](Penalty::custom) penalty, whose parameters have no names, and none of a
    /// [`sum`](Penalty::sum) of two formulas.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// let penalty = Penalty::glmnet(0.1, 0.5)?;
    /// assert_eq!(penalty.parameters(), [("lambda", 0.1), ("alpha", 0.5)]);
    /// assert_eq!(Penalty::named(penalty.name(), &penalty.parameters())?, penalty);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn parameters(&self) -> Vec<(&'static str, f64)> {
        let given = self.origin.keys.iter().copied().zip(self.origin.values().iter().copied());
        if self.is_sum() { Vec::new() } else { given.collect() }
    }

    /// Which weights form a group; `None` if the penalty is separable.
    ///
    /// ```
    /// use penalty::{Groups, Penalty};
    ///
    /// assert_eq!(Penalty::n_of_m(2, 4)?.groups(), Some(&Groups::runs(4)?));
    /// assert_eq!(Penalty::l2_norm(0.1)?.groups(), Some(&Groups::whole()));
    /// assert_eq!(Penalty::l1(0.1)?.groups(), None);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn groups(&self) -> Option<&Groups> {
        self.groups.as_ref()
    }

    /// Rejects a tensor length that the penalty's groups do not fit: every operation on such a tensor would fail. So a
    /// program can check a list of tensors before it begins with the first.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// let pruning = Penalty::n_of_m(2, 4)?;
    /// pruning.check_len(1024)?;
    /// let error = pruning.check_len(10).unwrap_err();
    /// assert_eq!(error.to_string(), "groups of runs of 4 must cover the tensor: its 10 weights do not divide so");
    /// Penalty::l1(0.1)?.check_len(10)?; // no groups, nothing to cover
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if the penalty's groups do not cover this many weights, or there are too many weights for a
    /// group penalty.
    pub fn check_len(&self, len: u64) -> Result<()> {
        self.geometry(len).map(|_| ())
    }

    /// The same for a tensor whose shape is known. A shape [a, b, c, …] is a matrix of a rows and b·c·… columns. Groups
    /// of rows, columns or tiles must be made for that matrix, not for another with as many weights. For
    /// [`n_of_m`](Penalty::n_of_m), which is [`top_k`](Penalty::top_k) over runs, m must divide the length of a row.
    /// Runs of other penalties may cross rows.
    ///
    /// ```
    /// use penalty::{Groups, Penalty};
    ///
    /// let rows = Penalty::group_lasso(0.1, Groups::rows(64)?)?;
    /// rows.check_shape(&[32, 64])?;
    /// let error = rows.check_shape(&[64, 32]).unwrap_err(); // each group would be two rows
    /// let text = "groups of rows of 64 must lie in a matrix of 64 columns: the tensor's shape [64, 32] has 32";
    /// assert_eq!(error.to_string(), text);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if the groups are made for another matrix, or need a matrix and the tensor has fewer than two
    /// dimensions. Otherwise as [`check_len`](Penalty::check_len).
    pub fn check_shape(&self, shape: &[u64]) -> Result<()> {
        let Some(groups) = &self.groups else { return Ok(()) };
        let len = shape.iter().fold(1, |len: u64, side| len.saturating_mul(*side));
        if len > 0 {
            groups.check_matrix(shape, self.formula.rule == Some(Rule::Select))?;
        }
        self.check_len(len)
    }

    /// The rule that finds each group's coefficients; `None` if the penalty is separable.
    pub(crate) fn rule(&self) -> Option<Rule> {
        self.formula.rule
    }

    /// Where its groups lie in a tensor of this many weights; `None` if the penalty is separable.
    pub(crate) fn geometry(&self, len: u64) -> Result<Option<Geometry>> {
        self.groups.as_ref().map(|groups| groups.geometry(len)).transpose()
    }

    /// The factor of Σ|θ| in the value.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert_eq!(Penalty::elastic_net(1.0, 0.75)?.l1_factor(), 0.75);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn l1_factor(&self) -> f64 {
        self.factors()[0]
    }

    /// The factor of Σθ² in the value.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert_eq!(Penalty::weight_decay(1.0)?.l2_squared_factor(), 0.5);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn l2_squared_factor(&self) -> f64 {
        self.factors()[1]
    }

    /// Whether R(θ) = 0 for every θ, so that there is nothing to do. It is never true for a [`custom`](Penalty::custom)
    /// penalty, whose value the library does not know.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert!(Penalty::none().is_none() && Penalty::l1(0.0)?.is_none());
    /// assert!(!Penalty::l1(0.5)?.is_none());
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn is_none(&self) -> bool {
        self.factors() == [0.0; 3] && !self.formula.custom
    }

    /// Whether the penalty has a gradient to descend along.
    ///
    /// Counts ([`l0`](Penalty::l0)) and constraints have none. Constraints are the balls, the simplex,
    /// [`top_k`](Penalty::top_k), [`n_of_m`](Penalty::n_of_m), the box, [`nonnegative_l1`](Penalty::nonnegative_l1),
    /// and a [`custom`](Penalty::custom) penalty whose factor is infinite. Nor does a [`sum`](Penalty::sum) of two formulas;
    /// [`Sum`](crate::Sum) has one. Where these are flat the gradient would be
    /// 0, outside the allowed set too, so a loop that adds it would learn nothing. Every call for such a gradient is
    /// [`Error::NoGradient`]; use the prox instead.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let ball = Penalty::l2_ball(1.0)?;
    /// assert!(!ball.has_gradient() && Penalty::l1(0.1)?.has_gradient());
    /// let error = Backend::cpu().gradient(&ball, &[3.0f32, 4.0]).unwrap_err();
    /// assert_eq!(error.to_string(), "l2_ball has no gradient: use its prox, or an optimizer's step, which takes it");
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn has_gradient(&self) -> bool {
        !self.is_sum() && (self.formula.has_gradient)(self.parameters)
    }

    /// Whether the penalty needs an element weight for each θ, as [`weighted_l1`](Penalty::weighted_l1) does; see
    /// [`with_element_weights`](Penalty::with_element_weights).
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert!(Penalty::weighted_l1(0.5)?.is_weighted());
    /// assert!(!Penalty::l1(0.5)?.is_weighted());
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn is_weighted(&self) -> bool {
        self.formula.weighted
    }

    pub(crate) fn formula(&self) -> &'static Descriptor {
        self.formula
    }

    /// The parameters of the formula.
    pub(crate) fn formula_parameters(&self) -> Parameters {
        self.parameters
    }

    /// Whether the value has a term sum, Σterm(θ), beside Σ|θ| and Σθ².
    pub(crate) fn sums_terms(&self) -> bool {
        self.formula.sums_terms
    }

    fn factors(&self) -> [f64; 3] {
        let ([l1, l2_squared, term], [more_l1, more_l2_squared]) =
            ((self.formula.factors)(self.parameters), self.net());
        [l1 + more_l1, l2_squared + more_l2_squared, term]
    }
}
