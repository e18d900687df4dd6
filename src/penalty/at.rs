//! A penalty of one number, of one group and of a tensor, in `f64`, for fits and plots.

use super::Penalty;
use super::validate::finite_step;
use crate::formula::Coefficients;
use crate::formula::double::Double;
use crate::formula::rule::Rule;
use crate::{Error, Result};

/// The prox of one number, with coefficients prepared for a step; from [`Penalty::prox_with`].
///
/// ```
/// use penalty::Penalty;
///
/// let prox = Penalty::l1(0.5)?.prox_with(2.0)?; // once for a step
/// assert_eq!([3.0, -0.25, -1.5].map(|v| prox.of(v)), [2.0, 0.0, -0.5]);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ProxAt {
    /// What precedes the penalty's own prox, if it is a sum.
    net: Option<Stage>,
    own: Stage,
}

/// The prox of one formula.
#[derive(Debug, Clone, Copy)]
struct Stage {
    prox: fn(f64, &Coefficients<f64>) -> f64,
    coefficients: Coefficients<f64>,
}

impl Stage {
    #[inline]
    fn of(&self, v: f64) -> f64 {
        (self.prox)(v, &self.coefficients)
    }
}

impl ProxAt {
    /// argmin over x of step·R(x) + ½(x − v)². A number that is not finite stays as it is.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// let prox = Penalty::mcp(1.0, 3.0)?.prox_with(1.0)?;
    /// assert_eq!(prox.of(2.0), 1.5); // (2 − 1)·3/(3 − 1)
    /// assert_eq!(prox.of(4.0), 4.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    #[inline]
    pub fn of(&self, v: f64) -> f64 {
        if v.is_finite() { self.own.of(self.net.map_or(v, |net| net.of(v))) } else { v }
    }
}

/// The prox of one group, prepared for a step; from [`Penalty::group_prox_with`].
///
/// ```
/// use penalty::Penalty;
///
/// let mut group = [3.0, 4.0];
/// Penalty::l2_norm(1.0)?.group_prox_with(2.5)?.apply(&mut group);
/// assert_eq!(group, [1.5, 2.0]);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct GroupProx {
    /// What precedes the penalty's own prox, if it is a sum.
    net: Option<ProxAt>,
    rule: Rule,
    bound: f64,
    /// Of the single weights, before the rule.
    l1: Option<ProxAt>,
}

impl GroupProx {
    /// Replaces a group's weights v by argmin over x of step·R(x) + ½‖x − v‖². A group with a number that is not finite
    /// stays as it is.
    ///
    /// ```
    /// use penalty::{Groups, Penalty};
    ///
    /// let penalty = Penalty::sparse_group_lasso(1.0, 0.5, Groups::runs(4)?)?;
    /// let mut group = [4.5, -3.5, 0.25, 0.0];
    /// penalty.group_prox_with(1.0)?.apply(&mut group);
    /// assert_eq!(group, [3.2, -2.4000000000000004, 0.0, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn apply(&self, group: &mut [f64]) {
        if group.iter().any(|v| !v.is_finite()) {
            return;
        }
        for before in [self.net, self.l1].into_iter().flatten() {
            group.iter_mut().for_each(|v| *v = before.of(*v));
        }
        self.rule.prox_in_f64(group, self.bound);
    }
}

impl Penalty {
    /// R(x) of one number in `f64`, for fits and plots.
    ///
    /// The formula is the one that the backends evaluate, in another type. λ and the other parameters are those that the
    /// constructor was given: nothing is rounded to `f32`. A [`custom`](Penalty::custom) penalty is its user's functions,
    /// so it is as exact as `f32`.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert_eq!(Penalty::elastic_net(0.1, 0.5)?.value_at(-2.0)?, 0.05 * 2.0 + 0.05 * 4.0);
    /// assert_eq!(Penalty::interval(0.0, 1.0)?.value_at(2.0)?, f64::INFINITY);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotSeparable`] for a group penalty; use [`value_of`](Penalty::value_of). [`Error::ElementWeights`] for a
    /// [weighted](Penalty::is_weighted) one. [`Error::Parameter`] if x is not finite.
    pub fn value_at(&self, x: f64) -> Result<f64> {
        let double = self.double("value", "value_of")?;
        number("x", x)?;
        Ok(self.value_in_f64(&double, &[x]))
    }

