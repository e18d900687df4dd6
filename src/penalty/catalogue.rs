//! Which penalties exist: their formulas, and the names by which users look them up.

use super::Penalty;
use super::named::Named;
use super::{
    elastic_net, group_lasso, huber, interval, l_half, l0, l1_ball, l2_ball, l2_norm, linf_norm, log_sum, mcp,
    nonnegative_l1, scad, simplex, top_k, weighted,
};
use crate::formula::descriptor::Descriptor;
use crate::{Error, Result};

/// A formula, and its penalties that have names.
struct Entry {
    formula: &'static Descriptor,
    named: &'static [Named],
}

static CATALOGUE: [Entry; 17] = [
    Entry { formula: &elastic_net::FORMULA, named: elastic_net::NAMED },
    Entry { formula: &l0::FORMULA, named: l0::NAMED },
    Entry { formula: &l_half::FORMULA, named: l_half::NAMED },
    Entry { formula: &log_sum::FORMULA, named: log_sum::NAMED },
    Entry { formula: &mcp::FORMULA, named: mcp::NAMED },
    Entry { formula: &scad::FORMULA, named: scad::NAMED },
    Entry { formula: &huber::FORMULA, named: huber::NAMED },
    Entry { formula: &nonnegative_l1::FORMULA, named: nonnegative_l1::NAMED },
    Entry { formula: &interval::FORMULA, named: interval::NAMED },
    Entry { formula: &weighted::FORMULA, named: weighted::NAMED },
    Entry { formula: &l2_norm::FORMULA, named: l2_norm::NAMED },
    Entry { formula: &group_lasso::FORMULA, named: group_lasso::NAMED },
    Entry { formula: &l2_ball::FORMULA, named: l2_ball::NAMED },
    Entry { formula: &linf_norm::FORMULA, named: linf_norm::NAMED },
    Entry { formula: &l1_ball::FORMULA, named: l1_ball::NAMED },
    Entry { formula: &simplex::FORMULA, named: simplex::NAMED },
    Entry { formula: &top_k::FORMULA, named: top_k::NAMED },
];

/// The built-in formulas.
pub(crate) fn formulas() -> impl Iterator<Item = &'static Descriptor> {
    CATALOGUE.iter().map(|entry| entry.formula)
}

impl Penalty {
    /// The penalty with this name and these parameters, as a command or a configuration file gives them. The names are
    /// those of the constructors, except that [`interval`](Penalty::interval) is `box`; `-` and `_` are the same.
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
    /// [`Error::Name`] if the name is none of [`all`](Penalty::all), or the parameters are not those of the penalty.
    /// [`Error::Parameter`] as from its constructor.
    pub fn named(name: &str, parameters: &[(&str, f64)]) -> Result<Penalty> {
        let stem = name.replace('-', "_");
        let mut known = Penalty::all().filter(|named| named.name == stem).peekable();
        if known.peek().is_none() {
            let mut names: Vec<&str> = Penalty::all().map(|named| named.name).collect();
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
                return (named.new)(&values).map(|penalty| penalty.called(named.name));
            }
            expected.push(named.parameters.join(", "));
        }
        Err(Error::Name {
            what: stem,
            expected: format!("have the parameters {}", expected.join(" or ")),
            found: if given.is_empty() { "none".into() } else { given.join(", ") },
        })
    }

    /// The penalties that have names.
    pub fn all() -> impl Iterator<Item = &'static Named> {
        CATALOGUE.iter().flat_map(|entry| entry.named)
    }
}
