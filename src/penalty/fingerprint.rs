//! A number that tells penalties apart.

use super::Penalty;
use super::before::Before;
use super::groups::Groups;
use crate::numeric::hash::{fnv1a, fnv1a_of};

impl Penalty {
    /// A hash of all that decides what it computes, but for the sign of a zero: the same for equal penalties, whichever
    /// constructors made them.
    pub(crate) fn fingerprint(&self) -> u64 {
        // The sum of -0 and 0 is 0.
        let bits = |[a, b]: [f64; 2]| [a, b].map(|x| (x + 0.0).to_bits());
        let (kind, before) = match self.before {
            Before::Nothing => (0, [0.0; 2]),
            Before::Net(parameters) => (1, parameters),
            Before::Taken(lambda) => (2, [lambda, 0.0]),
        };
        // Custom formulas may share a name.
        let custom = if self.formula.custom { fnv1a(self.formula.wgsl[0].bytes()) } else { 0 };
        let formula = [fnv1a(self.formula.name.bytes()), self.formula.custom.into(), custom, kind];
        let groups = self.groups.as_ref().map_or(0, Groups::hash);
        fnv1a_of(formula.into_iter().chain(bits(self.parameters)).chain(bits(before)).chain([groups]))
    }
}

#[cfg(test)]
mod tests {
    use crate::custom::Elementwise;
    use crate::{Groups, Penalty, Result};

    /// Penalties of one name.
    enum Numbered<const NUMBER: usize> {}

    impl<const NUMBER: usize> Elementwise for Numbered<NUMBER> {
        const NAME: &'static str = "numbered";
        const WGSL: &'static str = ["first", "second"][NUMBER];

        fn gradient_limits(_: [f64; 2]) -> [f64; 2] {
            [0.0; 2]
        }
        fn term(_: f32, _: &[f32; 3]) -> f32 {
            0.0
        }
        fn gradient(_: f32, _: &[f32; 3]) -> f32 {
            0.0
        }
        fn prox(v: f32, _: &[f32; 5]) -> f32 {
            v
        }
    }

    #[test]
    fn equal_penalties_have_one_fingerprint_and_others_another() -> Result<()> {
        assert_eq!(Penalty::elastic_net(1.0, 0.5)?.fingerprint(), Penalty::keras(0.5, 0.5)?.fingerprint());
        let (zero, negative) = (Penalty::interval(0.0, 1.0)?, Penalty::interval(-0.0, 1.0)?);
        assert_eq!((zero.fingerprint(), &zero), (negative.fingerprint(), &negative));
        let all = [
            Penalty::none(),
            zero,
            Penalty::custom::<Numbered<0>>([0.5, 0.0])?,
            Penalty::custom::<Numbered<1>>([0.5, 0.0])?,
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
            Penalty::sum([Penalty::l1(0.5)?, Penalty::l2_norm(0.5)?])?,
            Penalty::sum([Penalty::l1(0.25)?, Penalty::l2_norm(0.5)?])?,
        ];
        let mut found: Vec<u64> = all.iter().map(Penalty::fingerprint).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), all.len());
        Ok(())
    }
}
