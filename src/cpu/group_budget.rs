//! Pruning whole groups to a budget on the CPU.

use super::Cpu;
use super::group_search::GroupSearch;
use crate::Result;
use crate::numeric::slice::SliceMut;
use crate::penalty::groups::Geometry;
use crate::plan::budget::Budget;

impl Cpu {
    /// Prunes groups of these tensors, those with the smallest ‖g‖₂/√n first. A tensor without groups stays as it is.
    pub(super) fn prune_groups(
        &self,
        budget: &Budget,
        weights: &mut [SliceMut<'_>],
        geometries: Vec<Option<Geometry>>,
    ) -> Result<()> {
        let lens = weights.iter().map(|weights| weights.as_slice().len() as u64);
        let mut search = GroupSearch::of(lens.zip(geometries).collect());
        for (tensor, weights) in weights.iter().enumerate() {
            search.add(tensor, weights.as_slice())?;
        }
        search.find(budget)?;
        weights.iter_mut().enumerate().try_for_each(|(tensor, weights)| search.prune(tensor, weights.reborrow()))
    }
}
