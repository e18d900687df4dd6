//! What a penalty is called, and how it is made by that name.

use super::Penalty;
use super::origin::Origin;
use crate::Result;

/// A penalty as [`Penalty::named`] knows it.
///
/// ```
/// use penalty::{Named, Penalty};
///
/// for Named { name, parameters, formula, .. } in Penalty::all() {
///     println!("{name}({}): {formula}", parameters.join(", "));
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// Its name, such as `mcp`.
    pub name: &'static str,
    /// The names of its parameters, in the order of its constructor.
    pub parameters: &'static [&'static str],
    /// How many of the parameters are λs, which [`Penalty::scaled`] multiplies. They come first.
    pub(super) lambdas: usize,
    /// R(θ), in a line.
    pub formula: &'static str,
    /// The constructor; it takes as many numbers as there are parameters.
    pub(super) new: fn(&[f64]) -> Result<Penalty>,
}

impl Named {
    /// What a penalty remembers of this constructor, called with these numbers.
    pub(super) fn given<const N: usize>(&self, values: [f64; N]) -> Origin {
        Origin::new(self.name, self.parameters, values)
    }
}
