//! Pruning to a budget on the CPU.

mod guess;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::Cpu;
use super::pass::TILES_PER_SPAN;
use crate::formula::budget::{ABOVE, BINS, Cut, Quota, SHIFTS, narrow, ties};
use crate::numeric::bits::MAGNITUDE;
use crate::numeric::element::Element;
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::numeric::tile::TILE;
use crate::plan::budget::Budget;
use crate::report::partial::Partial;
use crate::report::reports::Reports;
use crate::slices::{Tensor, Term};
use crate::{Penalty, Result};

/// How many weights a task of the pool takes.
pub(super) const SPAN: usize = TILES_PER_SPAN as usize * TILE;
/// How many weights are compared with a cut at a time.
const ROW: usize = 32;
/// How many tables count one after the other, since a count must be stored before it is read again.
const TABLES: usize = 4;

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
        self.prune(budget, weights)?;
        let none = Penalty::none();
        let partial = |weights: &SliceMut<'_>| self.evaluate(Tensor::new(Term::from(&none), weights.as_slice()));
        let partials: Vec<Partial> = weights.iter().map(partial).collect::<Result<_>>()?;
        Reports::of(partials.into_iter().map(|partial| (partial, &none)))
    }

    /// The same without reports.
    pub(super) fn prune(&self, budget: &Budget, weights: &mut [SliceMut<'_>]) -> Result<()> {
        let slices: Vec<Slice<'_>> = weights.iter().map(SliceMut::as_slice).collect();
        let lens: Vec<u64> = slices.iter().map(|slice| slice.len() as u64).collect();
        let (pruned, quotas) = budget.quotas(&lens)?;
        let (cuts, ties) = self.cuts(&slices, pruned, &quotas);
        let places: Vec<usize> = slices
            .iter()
            .zip(cuts.iter().zip(&ties))
            .map(|(slice, (cut, &ties))| self.place(*slice, cut, ties))
            .collect();
        let spans = weights.iter_mut().zip(cuts.iter().zip(places)).flat_map(|(weights, (cut, place))| {
            // Before the place, weights of the cut's magnitude are pruned; from there on, they are kept.
            let (before, after) = weights.reborrow().split_at(place);
            before
                .chunks(SPAN)
                .map(|span| (span, cut.magnitude + 1))
                .chain(after.chunks(SPAN).map(|span| (span, cut.magnitude)))
        });
        let spans: Vec<(SliceMut<'_>, u32)> = spans.collect();
        spans.into_par_iter().for_each(|(span, kept)| {
            with_element!(span.as_slice().dtype(), E => self.set.run(
                #[inline(always)]
                || clear_below::<E>(span.into_elements(), kept),
            ));
        });
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
        let of = |(slice, quota): (&Slice<'_>, &Quota)| Cut::new(slice.len() as u64, *quota);
        let mut cuts: Vec<Cut> = slices.iter().zip(quotas).map(of).collect();
        for level in 0..SHIFTS.len() {
            let counts = self.count(level, slices, &cuts);
            narrow(level, pruned, &mut cuts, &counts);
        }
        cuts
    }

    /// Counts, for each tensor, the next digits of the weights that share its cut's digits.
    fn count(&self, level: usize, slices: &[Slice<'_>], cuts: &[Cut]) -> Vec<[u64; BINS]> {
        let counts: Vec<Vec<AtomicU64>> = cuts.iter().map(|_| (0..BINS).map(|_| AtomicU64::new(0)).collect()).collect();
        let spans: Vec<(Slice<'_>, &Cut, &[AtomicU64])> = slices
            .iter()
            .zip(cuts.iter().zip(&counts))
            .flat_map(|(slice, (cut, counts))| slice.chunks(SPAN).map(move |span| (span, cut, &counts[..])))
            .collect();
        spans.into_par_iter().for_each(|(span, cut, counts)| {
            let mut tables = [[0; BINS]; TABLES];
            with_element!(span.dtype(), E => self.set.run(
                #[inline(always)]
                || count_digits::<E>(level, span.elements(), cut.magnitude, &mut tables),
            ));
            for (digit, count) in counts.iter().enumerate() {
                let found: u32 = tables.iter().map(|table| table[digit]).sum();
                if found > 0 {
                    count.fetch_add(found.into(), Relaxed);
                }
            }
        });
        let row = |row: Vec<AtomicU64>| std::array::from_fn(|digit| row[digit].load(Relaxed));
        counts.into_iter().map(row).collect()
    }

    /// The place after the last weight of the cut's magnitude that is pruned.
    fn place(&self, slice: Slice<'_>, cut: &Cut, ties: u64) -> usize {
        if ties == 0 || ties == cut.equal {
            return if ties == 0 { 0 } else { slice.len() };
        }
        let count = |span: Slice<'_>| {
            with_element!(span.dtype(), E => self.set.run(
                #[inline(always)]
                || count_equal::<E>(span.elements(), cut.magnitude),
            ))
        };
        let spans: Vec<Slice<'_>> = slice.chunks(SPAN).collect();
        let counts: Vec<u64> = spans.par_iter().map(|span| count(*span)).collect();
        let mut missing = ties;
        for (i, (span, &count)) in spans.iter().zip(&counts).enumerate() {
            if missing <= count {
                let index = with_element!(span.dtype(), E => nth_equal::<E>(span.elements(), cut.magnitude, missing));
                return i * SPAN + index + 1;
            }
            missing -= count;
        }
        slice.len()
    }
}

#[inline(always)]
pub(super) fn magnitude<E: Element>(element: &E) -> u32 {
    element.decode() & MAGNITUDE
}

#[inline(always)]
fn count_digits<E: Element>(level: usize, elements: &[E], found: u32, tables: &mut [[u32; BINS]; TABLES]) {
    let (above, shift) = (ABOVE[level], SHIFTS[level]);
    let mask = (1 << (above - shift)) - 1;
    let digit = |magnitude: u32| (magnitude >> shift & mask) as usize;
    let (rows, rest) = elements.as_chunks::<ROW>();
    for row in rows {
        let magnitudes: [u32; ROW] = std::array::from_fn(|i| magnitude(&row[i]));
        if level == 0 {
            for (i, magnitude) in magnitudes.into_iter().enumerate() {
                tables[i % TABLES][digit(magnitude)] += 1;
            }
            continue;
        }
        // Few weights share the digits that are known, and most rows have none.
        let mut shared = 0;
        for (i, magnitude) in magnitudes.into_iter().enumerate() {
            shared |= u32::from((magnitude ^ found) >> above == 0) << i;
        }
        while shared != 0 {
            let i = shared.trailing_zeros() as usize;
            tables[i % TABLES][digit(magnitudes[i])] += 1;
            shared &= shared - 1;
        }
    }
    for magnitude in rest.iter().map(magnitude).filter(|magnitude| (magnitude ^ found) >> above == 0) {
        tables[0][digit(magnitude)] += 1;
    }
}

#[inline(always)]
fn count_equal<E: Element>(elements: &[E], of: u32) -> u64 {
    elements.iter().map(|element| u64::from(magnitude(element) == of)).sum()
}

/// The index of the nth weight of a magnitude, counted from 1.
fn nth_equal<E: Element>(elements: &[E], of: u32, nth: u64) -> usize {
    let equal = elements.iter().enumerate().filter(|(_, element)| magnitude(*element) == of);
    equal.map(|(i, _)| i).nth(nth as usize - 1).unwrap_or(elements.len())
}

/// Sets the weights below a magnitude to +0.
#[inline(always)]
fn clear_below<E: Element>(elements: &mut [E], kept: u32) {
    for element in elements {
        *element = if magnitude(element) < kept { E::zeroed() } else { *element };
    }
}
