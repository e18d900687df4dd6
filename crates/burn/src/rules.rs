//! Which parameters are penalized, with which penalty and in which groups.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use burn_core::module::Module;
use burn_core::tensor::Tensor;
use penalty::{Groups, Penalty};
use regex::Regex;

use crate::Error;
use crate::by_shape::{ByShape, rejected};
use crate::table::{Row, Table};
use crate::walk::{self, Found, survey};

/// Which parameters of a module are penalized, with which penalty and in which groups.
///
/// The rules answer two independent questions for every float parameter, by its path (`encoder.layers.0.weight`):
///
/// 1. *Is it penalized?* By default, weights of rank ≥ 2 are. Biases, other vectors and the parameters of normalization layers (modules
///    whose type ends in `Norm`) are not, because shrinking them moves or silences features instead of simplifying the model.
///    [`include`](Rules::include) and [`exclude`](Rules::exclude) override this for matching paths; the last match counts.
/// 2. *With what?* With the penalty of the last matching [`penalty_for`](Rules::penalty_for), or else with that of [`new`](Rules::new).
///    This does not decide whether a parameter is penalized: `penalty_for("head", …)` leaves the head's bias alone.
///
/// A group penalty, such as the group lasso, can take the rows or columns of each parameter as its groups: see [`grouped`](Rules::grouped),
/// [`grouped_for`](Rules::grouped_for) and [`ByShape`]. If the penalty brings its groups itself, they must fit the parameter:
/// [`Groups::rows(64)`](Groups::rows) fits only matrices with rows of 64, and the m of [`n_of_m`](Penalty::n_of_m) must divide the length
/// of a row ([`Penalty::check_shape`]). The runs of `n_of_m` lie in rows. In `Linear`'s [in, out] they lie along the outputs, but sparse
/// tensor cores want them along the inputs.
///
/// A pattern is a regular expression of the [`regex`] crate that may match anywhere in the path, as in `penalty eval --include`: `^` and
/// `$` anchor it, and `.` is any character.
///
/// On a device with autodiff, parameters that do not require gradients are never penalized. A module without autodiff, such as one from
/// `valid()`, does not show which parameters are frozen or which are a normalization's running statistics; exclude those by their paths. A
/// parameter that occurs twice (with one `ParamId`) counts once, under its first path.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
/// use burn::tensor::Device;
/// use penalty::Penalty;
/// use penalty_burn::Rules;
///
/// #[derive(Module, Debug)]
/// struct Net {
///     embed: Linear,
///     norm: LayerNorm,
///     head: Linear,
/// }
///
/// let device = Device::flex();
/// let net = Net {
///     embed: LinearConfig::new(8, 4).init(&device),
///     norm: LayerNormConfig::new(4).init(&device),
///     head: LinearConfig::new(4, 2).init(&device),
/// };
///
/// let rules = Rules::new(Penalty::l1(1e-4)?);
/// let paths = |rules: &Rules| Ok::<_, penalty_burn::Error>(rules.select(&net)?.into_iter().map(|s| s.path).collect::<Vec<_>>());
/// assert_eq!(paths(&rules)?, ["embed.weight", "head.weight"]);
///
/// let rules = rules.penalty_for("^embed", Penalty::l2_squared(1e-3)?)?.exclude("^head")?.include("head.bias$")?;
/// assert_eq!(paths(&rules)?, ["embed.weight", "head.bias"]);
/// assert_eq!(rules.select(&net)?[0].penalty, Penalty::l2_squared(1e-3)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rules {
    /// Applies if none of the others matches.
    default: Rule,
    /// The last match counts.
    penalties: Vec<(Regex, Rule)>,
    /// Whether matching paths are penalized. The last match counts.
    choices: Vec<(Regex, bool)>,
    /// The last match counts.
    schedules: Vec<(Regex, Schedule)>,
    /// What a budget may prune of matching parameters. The last match counts.
    bounds: Vec<(Regex, RangeInclusive<f64>)>,
    /// By path, without autodiff.
    element_weights: HashMap<String, Tensor<1>>,
}

