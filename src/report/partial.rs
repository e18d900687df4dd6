//! Exact sums that merge, and their bytes.

use super::Report;
use super::made_for::{MADE_FOR_WORDS, MadeFor};
use crate::numeric::accumulator::{L1_LIMBS, L2_LIMBS, Sums};
use crate::numeric::element::Dtype;
use crate::{Error, Penalty, Result};

/// The exact statistics of some weights, without rounding: what chunks, threads, devices and ranks exchange.
///
/// The values of L1, L2² and the elastic net follow from the statistics, for any λ. The value of any other penalty
/// needs a term sum, Σterm(θ). A partial holds that of the one penalty that it was made for. If it is merged with one
/// made for another penalty, it holds none. The term sum of a [weighted](Penalty::is_weighted) penalty includes its
/// element weights, and a partial does not know these: merge only what was made with the element weights of one tensor.
///
/// [`merge`](Partial::merge) is exact, associative and commutative. So any grouping of chunks that start on tile
/// boundaries gives the same bits as one pass over the whole. [`to_bytes`](Partial::to_bytes) serializes a partial.
///
/// ```
/// use penalty::exact::{Partial, TILE};
/// use penalty::{Backend, Penalty};
///
/// let weights = vec![0.25f32; 3 * TILE];
/// let cpu = Backend::cpu();
/// let mut total = Partial::default();
/// for (i, chunk) in weights.chunks(TILE).enumerate() {
///     let partial = cpu.partial((i * TILE) as u64, chunk)?;
///     total.merge(&Partial::from_bytes(&partial.to_bytes())?);
/// }
/// let l1 = Penalty::l1(0.5)?;
/// assert_eq!(total.report(&l1)?, cpu.evaluate(&l1, &weights)?);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partial {
    sums: Sums,
    made_for: MadeFor,
}

impl Partial {
    /// The size of [`to_bytes`](Partial::to_bytes).
    pub const BYTES: usize = 4 * (L1_LIMBS + L2_LIMBS) + 4 * 8 + 4 + 4 * (L1_LIMBS + MADE_FOR_WORDS);

    /// A partial of one tensor's weights, made for its penalty.
    pub(crate) fn new(sums: Sums, penalty: &Penalty, dtype: Dtype) -> Partial {
        let made_for = if sums.len == 0 { MadeFor::Any } else { MadeFor::this(penalty, dtype) };
        Partial { sums, made_for }
    }

    /// A partial of one tensor's weights on all ranks. Each rank has checked that its own was made for the penalty.
    pub(super) fn of_all_ranks(sums: Sums) -> Partial {
        Partial { sums, made_for: MadeFor::Nobody }
    }

