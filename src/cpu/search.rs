//! Where the order of weights is cut, from counts of their chunks, and the chunks' pruning.

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
use crate::plan::operands::WEIGHTS;
use crate::{Error, Result};

/// How many weights a task of the pool takes.
pub(super) const SPAN: usize = TILES_PER_SPAN as usize * TILE;
/// How many weights are compared with a cut at a time.
pub(super) const ROW: usize = 32;
/// How many tables count one after the other, since a count must be stored before it is read again.
const TABLES: usize = 4;

/// Prunes weights that come in chunks, such as those of files larger than memory, to a [`Budget`]: the same bits as
/// [`Cpu::prune_in_place`] of the whole tensors.
///
/// The weights are read three times to find where their order is cut; then they are pruned. While it counts, chunks may
/// come in any order and from several threads. A tensor's chunks are pruned in their order.
///
/// ```
/// use penalty::{Budget, BudgetSearch, Cpu};
///
/// let mut tensors = [vec![0.5f32, -2.0, 0.25, 3.0], vec![0.125, 0.5]];
/// let mut search = BudgetSearch::new(&Cpu::new(), &Budget::keep(3), &[4, 2])?;
/// while search.reads() {
///     for (tensor, weights) in tensors.iter().enumerate() {
///         for chunk in weights.chunks(3) {
///             search.count(tensor, chunk.into())?;
///         }
///     }
///     search.narrow()?;
/// }
/// assert_eq!((search.threshold(0)?, search.pruned(1)?), (0.5, 1));
/// for (tensor, weights) in tensors.iter_mut().enumerate() {
///     for chunk in weights.chunks_mut(3) {
///         search.prune(tensor, chunk.into())?;
///     }
/// }
/// assert_eq!(tensors, [vec![0.0, -2.0, 0.0, 3.0], vec![0.0, 0.5]]); // of equal ones, the first is pruned first
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug)]
pub struct BudgetSearch {
    cpu: Cpu,
    pruned: u64,
    level: usize,
    cuts: Vec<Cut>,
    /// Of each tensor's weights that share its cut's digits, how many have each next one.
    counts: Vec<Vec<AtomicU64>>,
    /// How many weights of each tensor's cut's magnitude are pruned.
    ties: Vec<u64>,
    /// How many of them have not come yet.
    missing: Vec<u64>,
}

impl BudgetSearch {
    /// A search among tensors of these lengths.
    ///
    /// ```
    /// use penalty::{Budget, BudgetSearch, Cpu};
    ///
    /// let each_alone = Budget::keep(3).within(vec![0.5..=0.5; 2])?;
    /// assert!(BudgetSearch::new(&Cpu::new(), &each_alone, &[4, 2])?.reads());
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those that [`Budget::within`] names.
    pub fn new(cpu: &Cpu, budget: &Budget, lens: &[u64]) -> Result<BudgetSearch> {
        let (pruned, quotas) = budget.quotas(lens)?;
        Ok(BudgetSearch::within(cpu, pruned, lens.iter().copied(), &quotas))
    }

    pub(super) fn within(cpu: &Cpu, pruned: u64, lens: impl Iterator<Item = u64>, quotas: &[Quota]) -> BudgetSearch {
        let cuts: Vec<Cut> = lens.zip(quotas).map(|(len, quota)| Cut::new(len, *quota)).collect();
        BudgetSearch { pruned, ..BudgetSearch::at(cpu, 0, &cuts) }
    }

    /// What a read of some tensors counts, from the digits of their cuts that are known.
    pub(super) fn at(cpu: &Cpu, level: usize, cuts: &[Cut]) -> BudgetSearch {
        let counts = cuts.iter().map(|_| (0..BINS).map(|_| AtomicU64::new(0)).collect()).collect();
        let (cpu, cuts) = (cpu.clone(), cuts.to_vec());
        BudgetSearch { cpu, pruned: 0, level, cuts, counts, ties: Vec::new(), missing: Vec::new() }
    }

