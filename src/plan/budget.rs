//! How many weights of some tensors are to be pruned.

use std::ops::RangeInclusive;

use super::operands::one_each;
use crate::formula::budget::Quota;
use crate::penalty::validate::ratio;
use crate::{Error, Result};

/// How many weights of a whole model are pruned: set to +0, the smallest magnitudes first.
///
/// [`Cpu::prune_in_place`](crate::Cpu::prune_in_place) prunes a list of slices.
/// [`HostSet::prune_in_place`](crate::HostSet::prune_in_place) and
/// [`ParameterSet::record_prune_in_place`](crate::gpu::ParameterSet::record_prune_in_place) prune sets. All have the same
/// bits.
///
/// The weights of all tensors are in one ascending order, as a stable sort by |θ| puts them: of equal magnitudes, the
/// earlier tensor comes first, then the lower index. The first ones become +0; all others keep every bit. Magnitudes are
/// compared exactly, whatever types the tensors have. A −0 is a 0. Infinities are above all numbers, and NaN above
/// infinities, so that neither is pruned before a number; NaN are in the order of their bits. Nothing is sorted: counts
/// of the digits of |θ|'s bits say where the order is cut.
///
/// Magnitude pruning over all layers at once is *global* pruning (Han et al. 2015; Blalock et al. 2020 compare). To
/// prune each tensor alone, give it equal [bounds](Budget::within).
///
/// ```
/// use penalty::{Budget, Cpu};
///
/// let (mut a, mut b) = ([0.5f32, -2.0, 0.25], [3.0f32, 0.125, 1.0]);
/// let reports = Cpu::new().prune_in_place(&Budget::prune(0.5)?, &mut [(&mut a[..]).into(), (&mut b[..]).into()])?;
/// assert_eq!((a, b), ([0.0, -2.0, 0.0], [3.0, 0.0, 1.0]));
/// assert_eq!((reports.tensors[0].zeros(), reports.tensors[1].zeros()), (2, 1));
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    amount: Amount,
    /// Of the fraction pruned of each tensor; none if there are no bounds.
    bounds: Vec<RangeInclusive<f64>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Amount {
    Keep(u64),
    Prune(f64),
}

impl Budget {
    /// Keeps the `count` largest magnitudes, or all weights if there are no more than that.
    ///
    /// ```
    /// use penalty::{Budget, Cpu};
    ///
    /// let mut weights = [1.0f32, -3.0, 1.0, 2.0];
    /// Cpu::new().prune_in_place(&Budget::keep(3), &mut [(&mut weights[..]).into()])?;
    /// assert_eq!(weights, [0.0, -3.0, 1.0, 2.0]); // of equal ones, the first is pruned first
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn keep(count: u64) -> Budget {
        Budget { amount: Amount::Keep(count), bounds: Vec::new() }
    }

    /// Prunes ⌊s·n⌋ of n weights, where s is the fraction. The product is rounded to `f64` before. If there are more
    /// zeros already, no other weight is pruned.
    ///
    /// ```
    /// use penalty::Budget;
    ///
    /// assert_eq!(Budget::prune(0.9)?.pruned(1005), 904);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless 0 ≤ s ≤ 1.
    pub fn prune(fraction: f64) -> Result<Budget> {
        Ok(Budget { amount: Amount::Prune(ratio("fraction", fraction)?), bounds: Vec::new() })
    }

    /// The same with bounds, for each tensor, of the fraction of its weights that is pruned: of nᵢ weights, at least
    /// ⌊aᵢ·nᵢ⌋ and at most ⌊bᵢ·nᵢ⌋. The others make up for it.
    ///
    /// In the tensor's own order, its first ⌊aᵢ·nᵢ⌋ weights are pruned in any case, and what comes after the first
    /// ⌊bᵢ·nᵢ⌋ stays. All other weights are pruned in the common order until there are enough.
    ///
    /// ```
    /// use penalty::{Budget, Cpu};
    ///
    /// let (mut a, mut b) = ([0.5f32, -2.0, 0.25, 0.5], [3.0f32, 0.125, 1.0]);
    /// let budget = Budget::prune(0.6)?.within(vec![0.0..=0.5, 0.0..=1.0])?; // at most half of `a`
    /// Cpu::new().prune_in_place(&budget, &mut [(&mut a[..]).into(), (&mut b[..]).into()])?;
    /// assert_eq!((a, b), ([0.0, -2.0, 0.0, 0.5], [3.0, 0.0, 0.0]));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless 0 ≤ aᵢ ≤ bᵢ ≤ 1. A call with the budget fails with [`Error::Missing`] unless there
    /// are bounds for each tensor, and with [`Error::Parameter`] if they allow too few or too many weights.
    pub fn within(self, bounds: Vec<RangeInclusive<f64>>) -> Result<Budget> {
        for bound in &bounds {
            ratio("an upper bound", *bound.end())?;
            if !(0.0..=*bound.end()).contains(bound.start()) {
                let expected = "from 0 to the upper bound";
                return Err(Error::Parameter { name: "a lower bound", expected, found: *bound.start() });
            }
        }
        Ok(Budget { bounds, ..self })
    }

    /// How many of this many weights are pruned.
    ///
    /// ```
    /// use penalty::Budget;
    ///
    /// assert_eq!((Budget::keep(10).pruned(64), Budget::keep(10).pruned(8)), (54, 0));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn pruned(&self, len: u64) -> u64 {
        match self.amount {
            Amount::Keep(count) => len.saturating_sub(count),
            Amount::Prune(fraction) => share(fraction, len),
        }
    }

    /// How many weights are pruned in all, and how many of each tensor may be.
    ///
    /// # Errors
    ///
    /// As [`within`](Budget::within) says.
    pub(crate) fn quotas(&self, lens: &[u64]) -> Result<(u64, Vec<Quota>)> {
        if !self.bounds.is_empty() {
            one_each("a budget with bounds", "bounds", lens.len(), self.bounds.len())?;
        }
        let quota = |(i, &len): (usize, &u64)| match self.bounds.get(i) {
            Some(bound) => Quota { least: share(*bound.start(), len), most: share(*bound.end(), len) },
            None => Quota { least: 0, most: len },
        };
        let quotas: Vec<Quota> = lens.iter().enumerate().map(quota).collect();
        let pruned = self.pruned(lens.iter().sum());
        let [least, most] =
            [|quota: &Quota| quota.least, |quota: &Quota| quota.most].map(|of| quotas.iter().map(of).sum());
        if (least..=most).contains(&pruned) {
            return Ok((pruned, quotas));
        }
        let expected = if pruned < least { "at least what the bounds demand" } else { "at most what the bounds allow" };
        Err(Error::Parameter { name: "the number of pruned weights", expected, found: pruned as f64 })
    }
}

/// ⌊s·n⌋.
fn share(fraction: f64, len: u64) -> u64 {
    // Above 2^53, the product may be rounded above the length.
    ((fraction * len as f64) as u64).min(len)
}
