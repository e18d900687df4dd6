//! Ranks that are threads of one process.

use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use penalty::exact::Transport;
use penalty::{Error, Result};

/// One of several ranks that are threads of this process, for tests and to try a program out.
///
/// ```
/// use std::time::Duration;
///
/// use penalty::exact::Transport;
/// use penalty_mpi::Threads;
///
/// let sums = std::thread::scope(|scope| {
///     let ranks = Threads::connect(3, Duration::from_secs(30)).into_iter().map(|rank| {
///         scope.spawn(move || {
///             let mut words = [rank.rank() as u64, 1];
///             rank.sum_u64(&mut words).map(|()| words)
///         })
///     });
///     let ranks: Vec<_> = ranks.collect();
///     ranks.into_iter().map(|rank| rank.join().expect("no rank panics")).collect::<penalty::Result<Vec<_>>>()
/// })?;
/// assert_eq!(sums, [[3, 3]; 3]);
/// # Ok::<(), penalty::Error>(())
/// ```
pub struct Threads {
    rank: usize,
    size: usize,
    timeout: Duration,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    round: Mutex<Round>,
    changed: Condvar,
}

/// The exchange in progress. The next one begins only when all ranks have taken this one's result.
#[derive(Default)]
struct Round {
    /// What is exchanged: sums, or a maximum.
    words: Option<Words>,
    /// Who has given words to this round, and who has taken its result.
    given: Vec<usize>,
    taken: usize,
    /// Why there are no further rounds.
    broken: Option<String>,
}

#[derive(Clone, PartialEq)]
enum Words {
    Sum(Vec<u64>),
    Max(Vec<u32>),
}

impl Threads {
    /// As many connected ranks, in their order. A call on one of them waits for the others at most for this long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use penalty::exact::Transport;
    /// use penalty_mpi::Threads;
    ///
    /// let ranks = Threads::connect(2, Duration::from_millis(1));
    /// assert!(ranks[0].sum_u64(&mut [1]).is_err()); // the other one does not come
    /// ```
    pub fn connect(size: usize, timeout: Duration) -> Vec<Threads> {
        let shared = Arc::new(Shared::default());
        (0..size).map(|rank| Threads { rank, size, timeout, shared: shared.clone() }).collect()
    }

    fn exchange(&self, words: Words) -> Result<Words> {
        let deadline = Instant::now().checked_add(self.timeout);
        let late = |round: &Round| {
            let missing: Vec<usize> = (0..self.size).filter(|rank| !round.given.contains(rank)).collect();
            format!("expected every rank within {:?}, found no word of {missing:?}", self.timeout)
        };
        // The round before ends when its last rank has taken the result.
        let mut round = self.wait(self.shared.lock(), deadline, late, |round| !round.given.contains(&self.rank))?;
        let joined = match round.words.take() {
            None => Some(words),
            Some(before) => before.joined(&words),
        };
        let Some(joined) = joined else {
            return Err(self.broken(&mut round, "expected the same call of every rank, found different ones".into()));
        };
        round.words = Some(joined);
        round.given.push(self.rank);
        self.shared.changed.notify_all();
        let mut round = self.wait(round, deadline, late, |round| round.given.len() == self.size)?;
        let result = round.words.clone();
        round.taken += 1;
        if round.taken == self.size {
            *round = Round { broken: round.broken.take(), ..Round::default() };
            self.shared.changed.notify_all();
        }
        result.ok_or_else(|| self.error("expected a result, found none".into()))
    }

    /// Waits until something is so. If it is not so in time, or cannot become so, all ranks fail.
    fn wait<'a>(
        &self,
        mut round: MutexGuard<'a, Round>,
        deadline: Option<Instant>,
        late: impl Fn(&Round) -> String,
        is_so: impl Fn(&Round) -> bool,
    ) -> Result<MutexGuard<'a, Round>> {
        loop {
            // A complete round stays a result, whatever happens to its ranks afterwards.
            if is_so(&round) && (round.broken.is_none() || round.given.len() == self.size) {
                return Ok(round);
            }
            if let Some(problem) = &round.broken {
                return Err(self.error(problem.clone()));
            }
            // A timeout beyond what a clock can say is none: the wait begins anew each hour.
            let hour = Duration::from_secs(3600);
            let left = deadline.map_or(hour, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                let problem = late(&round);
                return Err(self.broken(&mut round, problem));
            }
            let waited = self.shared.changed.wait_timeout(round, left);
            round = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    fn broken(&self, round: &mut Round, problem: String) -> Error {
        let problem = round.broken.get_or_insert(problem).clone();
        self.shared.changed.notify_all();
        self.error(problem)
    }

    fn error(&self, problem: String) -> Error {
        Error::Ranks { rank: self.rank, size: self.size, problem }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Words {
    /// The sums or maxima of both, if they are alike.
    fn joined(self, other: &Words) -> Option<Words> {
        match (self, other) {
            (Words::Sum(a), Words::Sum(b)) if a.len() == b.len() => {
                Some(Words::Sum(a.iter().zip(b).map(|(a, b)| a.wrapping_add(*b)).collect()))
            }
            (Words::Max(a), Words::Max(b)) if a.len() == b.len() => {
                Some(Words::Max(a.iter().zip(b).map(|(a, b)| *a.max(b)).collect()))
            }
            _ => None,
        }
    }
}

impl Transport for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum_u64(&self, words: &mut [u64]) -> Result<()> {
        if let Words::Sum(sums) = self.exchange(Words::Sum(words.to_vec()))? {
            words.copy_from_slice(&sums);
        }
        Ok(())
    }

    fn max_u32(&self, words: &mut [u32]) -> Result<()> {
        if let Words::Max(maxima) = self.exchange(Words::Max(words.to_vec()))? {
            words.copy_from_slice(&maxima);
        }
        Ok(())
    }
}

/// A rank that ends, or whose thread panics, comes to no further exchange.
impl Drop for Threads {
    fn drop(&mut self) {
        let mut round = self.shared.lock();
        let problem = format!("expected every rank, found that rank {} has ended", self.rank);
        self.broken(&mut round, problem);
    }
}

impl Debug for Threads {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("rank", &self.rank).field("size", &self.size).finish_non_exhaustive()
    }
}
