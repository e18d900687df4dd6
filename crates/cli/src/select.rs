//! Which tensors an operation is for.

use regex::Regex;

use crate::args::SelectionArgs;
use crate::error::{Error, Result};

impl SelectionArgs {
    /// Whether a tensor is meant: it matches an include, where there are any, and no exclude.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|regex| regex.is_match(name));
        included && !self.exclude.iter().any(|regex| regex.is_match(name))
    }

    /// Refuses a pattern that matches none of the names: a misspelt one would silently penalise too much or nothing.
    pub(crate) fn check<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
        let unmatched = |option, regexes: &[Regex]| match regexes
            .iter()
            .find(|regex| !names.clone().any(|name| regex.is_match(name)))
        {
            None => Ok(()),
            Some(regex) => Err(Error::NoMatch { option, pattern: regex.to_string() }),
        };
        unmatched("--include", &self.include)?;
        unmatched("--exclude", &self.exclude)
    }
}
