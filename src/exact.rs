//! Exact sums: the fixed-point accumulators above the tiles, [`Partial`] and [`Report`].
//!
//! Twin of `shaders/accumulator.wgsl`. A tile's sum is an `f32`, and every finite `f32` is an integer times a power of
//! two: adding it, shifted, into a wide integer rounds nothing, so the order of tiles, threads, chunks and devices
//! cannot matter.

use crate::fnv::fnv1a;
use crate::penalty::Kind;
use crate::plan::Segment;
use crate::{Dtype, Error, Groups, Penalty, Result};

/// Limbs of the accumulator of Σ|θ|; its lowest bit is 2^-149, the smallest `f32`.
const L1_LIMBS: usize = 12;
/// Limbs of the accumulator of Σθ²; its lowest bit is 2^-298, the square of the smallest `f32`.
const L2_LIMBS: usize = 20;
const L1_LOWEST: i32 = -149;
const L2_LOWEST: i32 = -298;

/// The words of one segment's result on a device: the limbs of Σ|θ| and Σθ², three 64-bit counts, the maximum, one unused, and the
/// limbs of the value's own sum.
pub(crate) const WORDS: usize = 52;

/// The exact statistics of some weights, without rounding: what chunks, threads, devices and ranks send to each other.
///
/// The values of L1, L2² and the elastic net follow from the statistics, whatever their λ. Another penalty's value has a sum of its
/// own, which a partial holds of the one penalty that it was made for; merged with one made for another, it holds none. The sum
/// of a [weighted](Penalty::is_weighted) penalty is over its elements' weights too, and a partial does not know which: merge what was made
/// with the weights of one tensor.
///
/// [`merge`](Partial::merge) is exact, associative and commutative, so any grouping of chunks that start on tile
/// boundaries gives the same bits as one pass over the whole. [`to_bytes`](Partial::to_bytes) carries it elsewhere.
///
/// ```
/// use penalty::{Backend, Partial, Penalty, TILE};
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
    l1: [u32; L1_LIMBS],
    l2_squared: [u32; L2_LIMBS],
    len: u64,
    nonzero: u64,
    nan: u64,
    inf: u64,
    max_bits: u32,
    terms: [u32; L1_LIMBS],
    made_for: MadeFor,
}

/// Whose own sum a partial holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum MadeFor {
    /// Any penalty's: there are no weights, so it is 0.
    #[default]
    Any,
    /// Nobody's: the partial was made for statistics alone, or of partials made for several penalties.
    Nobody,
    /// Of penalties of one formula, by the name that this has.
    Formula {
        /// Whether it is a formula of the caller's own.
        own: bool,
        /// The hash of its name.
        name: u64,
        /// The bits of the kernel's numbers for a term.
        numbers: [u32; 3],
        /// The hash of the groups; 0 of single weights.
        groups: u64,
    },
}

/// The words of a serialized [`MadeFor`].
const MADE_FOR_WORDS: usize = 8;

impl MadeFor {
    fn this(penalty: &Penalty, dtype: Dtype) -> MadeFor {
        let Some(numbers) = penalty.term_numbers(dtype) else { return MadeFor::Nobody };
        MadeFor::Formula {
            own: matches!(penalty.kind(), Kind::Own(_)),
            name: name_of(penalty.kind()),
            numbers: numbers.map(f32::to_bits),
            groups: penalty.groups().map_or(0, Groups::hash),
        }
    }

    fn to_words(self) -> [u32; MADE_FOR_WORDS] {
        let mut words = [0; MADE_FOR_WORDS];
        match self {
            MadeFor::Any => {}
            MadeFor::Nobody => words[0] = 1,
            MadeFor::Formula { own, name, numbers, groups } => {
                words[0] = if own { 3 } else { 2 };
                words[1..3].copy_from_slice(&[name as u32, (name >> 32) as u32]);
                words[3..6].copy_from_slice(&numbers);
                words[6..].copy_from_slice(&[groups as u32, (groups >> 32) as u32]);
            }
        }
        words
    }

