//! Ranks that share a parameter set, and how they add up what each of them has found.

use std::fmt::Debug;
use std::sync::Mutex;

use crate::{Error, Result};

/// What each rank gives to see whether all give the same. One call in 2^32 with different ones is not noticed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreement<'a> {
    hash: u32,
    /// What the hash is of.
    what: &'a str,
}

impl Agreement<'_> {
    pub(crate) fn on(what: &str, hash: u64) -> Agreement<'_> {
        Agreement { hash: (hash ^ hash >> 32) as u32, what }
    }

    /// If the largest of all words is the smallest, all are the same.
    pub(crate) fn words(self) -> [u32; 2] {
        [self.hash, !self.hash]
    }

    /// Judges the maxima of all ranks' words: every rank sees the same. If ranks differ, one more message says which.
    pub(crate) fn judge(self, transport: &dyn Transport, maxima: [u32; 2]) -> Result<()> {
        let [largest, smallest] = [maxima[0], !maxima[1]];
        if largest == smallest {
            return Ok(());
        }
        let (rank, size) = (transport.rank(), transport.size());
        let mut hashes = vec![0; size];
        hashes[rank] = self.hash.into();
        transport.sum_u64(&mut hashes)?;
        let differing: Vec<usize> = (1..size).filter(|rank| hashes[*rank] != hashes[0]).collect();
        let problem =
            format!("expected {} on every rank, found others than rank 0's on ranks {differing:?}", self.what);
        Err(Error::Ranks { rank, size, problem })
    }
}

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

/// Rejects ranks that differ: every rank gets an error, which names them, unless all give the same hash. `what` says in it
/// what the hash is of. It is one maximum of two words, and a sum with a word for each rank if they differ.
///
/// ```
/// use penalty::Result;
/// use penalty::exact::{Transport, agree};
///
/// fn same_seed(transport: &dyn Transport, seed: u64) -> Result<()> {
///     agree(transport, "the same seed", seed)
/// }
/// ```
///
/// # Errors
///
/// [`Error::Ranks`] if two ranks give different ones, and as [`Transport::sum_u64`].
pub fn agree(transport: &dyn Transport, what: &str, hash: u64) -> Result<()> {
    let agreement = Agreement::on(what, hash);
    let mut words = agreement.words();
    transport.max_u32(&mut words)?;
    agreement.judge(transport, words)
}

/// A tensor that several ranks hold parts of, as the reduction of a group sees it.
///
/// After an error, results are those of this rank alone, and no more is sent. Loops end all the same, and who began the
/// reduction asks for the error.
pub(crate) struct Across<'a> {
    pub(crate) transport: &'a dyn Transport,
    /// How many weights all parts have.
    pub(crate) len: u64,
    /// Who takes the sums over this rank's part, if its weights are not at hand.
    elsewhere: Option<&'a dyn Elsewhere>,
    failed: Mutex<Option<Error>>,
}

/// A part of a group whose maxima and sums are taken elsewhere, one after the other, as the reduction asks for them.
pub(crate) trait Elsewhere: Sync {
    /// The next maximum, in the first word; or the next sum, in three words, and its count.
    fn next(&self) -> Result<[u32; 4]>;
    /// The same of all ranks. What follows may depend on it.
    fn tell(&self, all: [u32; 4]) -> Result<()>;
}

impl<'a> Across<'a> {
    pub(crate) fn new(transport: &'a dyn Transport, len: u64) -> Across<'a> {
        Across { transport, len, elsewhere: None, failed: Mutex::new(None) }
    }

    /// The same for a part whose sums are taken elsewhere.
    #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
    pub(crate) fn elsewhere(transport: &'a dyn Transport, len: u64, elsewhere: &'a dyn Elsewhere) -> Across<'a> {
        Across { elsewhere: Some(elsewhere), ..Across::new(transport, len) }
    }

    pub(crate) fn sum(&self, words: &mut [u64]) {
        self.unless_failed(|| self.transport.sum_u64(words));
    }

    pub(crate) fn max(&self, word: u32) -> u32 {
        let mut words = [word];
        self.unless_failed(|| {
            if let Some(elsewhere) = self.elsewhere {
                words[0] = elsewhere.next()?[0];
            }
            self.transport.max_u32(&mut words)?;
            self.elsewhere.map_or(Ok(()), |elsewhere| elsewhere.tell([words[0], 0, 0, 0]))
        });
        words[0]
    }

    /// The sum of a wide integer and of a count.
    pub(crate) fn sum_wide(&self, total: u128, count: u64) -> (u128, u64) {
        let limb = |total: u128, at: u32| (total >> (32 * at)) as u32;
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| u64::from(limb(total, at)));
        let mut words = [a, b, c, d, count];
        let sum_of = |words: &[u64; 5]| {
            let limbs = (0..).zip(&words[..4]);
            limbs.fold(0u128, |sum, (at, limb)| sum.wrapping_add(u128::from(*limb) << (32 * at)))
        };
        self.unless_failed(|| {
            if let Some(elsewhere) = self.elsewhere {
                let [a, b, c, count] = elsewhere.next()?.map(u64::from);
                words = [a, b, c, 0, count];
            }
            self.transport.sum_u64(&mut words)?;
            let [a, b, c] = [0, 1, 2].map(|at| limb(sum_of(&words), at));
            self.elsewhere.map_or(Ok(()), |elsewhere| elsewhere.tell([a, b, c, words[4] as u32]))
        });
        (sum_of(&words), words[4])
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
