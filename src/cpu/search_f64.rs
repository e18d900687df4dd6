//! Where the order of weights is cut if some of them are `f64`, from counts of their chunks.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::search::done;
use crate::formula::budget::{BINS, Cut, WIDE_ABOVE, WIDE_SHIFTS, narrow, ties};
use crate::plan::budget::Budget;
use crate::plan::operands::WEIGHTS;
use crate::{Error, Result};

/// The bits of an `f64` without its sign.
const MAGNITUDE: u64 = (1 << 63) - 1;

/// A [`BudgetSearch`](crate::BudgetSearch) among tensors of which some are `f64`: magnitudes are compared as `f64`, which
/// every other type converts to exactly.
///
/// The weights are read six times to find where their order is cut. While it counts, chunks may come in any order and from
/// several threads.
///
/// ```
/// use penalty::{Budget, BudgetSearchF64};
///
/// let tensors = [vec![0.5, -2.0, 1e-300, 3.0], vec![0.125, 0.5]];
/// let mut search = BudgetSearchF64::new(&Budget::keep(3), &[4, 2])?;
/// while search.reads() {
///     for (tensor, weights) in tensors.iter().enumerate() {
///         for chunk in weights.chunks(3) {
///             search.count(tensor, chunk)?;
///         }
///     }
///     search.narrow()?;
/// }
/// assert_eq!(search.cut(0)?, (0.5, 1)); // below 0.5 all are pruned, and the first 0.5
/// assert_eq!(search.cut(1)?, (0.5, 0));
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug)]
pub struct BudgetSearchF64 {
    pruned: u64,
    level: usize,
    cuts: Vec<Cut<u64>>,
    /// Of each tensor's weights that share its cut's digits, how many have each next one.
    counts: Vec<Vec<AtomicU64>>,
    /// How many weights of each tensor's cut's magnitude are pruned.
    ties: Vec<u64>,
}

impl BudgetSearchF64 {
    /// A search among tensors of these lengths.
    ///
    /// ```
    /// use penalty::{Budget, BudgetSearchF64};
    ///
    /// assert!(BudgetSearchF64::new(&Budget::keep(3), &[4, 2])?.reads());
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those that [`Budget::within`] names.
    pub fn new(budget: &Budget, lens: &[u64]) -> Result<BudgetSearchF64> {
        let (pruned, quotas) = budget.quotas(lens)?;
        let cuts: Vec<Cut<u64>> = lens.iter().zip(quotas).map(|(len, quota)| Cut::new(*len, quota)).collect();
        let counts = cuts.iter().map(|_| (0..BINS).map(|_| AtomicU64::new(0)).collect()).collect();
        Ok(BudgetSearchF64 { pruned, level: 0, cuts, counts, ties: Vec::new() })
    }