    fn from_words(words: [u32; MADE_FOR_WORDS]) -> Result<MadeFor> {
        let [kind, name, name_above, a, b, c, groups, groups_above] = words;
        let refuse = |expected, found| Err(Error::PartialBytes { expected, found });
        let long = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let (name, groups) = (long(name, name_above), long(groups, groups_above));
        let formula = |own| MadeFor::Formula { own, name, numbers: [a, b, c], groups };
        match kind {
            0 | 1 if words[1..] != [0; MADE_FOR_WORDS - 1] => refuse("0 for the name of no penalty", name),
            0 => Ok(MadeFor::Any),
            1 => Ok(MadeFor::Nobody),
            2 if !Kind::ALL.iter().any(|kind| kind.host().sums_terms && name_of(*kind) == name) => {
                refuse("the name of a penalty of this version", name)
            }
            2 => Ok(formula(false)),
            3 => Ok(formula(true)),
            _ => refuse("0, 1, 2 or 3 for whose sum it holds", kind.into()),
        }
    }
}

/// What serialized partials call a formula: the hash of its name, which no release changes.
fn name_of(kind: Kind) -> u64 {
    fnv1a(kind.host().name.bytes())
}

/// How many of a run of weights are what; the counts that a tile adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) nonzero: u64,
    pub(crate) nan: u64,
    pub(crate) inf: u64,
}

impl Partial {
    /// The size of [`to_bytes`](Partial::to_bytes).
    pub const BYTES: usize = 4 * (L1_LIMBS + L2_LIMBS) + 4 * 8 + 4 + 4 * (L1_LIMBS + MADE_FOR_WORDS);

    /// Says which penalty's own sum it holds.
    pub(crate) fn set_made_for(&mut self, penalty: &Penalty, dtype: Dtype) {
        self.made_for = if self.len == 0 { MadeFor::Any } else { MadeFor::this(penalty, dtype) };
    }

    /// Adds the weights of another partial to this one.
    pub fn merge(&mut self, other: &Partial) {
        if self.len == 0 {
            self.made_for = other.made_for;
        } else if other.len > 0 && other.made_for != self.made_for {
            self.made_for = MadeFor::Nobody;
        }
        add_limbs(&mut self.terms, &other.terms);
        add_limbs(&mut self.l1, &other.l1);
        add_limbs(&mut self.l2_squared, &other.l2_squared);
        // Bytes from elsewhere can say more weights than there are.
        self.len = self.len.saturating_add(other.len);
        self.nonzero = self.nonzero.saturating_add(other.nonzero);
        self.nan = self.nan.saturating_add(other.nan);
        self.inf = self.inf.saturating_add(other.inf);
        self.max_bits = self.max_bits.max(other.max_bits);
    }

    /// Adds a tile of `len` weights whose sums, scaled by 2^-`exponent` and its square, are `l1` and `l2_squared`.
    #[inline(always)]
    pub(crate) fn add_tile(&mut self, len: usize, sums: [f32; 2], exponent: i32, counts: Counts, max_bits: u32) {
        add_f32(&mut self.l1, sums[0], exponent - 149 - L1_LOWEST);
        add_f32(&mut self.l2_squared, sums[1], 2 * exponent - 149 - L2_LOWEST);
        self.len += len as u64;
        self.nonzero += counts.nonzero;
        self.nan += counts.nan;
        self.inf += counts.inf;
        self.max_bits = self.max_bits.max(max_bits);
    }

    /// Adds a tile's own sum of the value, scaled by 2^-`exponent`.
    #[inline]
    pub(crate) fn add_terms(&mut self, sum: f32, exponent: i32) {
        add_f32(&mut self.terms, sum, exponent - 149 - L1_LOWEST);
    }

    /// The result that a device left for a segment.
    pub(crate) fn from_words(words: &[u32; WORDS], segment: &Segment) -> Partial {
        let count = |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
        let mut partial = Partial { len: segment.len, ..Partial::default() };
        partial.l1.copy_from_slice(&words[..L1_LIMBS]);
        partial.l2_squared.copy_from_slice(&words[L1_LIMBS..L1_LIMBS + L2_LIMBS]);
        partial.nonzero = count(32);
        partial.nan = count(34);
        partial.inf = count(36);
        partial.max_bits = words[38];
        partial.terms.copy_from_slice(&words[40..]);
        partial.set_made_for(&segment.penalty, segment.dtype);
        partial
    }