/// A factor of λ for each step.
#[derive(Clone)]
pub(crate) struct Schedule(Arc<dyn Fn(u64) -> f64 + Send + Sync>);

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schedule")
    }
}

/// A penalty, and how it takes its groups from a parameter's shape, if it does.
#[derive(Debug, Clone)]
struct Rule {
    penalty: Penalty,
    groups: Option<ByShape>,
}

/// A parameter that rules select.
///
/// ```
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::Device;
/// # use penalty::Penalty;
/// # use penalty_burn::Rules;
/// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
/// let selected = Rules::new(Penalty::l1(1e-4)?).select(&layer)?;
/// assert_eq!((&*selected[0].path, &selected[0].penalty), ("weight", &Penalty::l1(1e-4)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    /// Its path in the module.
    pub path: String,
    /// Its penalty, with the groups for this parameter's shape.
    pub penalty: Penalty,
}

impl Rules {
    /// Applies this penalty to every weight of rank ≥ 2 outside normalization layers.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::Rules;
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let rules = Rules::new(Penalty::l1(1e-4)?);
    /// assert_eq!(rules.select(&layer)?.len(), 1); // the weight, not the bias
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(penalty: Penalty) -> Rules {
        Rules::of(Rule { penalty, groups: None })
    }

    /// Like [`new`](Rules::new), but each row or column of a weight is a group: it has its norm, ball or choice, whatever the weight's
    /// shape. The penalty must leave its groups open, as [`Groups::whole`] does.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::Device;
    /// use penalty::{Groups, Penalty};
    /// use penalty_burn::{ByShape, Rules};
    ///
    /// // Output neurons of `Linear`, whose weight is [in, out], are columns.
    /// let group_lasso = Penalty::group_lasso(1e-3, Groups::whole())?;
    /// let rules = Rules::grouped(group_lasso, ByShape::Columns);
    /// let layers: Vec<Linear> =
    ///     [(64, 32), (32, 10)].map(|(inputs, outputs)| LinearConfig::new(inputs, outputs).init(&Device::flex())).into();
    /// let selected = rules.select(&layers)?;
    /// assert_eq!(selected[0].penalty, Penalty::group_lasso(1e-3, Groups::columns(32)?)?);
    /// assert_eq!(selected[1].penalty, Penalty::group_lasso(1e-3, Groups::columns(10)?)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grouped(penalty: Penalty, groups: ByShape) -> Rules {
        Rules::of(Rule { penalty, groups: Some(groups) })
    }

    fn of(default: Rule) -> Rules {
        Rules {
            default,
            penalties: Vec::new(),
            choices: Vec::new(),
            schedules: Vec::new(),
            bounds: Vec::new(),
            element_weights: HashMap::new(),
        }
    }

    /// Penalizes the parameters whose path matches, whatever their rank and layer.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::Rules;
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let rules = Rules::new(Penalty::l1(1e-4)?).include("bias$")?;
    /// assert_eq!(rules.select(&layer)?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`] if the pattern is not a regular expression.
    pub fn include(mut self, pattern: &str) -> Result<Rules, Error> {
        self.choices.push((regex(pattern)?, true));
        Ok(self)
    }

    /// Leaves out the parameters whose path matches.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::Rules;
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let rules = Rules::new(Penalty::l1(1e-4)?).include("bias$")?.exclude("weight$")?;
    /// assert_eq!(rules.select(&layer)?[0].path, "bias");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`include`](Rules::include).
    pub fn exclude(mut self, pattern: &str) -> Result<Rules, Error> {
        self.choices.push((regex(pattern)?, false));
        Ok(self)
    }

    /// Sets another penalty for the penalized parameters whose path matches. With [`Penalty::none`] they only count in the statistics.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::Rules;
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let rules = Rules::new(Penalty::l1(1e-4)?).penalty_for("weight$", Penalty::l2_squared(1e-3)?)?;
    /// assert_eq!(rules.select(&layer)?[0].penalty, Penalty::l2_squared(1e-3)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`include`](Rules::include).
    pub fn penalty_for(self, pattern: &str, penalty: Penalty) -> Result<Rules, Error> {
        self.rule_for(pattern, Rule { penalty, groups: None })
    }

    /// Like [`penalty_for`](Rules::penalty_for), but each row or column is a group, as in [`grouped`](Rules::grouped).
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::{ByShape, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let norm = Penalty::l2_norm(1e-3)?;
    /// let rules = Rules::new(Penalty::none()).grouped_for("weight$", norm.clone(), ByShape::Rows)?;
    /// assert_eq!(rules.select(&layer)?[0].penalty, norm.over(penalty::Groups::rows(4)?)?); // of [8, 4]
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`include`](Rules::include).
    pub fn grouped_for(self, pattern: &str, penalty: Penalty, groups: ByShape) -> Result<Rules, Error> {
        self.rule_for(pattern, Rule { penalty, groups: Some(groups) })
    }

    fn rule_for(mut self, pattern: &str, rule: Rule) -> Result<Rules, Error> {
        self.penalties.push((regex(pattern)?, rule));
        Ok(self)
    }

    /// Multiplies λ by a factor that depends on the step, for the penalized parameters whose path matches; the empty pattern matches all.
    /// The last match counts. [`Penalty::scaled`] says what a factor does to each penalty, and [`penalty::schedule`] has factors.
    ///
    /// Steps count from 0: in an optimizer those of the parameter, which a record stores, in a [`Regularizer`](crate::Regularizer) its
    /// successful calls.
    ///
    /// ```
    /// use penalty::{Penalty, schedule};
    /// use penalty_burn::Rules;
    ///
    /// // λ grows to 1e-4 within the first 1000 steps.
    /// let rules = Rules::new(Penalty::l1(1e-4)?).scheduled("", |step| schedule::linear(step, 0..1000, 0.0, 1.0))?;
    /// # drop(rules);
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`include`](Rules::include).
    pub fn scheduled(
        mut self,
        pattern: &str,
        factor: impl Fn(u64) -> f64 + Send + Sync + 'static,
    ) -> Result<Rules, Error> {
        self.schedules.push((regex(pattern)?, Schedule(Arc::new(factor))));
        Ok(self)
    }

    /// What [`Regularizer::prune`](crate::Regularizer::prune) may prune of the penalized parameters whose path matches, as fractions of each: at
    /// least the first, at most the last. The last match counts.
    ///
    /// ```
    /// # use penalty::Penalty;
    /// # use penalty_burn::Rules;
    /// let rules = Rules::new(Penalty::none()).prune_within("^head", 0.0..=0.5)?; // keeps half of the head at least
    /// # drop(rules);
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`include`](Rules::include).
    pub fn prune_within(mut self, pattern: &str, fraction: RangeInclusive<f64>) -> Result<Rules, Error> {
        self.bounds.push((regex(pattern)?, fraction));
        Ok(self)
    }

    /// The element weights of [weighted](Penalty::is_weighted) penalties: those of a parameter are the values of the parameter with its path in
    /// this module. [`adaptive`](crate::adaptive) makes them of a first model, and [`mask`](crate::mask) of a pruned one.
    ///
    /// ```
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::Device;
    /// use penalty::Penalty;
    /// use penalty_burn::{Rules, adaptive};
    ///
    /// let first: Linear = LinearConfig::new(8, 4).init(&Device::flex()); // trained without a penalty
    /// let rules = Rules::new(Penalty::weighted_l1(1e-3)?).element_weights(&adaptive(first, 1.0, 1e-6)); // the adaptive lasso
    /// # drop(rules);
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    pub fn element_weights<M: Module>(mut self, weights: &M) -> Rules {
        self.element_weights.extend(walk::flat(weights));
        self
    }

    /// The patterns and their penalties. The first pattern is empty and has the penalty of [`new`](Rules::new) or
    /// [`grouped`](Rules::grouped). Then each [`penalty_for`](Rules::penalty_for) and [`grouped_for`](Rules::grouped_for) follows with its
    /// pattern. Grouped penalties stay grouped.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::Rules;
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut rules = Rules::new(Penalty::l1(1e-4)?).penalty_for("weight$", Penalty::l1(1e-3)?)?;
    /// for (_, penalty) in rules.penalties_mut().filter(|(pattern, _)| *pattern == "weight$") {
    ///     *penalty = penalty.scaled(0.5)?;
    /// }
    /// assert_eq!(rules.select(&layer)?[0].penalty, Penalty::l1(5e-4)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn penalties_mut(&mut self) -> impl Iterator<Item = (&str, &mut Penalty)> {
        let others = self.penalties.iter_mut().map(|(pattern, rule)| (pattern.as_str(), &mut rule.penalty));
        std::iter::once(("", &mut self.default.penalty)).chain(others)
    }

    /// What applies to each float parameter of a module, to print before training.
    ///
    /// ```
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::Device;
    /// use penalty::Penalty;
    /// use penalty_burn::Rules;
    ///
    /// let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let table = Rules::new(Penalty::l1(1e-4)?).table(&layer)?;
    /// println!("{table}"); // weight  [8, 4]  F32  l1:lambda=0.0001, and that the bias has no penalty
    /// # Ok::<(), penalty_burn::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`select`](Rules::select).
    pub fn table<M: Module>(&self, module: &M) -> Result<Table, Error> {
        let found = survey(module);
        self.check(&found)?;
        let row = |found: Found| {
            let penalty = self.choose(&found).map(|choice| self.unscheduled(choice, &found)).transpose()?;
            let scheduled = penalty.is_some() && last(&self.schedules, &found).is_some();
            let why_not = if !found.trainable {
                "frozen"
            } else if last(&self.choices, &found) == Some(&false) {
                "excluded"
            } else if found.normalization {
                "in a normalization layer"
            } else {
                "of rank 1"
            };
            Ok(Row { found, penalty: penalty.ok_or(why_not), scheduled })
        };
        found.into_iter().map(row).collect::<Result<Vec<Row>, Error>>().map(Table)
    }

    /// The parameters that the rules select, in the module's order. Look at them before you train.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::Rules;
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// for selected in Rules::new(Penalty::l1(1e-4)?).select(&layer)? {
    ///     println!("{}: {}", selected.path, selected.penalty); // weight: l1:lambda=0.0001
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if a pattern matches none of the module's float parameters, [`Error::Penalty`] if a penalty's groups do not fit
    /// the shape of its parameter.
    pub fn select<M: Module>(&self, module: &M) -> Result<Vec<Selected>, Error> {
        let found = survey(module);
        self.check(&found)?;
        let selected = found.into_iter().filter_map(|f| {
            let penalty = self.unscheduled(self.choose(&f)?, &f);
            Some(penalty.map(|penalty| Selected { path: f.path, penalty }))
        });
        selected.collect()
    }

    /// Rejects patterns that match nothing.
    pub(crate) fn check(&self, found: &[Found]) -> Result<(), Error> {
        let patterns = self.penalties.iter().map(|(p, _)| p).chain(self.choices.iter().map(|(p, _)| p));
        let patterns = patterns.chain(self.schedules.iter().map(|(p, _)| p)).chain(self.bounds.iter().map(|(p, _)| p));
        for pattern in patterns {
            if !found.iter().any(|f| pattern.is_match(&f.path)) {
                let paths: Vec<&str> = found.iter().map(|f| f.path.as_str()).collect();
                return Err(Error::NoMatch { pattern: pattern.to_string(), paths: paths.join(", ") });
            }
        }
        Ok(())
    }

    /// Which penalty a parameter has; `None` if it is not penalized.
    pub(crate) fn choose(&self, found: &Found) -> Option<Choice> {
        let default = found.shape.len() >= 2 && !found.normalization;
        let chosen = last(&self.choices, found).copied().unwrap_or(default);
        let penalty = self.penalties.iter().rposition(|(pattern, _)| pattern.is_match(&found.path));
        (chosen && found.trainable && found.len() > 0).then_some(Choice(penalty))
    }

    /// A parameter's penalty in a step, with groups that fit the parameter.
    pub(crate) fn penalty(&self, choice: Choice, found: &Found, step: u64) -> Result<Penalty, Error> {
        let penalty = self.unscheduled(choice, found)?;
        match last(&self.schedules, found) {
            Some(schedule) => schedule.at(step, &penalty).map_err(|error| about(found, error)),
            None => Ok(penalty),
        }
    }

    /// What an optimizer needs for each parameter; `None` if it is not penalized.
    pub(crate) fn assign(&self, found: &[Found]) -> Result<Vec<Option<Assigned>>, Error> {
        self.check(found)?;
        let assigned = |found: &Found| {
            let Some(choice) = self.choose(found) else { return Ok(None) };
            let penalty = self.unscheduled(choice, found)?;
            let element_weights = self.element_weights_of(&penalty, found)?;
            let schedule = last(&self.schedules, found).cloned();
            Ok(Some(Assigned { path: found.path.clone(), penalty, schedule, element_weights }))
        };
        found.iter().map(assigned).collect()
    }

    pub(crate) fn unscheduled(&self, choice: Choice, found: &Found) -> Result<Penalty, Error> {
        let rule = choice.0.and_then(|at| self.penalties.get(at)).map_or(&self.default, |(_, rule)| rule);
        let shape: Vec<u64> = found.shape.iter().map(|&side| side as u64).collect();
        rule.of_shape(&shape).map_err(|error| about(found, error))
    }

    /// What a budget may prune of a parameter, as fractions.
    pub(crate) fn bounds_of(&self, found: &Found) -> RangeInclusive<f64> {
        last(&self.bounds, found).cloned().unwrap_or(0.0..=1.0)
    }

    /// The element weights of a parameter, if its penalty takes any, where the parameter lies and in its type.
    pub(crate) fn element_weights_of(&self, penalty: &Penalty, found: &Found) -> Result<Option<Tensor<1>>, Error> {
        if !penalty.is_weighted() {
            return Ok(None);
        }
        let given = self.element_weights.get(&found.path);
        let len = given.map(|weights| weights.shape().num_elements() as u64);
        match given {
            Some(weights) if len == Some(found.len()) => {
                Ok(Some(weights.clone().to_device(&found.device).cast(found.dtype)))
            }
            _ => {
                let found_weights = len.map_or_else(|| "none".to_string(), |len| len.to_string());
                Err(Error::ElementWeights {
                    parameter: found.path.clone(),
                    expected: found.len(),
                    found: found_weights,
                })
            }
        }
    }
}

