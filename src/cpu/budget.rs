//! Pruning to a budget on the CPU.

mod guess;

use rayon::prelude::*;

use super::Cpu;
use super::search::{BudgetSearch, SPAN};
use crate::formula::budget::{Cut, Quota, ties};
use crate::numeric::slice::{Slice, SliceMut};
use crate::plan::budget::Budget;
use crate::plan::ranks::Ranks;
use crate::report::partial::Partial;
use crate::report::reports::Reports;
use crate::slices::{Tensor, Term};
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
        let (cuts, ties) = match ranks {
            Some(ranks) => ranks.cuts(budget, |level, cuts| {
                let mut search = BudgetSearch::at(self, level, cuts);
                count(&search, &slices);
                Ok(search.take_counts())
            })?,
            None => {
                let lens: Vec<u64> = slices.iter().map(|slice| slice.len() as u64).collect();
                let (pruned, quotas) = budget.quotas(&lens)?;
                self.cuts(&slices, pruned, &quotas)
            }
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