    /// Little-endian bytes: the limbs of Σ|θ| and Σθ² from the lowest, then as `u64` the number of weights, of
    /// non-zero, NaN and infinite ones, then the bits of max|θ| as `u32`, then the limbs of the value's own sum, and whose it is.
    ///
    /// That is a `u32`: 0 where there are no weights, 1 where the sum is nobody's, 2 where it is a built-in penalty's, 3 where it is
    /// one's of the caller's [`own`](Penalty::own). For the last two follow the name of its formula as a `u64`, the three `f32` that its
    /// terms are computed with, and its groups as a `u64`; otherwise as many zeros. A formula of several penalties has the name of the
    /// most general, such as `sparse_group_lasso`. Names and groups are hashes, FNV-1a of 64 bits: of the name, and of little-endian
    /// `u64`, which are 0 for all weights, (1, length) for runs, (2, columns) for rows, (3, columns) for columns, (4, columns, height,
    /// width) for tiles, and for lists 5 and how many there are, then of each how many indices it has and these, ascending. A penalty of
    /// single weights has 0 for groups.
    pub fn to_bytes(&self) -> [u8; Partial::BYTES] {
        let limbs = self.l1.iter().chain(&self.l2_squared).flat_map(|l| l.to_le_bytes());
        let counts = [self.len, self.nonzero, self.nan, self.inf].into_iter().flat_map(u64::to_le_bytes);
        let mut bytes = [0; Partial::BYTES];
        let terms = self.terms.into_iter().chain(self.made_for.to_words()).flat_map(u32::to_le_bytes);
        let all = limbs.chain(counts).chain(self.max_bits.to_le_bytes()).chain(terms);
        for (to, from) in bytes.iter_mut().zip(all) {
            *to = from;
        }
        bytes
    }

    /// The inverse of [`to_bytes`](Partial::to_bytes).
    ///
    /// # Errors
    ///
    /// [`Error::PartialBytes`] where the length, the counts, the sums or the maximum cannot be those of weights, or the sum is of a
    /// penalty that this version does not know, unless it is of one of the caller's own.
    pub fn from_bytes(bytes: &[u8]) -> Result<Partial> {
        let refuse = |expected, found| Err(Error::PartialBytes { expected, found });
        if bytes.len() != Partial::BYTES {
            return refuse("244 bytes", bytes.len() as u64);
        }
        let mut words = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let mut next = || words.next().unwrap_or(0);
        let mut partial = Partial::default();
        partial.l1.fill_with(&mut next);
        partial.l2_squared.fill_with(&mut next);
        for count in [&mut partial.len, &mut partial.nonzero, &mut partial.nan, &mut partial.inf] {
            *count = u64::from(next()) | u64::from(next()) << 32;
        }
        partial.max_bits = next();
        partial.terms.fill_with(&mut next);
        partial.made_for = MadeFor::from_words(std::array::from_fn(|_| next()))?;
        if partial.nonzero > partial.len {
            return refuse("as many non-zero weights as weights at most", partial.nonzero);
        }
        if partial.nan.checked_add(partial.inf).is_none_or(|n| n > partial.nonzero) {
            return refuse("as many non-finite weights as non-zero ones at most", partial.nan.max(partial.inf));
        }
        if partial.max_bits >= 0x7f80_0000 {
            return refuse("the bits of a finite maximum", partial.max_bits.into());
        }
        let finite = partial.nonzero - partial.nan - partial.inf;
        let sums = [partial.l1.iter().any(|l| *l != 0), partial.l2_squared.iter().any(|l| *l != 0)];
        if [finite > 0; 3] != [sums[0], sums[1], partial.max_bits > 0] {
            return refuse("sums and a maximum above 0 where a weight is finite and not 0, else 0", finite);
        }
        if (partial.len == 0) != (partial.made_for == MadeFor::Any) {
            return refuse("a sum of somebody's or of nobody's where there are weights", partial.len);
        }
        if partial.len == 0 && partial.terms.iter().any(|l| *l != 0) {
            return refuse("a sum of 0 where there are no weights", partial.len);
        }
        Ok(partial)
    }

    /// The value's own sum, rounded once to `f64`.
    pub(crate) fn terms(&self) -> f64 {
        to_f64(&self.terms, L1_LOWEST)
    }

    /// The value of `penalty` and the statistics, in `f64`: each sum rounded once, to nearest.
    ///
    /// # Errors
    ///
    /// [`Error::OtherPenalty`] where the value has a sum of its own, and this was not made for it.
    pub fn report(&self, penalty: &Penalty) -> Result<Report> {
        let made_for = |dtype| self.made_for == MadeFor::this(penalty, dtype);
        let summed = || [Dtype::F32, Dtype::F16, Dtype::BF16].into_iter().any(made_for);
        if penalty.sums_terms() && self.len > 0 && !summed() {
            return Err(Error::OtherPenalty { penalty: penalty.name() });
        }
        Ok(self.report_of(penalty))
    }

