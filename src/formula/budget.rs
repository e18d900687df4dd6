//! Which weights a budget prunes: the first of all tensors' weights in the order of their magnitudes, of their tensors,
//! then of their indices. The place where that order is cut is found from counts of digits, without sorting.
//!
//! Twin of the files in `shaders/formula/budget`.

use std::ops::{BitOrAssign, Shl};

/// How many values a digit of a magnitude has at most.
pub(crate) const BINS: usize = 1 << 11;
/// How many bits lie below each digit, from the highest digit on: 11 bits, 10 and 10.
pub(crate) const SHIFTS: [u32; 3] = [20, 10, 0];
/// How many bits lie below the digit before.
pub(crate) const ABOVE: [u32; 3] = [31, 20, 10];
/// The same for the 63 bits of an `f64`'s magnitude.
pub(crate) const WIDE_SHIFTS: [u32; 6] = [52, 41, 30, 19, 8, 0];
pub(crate) const WIDE_ABOVE: [u32; 6] = [63, 52, 41, 30, 19, 8];

/// How many weights of a tensor may be pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

/// Where a tensor is cut: its weights of smaller magnitudes are pruned, and the first ones of this magnitude.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut<M = u32> {
    /// The digits found so far. The others are 0.
    pub(crate) magnitude: M,
    /// How many weights are smaller.
    pub(crate) below: u64,
    /// How many weights share those digits.
    pub(crate) equal: u64,
    /// How many weights may be pruned. Once both ends are the same, the tensor no longer follows the others.
    quota: Quota,
}

impl Cut {
    /// The cut of a tensor without bounds, found in another way.
    pub(crate) fn at(len: u64, magnitude: u32, below: u64, equal: u64) -> Cut {
        Cut { magnitude, below, equal, quota: Quota { least: 0, most: len } }
    }
}

impl<M: Default> Cut<M> {
    pub(crate) fn new(len: u64, quota: Quota) -> Cut<M> {
        Cut { magnitude: M::default(), below: 0, equal: len, quota }
    }

    /// How many weights are pruned if the order is cut where `smaller` weights of this tensor lie before.
    fn clamped(&self, smaller: u64) -> u64 {
        smaller.clamp(self.quota.least, self.quota.most)
    }
}

/// The lowest digit of a magnitude.
pub(crate) fn last_digit(magnitude: u32) -> usize {
    (magnitude & ((1 << ABOVE[SHIFTS.len() - 1]) - 1)) as usize
}

/// Finds the next digit of every cut: the bits from `shift` to below `above`. `counts` has a row for each tensor: how many of
/// the weights that share its cut's digits have each next one.
pub(crate) fn narrow<M>(above: u32, shift: u32, pruned: u64, cuts: &mut [Cut<M>], counts: &[[u64; BINS]])
where
    M: Default + From<u32> + Shl<u32, Output = M> + BitOrAssign,
{
    let digits = 1 << (above - shift);
    // How many weights of all tensors are pruned if the order is cut before each digit. It begins at most at `pruned`.
    let mut before = vec![0; digits];
    for (cut, counts) in cuts.iter().zip(counts) {
        let mut smaller = cut.below;
        for (before, count) in before.iter_mut().zip(counts) {
            *before += cut.clamped(smaller);
            smaller += count;
        }
    }
    let last = |of: &[u64], most: u64| of.partition_point(|before| *before <= most).saturating_sub(1);
    let joint = last(&before, pruned);
    for (cut, counts) in cuts.iter_mut().zip(counts) {
        let mut smaller = cut.below;
        for (before, count) in before.iter_mut().zip(counts) {
            *before = smaller;
            smaller += count;
        }
        let Quota { least, most } = cut.quota;
        // The joint place may lie where the tensor has pruned too few or too many: it is then cut at its own.
        if before[joint] + counts[joint] <= least {
            cut.quota.most = least;
        } else if before[joint] >= most {
            cut.quota.least = most;
        }
        let alone = cut.quota.least == cut.quota.most;
        let digit = if alone { last(&before, cut.quota.least) } else { joint };
        cut.magnitude |= M::from(digit as u32) << shift;
        cut.below = before[digit];
        cut.equal = counts[digit];
    }
}

/// How many of each tensor's weights of its cut's magnitude are pruned: the first tensors' come first.
pub(crate) fn ties<M: Default>(pruned: u64, cuts: &[Cut<M>]) -> Vec<u64> {
    let [least, most] = [|cut: &Cut<M>| cut.clamped(cut.below), |cut: &Cut<M>| cut.clamped(cut.below + cut.equal)];
    let mut missing = pruned - cuts.iter().map(least).sum::<u64>();
    let of = |cut: &Cut<M>| {
        let more = (most(cut) - least(cut)).min(missing);
        missing -= more;
        least(cut) + more - cut.below
    };
    cuts.iter().map(of).collect()
}
