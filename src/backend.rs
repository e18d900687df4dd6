//! The operations on host slices, on either backend: what most programs call.

use std::pin::Pin;

use crate::cpu::Cpu;
#[cfg(feature = "gpu")]
use crate::gpu::Gpu;
#[cfg(feature = "gpu")]
use crate::gpu::slices::Waited;
#[cfg(feature = "gpu")]
use crate::gpu::wait::WaitMode;
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
use crate::gpu::{Choice, Determinism};
use crate::numeric::element::Element;
use crate::numeric::slice::{Slice, SliceMut};
use crate::numeric::tile::TILE;
use crate::penalty::element_weights::{Weighted, matched};
use crate::plan::operation::Operation;
use crate::report::{Partial, Report, Reports};
use crate::slices::{Slices, Tensor, Update};
use crate::{Error, Penalty, Result};

/// Where penalties over host slices are computed. Both kinds give the same bits (see [`Determinism`]).
///
/// Calls block. All but [`gradient`](Backend::gradient), [`prox`](Backend::prox), [`partial`](Backend::partial) and
/// [`partial_for`](Backend::partial_for) also have a form that ends in `_async`: it waits for the device without
/// blocking. On the CPU, both forms compute on the calling thread and its rayon pool. On a GPU, weights travel to the
/// device and back in chunks, so any length works; a group penalty needs the whole tensor at once. If weights live on
/// the device, [`Gpu`] evaluates them there.
///
/// A call that writes a slice writes all of it or nothing: if the call fails or its future is dropped, the slice keeps
/// what it held. On a GPU that takes memory for the result beside the slice, and a copy at the end: 9 to 25 % more time
/// with a software adapter.
///
/// A future of a GPU backend makes progress only while somebody polls its device: your own loop, or a
/// [`Poller`](crate::gpu::Poller) thread, which also fails the future if the device stays silent. The blocking forms
/// poll the device themselves and give up after [`Gpu::TIMEOUT`].
///
/// ```
/// use penalty::{Backend, Penalty};
///
/// let backend = Backend::best(); // a GPU if there is one, else the CPU: the rest of the program is the same
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
    pub fn cpu() -> Backend {
        Backend::Cpu(Cpu::new())
    }

    /// A device: a hardware GPU if there is one, else a software adapter.
    ///
    /// # Errors
    ///
    /// [`Error::NoAdapter`] if there is neither, [`Error::Device`] if it cannot be opened.
    #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
    pub fn gpu() -> Result<Backend> {
        Gpu::open(&Choice::Any).map(Backend::Gpu)
    }

    /// A hardware GPU that gives the CPU's bits if there is one, else the CPU.
    pub fn best() -> Backend {
        #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
        if let Ok(gpu) = Gpu::open(&Choice::Hardware)
            && gpu.determinism() == Determinism::GpuToGpu
        {
            return Backend::Gpu(gpu);
        }
        Backend::cpu()
    }

    /// The value of a penalty over some weights, and their statistics, from one read.
    ///
    /// A [weighted](Penalty::is_weighted) penalty comes [with its element weights](Penalty::with_element_weights), here
    /// and in the other calls.
    ///
    /// # Errors
    ///
    /// [`Error::ElementWeights`] if a weighted penalty has no element weights, [`Error::Length`] if there are not as
    /// many of them as weights, [`Error::Groups`] if the penalty's groups do not cover the weights. On a GPU also
    /// [`Error::Device`], [`Error::Timeout`], [`Error::Limit`], and the errors of [`Gpu::check`] when a
    /// [`custom`](Penalty::custom) penalty is first used there.
    pub fn evaluate<'a, E: Element>(&self, penalty: impl Into<Weighted<'a, [E]>>, weights: &[E]) -> Result<Report> {
        let tensor = Tensor::new(penalty.into(), weights);
        self.block_on_partial(&tensor)?.report(tensor.penalty)
    }

    /// [`evaluate`](Backend::evaluate) without blocking.
    ///
    /// # Errors
    ///
    /// As `evaluate`.
    pub async fn evaluate_async<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &[E],
    ) -> Result<Report> {
        let tensor = Tensor::new(penalty.into(), weights);
        self.partial_of(&tensor).await?.report(tensor.penalty)
    }

    /// One penalty over a list of tensors, like PyTorch's `lam * sum(w.abs().sum() for w in weights)`: a report for
    /// each tensor and the total, in one call.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let weights = [vec![1.0f32, -2.0], vec![0.5]];
    /// let reports = Backend::cpu().evaluate_all(&Penalty::l1(2.0)?, &weights)?;
    /// assert_eq!(reports.total.value, 7.0);
    /// assert_eq!(reports.tensors[1].value, 1.0);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Backend::evaluate). An error about one tensor is in an [`Error::InParameter`] with the tensor's
    /// index. Weighted penalties are rejected: for tensors with element weights, use a [`HostSet`](crate::HostSet).
    pub fn evaluate_all<E: Element, W: AsRef<[E]>>(&self, penalty: &Penalty, weights: &[W]) -> Result<Reports> {
        self.block_on_reports(penalty, &list(penalty, weights))
    }

    /// [`evaluate_all`](Backend::evaluate_all) without blocking.
    ///
    /// # Errors
    ///
    /// As `evaluate_all`.
    pub async fn evaluate_all_async<E: Element, W: AsRef<[E]>>(
        &self,
        penalty: &Penalty,
        weights: &[W],
    ) -> Result<Reports> {
        self.reports(penalty, &list(penalty, weights)).await
    }

    /// The exact statistics of a chunk of a tensor that starts at element `start`. A program that never holds the whole
    /// tensor merges them.
    ///
    /// # Errors
    ///
    /// [`Error::ChunkStart`] unless `start` is a multiple of [`TILE`], else as [`evaluate`](Backend::evaluate).
    pub fn partial<E: Element>(&self, start: u64, weights: &[E]) -> Result<Partial> {
        self.partial_for(&Penalty::none(), start, weights)
    }

    /// The same, with the term sum that this penalty's value needs, if it needs one; see [`Partial`]. For a group
    /// penalty, the chunk must be the whole tensor.
    ///
    /// # Errors
    ///
    /// As [`partial`](Backend::partial). [`Error::GroupsOfChunk`] for a group penalty on a chunk that does not start at
    /// 0.
    pub fn partial_for<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        start: u64,
        weights: &[E],
    ) -> Result<Partial> {
        self.block_on_chunk(start, &Tensor::new(penalty.into(), weights))
    }

    /// ∂R/∂θ, and 0 at a kink of R.
    ///
    /// The gradient of a NaN weight is that NaN. The gradient of an infinite weight is the limit there: ±λ for L1, ±∞
    /// with a squared term.
    ///
    /// # Errors
    ///
    /// [`Error::NoGradient`] if the penalty [has none](Penalty::has_gradient), else as [`evaluate`](Backend::evaluate).
    pub fn gradient<'a, E: Element>(&self, penalty: impl Into<Weighted<'a, [E]>>, weights: &[E]) -> Result<Vec<E>> {
        let mut gradient = vec![E::zeroed(); weights.len()];
        self.gradient_into(penalty, weights, &mut gradient)?;
        Ok(gradient)
    }

    /// Writes ∂R/∂θ over what `gradient` holds. If it fails, `gradient` stays as it was.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if the slices differ in length, else as [`gradient`](Backend::gradient).
    pub fn gradient_into<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<()> {
        let update = Update::gradient(Operation::Gradient, penalty.into());
        self.block_on_update(&update, Some(weights.into()), gradient.into()).map(drop)
    }

    /// [`gradient_into`](Backend::gradient_into) without blocking. If the future is dropped, `gradient` stays as it
    /// was.
    ///
    /// # Errors
    ///
    /// As `gradient_into`.
    pub async fn gradient_into_async<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<()> {
        let update = Update::gradient(Operation::Gradient, penalty.into());
        self.update(&update, Some(weights.into()), gradient.into()).await.map(drop)
    }

    /// Adds ∂R/∂θ to what `gradient` holds, as a training loop adds a penalty to its loss.
    ///
    /// With [`Penalty::none`], nothing is read or written. A NaN stays that NaN; if both are NaN, the gradient's stays.
    /// If the call fails, nothing is added.
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](Backend::gradient_into).
    pub fn gradient_add<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<()> {
        let update = Update::gradient(Operation::AddGradient, penalty.into());
        self.block_on_update(&update, Some(weights.into()), gradient.into()).map(drop)
    }

    /// [`gradient_add`](Backend::gradient_add) without blocking. If the future is dropped, nothing is added.
    ///
    /// # Errors
    ///
    /// As `gradient_add`.
    pub async fn gradient_add_async<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &[E],
        gradient: &mut [E],
    ) -> Result<()> {
        let update = Update::gradient(Operation::AddGradient, penalty.into());
        self.update(&update, Some(weights.into()), gradient.into()).await.map(drop)
    }

    /// prox(v) = argmin over x of step·R(x) + ½‖x − v‖², for each weight.
    ///
    /// A weight that is not finite comes back with the same bits. With [`Penalty::none`], every weight does. With other
    /// penalties, a number below 2^-120 in magnitude, read or written, is +0.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless the step is finite and ≥ 0 and 2·step·λ₂ is below 2^119 (step·λ for
    /// [`Penalty::huber`]), else as [`evaluate`](Backend::evaluate).
    pub fn prox<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &[E],
        step: f64,
    ) -> Result<Vec<E>> {
        let weighted = penalty.into();
        if weighted.penalty().is_none() {
            let mut same = weights.to_vec();
            self.prox_in_place(weighted, &mut same, step)?;
            return Ok(same);
        }
        let mut shrunk = vec![E::zeroed(); weights.len()];
        let update = Update::prox(weighted, step);
        self.block_on_update(&update, Some(weights.into()), shrunk[..].as_mut().into())?;
        Ok(shrunk)
    }

    /// [`prox`](Backend::prox) in place: the step of a training loop that makes weights exactly zero. If it fails, the
    /// weights stay as they were.
    ///
    /// # Errors
    ///
    /// As `prox`.
    pub fn prox_in_place<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &mut [E],
        step: f64,
    ) -> Result<()> {
        let update = Update::prox(penalty.into(), step);
        self.block_on_update(&update, None, weights.into()).map(drop)
    }

    /// [`prox_in_place`](Backend::prox_in_place) without blocking. If the future is dropped, the weights stay as they
    /// were.
    ///
    /// # Errors
    ///
    /// As `prox`.
    pub async fn prox_in_place_async<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &mut [E],
        step: f64,
    ) -> Result<()> {
        let update = Update::prox(penalty.into(), step);
        self.update(&update, None, weights.into()).await.map(drop)
    }

    /// [`prox_in_place`](Backend::prox_in_place), with the value and the statistics of the new weights, from one read.
    /// If it fails, the weights stay as they were.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let mut weights = [1.0f32, -0.25];
    /// let report = Backend::cpu().prox_and_evaluate_in_place(&Penalty::l1(0.5)?, &mut weights, 1.0)?;
    /// assert_eq!((weights, report.value, report.nonzero), ([0.5, 0.0], 0.25, 1));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As `prox`.
    pub fn prox_and_evaluate_in_place<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &mut [E],
        step: f64,
    ) -> Result<Report> {
        let update = Update { sums: true, ..Update::prox(penalty.into(), step) };
        self.block_on_update(&update, None, weights.into())?.report(update.penalty)
    }

    /// [`prox_and_evaluate_in_place`](Backend::prox_and_evaluate_in_place) without blocking. If the future is dropped,
    /// the weights stay as they were.
    ///
    /// # Errors
    ///
    /// As `prox`.
    pub async fn prox_and_evaluate_in_place_async<'a, E: Element>(
        &self,
        penalty: impl Into<Weighted<'a, [E]>>,
        weights: &mut [E],
        step: f64,
    ) -> Result<Report> {
        let update = Update { sums: true, ..Update::prox(penalty.into(), step) };
        self.update(&update, None, weights.into()).await?.report(update.penalty)
    }

    /// Who does the work, for a call that blocks until its end.
    fn blocking(&self) -> Result<Runner<'_>> {
        match self {
            Backend::Cpu(cpu) => Ok(Runner::Cpu(cpu)),
            #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
            Backend::Gpu(gpu) => Ok(Runner::Gpu(Waited { gpu, wait: WaitMode::Block(Gpu::TIMEOUT) })),
            #[cfg(all(feature = "gpu", target_family = "wasm"))]
            Backend::Gpu(_) => Err(Error::Device("a browser must not block: call the form that ends in _async".into())),
        }
    }

    /// Who does the work, for a call that awaits its end.
    fn waiting(&self) -> Runner<'_> {
        match self {
            Backend::Cpu(cpu) => Runner::Cpu(cpu),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => Runner::Gpu(Waited { gpu, wait: WaitMode::PolledElsewhere }),
        }
    }
}

