//! Ranks that are processes which MPI connects.

use std::fmt::{self, Debug, Formatter};
use std::mem;
use std::sync::Mutex;
use std::time::Duration;

use mpi::collective::{CommunicatorCollectives, SystemOperation};
use mpi::datatype::Equivalence;
use mpi::request::StaticScope;
use mpi::topology::{Communicator, SimpleCommunicator};
use penalty::exact::Transport;
use penalty::{Error, Result};

use crate::wait::Wait;

/// A rank of a program that `mpirun` starts: a process. Every exchange is an all-reduce that does not block, and is looked
/// at until it is complete or its time is up.
///
/// After an error, MPI still owns the buffers of the exchange that failed, and they are never freed. `MPI_Finalize` would
/// wait for ranks that do not come. So end the process with [`std::process::exit`], and `mpirun` ends the others.
///
/// ```no_run
/// use std::time::Duration;
///
/// use penalty::exact::Transport;
/// use penalty_mpi::Mpi;
///
/// // What MPI is asked for: calls by any thread, one at a time.
/// let (universe, _) = mpi::initialize_with_threading(mpi::Threading::Serialized).ok_or("MPI runs already")?;
/// let rank = Mpi::new(universe.world(), Duration::from_secs(60));
/// let mut words = [rank.rank() as u64];
/// rank.sum_u64(&mut words)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Mpi {
    rank: usize,
    size: usize,
    timeout: Duration,
    state: Mutex<State>,
}

struct State {
    communicator: SimpleCommunicator,
    /// Why there is no further exchange: its messages would match those of the one that failed.
    broken: Option<String>,
}

// SAFETY: a communicator is a handle, which MPI lets every thread use if it was initialized for calls by any thread; the
// lock makes the calls one at a time. `Mpi::new` gives only errors otherwise.
unsafe impl Send for State {}

impl Mpi {
    /// A rank of this communicator, whose exchanges may take this long. MPI must have been initialized with
    /// `Threading::Serialized` or `Multiple`; otherwise every exchange is an error.
    ///
    /// No other code may use the communicator for collectives meanwhile. The example of [`Mpi`] shows its use.
    ///
    /// ```no_run
    /// # let (universe, _) = mpi::initialize_with_threading(mpi::Threading::Serialized).unwrap();
    /// let rank = penalty_mpi::Mpi::new(universe.world(), std::time::Duration::from_secs(60));
    /// ```
    pub fn new(communicator: SimpleCommunicator, timeout: Duration) -> Mpi {
        let (rank, size) = (communicator.rank() as usize, communicator.size() as usize);
        let serialized =
            matches!(mpi::environment::threading_support(), mpi::Threading::Serialized | mpi::Threading::Multiple);
        let broken =
            (!serialized).then(|| "expected MPI to be initialized as Serialized or Multiple, found less".into());
        Mpi { rank, size, timeout, state: Mutex::new(State { communicator, broken }) }
    }

    fn reduce<T: Equivalence + Clone + Default + 'static>(
        &self,
        words: &mut [T],
        operation: SystemOperation,
    ) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(problem) = &state.broken {
            return Err(self.error(problem.clone()));
        }
        if words.len() > i32::MAX as usize {
            return Err(self.error(format!("expected at most 2^31 − 1 words, found {}", words.len())));
        }
        // MPI owns both buffers until the exchange is complete, which may be never.
        let sent: *mut [T] = Box::into_raw(words.to_vec().into_boxed_slice());
        let received: *mut [T] = Box::into_raw(vec![T::default(); words.len()].into_boxed_slice());
        // SAFETY: both come from a box, and nothing else refers to them until they are boxes again.
        let (from, to) = unsafe { (&*sent, &mut *received) };
        let wait = Wait::new(self.timeout);
        let mut request = state.communicator.immediate_all_reduce_into(StaticScope, from, to, operation);
        loop {
            request = match request.test() {
                Ok(_) => break,
                Err(request) => request,
            };
            if let Err(problem) = wait.pause() {
                // To drop it would be a panic, and to free the buffers a fault.
                mem::forget(request);
                state.broken = Some(problem.clone());
                return Err(self.error(problem));
            }
        }
        // SAFETY: they come from `Box::into_raw`, and the request that borrowed them is complete.
        let (_, received) = unsafe { (Box::from_raw(sent), Box::from_raw(received)) };
        words.clone_from_slice(&received);
        Ok(())
    }

    fn error(&self, problem: String) -> Error {
        Error::Ranks { rank: self.rank, size: self.size, problem }
    }
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum_u64(&self, words: &mut [u64]) -> Result<()> {
        self.reduce(words, SystemOperation::sum())
    }

    fn max_u32(&self, words: &mut [u32]) -> Result<()> {
        self.reduce(words, SystemOperation::max())
    }
}

impl Debug for Mpi {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mpi").field("rank", &self.rank).field("size", &self.size).finish_non_exhaustive()
    }
}
