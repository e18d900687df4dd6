//! What a penalty is of: which coefficients form its groups, and how much each is penalized.

use std::collections::HashMap;

use penalty::{Groups, Penalty};

use super::task::usage;
use crate::args::fit::{CoefficientArgs, ColumnGroups};
use crate::error::{Error, Result};
use crate::groups;
use crate::named::Asked;

impl CoefficientArgs {
    /// Rejects a penalty that no fit takes, and groups that none of the penalties takes.
    pub(super) fn check(&self, asked: &[Asked]) -> Result<()> {
        let open = |asked: &Asked| groups::are_open_in(&asked.penalty);
        if let Some(weighted) = asked.iter().find(|asked| asked.penalty.is_weighted()) {
            let name = weighted.penalty.name().replace('_', "-");
            return Err(usage(format!(
                "{name} takes the weights of elements: give another penalty and --penalty-factor"
            )));
        }
        match (&self.groups, asked) {
            (Some(_), [one]) if !open(one) => {
                let name = one.penalty.name().replace('_', " ");
                Err(usage(format!("--groups is for group penalties, such as group-lasso, and {name} takes none")))
            }
            (Some(_), _) if !asked.iter().any(open) => {
                Err(usage("--groups is for group penalties, such as group-lasso, and these take none".into()))
            }
            _ => Ok(()),
        }
    }

    /// Adds the groups to the description of a penalty that takes them.
    pub(super) fn described(&self, asked: Asked) -> Asked {
        let groups = self.groups.as_ref().filter(|_| groups::are_open_in(&asked.penalty));
        asked.said("groups", groups)
    }

    /// The penalty of a vector of coefficients of these columns.
    pub(super) fn penalty(&self, asked: &Asked, columns: &[String]) -> Result<Penalty> {
        let groups = match &self.groups {
            Some(groups) if groups::are_open_in(&asked.penalty) => groups,
            _ => return Ok(asked.penalty.clone()),
        };
        let count = columns.len();
        let groups = match groups {
            ColumnGroups::Whole => Groups::whole(),
            ColumnGroups::Runs(len) if !(count as u64).is_multiple_of(*len) => {
                return Err(usage(format!(
                    "--groups runs:{len}: {len} must divide the columns, found {count} columns"
                )));
            }
            ColumnGroups::Runs(len) => Groups::runs(*len)?,
            ColumnGroups::Names(regex) => {
                let mut lists: Vec<Vec<u64>> = Vec::new();
                let mut of_text: HashMap<&str, usize> = HashMap::new();
                for (at, name) in (0..).zip(columns) {
                    // A column without a match is a group by itself.
                    let group = match regex.find(name) {
                        Some(found) => *of_text.entry(found.as_str()).or_insert(lists.len()),
                        None => lists.len(),
                    };
                    if group == lists.len() {
                        lists.push(Vec::new());
                    }
                    lists[group].push(at);
                }
                if of_text.is_empty() {
                    let pattern = regex.to_string();
                    return Err(Error::NoMatch { option: "--groups names:", pattern, what: "column" });
                }
                Groups::lists(&lists)?
            }
        };
        Ok(asked.penalty.over(groups)?)
    }

    /// What multiplies λ for each column; `None` if no option says.
    pub(super) fn factors(&self, columns: &[String]) -> Result<Option<Vec<f64>>> {
        for (regex, _) in &self.penalty_factor {
            if !columns.iter().any(|name| regex.is_match(name)) {
                let pattern = regex.to_string();
                return Err(Error::NoMatch { option: "--penalty-factor", pattern, what: "feature" });
            }
        }
        let of = |name: &String| {
            let last = self.penalty_factor.iter().rev().find(|(regex, _)| regex.is_match(name));
            last.map_or(1.0, |(_, factor)| *factor)
        };
        Ok((!self.penalty_factor.is_empty()).then(|| columns.iter().map(of).collect()))
    }
}