    /// The same where it was made for this penalty, or the value has no sum of its own.
    pub(crate) fn report_of(&self, penalty: &Penalty) -> Report {
        // A non-finite weight entered the sums as +0; what is said of the whole must not hide it.
        let spoilt = if self.nan > 0 {
            Some(f64::NAN)
        } else if self.inf > 0 {
            Some(f64::INFINITY)
        } else {
            None
        };
        let l1 = to_f64(&self.l1, L1_LOWEST);
        let l2_squared = to_f64(&self.l2_squared, L2_LOWEST);
        Report {
            len: self.len,
            l1: spoilt.unwrap_or(l1),
            l2_squared: spoilt.unwrap_or(l2_squared),
            max_abs: spoilt.unwrap_or(f32::from_bits(self.max_bits).into()),
            nonzero: self.nonzero,
            nan: self.nan,
            inf: self.inf,
            value: spoilt.unwrap_or_else(|| penalty.value([l1, l2_squared, self.terms()])),
        }
    }
}

/// The value of a penalty over some weights, and their statistics.
///
/// Where a weight is NaN, `l1`, `l2_squared`, `max_abs` and `value` are NaN; else where one is infinite, they are
/// infinite. `nan` and `inf` say how many there are. Reports compare by their bits, so a NaN equals a NaN.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// The number of weights.
    pub len: u64,
    /// Σ|θ|.
    pub l1: f64,
    /// Σθ², with no ½.
    pub l2_squared: f64,
    /// max|θ|; 0 where there are no weights.
    pub max_abs: f64,
    /// How many weights are not ±0; NaN and infinite ones count.
    pub nonzero: u64,
    /// How many weights are NaN.
    pub nan: u64,
    /// How many weights are infinite.
    pub inf: u64,
    /// R(θ), λ included.
    pub value: f64,
}

impl Report {
    /// How many weights are exactly ±0.
    pub fn zeros(&self) -> u64 {
        self.len - self.nonzero
    }
}

impl PartialEq for Report {
    fn eq(&self, other: &Report) -> bool {
        let key = |r: &Report| {
            let floats = [r.l1, r.l2_squared, r.max_abs, r.value].map(f64::to_bits);
            (r.len, r.nonzero, r.nan, r.inf, floats)
        };
        key(self) == key(other)
    }
}

/// The reports of a list of tensors and their total, as [`Backend::evaluate_all`](crate::Backend::evaluate_all)
/// returns them.
#[derive(Debug, Clone, PartialEq)]
pub struct Reports {
    /// One report a tensor, in the order given.
    pub tensors: Vec<Report>,
    /// All tensors as one: exact sums over all weights; the value is the `f64` sum of the tensors' values in order.
    pub total: Report,
}

impl Reports {
    /// Puts the partials of tensors, each with its penalty, together.
    ///
    /// # Errors
    ///
    /// As [`Partial::report`].
    pub fn new<'a>(tensors: impl IntoIterator<Item = (&'a Partial, &'a Penalty)>) -> Result<Reports> {
        let mut all = Partial::default();
        let tensors: Result<Vec<Report>> = tensors
            .into_iter()
            .map(|(partial, penalty)| {
                all.merge(partial);
                partial.report(penalty)
            })
            .collect();
        let tensors = tensors?;
        // The empty sum of f64 is -0 in Rust; a penalty over nothing is +0.
        let value = tensors.iter().fold(0.0, |sum, report| sum + report.value);
        let total = all.report_of(&Penalty::none());
        Ok(Reports { tensors, total: Report { value, ..total } })
    }
}

/// Adds a non-negative `f32`, whose lowest subnormal bit stands at bit `at` of the accumulator.
#[inline]
fn add_f32(limbs: &mut [u32], x: f32, at: i32) {
    let bits = x.to_bits();
    if bits == 0 {
        return;
    }
    let exponent = (bits >> 23).max(1) as i32;
    let mut significand = if bits < 0x80_0000 { bits } else { (bits & 0x7f_ffff) | 0x80_0000 };
    let mut position = exponent - 1 + at;
    if position < 0 {
        // Only zeros are shifted out: a scaled tile is a sum of multiples of the accumulator's lowest bit.
        significand >>= -position as u32;
        position = 0;
    }
    let carry = u64::from(significand) << (position % 32);
    // Two limbs at once: that something is left for the next ones is so rare that a processor guesses it right.
    let above = limbs.get_mut(position as usize / 32..).and_then(|limbs| limbs.split_first_chunk_mut::<2>());
    // Only a negative sum lies above all limbs: of a user's own penalty whose terms break its rules.
    let Some((pair, rest)) = above else { return };
    let (sum, over) = (u64::from(pair[0]) | u64::from(pair[1]) << 32).overflowing_add(carry);
    *pair = [sum as u32, (sum >> 32) as u32];
    if over {
        for limb in rest {
            let (sum, over) = limb.overflowing_add(1);
            *limb = sum;
            if !over {
                break;
            }
        }
    }
}

