//! Pruning a set to a budget.

use super::HostSet;
use super::call::Call;
use crate::Result;
use crate::numeric::slice::{Slice, SliceMut};
use crate::plan::budget::Budget;
use crate::plan::operands::WEIGHTS;
use crate::report::reports::Reports;

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
        self.cpu.prune(budget, weights)?;
        self.evaluate(&slices(weights))
    }
}

fn slices<'a>(weights: &'a [SliceMut<'_>]) -> Vec<Slice<'a>> {
    weights.iter().map(SliceMut::as_slice).collect()
}