    /// dR/dx of one number in `f64`, 0 at a kink; as exact as [`value_at`](Penalty::value_at).
    ///
    /// ```
    /// use penalty::{Error, Penalty};
    ///
    /// assert_eq!(Penalty::mcp(0.5, 4.0)?.gradient_at(-1.0)?, -(0.5 - 1.0 / 4.0));
    /// assert!(matches!(Penalty::l0(0.5)?.gradient_at(1.0), Err(Error::NoGradient { .. })));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoGradient`] if [it has none](Penalty::has_gradient), and as [`value_at`](Penalty::value_at).
    pub fn gradient_at(&self, x: f64) -> Result<f64> {
        let double = self.double("gradient", "Backend::gradient")?;
        number("x", x)?;
        if !self.has_gradient() {
            return Err(Error::NoGradient { penalty: self.name() });
        }
        Ok((double.gradient)(x, &(self.formula.gradient_coefficients)(self.parameters)))
    }

    /// prox(v) = argmin over x of step·R(x) + ½(x − v)² of one number in `f64`; as exact as
    /// [`value_at`](Penalty::value_at). For many numbers at one step, use [`prox_with`](Penalty::prox_with).
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert_eq!(Penalty::l1(0.1)?.prox_at(1.0, 0.5)?, 1.0 - 0.1 * 0.5);
    /// assert_eq!(Penalty::l0(0.5)?.prox_at(0.9, 1.0)?, 0.0); // below √(2·step·λ)
    /// let sum = Penalty::sum([Penalty::l1(0.5)?, Penalty::interval(-1.0, 1.0)?])?;
    /// assert_eq!([0.75, 4.0].map(|v| sum.prox_at(v, 1.0)), [Ok(0.25), Ok(1.0)]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prox_with`](Penalty::prox_with). [`Error::Parameter`] if v is not finite.
    pub fn prox_at(&self, v: f64, step: f64) -> Result<f64> {
        let prox = self.prox_with(step)?;
        number("v", v)?;
        Ok(prox.of(v))
    }

    /// The prox of one number at a step, for calls with many numbers: the coefficients are worked out here.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// let ridge = Penalty::l2_squared(0.5)?.prox_with(1.0)?;
    /// assert_eq!([4.0, -1.0].map(|v| ridge.of(v)), [2.0, -0.5]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotSeparable`] for a group penalty; use [`prox_of`](Penalty::prox_of). [`Error::ElementWeights`] for a
    /// [weighted](Penalty::is_weighted) one. [`Error::Parameter`] if the step is not a finite number ≥ 0, or is so large
    /// that a coefficient would leave its range.
    pub fn prox_with(&self, step: f64) -> Result<ProxAt> {
        finite_step(step)?;
        if !self.is_sum() {
            return Ok(ProxAt { net: None, own: self.stage(step)? });
        }
        let [net, own] = self.stages();
        Ok(ProxAt { net: Some(net.stage(step)?), own: own.stage(step)? })
    }

    fn stage(&self, step: f64) -> Result<Stage> {
        let prox = self.double("prox", "prox_of")?.prox;
        Ok(Stage { prox, coefficients: (self.formula.prox_coefficients)(self.parameters, self.own_step(step)?)? })
    }

    /// The prox of one group at a step, whichever groups the penalty has.
    ///
    /// ```
    /// use penalty::{Groups, Penalty};
    ///
    /// let penalty = Penalty::group_lasso(1.0, Groups::rows(4)?)?;
    /// let mut group = [2.0, 2.0, -2.0, 2.0];
    /// penalty.group_prox_with(1.0)?.apply(&mut group); // √4 is taken from the norm, 4
    /// assert_eq!(group, [1.0, 1.0, -1.0, 1.0]);
    /// let mut group = [3.0, 4.0];
    /// let sum = Penalty::sum([Penalty::l2_squared(0.5)?, Penalty::l2_norm(1.0)?])?;
    /// sum.group_prox_with(1.0)?.apply(&mut group); // halved, then with half the step
    /// assert_eq!(group, [1.2000000000000002, 1.6]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] for a separable penalty. [`Error::Parameter`] if the step is not a finite number ≥ 0.
    pub fn group_prox_with(&self, step: f64) -> Result<GroupProx> {
        finite_step(step)?;
        let Some(rule) = self.formula.rule else {
            let (groups, expected) = ("one group".into(), "go with a group penalty".into());
            return Err(Error::Groups {
                groups,
                expected,
                found: format!("found {}, a separable penalty", self.name()),
            });
        };
        let (net, own) = match self.is_sum() {
            false => (None, self.clone()),
            true => {
                let [net, own] = self.stages();
                (Some(net.prox_with(step)?), own)
            }
        };
        let step = own.own_step(step)?;
        let l1 = match own.factors()[0] {
            0.0 => None,
            l1 => Some(Penalty::l1(l1)?.prox_with(step)?),
        };
        Ok(GroupProx { net, rule, bound: (own.formula.bound)(own.parameters, step), l1 })
    }

