//! Ranks whose words NCCL adds up on NVIDIA GPUs.

use std::fmt::{self, Debug, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;

use cudarc::driver::{DeviceRepr, DriverError};
use cudarc::nccl::{Comm, NcclType, ReduceOp};
use penalty::exact::Transport;
use penalty::{Error, Result};

use crate::wait::Wait;

/// A rank of a communicator of NCCL. The words travel to the communicator's device, are added up there, and come back. The
/// host looks for the end until the time is up.
///
/// The library was compiled with this transport, but it was never run by its authors: they had one NVIDIA GPU at most. Try
/// [`sum_u64`](Transport::sum_u64) on your ranks first.
///
/// ```no_run
/// use std::time::Duration;
///
/// use cudarc::driver::CudaContext;
/// use cudarc::nccl::{Comm, Id};
/// use penalty::exact::Transport;
/// use penalty_mpi::Nccl;
///
/// # fn f(rank: usize, size: usize, id: Id) -> Result<(), Box<dyn std::error::Error>> {
/// // Rank 0 makes `Id::new()?`, and sends `id.internal()` to all others.
/// let stream = CudaContext::new(rank)?.new_stream()?;
/// let comm = Comm::from_rank(stream, rank, size, id).map_err(|error| format!("{error:?}"))?;
/// let rank = Nccl::new(comm, Duration::from_secs(60));
/// rank.sum_u64(&mut [1])?;
/// # Ok(())
/// # }
/// ```
pub struct Nccl {
    rank: usize,
    size: usize,
    timeout: Duration,
    state: Mutex<State>,
}

struct State {
    /// `None` after an error.
    comm: Option<Comm>,
    /// Why there is no further exchange.
    broken: String,
}

// SAFETY: a communicator is a pointer that NCCL lets every thread use, one at a time; the lock sees to that.
unsafe impl Send for State {}

impl Nccl {
    /// A rank of this communicator, whose exchanges may take this long. No other code may use its stream meanwhile.
    ///
    /// The example of [`Nccl`] shows its use.
    ///
    /// ```no_run
    /// # fn f(comm: cudarc::nccl::Comm) {
    /// let rank = penalty_mpi::Nccl::new(comm, std::time::Duration::from_secs(60));
    /// # }
    /// ```
    pub fn new(comm: Comm, timeout: Duration) -> Nccl {
        let (rank, size) = (comm.rank(), comm.world_size());
        Nccl { rank, size, timeout, state: Mutex::new(State { comm: Some(comm), broken: String::new() }) }
    }

    fn reduce<T: DeviceRepr + NcclType + Copy + Default>(&self, words: &mut [T], operation: ReduceOp) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Some(comm) = &state.comm else { return Err(self.error(state.broken.clone())) };
        // There is no device memory of 0 bytes.
        if words.is_empty() {
            return Ok(());
        }
        let reduced = self.reduce_on(comm, words, &operation);
        if let Err(problem) = &reduced {
            state.broken.clone_from(problem);
            // This aborts what is under way, so that its memory may be freed. cudarc panics if NCCL cannot.
            let comm = state.comm.take();
            let _aborted = catch_unwind(AssertUnwindSafe(move || drop(comm)));
        }
        reduced.map_err(|problem| self.error(problem))
    }

    fn reduce_on<T: DeviceRepr + NcclType + Copy + Default>(
        &self,
        comm: &Comm,
        words: &mut [T],
        operation: &ReduceOp,
    ) -> std::result::Result<(), String> {
        let driver = |error: DriverError| format!("expected CUDA to work, found {error:?}");
        comm.context().bind_to_thread().map_err(driver)?;
        let stream = comm.stream();
        let mut on_device = stream.clone_htod(words).map_err(driver)?;
        let wait = Wait::new(self.timeout);
        comm.all_reduce_in_place(&mut on_device, operation)
            .map_err(|error| format!("expected NCCL to work, found {error:?}"))?;
        let done = stream.record_event(None).map_err(driver)?;
        while !done.try_is_complete().map_err(driver)? {
            if let Err(problem) = wait.pause() {
                // To free it would wait for the other ranks.
                std::mem::forget(on_device);
                return Err(problem);
            }
        }
        let sums =
            stream.clone_dtoh(&on_device).and_then(|sums| stream.synchronize().map(|()| sums)).map_err(driver)?;
        words.copy_from_slice(&sums);
        Ok(())
    }

    fn error(&self, problem: String) -> Error {
        Error::Ranks { rank: self.rank, size: self.size, problem }
    }
}

impl Transport for Nccl {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum_u64(&self, words: &mut [u64]) -> Result<()> {
        self.reduce(words, ReduceOp::Sum)
    }

    fn max_u32(&self, words: &mut [u32]) -> Result<()> {
        self.reduce(words, ReduceOp::Max)
    }
}

impl Debug for Nccl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nccl").field("rank", &self.rank).field("size", &self.size).finish_non_exhaustive()
    }
}
