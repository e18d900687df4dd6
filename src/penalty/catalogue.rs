//! Which penalties exist: their formulas, and the names by which users look them up.

use super::groups::Groups;
use super::named::Named;
use super::origin::Origin;
use super::{
    Penalty, elastic_net, group_lasso, huber, interval, l_half, l0, l1_ball, l2_ball, l2_norm, linf_norm, log_sum,
    mask, mcp, nonnegative_l1, scad, simplex, top_k, weighted,
};
use crate::formula::descriptor::Descriptor;
use crate::{Error, Result};

/// A formula, and its penalties that have names.
struct Entry {
    formula: &'static Descriptor,
    named: &'static [&'static Named],
}

static CATALOGUE: [Entry; 18] = [
    Entry {
        formula: &elastic_net::FORMULA,
        named: &[&elastic_net::L1, &elastic_net::L2_SQUARED, &elastic_net::ELASTIC_NET],
    },
    Entry { formula: &l0::FORMULA, named: &[&l0::NAMED] },
    Entry { formula: &l_half::FORMULA, named: &[&l_half::NAMED] },
    Entry { formula: &log_sum::FORMULA, named: &[&log_sum::NAMED] },
    Entry { formula: &mcp::FORMULA, named: &[&mcp::NAMED] },
    Entry { formula: &scad::FORMULA, named: &[&scad::NAMED] },
    Entry { formula: &huber::FORMULA, named: &[&huber::NAMED] },
    Entry { formula: &nonnegative_l1::FORMULA, named: &[&nonnegative_l1::NAMED] },
    Entry { formula: &interval::FORMULA, named: &[&interval::BOX] },
    Entry { formula: &weighted::FORMULA, named: &[&weighted::WEIGHTED_L1, &weighted::WEIGHTED_ELASTIC_NET] },
    Entry { formula: &mask::FORMULA, named: &[] },
    Entry { formula: &l2_norm::FORMULA, named: &[&l2_norm::NAMED] },
    Entry {
        formula: &group_lasso::FORMULA,
        named: &[
            &group_lasso::GROUP_LASSO_OF_RUNS,
            &group_lasso::GROUP_LASSO,
            &group_lasso::SPARSE_GROUP_LASSO_OF_RUNS,
            &group_lasso::SPARSE_GROUP_LASSO,
        ],
    },
    Entry { formula: &l2_ball::FORMULA, named: &[&l2_ball::NAMED] },
    Entry { formula: &linf_norm::FORMULA, named: &[&linf_norm::NAMED] },
    Entry { formula: &l1_ball::FORMULA, named: &[&l1_ball::NAMED] },
    Entry { formula: &simplex::FORMULA, named: &[&simplex::NAMED] },
    Entry { formula: &top_k::FORMULA, named: &[&top_k::TOP_K, &top_k::N_OF_M] },
];

/// Constructors that give penalties of the catalogue by other names or other conventions, and those that have no
/// parameters.
static OTHERS: [&Named; 7] = [
    &elastic_net::NONE,
    &mask::NAMED,
    &elastic_net::SCIKIT_LEARN,
    &elastic_net::GLMNET,
    &elastic_net::KERAS,
    &elastic_net::WEIGHT_DECAY,
    &interval::INTERVAL,
];

/// All constructors that go by a name.
fn constructors() -> impl Iterator<Item = &'static Named> {
    Penalty::all().chain(OTHERS)
}

/// The built-in formulas.
pub(crate) fn formulas() -> impl Iterator<Item = &'static Descriptor> {
    CATALOGUE.iter().map(|entry| entry.formula)
}

impl Penalty {
    /// The penalty with this name and these parameters, as a command or a configuration file gives them. The names are
    /// those of the constructors, [`custom`](Penalty::custom) apart; `-` and `_` are the same.
    /// [`interval`](Penalty::interval) is also `box`, and the group lassos also take their `group_size`.
    ///
    /// [`name`](Penalty::name) and [`parameters`](Penalty::parameters) give them back, and [`groups`](Penalty::groups)
    /// the groups: [`over`](Penalty::over) these, the same name and parameters make the same group penalty.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// assert_eq!(Penalty::named("mcp", &[("gamma", 3.0), ("lambda", 0.1)])?, Penalty::mcp(0.1, 3.0)?);
    /// let error = Penalty::named("mcp", &[("lambda", 0.1)]).unwrap_err();
    /// assert_eq!(error.to_string(), "mcp must have the parameters lambda, gamma; found lambda");
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such name, or the parameters are not those of the penalty.
    /// [`Error::Parameter`] as from its constructor.
    pub fn named(name: &str, parameters: &[(&str, f64)]) -> Result<Penalty> {
        let stem = name.replace('-', "_");
        let mut known = constructors().filter(|named| named.name == stem).peekable();
        if known.peek().is_none() {
            let mut names: Vec<&str> = constructors().map(|named| named.name).collect();
            names.dedup();
            return Err(Error::Name {
                what: "the penalty".into(),
                expected: format!("be one of {}", names.join(", ")),
                found: name.into(),
            });
        }
        let given: Vec<String> = parameters.iter().map(|(key, _)| key.replace('-', "_")).collect();
        let value = |key: &&str| given.iter().position(|g| g == key).map(|at| parameters[at].1);
        let mut expected = Vec::new();
        for named in known {
            let values: Option<Vec<f64>> = named.parameters.iter().map(value).collect();
            if let Some(values) = values.filter(|values| values.len() == given.len()) {
                return (named.new)(&values);
            }
            expected.push(named.parameters.join(", "));
        }
        Err(Error::Name {
            what: stem,
            expected: format!("have the parameters {}", expected.join(" or ")),
            found: if given.is_empty() { "none".into() } else { given.join(", ") },
        })
    }

    /// The penalties that there are, each by one name. [`named`](Penalty::named) also knows [`none`](Penalty::none) and
    /// [`mask`](Penalty::mask), `interval` for `box`, and the constructors of other libraries' conventions.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// let mcp = Penalty::all().find(|named| named.name == "mcp").expect("it is in the list");
    /// assert_eq!(mcp.parameters, ["lambda", "gamma"]);
    /// assert_eq!(mcp.formula, "Σ λ|θ| − θ²/(2γ) where |θ| ≤ γλ, else γλ²/2");
    /// ```
    pub fn all() -> impl Iterator<Item = &'static Named> {
        CATALOGUE.iter().flat_map(|entry| entry.named).copied()
    }

    /// The constructor that made it; `None` if the penalty is custom.
    pub(super) fn constructor(&self) -> Option<&'static Named> {
        let Origin { name, keys, .. } = self.origin;
        constructors().filter(|_| !self.formula.custom).find(|named| named.name == name && named.parameters == keys)
    }

    /// Its groups, unless they are those that its name and its parameters say.
    pub(super) fn other_groups(&self) -> Option<&Groups> {
        let made = (self.constructor()?.new)(self.origin.values()).ok()?;
        self.groups.as_ref().filter(|_| made.groups != self.groups)
    }
}
