//! Which parameters are penalized, and with what.

use burn_core::module::Module;
use penalty::Penalty;
use regex::Regex;

use crate::Error;
use crate::walk::{Found, survey};

/// Which parameters of a module are penalized, and with which penalty.
///
/// Two questions are answered for every float parameter, each on its own, by its path (`encoder.layers.0.weight`):
///
/// 1. *Is it penalized?* Weights of rank ≥ 2 are; biases, other vectors and the parameters of normalization layers (modules
///    whose type ends in `Norm`) are not: shrinking those moves or silences features instead of simplifying the model.
///    [`include`](Rules::include) and [`exclude`](Rules::exclude) say otherwise for paths that match; the last one that matches counts.
/// 2. *With what?* With the penalty of [`new`](Rules::new), or that of the last [`penalty_for`](Rules::penalty_for) that matches.
///    It does not decide whether a parameter is penalized: `penalty_for("head", …)` leaves the head's bias alone.
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
    default: Penalty,
    /// The last that matches counts.
    penalties: Vec<(Regex, Penalty)>,
    /// Whether the paths that match are penalized.
    choices: Vec<(Regex, bool)>,
}

/// A parameter that rules select.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    /// Its path in the module.
    pub path: String,
    /// The penalty that it has.
    pub penalty: Penalty,
}

impl Rules {
    /// This penalty for every weight of rank ≥ 2 outside normalization layers.
    pub fn new(penalty: Penalty) -> Rules {
        Rules { default: penalty, penalties: Vec::new(), choices: Vec::new() }
    }

    /// Penalizes the parameters whose path matches, of whatever rank and in whatever layer.
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
    /// # Errors
    ///
    /// As [`include`](Rules::include).
    pub fn exclude(mut self, pattern: &str) -> Result<Rules, Error> {
        self.choices.push((regex(pattern)?, false));
        Ok(self)
    }

    /// Another penalty for those penalized parameters whose path matches. With [`Penalty::none`] they only count in the statistics.
    ///
    /// # Errors
    ///
    /// As [`include`](Rules::include).
    pub fn penalty_for(mut self, pattern: &str, penalty: Penalty) -> Result<Rules, Error> {
        self.penalties.push((regex(pattern)?, penalty));
        Ok(self)
    }

    /// The penalty of [`new`](Rules::new), under an empty pattern, then that of each [`penalty_for`](Rules::penalty_for) under its own.
    pub fn penalties_mut(&mut self) -> impl Iterator<Item = (&str, &mut Penalty)> {
        let others = self.penalties.iter_mut().map(|(pattern, penalty)| (pattern.as_str(), penalty));
        std::iter::once(("", &mut self.default)).chain(others)
    }

    /// What they select of a module, in its order: to look at before training.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] where a pattern matches none of the module's float parameters.
    pub fn select<M: Module>(&self, module: &M) -> Result<Vec<Selected>, Error> {
        let found = survey(module);
        self.check(&found)?;
        let selected = found.into_iter().filter_map(|f| {
            let penalty = self.penalty(self.choose(&f)?).clone();
            Some(Selected { path: f.path, penalty })
        });
        Ok(selected.collect())
    }

    /// Refuses patterns that match nothing.
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

    /// The penalty as it is now.
    pub(crate) fn penalty(&self, choice: Choice) -> &Penalty {
        choice.0.and_then(|at| self.penalties.get(at)).map_or(&self.default, |(_, penalty)| penalty)
    }
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
