//! Selects the tensors or columns that a command works on.

use std::collections::BTreeSet;
use std::path::PathBuf;

use regex::Regex;

use crate::args::SelectionArgs;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

impl SelectionArgs {
    /// Keeps the selected tensors of a checkpoint that these files hold. Fails if tensors are selected but none has a
    /// type with penalties, because a total of 0 would look like a result.
    pub(crate) fn choose(&self, checkpoint: &mut Checkpoint, files: &[PathBuf]) -> Result<()> {
        let patterns = self.patterns();
        patterns.check("tensor", checkpoint.names())?;
        patterns.retain(checkpoint);
        if !checkpoint.tensors.is_empty() || checkpoint.skipped.is_empty() {
            return Ok(());
        }
        let found: BTreeSet<&str> = checkpoint.skipped.iter().map(|skipped| skipped.dtype.as_str()).collect();
        let found = found.into_iter().collect::<Vec<_>>().join(", ");
        let files = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
        Err(Error::NoWeights { files, found })
    }

    /// Keeps the selected tensors of two checkpoints. A pattern must match a name of either.
    pub(crate) fn choose_of_both(&self, a: &mut Checkpoint, b: &mut Checkpoint) -> Result<()> {
        let patterns = self.patterns();
        patterns.check("tensor", a.names().chain(b.names()))?;
        [a, b].into_iter().for_each(|checkpoint| patterns.retain(checkpoint));
        Ok(())
    }

    fn patterns(&self) -> Patterns<'_> {
        Patterns { include: &self.include, exclude: &self.exclude }
    }
}

/// What `--include` and `--exclude` ask for.
pub(crate) struct Patterns<'a> {
    pub(crate) include: &'a [Regex],
    pub(crate) exclude: &'a [Regex],
}

impl Patterns<'_> {
    /// Whether a name is selected: it matches an include, if there are any, and no exclude.
    pub(crate) fn select(&self, name: &str) -> bool {
        self.select_tied(std::iter::once(name))
    }

    /// Whether a tensor of several names is selected: an include matches one of them, and no exclude matches any.
    fn select_tied<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> bool {
        let matches = |regexes: &[Regex]| names.clone().any(|name| regexes.iter().any(|regex| regex.is_match(name)));
        (self.include.is_empty() || matches(self.include)) && !matches(self.exclude)
    }

    /// Keeps the selected tensors.
    fn retain(&self, checkpoint: &mut Checkpoint) {
        checkpoint.tensors.retain(|tensor| self.select_tied(tensor.names()));
        checkpoint.skipped.retain(|skipped| self.select_tied(skipped.names()));
    }

    /// Rejects a pattern that matches no name: a misspelt one would silently penalise too much or nothing.
    pub(crate) fn check<'a>(&self, what: &'static str, names: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
        let unmatched = |option, regexes: &[Regex]| match regexes
            .iter()
            .find(|regex| !names.clone().any(|name| regex.is_match(name)))
        {
            None => Ok(()),
            Some(regex) => Err(Error::NoMatch { option, pattern: regex.to_string(), what }),
        };
        unmatched("--include", self.include)?;
        unmatched("--exclude", self.exclude)
    }
}
