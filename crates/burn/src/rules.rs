//! Which parameters are penalized, with what, and which of their weights together.

use burn_core::module::Module;
use penalty::{Groups, Penalty};
use regex::Regex;

use crate::Error;
use crate::walk::{Found, survey};

/// Which parameters of a module are penalized, with which penalty, and which of their weights it takes together.
///
/// Two questions are answered for every float parameter, each on its own, by its path (`encoder.layers.0.weight`):
///
/// 1. *Is it penalized?* Weights of rank ≥ 2 are; biases, other vectors and the parameters of normalization layers (modules
///    whose type ends in `Norm`) are not: shrinking those moves or silences features instead of simplifying the model.
///    [`include`](Rules::include) and [`exclude`](Rules::exclude) say otherwise for paths that match; the last one that matches counts.
/// 2. *With what?* With the penalty of [`new`](Rules::new), or that of the last [`penalty_for`](Rules::penalty_for) that matches.
///    It does not decide whether a parameter is penalized: `penalty_for("head", …)` leaves the head's bias alone.
///
/// A penalty that takes weights together, such as the group lasso, can take rows or columns by each parameter's own shape:
/// [`grouped`](Rules::grouped) and [`grouped_for`](Rules::grouped_for), with [`ByShape`]. Groups that the penalty brings itself must fit:
/// [`Groups::rows(64)`](Groups::rows) is of matrices with rows of 64 and of no others, and the m of
/// [`n_of_m`](Penalty::n_of_m) must divide the rows ([`Penalty::check_shape`]). Its runs lie in rows: in `Linear`'s [in, out] along the
/// outputs, where sparse tensor cores want them along the inputs.
///
/// A pattern is a regular expression of the [`regex`] crate that may match anywhere in the path, as in `penalty eval --include`: `^` and
/// `$` anchor it, and `.` is any character.
///
/// Never penalized are parameters that do not require gradients, in a module on a device with autodiff. A module without autodiff, such
/// as one from `valid()`, tells neither which of them are frozen nor which are a normalization's running statistics: exclude those by
/// their paths. A parameter that occurs twice (with one `ParamId`) counts once, under its first path.
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
    /// Where none of the others matches.
    default: Rule,
    /// The last that matches counts.
    penalties: Vec<(Regex, Rule)>,
    /// Whether the paths that match are penalized.
    choices: Vec<(Regex, bool)>,
}

/// A penalty, and which weights of a parameter it takes together where the parameter's shape decides.
#[derive(Debug, Clone)]
struct Rule {
    penalty: Penalty,
    groups: Option<ByShape>,
}

/// Which weights of a parameter are a group, by the parameter's own shape, as in `penalty eval --groups`: one of shape [a, b, c, …] is a
/// matrix of a rows and b·c·… columns.
///
/// What a row is differs between Burn's layers:
///
/// | parameter | shape | a row | a column |
/// | --- | --- | --- | --- |
/// | `Linear`'s weight, of either `LinearLayout` | [in, out] | what one input feeds | an output neuron |
/// | `Conv1d`'s, `Conv2d`'s, `Conv3d`'s weight | [out, in/groups, kernel…] | an output channel | |
/// | `ConvTranspose1d`'s, `ConvTranspose2d`'s, `ConvTranspose3d`'s weight | [in, out/groups, kernel…] | an input channel | |
/// | `Embedding`'s weight | [tokens, features] | a token | a feature |
///
/// PyTorch's `Linear` has [out, in], where an output neuron is a row.
///
/// A parameter of fewer than two dimensions, such as a bias, is no matrix: it is rejected, by name. Leave it out, as rules do unless told
/// otherwise, or give it a penalty of its own.
///
/// ```
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::Device;
/// # use penalty::Penalty;
/// # use penalty_burn::{ByShape, Rules};
/// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
/// // Each output neuron of `Linear`, whose weight is [in, out], is 0 or not as a whole.
/// let rules = Rules::grouped(Penalty::l2_norm(1e-3)?, ByShape::Columns);
/// assert_eq!(rules.select(&layer)?[0].penalty.groups(), Some(&penalty::Groups::columns(4)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByShape {
    /// Each row.
    Rows,
    /// Each column.
    Columns,
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
    /// The penalty that it has, in the groups that it has there.
    pub penalty: Penalty,
}

impl Rules {
    /// This penalty for every weight of rank ≥ 2 outside normalization layers.
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

