//! The operations on host slices, on either backend: what most programs call.

mod evaluate;
mod gradient;
mod prox;
mod runner;

#[cfg(all(doc, feature = "gpu"))]
use crate::Determinism;
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
use crate::Result;
use crate::cpu::Cpu;
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
use crate::gpu::Choice;
#[cfg(feature = "gpu")]
use crate::gpu::Gpu;
#[cfg(doc)]
use crate::{Error, Penalty};

/// Where penalties over host slices are computed. Both kinds give the same bits (see [`Determinism`]).
///
/// | | value and statistics | gradient | prox |
/// | --- | --- | --- | --- |
/// | allocates the result | | [`gradient`](Backend::gradient) | [`prox`](Backend::prox) |
/// | writes over a slice | | [`gradient_into`](Backend::gradient_into) | [`prox_in_place`](Backend::prox_in_place) |
/// | adds to a slice | | [`gradient_add`](Backend::gradient_add) | |
/// | gives a report | [`evaluate`](Backend::evaluate), [`evaluate_all`](Backend::evaluate_all) | [`evaluate_and_gradient_into`](Backend::evaluate_and_gradient_into), [`evaluate_and_gradient_add`](Backend::evaluate_and_gradient_add) | [`prox_and_evaluate_in_place`](Backend::prox_and_evaluate_in_place) |
/// | gives exact sums of a chunk | [`partial`](Backend::partial), [`partial_for`](Backend::partial_for) | | |
///
/// Calls block. Each has a form that ends in `_async`, which waits for the device without blocking. On the CPU, both
/// forms compute on the calling thread and its rayon pool. On a GPU, weights travel to the
/// device and back in chunks, so any length works; a group penalty needs the whole tensor at once. If weights live on
/// the device, [`Gpu`] evaluates them there.
///
/// A call that writes a slice writes all of it or nothing: if the call fails or its future is dropped, the slice keeps
/// what it held. On a GPU that takes memory for the result beside the slice, and a copy at the end.
///
/// A future of a GPU backend makes progress only while somebody polls its device: your own loop, or a
/// [`Poller`](crate::gpu::Poller) thread, which also fails the future if the device stays silent. The blocking forms
/// poll the device themselves and give up after [`Gpu::TIMEOUT`].
///
/// ```
/// use penalty::{Backend, Penalty};
///
/// let backend = Backend::best(); // or Backend::gpu()?: the rest of the program is the same
/// let l1 = Penalty::l1(0.1)?;
/// let mut weights = vec![0.5f32, -0.25, 0.0, 0.03125];
///
/// let report = backend.evaluate(&l1, &weights)?;
/// assert_eq!((report.l1, report.nonzero), (0.78125, 3));
///
/// let mut gradient = vec![1.0f32; 4]; // the loss's
/// backend.gradient_add(&l1, &weights, &mut gradient)?;
/// assert_eq!(gradient, [1.1, 0.9, 1.0, 1.1]);
///
/// backend.prox_in_place(&l1, &mut weights, 0.5)?;
/// assert_eq!(weights, [0.45, -0.2, 0.0, 0.0]);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone)]
pub enum Backend {
    /// The processor.
    Cpu(Cpu),
    /// A device that wgpu reaches. Needs the feature `gpu`.
    #[cfg(feature = "gpu")]
    Gpu(Gpu),
}

impl Backend {
    /// The processor, with its best vector instructions.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let report = Backend::cpu().evaluate(&Penalty::none(), &[3.0f32, 0.0, -4.0])?;
    /// assert_eq!((report.l1, report.l2_squared, report.zeros()), (7.0, 25.0, 1));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn cpu() -> Backend {
        Backend::Cpu(Cpu::new())
    }

    /// A device: a hardware GPU if the machine has one, else a software adapter.
    ///
    /// ```no_run
    /// use penalty::{Backend, Penalty};
    ///
    /// # fn evaluated() -> penalty::Result<()> {
    /// let backend = Backend::gpu()?;
    /// assert_eq!(backend.evaluate(&Penalty::l1(0.5)?, &[1.0f32, -0.25])?.value, 0.625); // the CPU's bits
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoAdapter`] if there is neither, [`Error::Device`] if it cannot be opened.
    #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
    pub fn gpu() -> Result<Backend> {
        Gpu::open(&Choice::Any).map(Backend::Gpu)
    }

    /// The fastest backend for slices: [the processor](Backend::cpu), whatever adapters there are. No device is opened.
    ///
    /// To take a slice to a device, the processor reads each weight and writes it to memory that the device can copy
    /// from; to bring a result back, it does so twice. These operations are as fast as memory, so on one thread of an AMD
    /// EPYC, that first copy of 2^26 `f32` alone takes 10.5 ms, and evaluating them where they are takes 8.6. More
    /// threads only help the processor, a bus adds to the copies, and a device that shares the processor's memory or is
    /// the processor saves none of them.
    ///
    /// [`Backend::gpu`] pays if the processor has few threads and much arithmetic for each weight, as for projections of
    /// whole tensors to [`Penalty::l1_ball`] or [`Penalty::top_k`] and some [`Penalty::custom`], or if it has other work.
    /// Weights that live on a device are best left there: [`Gpu`] takes them without any copy.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let backend = Backend::best();
    /// assert!(matches!(backend, Backend::Cpu(_)));
    /// assert_eq!(backend.prox(&Penalty::l1(0.5)?, &[2.0f32, 0.25], 1.0)?, [1.5, 0.0]); // the bits of every device
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn best() -> Backend {
        Backend::cpu()
    }
}