    /// Whether the weights must be read once more before they can be pruned.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearch, Cpu};
    /// let mut search = BudgetSearch::new(&Cpu::new(), &Budget::prune(0.5)?, &[2])?;
    /// let mut reads = 0;
    /// while search.reads() {
    ///     search.count(0, [1.0f32, -2.0][..].into())?;
    ///     search.narrow()?;
    ///     reads += 1;
    /// }
    /// assert_eq!(reads, 3);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn reads(&self) -> bool {
        self.level < SHIFTS.len()
    }

    /// Counts a chunk of a tensor. Every weight is counted once in each read.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearch, Cpu};
    /// let search = BudgetSearch::new(&Cpu::new(), &Budget::prune(0.5)?, &[4])?;
    /// std::thread::scope(|threads| {
    ///     threads.spawn(|| search.count(0, [1.0f32, -2.0][..].into()));
    ///     threads.spawn(|| search.count(0, [0.5f32, 0.0][..].into()));
    /// });
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such tensor, or if all reads are done.
    pub fn count(&self, tensor: usize, chunk: Slice<'_>) -> Result<()> {
        self.has(tensor, true)?;
        let spans: Vec<Slice<'_>> = chunk.chunks(SPAN).collect();
        spans.into_par_iter().for_each(|span| self.count_span(tensor, span));
        Ok(())
    }

    pub(super) fn count_span(&self, tensor: usize, span: Slice<'_>) {
        let mut tables = [[0; BINS]; TABLES];
        with_element!(span.dtype(), E => self.cpu.set.run(
            #[inline(always)]
            || count_digits::<E>(self.level, span.elements(), self.cuts[tensor].magnitude, &mut tables),
        ));
        for (digit, count) in self.counts[tensor].iter().enumerate() {
            let found: u32 = tables.iter().map(|table| table[digit]).sum();
            if found > 0 {
                count.fetch_add(found.into(), Relaxed);
            }
        }
    }

    /// Ends a read.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearch, Cpu, Error};
    /// let mut search = BudgetSearch::new(&Cpu::new(), &Budget::prune(0.5)?, &[2])?;
    /// search.count(0, [1.0f32][..].into())?;
    /// assert!(matches!(search.narrow(), Err(Error::Length { expected: 2, found: 1, .. })));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless every weight was counted once. The read then starts anew. [`Error::Name`] if all reads
    /// are done.
    pub fn narrow(&mut self) -> Result<()> {
        if !self.reads() {
            return Err(done(false));
        }
        for (cut, counts) in self.cuts.iter().zip(&self.counts) {
            let found = counts.iter().map(|count| count.load(Relaxed)).sum();
            if found != cut.equal {
                self.counts.iter().flatten().for_each(|count| count.store(0, Relaxed));
                return Err(Error::Length { operand: WEIGHTS, expected: cut.equal, found });
            }
        }
        let counts = self.take_counts();
        self.find_digit(&counts);
        Ok(())
    }

    /// What a read has counted, for each tensor.
    pub(super) fn take_counts(&mut self) -> Vec<[u64; BINS]> {
        let row = |row: &Vec<AtomicU64>| std::array::from_fn(|digit| row[digit].swap(0, Relaxed));
        self.counts.iter().map(row).collect()
    }

    pub(super) fn find_digit(&mut self, counts: &[[u64; BINS]]) {
        narrow(ABOVE[self.level], SHIFTS[self.level], self.pruned, &mut self.cuts, counts);
        self.level += 1;
        if !self.reads() {
            self.ties = ties(self.pruned, &self.cuts);
            self.missing = self.ties.clone();
        }
    }

    pub(super) fn into_cuts(self) -> Vec<Cut> {
        self.cuts
    }

    /// The magnitude at which a tensor is cut: its smaller weights are pruned, and its larger ones stay.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such tensor, or if reads are missing.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearch, Cpu};
    /// # let mut search = BudgetSearch::new(&Cpu::new(), &Budget::prune(0.5)?, &[2])?;
    /// # while search.reads() {
    /// #     search.count(0, [1.0f32, -2.0][..].into())?;
    /// #     search.narrow()?;
    /// # }
    /// assert_eq!(search.threshold(0)?, 2.0); // of [1.0, -2.0], at 0.5
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn threshold(&self, tensor: usize) -> Result<f32> {
        self.has(tensor, false)?;
        Ok(f32::from_bits(self.cuts[tensor].magnitude))
    }

    /// How many weights of a tensor are pruned.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such tensor, or if reads are missing.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearch, Cpu};
    /// # let mut search = BudgetSearch::new(&Cpu::new(), &Budget::prune(0.5)?, &[2])?;
    /// # while search.reads() {
    /// #     search.count(0, [1.0f32, -2.0][..].into())?;
    /// #     search.narrow()?;
    /// # }
    /// assert_eq!(search.pruned(0)?, 1); // of [1.0, -2.0], at 0.5
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn pruned(&self, tensor: usize) -> Result<u64> {
        self.has(tensor, false)?;
        Ok(self.cuts[tensor].below + self.ties[tensor])
    }

    /// Prunes the next chunk of a tensor.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such tensor, or if reads are missing.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearch, Cpu};
    /// let mut search = BudgetSearch::new(&Cpu::new(), &Budget::prune(0.5)?, &[2])?;
    /// let mut weights = [1.0f32, -2.0];
    /// assert!(search.prune(0, (&mut weights[..]).into()).is_err()); // nothing is counted yet
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn prune(&mut self, tensor: usize, chunk: SliceMut<'_>) -> Result<()> {
        self.has(tensor, false)?;
        let (cut, missing) = (&self.cuts[tensor], &mut self.missing[tensor]);
        let place = match self.ties[tensor] {
            all if all == cut.equal => chunk.as_slice().len(),
            _ if *missing == 0 => 0,
            _ => self.cpu.place(chunk.as_slice(), cut.magnitude, missing),
        };
        self.cpu.clear(chunk, place, cut.magnitude);
        Ok(())
    }

    /// Rejects a tensor that is not there, and a call that comes too early or too late.
    fn has(&self, tensor: usize, reads: bool) -> Result<()> {
        if tensor >= self.cuts.len() {
            let expected = format!("be below {}, the number of tensors", self.cuts.len());
            return Err(Error::Name { what: "the index of a tensor".into(), expected, found: tensor.to_string() });
        }
        if self.reads() == reads { Ok(()) } else { Err(done(self.reads())) }
    }
}

