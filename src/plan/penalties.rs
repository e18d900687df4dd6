//! The penalties of a plan's segments. They may change at every step, while the plan stays.

use crate::Penalty;

/// One penalty per segment, and a version that counts changes.
#[derive(Debug, Clone)]
pub(crate) struct Penalties {
    list: Vec<Penalty>,
    version: u64,
}

impl Penalties {
    pub(crate) fn new(list: Vec<Penalty>) -> Penalties {
        Penalties { list, version: 0 }
    }

    pub(crate) fn list(&self) -> &[Penalty] {
        &self.list
    }

    /// Results derived from this version stay valid while it is unchanged.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Lends the penalties for changes. Every call counts as a change.
    pub(crate) fn list_mut(&mut self) -> &mut [Penalty] {
        self.version += 1;
        &mut self.list
    }
}