    /// R(θ) of a tensor in `f64`, of a separable penalty or a group penalty. It is as exact as
    /// [`value_at`](Penalty::value_at). A group is inside its constraint if it is so up to a relative error of 1e-12.
    ///
    /// This is for the few weights of a fit. A [backend](crate::Backend) evaluates large tensors.
    ///
    /// ```
    /// use penalty::{Groups, Penalty};
    ///
    /// let rows = Penalty::group_lasso(0.5, Groups::rows(2)?)?;
    /// assert_eq!(rows.value_of(&[3.0, 4.0, 0.0, 0.0])?, 0.5 * 2f64.sqrt() * 5.0);
    /// assert_eq!(Penalty::l1_ball(6.0)?.value_of(&[3.0, 4.0])?, f64::INFINITY);
    /// let sum = Penalty::sum([Penalty::l2_squared(0.5)?, Penalty::l2_norm(1.0)?])?;
    /// assert_eq!(sum.value_of(&[3.0, 4.0])?, 0.5 * 25.0 + 5.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if the groups do not cover the weights. [`Error::ElementWeights`] for a
    /// [weighted](Penalty::is_weighted) penalty. [`Error::Parameter`] if a weight is not finite.
    pub fn value_of(&self, weights: &[f64]) -> Result<f64> {
        weights.iter().try_for_each(|x| number("each weight", *x))?;
        let (Some(rule), Some(geometry)) = (self.formula.rule, self.geometry(weights.len() as u64)?) else {
            return Ok(self.value_in_f64(&self.double("value", "value_of")?, weights));
        };
        let bound = (self.formula.bound)(self.parameters, 0.0);
        let (mut shares, mut group) = (0.0, Vec::new());
        for g in 0..geometry.count {
            group.clear();
            group.extend((0..geometry.size(g)).map(|member| weights[geometry.index(g, member) as usize]));
            shares += rule.share_in_f64(&group, bound);
        }
        let l1 = weights.iter().map(|x| x.abs()).sum();
        let l2_squared = weights.iter().map(|x| x * x).sum();
        Ok(self.value([l1, l2_squared, shares]))
    }

    /// Replaces a tensor v by argmin over x of step·R(x) + ½‖x − v‖² in `f64`, of a separable penalty or a group penalty.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// let mut weights = [0.5, 0.75, -1.0];
    /// Penalty::simplex(1.0)?.prox_of(&mut weights, 1.0)?;
    /// assert_eq!(weights, [0.375, 0.625, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`value_of`](Penalty::value_of) and [`prox_with`](Penalty::prox_with). Nothing is written then.
    pub fn prox_of(&self, weights: &mut [f64], step: f64) -> Result<()> {
        weights.iter().try_for_each(|x| number("each weight", *x))?;
        let Some(geometry) = self.geometry(weights.len() as u64)? else {
            let prox = self.prox_with(step)?;
            weights.iter_mut().for_each(|v| *v = prox.of(*v));
            return Ok(());
        };
        let (prox, mut group) = (self.group_prox_with(step)?, Vec::new());
        for g in 0..geometry.count {
            let indices = (0..geometry.size(g)).map(|member| geometry.index(g, member) as usize);
            group.clear();
            group.extend(indices.clone().map(|index| weights[index]));
            prox.apply(&mut group);
            indices.zip(&group).for_each(|(index, x)| weights[index] = *x);
        }
        Ok(())
    }

    /// Whether R(θ) = λ₁Σ|θ| + λ₂Σθ² with [`l1_factor`](Penalty::l1_factor) and
    /// [`l2_squared_factor`](Penalty::l2_squared_factor), and nothing else. A solver may then use what it knows of the
    /// elastic net, such as its dual.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert!(Penalty::l1(0.5)?.is_elastic_net() && Penalty::glmnet(0.5, 0.1)?.is_elastic_net());
    /// assert!(!Penalty::nonnegative_l1(0.5)?.is_elastic_net());
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn is_elastic_net(&self) -> bool {
        *self.formula == super::elastic_net::FORMULA
    }

    /// The functions of one number.
    fn double(&self, asked: &'static str, instead: &'static str) -> Result<Double> {
        let penalty = self.name();
        if self.is_weighted() {
            let expected = "element weights, for which calls in f64 have no place";
            return Err(Error::ElementWeights { penalty, expected, found: "none" });
        }
        self.formula.double.ok_or(Error::NotSeparable { penalty, asked, instead })
    }

    fn value_in_f64(&self, double: &Double, weights: &[f64]) -> f64 {
        let t = (self.formula.term_coefficients)(self.parameters);
        self.value([
            weights.iter().map(|x| x.abs()).sum(),
            weights.iter().map(|x| x * x).sum(),
            weights.iter().map(|x| (double.term)(*x, &t)).sum(),
        ])
    }
}

/// Rejects what no formula sees.
fn number(name: &'static str, x: f64) -> Result<()> {
    if x.is_finite() { Ok(()) } else { Err(Error::Parameter { name, expected: "a finite number", found: x }) }
}