    /// Whether the weights must be read once more.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearchF64};
    /// let mut search = BudgetSearchF64::new(&Budget::prune(0.5)?, &[2])?;
    /// let mut reads = 0;
    /// while search.reads() {
    ///     search.count(0, &[1.0, -2.0])?;
    ///     search.narrow()?;
    ///     reads += 1;
    /// }
    /// assert_eq!(reads, 6);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn reads(&self) -> bool {
        self.level < WIDE_SHIFTS.len()
    }

    /// Counts a chunk of a tensor, on the calling thread. Every weight is counted once in each read.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearchF64};
    /// let search = BudgetSearchF64::new(&Budget::prune(0.5)?, &[4])?;
    /// std::thread::scope(|threads| {
    ///     threads.spawn(|| search.count(0, &[1.0, -2.0]));
    ///     threads.spawn(|| search.count(0, &[0.5, 0.0]));
    /// });
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such tensor, or if all reads are done.
    pub fn count(&self, tensor: usize, chunk: &[f64]) -> Result<()> {
        self.has(tensor, true)?;
        let (above, shift) = (WIDE_ABOVE[self.level], WIDE_SHIFTS[self.level]);
        let (found, mask) = (self.cuts[tensor].magnitude, (1 << (above - shift)) - 1);
        let mut counts = [0u64; BINS];
        for weight in chunk {
            let magnitude = weight.to_bits() & MAGNITUDE;
            if (magnitude ^ found) >> above == 0 {
                counts[(magnitude >> shift & mask) as usize] += 1;
            }
        }
        for (all, count) in self.counts[tensor].iter().zip(counts).filter(|(_, count)| *count > 0) {
            all.fetch_add(count, Relaxed);
        }
        Ok(())
    }

    /// Ends a read.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearchF64, Error};
    /// let mut search = BudgetSearchF64::new(&Budget::prune(0.5)?, &[2])?;
    /// search.count(0, &[1.0])?;
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
        let row = |row: &Vec<AtomicU64>| -> [u64; BINS] { std::array::from_fn(|digit| row[digit].swap(0, Relaxed)) };
        let counts: Vec<[u64; BINS]> = self.counts.iter().map(row).collect();
        for (cut, counts) in self.cuts.iter().zip(&counts) {
            let found = counts.iter().sum();
            if found != cut.equal {
                return Err(Error::Length { operand: WEIGHTS, expected: cut.equal, found });
            }
        }
        narrow(WIDE_ABOVE[self.level], WIDE_SHIFTS[self.level], self.pruned, &mut self.cuts, &counts);
        self.level += 1;
        if !self.reads() {
            self.ties = ties(self.pruned, &self.cuts);
        }
        Ok(())
    }

    /// The magnitude at which a tensor is cut, and how many weights of it are pruned: the first ones. Smaller weights are
    /// pruned, and larger ones stay.
    ///
    /// ```
    /// # use penalty::{Budget, BudgetSearchF64};
    /// let mut search = BudgetSearchF64::new(&Budget::prune(0.5)?, &[4])?;
    /// while search.reads() {
    ///     search.count(0, &[1.0, -1.0, 1.0, 2.0])?;
    ///     search.narrow()?;
    /// }
    /// assert_eq!(search.cut(0)?, (1.0, 2));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such tensor, or if reads are missing.
    pub fn cut(&self, tensor: usize) -> Result<(f64, u64)> {
        self.has(tensor, false)?;
        Ok((f64::from_bits(self.cuts[tensor].magnitude), self.ties[tensor]))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::noise::Noise;

    /// Which weights a stable sort over all magnitudes prunes, within the bounds of one tensor after the other.
    fn pruned(search: &BudgetSearchF64, tensors: &[Vec<f64>]) -> Vec<Vec<bool>> {
        let of = |(i, weights): (usize, &Vec<f64>)| {
            let (cut, mut ties) = search.cut(i).expect("it is found");
            let is_pruned = |weight: &f64| {
                let magnitude = weight.to_bits() & MAGNITUDE;
                let is_tie = magnitude == cut.to_bits() && ties > 0;
                ties -= u64::from(is_tie);
                magnitude < cut.to_bits() || is_tie
            };
            weights.iter().map(is_pruned).collect()
        };
        tensors.iter().enumerate().map(of).collect()
    }

    #[test]
    fn it_cuts_where_a_stable_sort_does() {
        let mut noise = Noise(3);
        let special =
            [0.0, -0.0, 5e-324, f64::MIN_POSITIVE, 1e-300, f64::MAX, f64::INFINITY, 1.0, -1.0, 1.0 + f64::EPSILON];
        for round in 0..20 {
            let mut weight = || match noise.next() {
                random if random % 3 == 0 => special[(random >> 8) as usize % special.len()],
                random => f64::from_bits(random & !(1 << 62)),
            };
            let tensors: Vec<Vec<f64>> = [37, 0, 100, 63].map(|len| (0..len).map(|_| weight()).collect()).into();
            let lens = [37, 0, 100, 63];
            let keep = round * 10;
            let mut search = BudgetSearchF64::new(&Budget::keep(keep), &lens).unwrap();
            while search.reads() {
                for (i, weights) in tensors.iter().enumerate() {
                    weights.chunks(7).rev().for_each(|chunk| search.count(i, chunk).unwrap());
                }
                search.narrow().unwrap();
            }
            let mut order: Vec<(u64, usize, usize)> = Vec::new();
            for (i, weights) in tensors.iter().enumerate() {
                order.extend(weights.iter().enumerate().map(|(j, x)| (x.to_bits() & MAGNITUDE, i, j)));
            }
            order.sort_unstable();
            let mut expected: Vec<Vec<bool>> = tensors.iter().map(|weights| vec![false; weights.len()]).collect();
            order[..200 - keep as usize].iter().for_each(|(_, i, j)| expected[*i][*j] = true);
            assert_eq!(pruned(&search, &tensors), expected, "{keep} of 200");
        }
    }

    #[test]
    fn wrong_calls_are_rejected() {
        let mut search = BudgetSearchF64::new(&Budget::keep(1), &[2]).unwrap();
        assert!(search.count(1, &[]).is_err() && search.cut(0).is_err());
        while search.reads() {
            search.count(0, &[1.0, 2.0]).unwrap();
            search.narrow().unwrap();
        }
        assert!(search.count(0, &[1.0]).is_err() && search.narrow().is_err() && search.cut(1).is_err());
    }
}