/// Who does the work, and how the call waits for its end.
enum Runner<'a> {
    Cpu(&'a Cpu),
    #[cfg(feature = "gpu")]
    Gpu(Waited<'a>),
}

impl Slices for Runner<'_> {
    async fn partials(&self, tensors: &[Tensor<'_>]) -> Result<Vec<Partial>> {
        match self {
            Runner::Cpu(cpu) => cpu.partials(tensors).await,
            #[cfg(feature = "gpu")]
            Runner::Gpu(gpu) => gpu.partials(tensors).await,
        }
    }

    async fn update(&self, update: &Update<'_>, source: Option<Slice<'_>>, output: SliceMut<'_>) -> Result<Partial> {
        match self {
            Runner::Cpu(cpu) => cpu.update(update, source, output).await,
            #[cfg(feature = "gpu")]
            Runner::Gpu(gpu) => gpu.update(update, source, output).await,
        }
    }
}

/// A future whose code is compiled in this crate, whoever awaits it.
type Future<'a, T> = Pin<Box<dyn std::future::Future<Output = Result<T>> + Send + 'a>>;

/// What the generic calls turn into at once. None of these functions knows the type of weights, so their loops are
/// compiled in this crate.
impl Backend {
    fn block_on_reports(&self, penalty: &Penalty, tensors: &[Tensor<'_>]) -> Result<Reports> {
        pollster::block_on(reports(self.blocking()?, penalty, tensors))
    }

    fn reports<'a>(&'a self, penalty: &'a Penalty, tensors: &'a [Tensor<'a>]) -> Future<'a, Reports> {
        Box::pin(reports(self.waiting(), penalty, tensors))
    }

    fn block_on_partial(&self, tensor: &Tensor<'_>) -> Result<Partial> {
        pollster::block_on(partial(self.blocking()?, tensor))
    }

    fn partial_of<'a>(&'a self, tensor: &'a Tensor<'a>) -> Future<'a, Partial> {
        Box::pin(partial(self.waiting(), tensor))
    }

    /// The partial of a chunk of a tensor that starts at this element.
    fn block_on_chunk(&self, start: u64, tensor: &Tensor<'_>) -> Result<Partial> {
        if !start.is_multiple_of(TILE as u64) {
            return Err(Error::ChunkStart { found: start });
        }
        if start > 0 && tensor.penalty.groups().is_some() {
            return Err(Error::GroupsOfChunk { penalty: tensor.penalty.name(), found: start });
        }
        self.block_on_partial(tensor)
    }

    fn block_on_update(&self, update: &Update<'_>, source: Option<Slice<'_>>, output: SliceMut<'_>) -> Result<Partial> {
        pollster::block_on(self.blocking()?.update(update, source, output))
    }

    fn update<'a>(
        &'a self,
        update: &'a Update<'a>,
        source: Option<Slice<'a>>,
        output: SliceMut<'a>,
    ) -> Future<'a, Partial> {
        let runner = self.waiting();
        Box::pin(async move { runner.update(update, source, output).await })
    }
}

async fn reports(runner: Runner<'_>, penalty: &Penalty, tensors: &[Tensor<'_>]) -> Result<Reports> {
    // This call takes no element weights; a `HostSet` does.
    matched(penalty, false)?;
    let partials = runner.partials(tensors).await?;
    Reports::new(partials.iter().map(|partial| (partial, penalty)))
}

async fn partial(runner: Runner<'_>, tensor: &Tensor<'_>) -> Result<Partial> {
    let partials = runner.partials(std::slice::from_ref(tensor)).await?;
    Ok(partials.into_iter().next().unwrap_or_default())
}

/// The tensors of a list, each with this penalty.
fn list<'a, E: Element, W: AsRef<[E]>>(penalty: &'a Penalty, weights: &'a [W]) -> Vec<Tensor<'a>> {
    let tensor = |(index, weights): (usize, &'a W)| Tensor {
        index: Some(index),
        ..Tensor::new(penalty.into(), weights.as_ref())
    };
    weights.iter().enumerate().map(tensor).collect()
}