    /// The same with one norm, one ball or one choice for each row or column of a weight, whatever its shape. The penalty leaves its groups
    /// open, as [`Groups::whole`] does.
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
        Rules { default, penalties: Vec::new(), choices: Vec::new() }
    }

    /// Penalizes the parameters whose path matches, of whatever rank and in whatever layer.
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
    /// [`Error::Pattern`] for what is no regular expression.
    pub fn include(mut self, pattern: &str) -> Result<Rules, Error> {
        self.choices.push((regex(pattern)?, true));
        Ok(self)
    }

    /// Leaves the parameters alone whose path matches.
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

    /// Another penalty for those penalized parameters whose path matches. With [`Penalty::none`] they only count in the statistics.
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

    /// The same, of each row or column as in [`grouped`](Rules::grouped).
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

    /// The penalty of [`new`](Rules::new) or [`grouped`](Rules::grouped), under an empty pattern, then that of each
    /// [`penalty_for`](Rules::penalty_for) and [`grouped_for`](Rules::grouped_for) under its own. What is grouped stays grouped.
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

    /// What they select of a module, in its order: to look at before training.
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
    /// [`Error::NoMatch`] where a pattern matches none of the module's float parameters, [`Error::Penalty`] where a penalty's groups do not
    /// fit the shape of a parameter that it is for.
    pub fn select<M: Module>(&self, module: &M) -> Result<Vec<Selected>, Error> {
        let found = survey(module);
        self.check(&found)?;
        let selected = found.into_iter().filter_map(|f| {
            let penalty = self.penalty(self.choose(&f)?, &f);
            Some(penalty.map(|penalty| Selected { path: f.path, penalty }))
        });
        selected.collect()
    }

    /// Rejects patterns that match nothing.
    pub(crate) fn check(&self, found: &[Found]) -> Result<(), Error> {
        let patterns = self.penalties.iter().map(|(p, _)| p).chain(self.choices.iter().map(|(p, _)| p));
        for pattern in patterns {
            if !found.iter().any(|f| pattern.is_match(&f.path)) {
                let paths: Vec<&str> = found.iter().map(|f| f.path.as_str()).collect();
                return Err(Error::NoMatch { pattern: pattern.to_string(), paths: paths.join(", ") });
            }
        }
        Ok(())
    }

    /// Which penalty a parameter has; `None` where it is not penalized.
    pub(crate) fn choose(&self, found: &Found) -> Option<Choice> {
        let default = found.shape.len() >= 2 && !found.normalization;
        let last = self.choices.iter().rfind(|(pattern, _)| pattern.is_match(&found.path));
        let chosen = last.map_or(default, |&(_, choice)| choice);
        let penalty = self.penalties.iter().rposition(|(pattern, _)| pattern.is_match(&found.path));
        (chosen && found.trainable && found.len() > 0).then_some(Choice(penalty))
    }

    /// A parameter's penalty as it is now, in groups that fit the parameter.
    pub(crate) fn penalty(&self, choice: Choice, found: &Found) -> Result<Penalty, Error> {
        let rule = choice.0.and_then(|at| self.penalties.get(at)).map_or(&self.default, |(_, rule)| rule);
        let shape: Vec<u64> = found.shape.iter().map(|&side| side as u64).collect();
        rule.of_shape(&shape).map_err(|error| {
            let parameter = format!("{:?}", found.path);
            penalty::Error::InParameter { parameter, error: Box::new(error) }.into()
        })
    }
}

impl Rule {
    fn of_shape(&self, shape: &[u64]) -> penalty::Result<Penalty> {
        let Rule { penalty, groups } = self;
        let penalty = match groups {
            None => penalty.clone(),
            Some(by) => {
                let grouped = penalty.over(by.groups(shape)?)?;
                if penalty.over(Groups::whole())? != *penalty {
                    let expected = "be left open by the penalty, as Groups::whole() does".into();
                    return Err(rejected(*by, expected, "it has groups of its own".into()));
                }
                grouped
            }
        };
        penalty.check_shape(shape)?;
        Ok(penalty)
    }
}

impl ByShape {
    fn groups(self, shape: &[u64]) -> penalty::Result<Groups> {
        let columns = match shape {
            [_, rest @ ..] if !rest.is_empty() => rest.iter().product(),
            _ => {
                let expected = "lie in a matrix, of two dimensions or more".into();
                return Err(rejected(self, expected, format!("the tensor's shape is {shape:?}")));
            }
        };
        match self {
            ByShape::Rows => Groups::rows(columns),
            ByShape::Columns => Groups::columns(columns),
        }
    }
}

fn rejected(by: ByShape, expected: String, found: String) -> penalty::Error {
    let groups = match by {
        ByShape::Rows => "rows by shape",
        ByShape::Columns => "columns by shape",
    };
    penalty::Error::Groups { groups: groups.into(), expected, found }
}

/// One of the rules' penalties: that of a pattern, or the default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice(Option<usize>);

fn regex(pattern: &str) -> Result<Regex, Error> {
    Regex::new(pattern).map_err(|error| {
        // Its last line says what is wrong; those before it draw the pattern.
        let problem = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
        Error::Pattern { pattern: pattern.to_string(), problem }
    })
}