pub(super) fn done(reads: bool) -> Error {
    let (expected, found) = match reads {
        true => ("have all its reads first", "too few"),
        false => ("be read only as long as it says", "all reads done"),
    };
    Error::Name { what: "a budget's search".into(), expected: expected.into(), found: found.into() }
}

impl Cpu {
    /// The spans of a slice that is pruned up to a place, each with the smallest magnitude that is kept in it.
    pub(super) fn spans<'a>(
        weights: SliceMut<'a>,
        place: usize,
        magnitude: u32,
    ) -> impl Iterator<Item = (SliceMut<'a>, u32)> {
        // Before the place, weights of the cut's magnitude are pruned; from there on, they are kept.
        let (before, after) = weights.split_at(place);
        let before = before.chunks(SPAN).map(move |span| (span, magnitude + 1));
        before.chain(after.chunks(SPAN).map(move |span| (span, magnitude)))
    }

    pub(super) fn clear_spans(&self, spans: Vec<(SliceMut<'_>, u32)>) {
        spans.into_par_iter().for_each(|(span, kept)| {
            with_element!(span.as_slice().dtype(), E => self.set.run(
                #[inline(always)]
                || clear_below::<E>(span.into_elements(), kept),
            ));
        });
    }

    fn clear(&self, chunk: SliceMut<'_>, place: usize, magnitude: u32) {
        self.clear_spans(Cpu::spans(chunk, place, magnitude).collect());
    }

    /// The place after the last weight of a magnitude that is pruned, if so many are missing. Takes those that a slice
    /// has from the missing ones.
    pub(super) fn place(&self, slice: Slice<'_>, magnitude: u32, missing: &mut u64) -> usize {
        let count = |span: Slice<'_>| {
            with_element!(span.dtype(), E => self.set.run(
                #[inline(always)]
                || count_equal::<E>(span.elements(), magnitude),
            ))
        };
        let spans: Vec<Slice<'_>> = slice.chunks(SPAN).collect();
        let counts: Vec<u64> = spans.par_iter().map(|span| count(*span)).collect();
        for (i, (span, &count)) in spans.iter().zip(&counts).enumerate() {
            if *missing <= count {
                let index = with_element!(span.dtype(), E => nth_equal::<E>(span.elements(), magnitude, *missing));
                *missing = 0;
                return i * SPAN + index + 1;
            }
            *missing -= count;
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
