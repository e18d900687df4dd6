//! Weights of `f64`: their exact sums, the value of a penalty, and its prox, all on the CPU and in `f64`.

use penalty::exact::Partial;
use penalty::{Groups, Penalty, Report, Result};
use rayon::prelude::*;

use super::wide::{LOWEST, LOWEST_SQUARE, OfMagnitudes, OfSquares, parts};

/// How many weights a task takes.
const TASK: usize = 1 << 14;

/// The exact sums of some weights, and of the terms of the penalty that they were made for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Double {
    l1: OfMagnitudes,
    l2_squared: OfSquares,
    terms: OfMagnitudes,
    /// Whether a term is infinite, as a constraint's is.
    breaks: bool,
    len: u64,
    nonzero: u64,
    nan: u64,
    inf: u64,
    max_abs: f64,
}

impl Double {
    /// The sums of weights: those of whole groups, if the penalty has groups.
    pub(super) fn of(penalty: &Penalty, weights: &[f64]) -> Result<Double> {
        let mut sums = Double::default();
        sums.add_statistics(weights);
        // The value of other weights is NaN or infinite. That of an elastic net follows from the statistics.
        if sums.nan + sums.inf > 0 || penalty.is_elastic_net() {
            return Ok(sums);
        }
        match penalty.groups() {
            None => weights.iter().try_for_each(|x| penalty.value_at(*x).map(|term| sums.add_term(term)))?,
            Some(groups) => {
                let (alone, mut group) = (penalty.over(Groups::whole())?, Vec::new());
                for members in groups.members(weights.len())? {
                    group.clear();
                    group.extend(members.iter().map(|member| weights[*member]));
                    sums.add_term(alone.value_of(&group)?);
                }
            }
        }
        Ok(sums)
    }

    /// Adds the statistics of further weights.
    pub(super) fn add_statistics(&mut self, weights: &[f64]) {
        self.len += weights.len() as u64;
        for x in weights {
            self.nonzero += u64::from(*x != 0.0);
            if !x.is_finite() {
                self.nan += u64::from(x.is_nan());
                self.inf += u64::from(x.is_infinite());
                continue;
            }
            let (integer, place) = parts(*x);
            self.l1.add(integer.into(), place);
            self.l2_squared.add(u128::from(integer) * u128::from(integer), 2 * place);
            self.max_abs = self.max_abs.max(x.abs());
        }
    }

    fn add_term(&mut self, term: f64) {
        if term.is_finite() {
            let (integer, place) = parts(term);
            self.terms.add(integer.into(), place);
        } else {
            self.breaks = true;
        }
    }

    pub(super) fn merge(&mut self, other: &Double) {
        self.l1.merge(&other.l1);
        self.l2_squared.merge(&other.l2_squared);
        self.terms.merge(&other.terms);
        self.breaks |= other.breaks;
        self.len += other.len;
        self.nonzero += other.nonzero;
        self.nan += other.nan;
        self.inf += other.inf;
        self.max_abs = self.max_abs.max(other.max_abs);
    }

    /// Adds the statistics of weights that the library has summed: no bit is lost.
    pub(super) fn add_partial(&mut self, partial: &Partial) -> Result<()> {
        /// The words of both sums in a partial's bytes, and the exponents of their lowest bits.
        const SUMS: [(usize, i32); 2] = [(12, -149), (20, -298)];
        let report = partial.report(&Penalty::none())?;
        let bytes = partial.to_bytes();
        let (l1, rest) = bytes.split_at(4 * SUMS[0].0);
        let words =
            |bytes: &[u8]| -> Vec<u32> { bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect() };
        for (i, word) in (0..).zip(words(l1)) {
            self.l1.add(word.into(), 32 * i + (SUMS[0].1 - LOWEST) as u32);
        }
        for (i, word) in (0..).zip(words(&rest[..4 * SUMS[1].0])) {
            self.l2_squared.add(word.into(), 32 * i + (SUMS[1].1 - LOWEST_SQUARE) as u32);
        }
        let Report { len, nonzero, nan, inf, max_abs, .. } = report;
        self.len += len;
        self.nonzero += nonzero;
        self.nan += nan;
        self.inf += inf;
        self.max_abs = self.max_abs.max(if max_abs.is_finite() { max_abs } else { 0.0 });
        Ok(())
    }

    /// The statistics and the value, each sum rounded once.
    pub(super) fn report(&self, penalty: &Penalty) -> Report {
        let spoilt = match (self.nan, self.inf) {
            (0, 0) => None,
            (0, _) => Some(f64::INFINITY),
            _ => Some(f64::NAN),
        };
        let (l1, l2_squared) = (self.l1.nearest(LOWEST), self.l2_squared.nearest(LOWEST_SQUARE));
        let value = || {
            if !penalty.is_elastic_net() {
                return if self.breaks { f64::INFINITY } else { self.terms.nearest(LOWEST) };
            }
            // A factor of 0 times a sum that is too large is 0.
            let times = |factor: f64, sum: f64| if factor == 0.0 { 0.0 } else { factor * sum };
            times(penalty.l1_factor(), l1) + times(penalty.l2_squared_factor(), l2_squared)
        };
        Report {
            len: self.len,
            l1: spoilt.unwrap_or(l1),
            l2_squared: spoilt.unwrap_or(l2_squared),
            max_abs: spoilt.unwrap_or(self.max_abs),
            nonzero: self.nonzero,
            nan: self.nan,
            inf: self.inf,
            value: spoilt.unwrap_or_else(value),
        }
    }
}

/// Replaces weights by their prox. A weight that is not finite stays, and so does a group that has one.
pub(super) fn prox(penalty: &Penalty, step: f64, weights: &mut [f64]) -> Result<()> {
    let Some(groups) = penalty.groups() else {
        let prox = penalty.prox_with(step)?;
        weights.par_chunks_mut(TASK).for_each(|task| task.iter_mut().for_each(|x| *x = prox.of(*x)));
        return Ok(());
    };
    let (prox, mut group) = (penalty.group_prox_with(step)?, Vec::new());
    for members in groups.members(weights.len())? {
        group.clear();
        group.extend(members.iter().map(|member| weights[*member]));
        prox.apply(&mut group);
        members.iter().zip(&group).for_each(|(member, x)| weights[*member] = *x);
    }
    Ok(())
}