    pub(crate) fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Adds the weights of another partial to this one.
    ///
    /// ```
    /// use penalty::exact::TILE;
    /// use penalty::{Backend, Penalty};
    ///
    /// let (cpu, weights) = (Backend::cpu(), vec![0.5f32; TILE + 2]);
    /// let mut total = cpu.partial(0, &weights[..TILE])?;
    /// total.merge(&cpu.partial(TILE as u64, &weights[TILE..])?);
    /// assert_eq!(total.report(&Penalty::none())?.l1, 2049.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn merge(&mut self, other: &Partial) {
        if self.sums.len == 0 {
            self.made_for = other.made_for;
        } else if other.sums.len > 0 && other.made_for != self.made_for {
            self.made_for = MadeFor::Nobody;
        }
        self.sums.merge(&other.sums);
    }

    /// Little-endian bytes: the limbs of Σ|θ| and Σθ² from the lowest; then as `u64` the numbers of weights, of
    /// non-zero, NaN and infinite ones; then the bits of max|θ| as `u32`; then the limbs of the term sum; last, whose
    /// term sum it is.
    ///
    /// The last part starts with a `u32`: 0 if there are no weights, 1 if the term sum is no penalty's, 2 if it is a
    /// built-in penalty's, 3 if it is a [custom](Penalty::custom) penalty's. For 2 and 3, the name of the formula
    /// follows as a `u64`, then the three `f32` term coefficients, then the groups as a `u64`; for 0 and 1, as many
    /// zero bytes. A formula of several penalties has the name of the most general one, such as `sparse_group_lasso`.
    ///
    /// Names and groups are 64-bit FNV-1a hashes. Groups are hashed as little-endian `u64`: 0 for all weights, (1,
    /// length) for runs, (2, columns) for rows, (3, columns) for columns, (4, columns, height, width) for tiles. Lists
    /// are hashed as 5 and the number of lists, then for each list its number of indices and the indices, ascending. A
    /// separable penalty has 0 for its groups.
    ///
    /// ```
    /// use penalty::exact::Partial;
    /// use penalty::{Backend, Penalty};
    ///
    /// let bytes = Backend::cpu().partial(0, &[3.0f32, -4.0])?.to_bytes();
    /// assert_eq!(bytes.len(), Partial::BYTES);
    /// assert_eq!(Partial::from_bytes(&bytes)?.report(&Penalty::none())?.l1, 7.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn to_bytes(&self) -> [u8; Partial::BYTES] {
        let Sums { l1, l2_squared, len, nonzero, nan, inf, max_bits, terms } = &self.sums;
        let limbs = l1.iter().chain(l2_squared).flat_map(|l| l.to_le_bytes());
        let counts = [len, nonzero, nan, inf].into_iter().flat_map(|count| count.to_le_bytes());
        let mut bytes = [0; Partial::BYTES];
        let terms = terms.iter().copied().chain(self.made_for.to_words()).flat_map(u32::to_le_bytes);
        let all = limbs.chain(counts).chain(max_bits.to_le_bytes()).chain(terms);
        for (to, from) in bytes.iter_mut().zip(all) {
            *to = from;
        }
        bytes
    }

    /// The inverse of [`to_bytes`](Partial::to_bytes).
    ///
    /// ```
    /// use penalty::exact::Partial;
    ///
    /// assert_eq!(Partial::from_bytes(&Partial::default().to_bytes()), Ok(Partial::default()));
    /// assert!(Partial::from_bytes(&[0; 7]).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::PartialBytes`] if the length, the counts, the sums or the maximum cannot be those of weights, or if the
    /// term sum belongs to a penalty that this version does not know and that is not custom.
    pub fn from_bytes(bytes: &[u8]) -> Result<Partial> {
        let reject = |expected, found| Err(Error::PartialBytes { expected, found });
        if bytes.len() != Partial::BYTES {
            return reject("244 bytes", bytes.len() as u64);
        }
        let mut words = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let mut next = || words.next().unwrap_or(0);
        let mut sums = Sums::default();
        sums.l1.fill_with(&mut next);
        sums.l2_squared.fill_with(&mut next);
        for count in [&mut sums.len, &mut sums.nonzero, &mut sums.nan, &mut sums.inf] {
            *count = u64::from(next()) | u64::from(next()) << 32;
        }
        sums.max_bits = next();
        sums.terms.fill_with(&mut next);
        let made_for = MadeFor::from_words(std::array::from_fn(|_| next()))?;
        if sums.nonzero > sums.len {
            return reject("as many non-zero weights as weights at most", sums.nonzero);
        }
        if sums.nan.checked_add(sums.inf).is_none_or(|n| n > sums.nonzero) {
            return reject("as many non-finite weights as non-zero ones at most", sums.nan.max(sums.inf));
        }
        if sums.max_bits >= 0x7f80_0000 {
            return reject("the bits of a finite maximum", sums.max_bits.into());
        }
        let finite = sums.nonzero - sums.nan - sums.inf;
        let above_0 = [sums.l1.iter().any(|l| *l != 0), sums.l2_squared.iter().any(|l| *l != 0)];
        if [finite > 0; 3] != [above_0[0], above_0[1], sums.max_bits > 0] {
            return reject("sums and a maximum above 0 where a weight is finite and not 0, else 0", finite);
        }
        if (sums.len == 0) != (made_for == MadeFor::Any) {
            return reject("a sum of somebody's or of nobody's where there are weights", sums.len);
        }
        if sums.len == 0 && sums.terms.iter().any(|l| *l != 0) {
            return reject("a sum of 0 where there are no weights", sums.len);
        }
        Ok(Partial { sums, made_for })
    }

    /// The value of `penalty` and the statistics, in `f64`: each sum rounded once, to nearest.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let partial = Backend::cpu().partial(0, &[3.0f32, -4.0])?;
    /// assert_eq!(partial.report(&Penalty::l1(0.5)?)?.value, 3.5); // for any λ, from one read
    /// assert_eq!(partial.report(&Penalty::l1(2.0)?)?.value, 14.0);
    /// assert!(partial.report(&Penalty::l_half(1.0)?).is_err()); // needs `partial_for`
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OtherPenalty`] if the value needs a term sum, and this partial was not made for the penalty.
    pub fn report(&self, penalty: &Penalty) -> Result<Report> {
        let made_for = |dtype| self.made_for == MadeFor::this(penalty, dtype);
        let summed = || [Dtype::F32, Dtype::F16, Dtype::BF16].into_iter().any(made_for);
        if penalty.sums_terms() && self.sums.len > 0 && !summed() {
            return Err(Error::OtherPenalty { penalty: penalty.name() });
        }
        Ok(self.report_of(penalty))
    }

    /// The report, if the partial was made for this penalty or the value needs no term sum.
    pub(crate) fn report_of(&self, penalty: &Penalty) -> Report {
        let sums = &self.sums;
        // Non-finite weights enter the sums as +0. The report of the whole must not hide them.
        let spoilt = if sums.nan > 0 {
            Some(f64::NAN)
        } else if sums.inf > 0 {
            Some(f64::INFINITY)
        } else {
            None
        };
        let (l1, l2_squared) = (sums.l1(), sums.l2_squared());
        Report {
            len: sums.len,
            l1: spoilt.unwrap_or(l1),
            l2_squared: spoilt.unwrap_or(l2_squared),
            max_abs: spoilt.unwrap_or(f32::from_bits(sums.max_bits).into()),
            nonzero: sums.nonzero,
            nan: sums.nan,
            inf: sums.inf,
            value: spoilt.unwrap_or_else(|| penalty.value([l1, l2_squared, sums.terms()])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::accumulator::Counts;

    #[test]
    fn bytes_round_trip_and_nonsense_is_rejected() {
        let mut sums = Sums::default();
        for x in [0.1f32, 7.0, 1e30] {
            sums.add_tile(1, [x, x], 0, Counts::default(), x.to_bits());
        }
        (sums.nonzero, sums.nan) = (2, 1);
        let p = Partial { sums, made_for: MadeFor::Nobody };
        let bytes = p.to_bytes();
        assert_eq!(Partial::from_bytes(&bytes), Ok(p));
        assert!(Partial::from_bytes(&bytes[1..]).is_err());
        for (at, text) in [(136, "non-zero"), (144, "non-finite"), (163, "maximum")] {
            let mut bad = bytes;
            bad[at] = 0xff;
            assert!(Partial::from_bytes(&bad).unwrap_err().to_string().contains(text));
        }
    }
}
