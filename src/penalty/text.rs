//! A penalty as text.

use std::fmt::{self, Display, Formatter};

use super::Penalty;
use super::interval::{BOX, INTERVAL};
use crate::error::shortest;

/// As `NAME:key=value,…`, which the command's `--penalty` takes for the penalties of [`all`](Penalty::all). The groups
/// follow unless the parameters say them. Numbers are in the fewest
/// digits that parse back to the same bits.
///
/// ```
/// use penalty::{Groups, Penalty};
///
/// assert_eq!(Penalty::mcp(0.1, 3.0)?.to_string(), "mcp:lambda=0.1,gamma=3");
/// let rows = Penalty::group_lasso(1e-7, Groups::rows(64)?)?;
/// assert_eq!(rows.to_string(), "group-lasso:lambda=1e-7 over groups of rows of 64");
/// # Ok::<(), penalty::Error>(())
/// ```
impl Display for Penalty {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_sum() {
            let [net, _] = self.stages();
            let [l1, l2_squared] = net.parameters.map(shortest);
            return f.pad(&format!("keras:l1={l1},l2={l2_squared} + {}", self.beside_net()));
        }
        let custom = self.formula().custom;
        let name = if self.name() == INTERVAL.name && !custom { BOX.name } else { self.name() };
        let parameters = self.parameters();
        let mut text = name.to_owned();
        for (i, (key, number)) in parameters.into_iter().enumerate() {
            text += if i == 0 { ":" } else { "," };
            text += &format!("{key}={}", shortest(number));
        }
        if !custom {
            text = text.replace('_', "-");
        }
        if let Some(groups) = self.other_groups() {
            // Some end in a comma, since a verb follows in errors.
            text += &format!(" over {}", groups.to_string().trim_end_matches(','));
        }
        f.pad(&text)
    }
}
