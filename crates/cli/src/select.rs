//! Selects the tensors that a command works on.

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
        self.check(checkpoint.names())?;
        checkpoint.tensors.retain(|tensor| self.selects(&tensor.name));
        checkpoint.skipped.retain(|skipped| self.selects(&skipped.name));
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
        self.check(a.names().chain(b.names()))?;
        for checkpoint in [a, b] {
            checkpoint.tensors.retain(|tensor| self.selects(&tensor.name));
            checkpoint.skipped.retain(|skipped| self.selects(&skipped.name));
        }
        Ok(())
    }

    /// Whether a tensor is selected: it matches an include, if there are any, and no exclude.
    fn selects(&self, name: &str) -> bool {
        let included = self.include.is_empty() || self.include.iter().any(|regex| regex.is_match(name));
        included && !self.exclude.iter().any(|regex| regex.is_match(name))
    }

    /// Rejects a pattern that matches no name: a misspelt one would silently penalise too much or nothing.
    fn check<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
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
