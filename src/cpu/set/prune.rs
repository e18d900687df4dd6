//! Pruning a set to a budget.

use super::HostSet;
use super::call::Call;
use crate::numeric::slice::{Slice, SliceMut};
use crate::plan::budget::Budget;
use crate::plan::operands::WEIGHTS;
use crate::report::reports::Reports;
use crate::{Penalty, Result};

impl HostSet<'_> {
    /// Prunes the weights of all tensors to a budget, and reports on what is left. [`Budget`] says which weights are
    /// pruned; penalties have no part in that.
    ///
    /// A later step may move a pruned weight away from 0, unless a [mask](crate::Penalty::mask) keeps it there.
    ///
    /// ```
    /// use penalty::{Budget, Cpu, HostSet, Parameter, Penalty};
    ///
    /// let parameters = vec![Parameter::new("a", Penalty::l1(0.5)?), Parameter::new("b", Penalty::none())];
    /// let set = HostSet::new(Cpu::new(), parameters);
    /// let (mut a, mut b) = ([0.5f32, -2.0], [3.0f32, -0.25]);
    /// let reports = set.prune_in_place(&Budget::prune(0.5)?, &mut [(&mut a[..]).into(), (&mut b[..]).into()])?;
    /// assert_eq!((a, b), ([0.0, -2.0], [3.0, 0.0]));
    /// assert_eq!((reports.tensors[0].zeros(), reports.total.value), (1, 1.0));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those that [`Budget::within`] names, and those of [`evaluate`](HostSet::evaluate). Then no weight has changed.
    pub fn prune_in_place(&self, budget: &Budget, weights: &mut [SliceMut<'_>]) -> Result<Reports> {
        self.accept(&Call::EVALUATE, &Some((WEIGHTS, &slices(weights))), &[])?;
        self.ranks.as_ref().map_or(Ok(()), |ranks| ranks.agree_on_budget(budget, None))?;
        self.cpu.prune(budget, weights, self.ranks.as_deref())?;
        self.evaluate(&slices(weights))
    }

    /// Prunes whole groups of the set's group penalties to a budget: the groups with the smallest ‖g‖₂/√n_g are set to +0
    /// while they have at most as many weights as the budget prunes. Then reports on what is left.
    ///
    /// The budget counts the weights of those tensors that have groups; the others stay as they are. Of equal groups, the
    /// earlier tensor's is pruned first, then the first one. Σθ² is summed in `f64`, in the order of indices. A group with a
    /// NaN comes last. In bounds, only whole groups count: a tensor's are pruned in its own order as long as they are
    /// within its lower bound, then in the common order as long as they are within its upper one.
    ///
    /// ```
    /// use penalty::{Budget, Cpu, Groups, HostSet, Parameter, Penalty};
    ///
    /// let rows = Penalty::group_lasso(0.1, Groups::rows(2)?)?;
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", rows), Parameter::new("bias", Penalty::none())]);
    /// let (mut weight, mut bias) = ([1.0f32, 2.0, 0.5, -0.5, 3.0, 0.0], [0.125f32]);
    /// let weights = &mut [(&mut weight[..]).into(), (&mut bias[..]).into()];
    /// let reports = set.prune_groups_in_place(&Budget::prune(0.5)?, weights)?; // at most 3 of 6, so one row of 2
    /// assert_eq!((weight, bias), ([1.0, 2.0, 0.0, 0.0, 3.0, 0.0], [0.125]));
    /// assert_eq!(reports.tensors[0].zeros(), 3);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prune_in_place`](HostSet::prune_in_place).
    pub fn prune_groups_in_place(&self, budget: &Budget, weights: &mut [SliceMut<'_>]) -> Result<Reports> {
        self.accept(&Call::EVALUATE, &Some((WEIGHTS, &slices(weights))), &[])?;
        self.ranks.as_ref().map_or(Ok(()), |ranks| ranks.agree_on_budget(budget, Some(&self.penalties)))?;
        let len = |(i, weights): (usize, &SliceMut<'_>)| match &self.ranks {
            Some(ranks) => ranks.len(i),
            None => weights.as_slice().len() as u64,
        };
        let geometry = |(penalty, len): (&Penalty, u64)| penalty.geometry(len);
        let lens = weights.iter().enumerate().map(len);
        let geometries = self.penalties.iter().zip(lens).map(geometry).collect::<Result<_>>()?;
        self.cpu.prune_groups(budget, weights, geometries, self.ranks.as_deref())?;
        self.evaluate(&slices(weights))
    }
}

fn slices<'a>(weights: &'a [SliceMut<'_>]) -> Vec<Slice<'a>> {
    weights.iter().map(SliceMut::as_slice).collect()
}
