//! Ranks that share a parameter set, and how they add up what each of them has found.

use std::fmt::Debug;
use std::sync::Mutex;

use crate::{Error, Result};

/// How the ranks of a program add up integers: all that a set spread over them needs.
///
/// The sums are of integers, so no order of ranks can change a bit. All ranks make the same calls in the same order,
/// each with as many words as the others, and each call gives every rank the same result. A call that fails on one rank
/// must fail on all of them, within a time that the transport sets: it never hangs, and never gives a part of the sum.
///
/// `penalty-mpi` has one for threads and one for MPI. Any library that adds up 64-bit integers can be another:
/// `torch.distributed.all_reduce` of `int64` tensors adds the same bits, since a wrapped sum has no sign.
///
/// ```
/// use penalty::exact::Transport;
/// use penalty::{Penalty, Reports, Result};
///
/// /// A program of one rank: a sum over it is what it has.
/// #[derive(Debug)]
/// struct Alone;
///
/// impl Transport for Alone {
///     fn rank(&self) -> usize {
///         0
///     }
///     fn size(&self) -> usize {
///         1
///     }
///     fn sum_u64(&self, _words: &mut [u64]) -> Result<()> {
///         Ok(())
///     }
///     fn max_u32(&self, _words: &mut [u32]) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// let (partial, l1) = (penalty::Backend::cpu().partial(0, &[3.0f32, -4.0])?, Penalty::l1(0.5)?);
/// assert_eq!(Reports::across(&Alone, [(&partial, &l1)])?.total.value, 3.5);
/// # Ok::<(), penalty::Error>(())
/// ```
pub trait Transport: Debug + Send + Sync {
    /// Which of the ranks this one is, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn size(&self) -> usize;

    /// Replaces each word by its sum over all ranks, modulo 2^64.
    ///
    /// # Errors
    ///
    /// [`Error::Ranks`] if a rank is late, lost, or gave another number of words. Then the words are not the sums.
    fn sum_u64(&self, words: &mut [u64]) -> Result<()>;

    /// Replaces each word by its maximum over all ranks.
    ///
    /// # Errors
    ///
    /// As [`sum_u64`](Transport::sum_u64).
    fn max_u32(&self, words: &mut [u32]) -> Result<()>;
}

/// A tensor that several ranks hold parts of, as the reduction of a group sees it.
///
/// After an error, results are those of this rank alone, and no more is sent. Loops end all the same, and who began the
/// reduction asks for the error.
pub(crate) struct Across<'a> {
    pub(crate) transport: &'a dyn Transport,
    /// How many weights all parts have.
    pub(crate) len: u64,
    failed: Mutex<Option<Error>>,
}

impl<'a> Across<'a> {
    pub(crate) fn new(transport: &'a dyn Transport, len: u64) -> Across<'a> {
        Across { transport, len, failed: Mutex::new(None) }
    }

    pub(crate) fn sum(&self, words: &mut [u64]) {
        self.unless_failed(|| self.transport.sum_u64(words));
    }

    pub(crate) fn max(&self, word: u32) -> u32 {
        let mut words = [word];
        self.unless_failed(|| self.transport.max_u32(&mut words));
        words[0]
    }

    /// The sum of a wide integer and of a count.
    pub(crate) fn sum_wide(&self, total: u128, count: u64) -> (u128, u64) {
        let limb = |at: u32| (total >> (32 * at)) as u64 & 0xffff_ffff;
        let mut words = [limb(0), limb(1), limb(2), limb(3), count];
        self.sum(&mut words);
        let [limbs @ .., count] = words;
        let total = (0..).zip(limbs).fold(0u128, |sum, (at, limb)| sum.wrapping_add(u128::from(limb) << (32 * at)));
        (total, count)
    }

    /// Each rank's count, in the order of ranks.
    pub(crate) fn each(&self, count: u64) -> Vec<u64> {
        let mut counts = vec![0; self.transport.size()];
        counts[self.transport.rank()] = count;
        self.sum(&mut counts);
        counts
    }

    pub(crate) fn result(&self) -> Result<()> {
        self.failed().clone().map_or(Ok(()), Err)
    }

    fn unless_failed(&self, call: impl FnOnce() -> Result<()>) {
        let mut failed = self.failed();
        if failed.is_none() {
            *failed = call().err();
        }
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
