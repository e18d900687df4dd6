//! A number that tells penalties apart.

use super::Penalty;
use super::before::Before;
use super::groups::Groups;
use crate::numeric::hash::{fnv1a, fnv1a_of};

impl Penalty {
    /// A hash of all that decides what it computes: the same for equal penalties, whichever constructors made them.
    pub(crate) fn fingerprint(&self) -> u64 {
        let bits = |[a, b]: [f64; 2]| [a, b].map(f64::to_bits);
        let (kind, before) = match self.before {
            Before::Nothing => (0, [0.0; 2]),
            Before::Net(parameters) => (1, parameters),
            Before::Taken(lambda) => (2, [lambda, 0.0]),
        };
        let formula = [fnv1a(self.formula.name.bytes()), self.formula.custom.into(), kind];
        let groups = self.groups.as_ref().map_or(0, Groups::hash);
        fnv1a_of(formula.into_iter().chain(bits(self.parameters)).chain(bits(before)).chain([groups]))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Groups, Penalty, Result};

    #[test]
    fn equal_penalties_have_one_fingerprint_and_others_another() -> Result<()> {
        assert_eq!(Penalty::elastic_net(1.0, 0.5)?.fingerprint(), Penalty::keras(0.5, 0.5)?.fingerprint());
        let all = [
            Penalty::none(),
            Penalty::l1(0.5)?,
            Penalty::l1(0.5000000000000001)?,
            Penalty::l2_squared(0.5)?,
            Penalty::mcp(0.5, 3.0)?,
            Penalty::mcp(0.5, 4.0)?,
            Penalty::scad(0.5, 3.0)?,
            Penalty::weighted_l1(0.5)?,
            Penalty::l2_norm(0.5)?,
            Penalty::group_lasso(0.5, Groups::rows(4)?)?,
            Penalty::group_lasso(0.5, Groups::rows(8)?)?,
            Penalty::group_lasso(0.5, Groups::columns(4)?)?,
            Penalty::sum([Penalty::l1(0.5)?, Penalty::mcp(0.5, 3.0)?])?,
            Penalty::sum([Penalty::l1(0.25)?, Penalty::mcp(0.5, 3.0)?])?,
        ];
        let mut found: Vec<u64> = all.iter().map(Penalty::fingerprint).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), all.len());
        Ok(())
    }
}
