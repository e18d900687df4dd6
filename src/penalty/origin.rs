//! Which constructor made a penalty, and with which values.

/// A constructor's name and the values that it was given, groups apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// What the caller knows the penalty by: the constructor's name, or the name that was looked up.
    pub(super) name: &'static str,
    /// The names of the values.
    pub(super) keys: &'static [&'static str],
    /// No constructor takes more than two values. Unused ones are 0.
    values: [f64; 2],
}

impl Origin {
    /// One number for each of the keys.
    pub(super) fn new<const N: usize>(name: &'static str, keys: &'static [&'static str], given: [f64; N]) -> Origin {
        const { assert!(N <= 2) };
        let values = std::array::from_fn(|i| given.get(i).copied().unwrap_or(0.0));
        Origin { name, keys, values }
    }

    /// The values, in the order of the keys.
    pub(super) fn values(&self) -> &[f64] {
        &self.values[..self.keys.len()]
    }
}
