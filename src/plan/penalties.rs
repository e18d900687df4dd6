//! The penalties of a plan's segments. They may change at every step; the plan stays.

use crate::Penalty;

/// One penalty a segment, and how often they have changed.
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

    /// What was made of this version need not be made again.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// To change them: whoever asks is taken to.
    pub(crate) fn list_mut(&mut self) -> &mut [Penalty] {
        self.version += 1;
        &mut self.list
    }
}