impl Schedule {
    /// The penalty in a step.
    pub(crate) fn at(&self, step: u64, penalty: &Penalty) -> penalty::Result<Penalty> {
        penalty.scaled((self.0)(step))
    }
}

/// What an optimizer does with a penalized parameter.
pub(crate) struct Assigned {
    pub(crate) path: String,
    pub(crate) penalty: Penalty,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) element_weights: Option<Tensor<1>>,
}

/// The value of the last pattern that matches.
fn last<'a, T>(values: &'a [(Regex, T)], found: &Found) -> Option<&'a T> {
    values.iter().rfind(|(pattern, _)| pattern.is_match(&found.path)).map(|(_, value)| value)
}

fn about(found: &Found, error: penalty::Error) -> Error {
    penalty::Error::InParameter { parameter: format!("{:?}", found.path), error: Box::new(error) }.into()
}

impl Rule {
    fn of_shape(&self, shape: &[u64]) -> penalty::Result<Penalty> {
        let Rule { penalty, groups } = self;
        let Some(by) = groups else {
            penalty.check_shape(shape)?;
            return Ok(penalty.clone());
        };
        let grouped = penalty.over(by.groups(shape)?)?;
        if penalty.over(Groups::whole())? != *penalty {
            let expected = "be left open by the penalty, as Groups::whole() does".into();
            return Err(rejected(*by, expected, "it has groups of its own".into()));
        }
        Ok(grouped)
    }
}

/// One of the rules' penalties: that of a pattern, or the default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice(Option<usize>);

fn regex(pattern: &str) -> Result<Regex, Error> {
    Regex::new(pattern).map_err(|error| {
        // The message's last line says what is wrong; the lines before it draw the pattern.
        let problem = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
        Error::Pattern { pattern: pattern.to_string(), problem }
    })
}