fn add_limbs(to: &mut [u32], from: &[u32]) {
    let mut carry = 0;
    for (t, f) in to.iter_mut().zip(from) {
        let sum = u64::from(*t) + u64::from(*f) + carry;
        *t = sum as u32;
        carry = sum >> 32;
    }
}

/// The accumulator's integer times 2^`lowest`, rounded once, to nearest even.
fn to_f64(limbs: &[u32], lowest: i32) -> f64 {
    let limb = |i: usize| limbs.get(i).copied().unwrap_or(0);
    let Some(top) = limbs.iter().rposition(|&l| l != 0) else { return 0.0 };
    let bits = 32 * top as i32 + 32 - limbs[top].leading_zeros() as i32;
    // The upper 64 bits, the last of them sticky: `as f64` then rounds to nearest even as if it saw all.
    let shift = (bits - 64).max(0);
    let (word, offset) = (shift as usize / 32, shift as u32 % 32);
    let window = u128::from(limb(word)) | u128::from(limb(word + 1)) << 32 | u128::from(limb(word + 2)) << 64;
    let lost = limbs[..word].iter().any(|&l| l != 0) || limb(word) & ((1 << offset) - 1) != 0;
    let significand = (window >> offset) as u64 | u64::from(lost);
    significand as f64 * f64::from_bits(((shift + lowest + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bits of an accumulator as a sum of f64 powers of two, exact while it fits 53 bits.
    fn accumulate(xs: &[f32]) -> Partial {
        let mut p = Partial::default();
        for &x in xs {
            p.add_tile(1, [x, x], 0, Counts::default(), x.to_bits());
        }
        p
    }

    #[test]
    fn every_power_of_two_comes_back() {
        for e in -149..=127 {
            let x = 2f64.powi(e) as f32;
            assert_eq!(to_f64(&accumulate(&[x]).l1, L1_LOWEST), 2f64.powi(e));
            assert_eq!(to_f64(&accumulate(&[x, x, x]).l2_squared, L2_LOWEST), 3.0 * 2f64.powi(e));
        }
    }

    #[test]
    fn a_scaled_sum_lands_at_its_exponent() {
        for e in -149..=127 {
            let mut p = Partial::default();
            p.add_tile(1, [1.5, 1.25], e, Counts::default(), 0);
            assert_eq!(to_f64(&p.l1, L1_LOWEST), if e == -149 { 1.0 } else { 1.5 } * 2f64.powi(e));
            let squares = if e == -149 { 1.0 } else { 1.25 } * 2f64.powi(2 * e);
            assert_eq!(to_f64(&p.l2_squared, L2_LOWEST), squares);
        }
    }

    #[test]
    fn carries_ripple_through_every_limb() {
        let ones = Partial { l1: [u32::MAX; L1_LIMBS], ..Partial::default() };
        let mut p = Partial { l1: [u32::MAX, u32::MAX, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0], ..Partial::default() };
        p.add_tile(1, [f32::from_bits(1), 0.0], 0, Counts::default(), 0);
        assert_eq!(p.l1[..4], [0, 0, 8, 0]);
        let mut q = p.clone();
        q.merge(&ones);
        assert_eq!(q.l1[..4], [u32::MAX, u32::MAX, 7, 0]);
    }

    #[test]
    fn rounding_to_f64_is_to_nearest_even_with_a_sticky_bit() {
        let at = |lo: u32, mid: u32, hi: u32| {
            let mut l = [0; 6];
            (l[0], l[2], l[3]) = (lo, mid, hi);
            to_f64(&l, 0) / 2f64.powi(64)
        };
        // 2^53 + 1 in units of 2^64: a tie, to even; one lowest bit more decides it.
        assert_eq!(at(0, 1, 1 << 21), 2f64.powi(53));
        assert_eq!(at(1, 1, 1 << 21), 2f64.powi(53) + 2.0);
        assert_eq!(at(0, 3, 1 << 21), 2f64.powi(53) + 4.0);
    }

    #[test]
    fn bytes_round_trip_and_nonsense_is_refused() {
        let mut p = accumulate(&[0.1, 7.0, 1e30]);
        (p.nonzero, p.nan, p.made_for) = (2, 1, MadeFor::Nobody);
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
