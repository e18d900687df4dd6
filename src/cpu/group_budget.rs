//! Pruning whole groups to a budget on the CPU.

use super::Cpu;
use super::group_search::GroupSearch;
use crate::Result;
use crate::numeric::slice::SliceMut;
use crate::penalty::groups::Geometry;
use crate::plan::budget::Budget;
use crate::plan::ranks::Ranks;

impl Cpu {
    /// Prunes groups of these tensors, those with the smallest ‖g‖₂/√n first. A tensor without groups stays as it is. If the
    /// tensors are spread over ranks, these are this rank's parts, and the geometries are those of the whole.
    pub(super) fn prune_groups(
        &self,
        budget: &Budget,
        weights: &mut [SliceMut<'_>],
        geometries: Vec<Option<Geometry>>,
        ranks: Option<&Ranks>,
    ) -> Result<()> {
        let here = |tensor: usize, weights: &SliceMut<'_>| match ranks {
            Some(ranks) => (ranks.start(tensor), ranks.len(tensor)),
            None => (0, weights.as_slice().len() as u64),
        };
        let here: Vec<(u64, u64)> = weights.iter().enumerate().map(|(tensor, weights)| here(tensor, weights)).collect();
        let spread = |tensor: &usize| ranks.is_some_and(|ranks| ranks.spread(*tensor, geometries[*tensor].as_ref()));
        let spread: Vec<usize> = (0..weights.len()).filter(spread).collect();
        let lens = here.iter().map(|(_, len)| *len);
        let mut search = GroupSearch::of(lens.zip(geometries).collect());
        for (tensor, weights) in weights.iter().enumerate().filter(|(tensor, _)| !spread.contains(tensor)) {
            search.seek(tensor, here[tensor].0);
            search.add(tensor, weights.as_slice())?;
        }
        if let Some(ranks) = ranks {
            add_in_turn(ranks, &mut search, &spread, weights)?;
            share(ranks, &mut search, &spread, weights.len())?;
        }
        (0..weights.len()).for_each(|tensor| search.seek(tensor, here[tensor].1));
        search.find(budget)?;
        weights.iter_mut().enumerate().try_for_each(|(tensor, weights)| {
            search.seek(tensor, here[tensor].0);
            search.prune(tensor, weights.reborrow())
        })
    }
}

/// Adds the squares of groups that several ranks have parts of. Sums in `f64` are rounded, so the order counts: each rank
/// goes on from the sum of the one before.
fn add_in_turn(ranks: &Ranks, search: &mut GroupSearch, spread: &[usize], weights: &[SliceMut<'_>]) -> Result<()> {
    if spread.is_empty() {
        return Ok(());
    }
    let (rank, size) = (ranks.transport.rank(), ranks.transport.size());
    for turn in 0..size {
        let mut words = vec![0; spread.len()];
        if turn == rank {
            for (&tensor, word) in spread.iter().zip(&mut words) {
                search.seek(tensor, ranks.start(tensor));
                search.add(tensor, weights[tensor].as_slice())?;
                *word = search.squared(tensor)[0].to_bits();
            }
        }
        ranks.transport.sum_u64(&mut words)?;
        for (&tensor, word) in spread.iter().zip(words) {
            search.squared(tensor)[0] = f64::from_bits(word);
        }
    }
    Ok(())
}

/// Gives all ranks the sums of all groups. Every group that is not spread is on one rank, and the others have 0 for it.
fn share(ranks: &Ranks, search: &mut GroupSearch, spread: &[usize], tensors: usize) -> Result<()> {
    let tensors: Vec<usize> = (0..tensors).filter(|tensor| !spread.contains(tensor)).collect();
    let mut words = Vec::new();
    for &tensor in &tensors {
        words.extend(search.squared(tensor).iter().map(|squared| squared.to_bits()));
    }
    ranks.transport.sum_u64(&mut words)?;
    let mut words = words.into_iter();
    for &tensor in &tensors {
        search.squared(tensor).iter_mut().zip(&mut words).for_each(|(squared, word)| *squared = f64::from_bits(word));
    }
    Ok(())
}
