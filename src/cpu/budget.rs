//! Pruning to a budget on the CPU.

mod guess;

use rayon::prelude::*;

use super::Cpu;
use super::ranks::Ranks;
use super::search::{BudgetSearch, SPAN, last_digit};
use crate::formula::budget::{Cut, Quota, ties};
use crate::numeric::slice::{Slice, SliceMut};
use crate::plan::budget::Budget;
use crate::report::partial::Partial;
use crate::report::reports::Reports;
use crate::slices::{Tensor, Term};
use crate::transport::Transport;
use crate::{Penalty, Result};

impl Cpu {
    /// Prunes the weights of these tensors to a budget, and reports on what is left of each; the penalty is
    /// [none](Penalty::none). [`Budget`] says which weights are pruned. For a set with penalties, there is
    /// [`HostSet::prune_in_place`](crate::HostSet::prune_in_place).
    ///
    /// ```
    /// use penalty::{Budget, Cpu, half::f16};
    ///
    /// let (mut a, mut b) = ([0.75f32, -2.0], [f16::ONE, f16::from_f32(-0.5)]); // of different types
    /// let reports = Cpu::new().prune_in_place(&Budget::keep(2), &mut [(&mut a[..]).into(), (&mut b[..]).into()])?;
    /// assert_eq!((a, b), ([0.0, -2.0], [f16::ONE, f16::ZERO]));
    /// assert_eq!(reports.total.zeros(), 2);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those that [`Budget::within`] names. Then no weight has changed.
    pub fn prune_in_place(&self, budget: &Budget, weights: &mut [SliceMut<'_>]) -> Result<Reports> {
        self.prune(budget, weights, None)?;
        let none = Penalty::none();
        let partial = |weights: &SliceMut<'_>| self.evaluate(Tensor::new(Term::from(&none), weights.as_slice()));
        let partials: Vec<Partial> = weights.iter().map(partial).collect::<Result<_>>()?;
        Reports::of(partials.into_iter().map(|partial| (partial, &none)))
    }

    /// The same without reports. If the tensors are spread over ranks, these are this rank's parts.
    pub(super) fn prune(&self, budget: &Budget, weights: &mut [SliceMut<'_>], ranks: Option<&Ranks>) -> Result<()> {
        let slices: Vec<Slice<'_>> = weights.iter().map(SliceMut::as_slice).collect();
        let len = |(i, slice): (usize, &Slice<'_>)| ranks.map_or(slice.len() as u64, |ranks| ranks.len(i));
        let lens: Vec<u64> = slices.iter().enumerate().map(len).collect();
        let (pruned, quotas) = budget.quotas(&lens)?;
        let (cuts, ties) = match ranks {
            Some(ranks) => self.cuts_across(&slices, &lens, pruned, &quotas, &*ranks.transport)?,
            None => self.cuts(&slices, pruned, &quotas),
        };
        let place = |(slice, (cut, &ties)): (&Slice<'_>, (&Cut, &u64))| match ties {
            0 => 0,
            all if all == cut.equal => slice.len(),
            mut missing => self.place(*slice, cut.magnitude, &mut missing),
        };
        let places: Vec<usize> = slices.iter().zip(cuts.iter().zip(&ties)).map(place).collect();
        let each = weights.iter_mut().zip(cuts.iter().zip(places));
        let spans = each.flat_map(|(weights, (cut, place))| Cpu::spans(weights.reborrow(), place, cut.magnitude));
        self.clear_spans(spans.collect());
        Ok(())
    }

    /// Where each tensor is cut, and how many of its weights of its cut's magnitude are pruned.
    pub(super) fn cuts(&self, slices: &[Slice<'_>], pruned: u64, quotas: &[Quota]) -> (Vec<Cut>, Vec<u64>) {
        let is_free = |(quota, slice): (&Quota, &Slice<'_>)| quota.least == 0 && quota.most == slice.len() as u64;
        let guessed = if quotas.iter().zip(slices).all(is_free) { self.guessed(slices, pruned) } else { None };
        let cuts = guessed.unwrap_or_else(|| self.counted(slices, pruned, quotas));
        let ties = ties(pruned, &cuts);
        (cuts, ties)
    }

    /// Where each tensor is cut, and how many of this rank's weights of its cut's magnitude are pruned, from counts of all
    /// ranks. The cuts count the equal weights of this rank alone.
    fn cuts_across(
        &self,
        slices: &[Slice<'_>],
        lens: &[u64],
        pruned: u64,
        quotas: &[Quota],
        transport: &dyn Transport,
    ) -> Result<(Vec<Cut>, Vec<u64>)> {
        let mut search = BudgetSearch::within(self, pruned, lens.iter().copied(), quotas);
        let mut here = Vec::new();
        while search.reads() {
            count(&search, slices);
            here = search.take_counts();
            let mut counts = here.clone();
            transport.sum_u64(counts.as_flattened_mut())?;
            search.find_digit(&counts);
        }
        let mut cuts = search.into_cuts();
        let ties = ties(pruned, &cuts);
        for (cut, counts) in cuts.iter_mut().zip(&here) {
            cut.equal = counts[last_digit(cut.magnitude)];
        }
        // A row for each tensor: how many equal weights each rank has.
        let (rank, size) = (transport.rank(), transport.size());
        let mut equal = vec![0; cuts.len() * size];
        equal.chunks_mut(size).zip(&cuts).for_each(|(row, cut)| row[rank] = cut.equal);
        transport.sum_u64(&mut equal)?;
        let of =
            |(row, (ties, cut)): (&[u64], (u64, &Cut))| ties.saturating_sub(row[..rank].iter().sum()).min(cut.equal);
        let ties = equal.chunks(size).zip(ties.into_iter().zip(&cuts)).map(of).collect();
        Ok((cuts, ties))
    }

    /// Where each tensor is cut, from counts of digits.
    fn counted(&self, slices: &[Slice<'_>], pruned: u64, quotas: &[Quota]) -> Vec<Cut> {
        let lens = slices.iter().map(|slice| slice.len() as u64);
        let mut search = BudgetSearch::within(self, pruned, lens, quotas);
        while search.reads() {
            count(&search, slices);
            let counts = search.take_counts();
            search.find_digit(&counts);
        }
        search.into_cuts()
    }
}

/// Counts the weights of each tensor.
fn count(search: &BudgetSearch, slices: &[Slice<'_>]) {
    let spans = slices.iter().enumerate().flat_map(|(i, slice)| slice.chunks(SPAN).map(move |span| (i, span)));
    let spans: Vec<(usize, Slice<'_>)> = spans.collect();
    spans.into_par_iter().for_each(|(tensor, span)| search.count_span(tensor, span));
}
