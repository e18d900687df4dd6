//! A group penalty over other groups.

use super::Penalty;
use super::groups::Groups;
use super::top_k::{N_OF_M, TOP_K};
use crate::{Error, Result};

impl Penalty {
    /// The same group penalty over other groups: one norm, one ball or one selection for each group.
    ///
    /// ```
    /// use penalty::{Backend, Groups, Penalty};
    ///
    /// let rows = Penalty::l1_ball(1.0)?.over(Groups::rows(2)?)?;
    /// assert_eq!(Backend::cpu().prox(&rows, &[3.0f32, 2.5, 0.25, -0.5], 1.0)?, [0.75, 0.25, 0.25, -0.5]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// [`n_of_m`](Penalty::n_of_m) over groups other than its runs of m is [`top_k`](Penalty::top_k) over them.
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if the penalty is separable.
    pub fn over(&self, groups: Groups) -> Result<Penalty> {
        let Some(before) = &self.groups else {
            let expected = "go with a group penalty".into();
            let found = format!("found {}, a separable penalty", self.name());
            return Err(Error::Groups { groups: groups.to_string(), expected, found });
        };
        // m would no longer say what the groups are.
        let renamed = self.origin.name == N_OF_M.name && groups != *before;
        let origin = if renamed { TOP_K.given([self.parameters[0]]) } else { self.origin };
        Ok(Penalty { groups: Some(groups), origin, ..self.clone() })
    }
}
