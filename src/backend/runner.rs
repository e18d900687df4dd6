//! The calls on slices whose type is a value: their code is compiled in this crate, not in its callers'.

use std::pin::Pin;

use super::Backend;
use crate::cpu::Cpu;
#[cfg(all(feature = "gpu", not(target_family = "wasm")))]
use crate::gpu::Gpu;
#[cfg(feature = "gpu")]
use crate::gpu::slices::Waited;
#[cfg(feature = "gpu")]
use crate::gpu::wait::WaitMode;
use crate::numeric::element::Element;
use crate::numeric::slice::{Slice, SliceMut};
use crate::numeric::tile::TILE;
use crate::penalty::element_weights::matched;
use crate::penalty::sum::Terms;
use crate::plan::operation::Operation;
use crate::report::Report;
use crate::report::partial::Partial;
use crate::report::reports::{Reports, report_of_sum};
use crate::slices::{Slices, Tensor, Term, Update};
use crate::{Error, Penalty, Result};

/// A call under way. The box keeps its code in this crate, whoever awaits it.
pub(super) type Future<'a, T> = Pin<Box<dyn std::future::Future<Output = Result<T>> + Send + 'a>>;

/// Who does the work, and how the call waits for its end.
pub(super) enum Runner<'a> {
    Cpu(&'a Cpu),
    #[cfg(feature = "gpu")]
    Gpu(Waited<'a>),
}

impl Backend {
    /// Runs a call to its end on this thread.
    pub(super) fn block_on<'a, T>(&'a self, call: impl FnOnce(Runner<'a>) -> Future<'a, T>) -> Result<T> {
        pollster::block_on(call(self.blocking()?))
    }

    fn blocking(&self) -> Result<Runner<'_>> {
        match self {
            Backend::Cpu(cpu) => Ok(Runner::Cpu(cpu)),
            #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
            Backend::Gpu(gpu) => Ok(Runner::Gpu(Waited { gpu, wait: WaitMode::Block(Gpu::TIMEOUT) })),
            #[cfg(all(feature = "gpu", target_family = "wasm"))]
            Backend::Gpu(_) => Err(Error::Device("a browser must not block: call the form that ends in _async".into())),
        }
    }

    /// Who does the work for a call that awaits its end.
    pub(super) fn waiting(&self) -> Runner<'_> {
        match self {
            Backend::Cpu(cpu) => Runner::Cpu(cpu),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => Runner::Gpu(Waited { gpu, wait: WaitMode::PolledElsewhere }),
        }
    }
}

impl Runner<'_> {
    /// Whether an update that was accepted may fail. One of the CPU does not.
    fn may_fail(&self) -> bool {
        !matches!(self, Runner::Cpu(_))
    }
}

impl Slices for Runner<'_> {
    async fn partials(&self, tensors: &[Tensor<'_>]) -> Result<Vec<Partial>> {
        match self {
            Runner::Cpu(cpu) => cpu.partials(tensors).await,
            #[cfg(feature = "gpu")]
            // Boxed, so that a call on the CPU does not move a device's large future.
            Runner::Gpu(gpu) => Box::pin(gpu.partials(tensors)).await,
        }
    }

    async fn update(&self, update: &Update<'_>, source: Option<Slice<'_>>, output: SliceMut<'_>) -> Result<Partial> {
        match self {
            Runner::Cpu(cpu) => cpu.update(update, source, output).await,
            #[cfg(feature = "gpu")]
            Runner::Gpu(gpu) => Box::pin(gpu.update(update, source, output)).await,
        }
    }
}

/// The terms of a call, without the type of their element weights. A call with one term, as most are, allocates no list.
pub(super) struct ErasedTerms<'a> {
    first: Term<'a>,
    more: Vec<Term<'a>>,
}

pub(super) fn erased<'a, E: Element>(penalty: impl Into<Terms<'a, [E]>>) -> ErasedTerms<'a> {
    let (first, more) = penalty.into().list();
    ErasedTerms { first: first.into(), more: more.map(Term::from).collect() }
}

/// The value of a sum of terms, and the statistics.
pub(super) fn evaluate<'a>(runner: Runner<'a>, terms: ErasedTerms<'a>, weights: Slice<'a>) -> Future<'a, Report> {
    Box::pin(async move {
        let ErasedTerms { first, more } = terms;
        let first = [Tensor::new(first, weights)];
        let all: Vec<Tensor<'_>>;
        let tensors = match more.is_empty() {
            true => &first[..],
            false => {
                all = first.into_iter().chain(more.into_iter().map(|term| Tensor::new(term, weights))).collect();
                &all
            }
        };
        let partials = runner.partials(tensors).await?;
        report_of_sum(partials.iter().zip(tensors.iter().map(|tensor| tensor.penalty)))
    })
}

/// A report for each tensor, and the total.
pub(super) fn evaluate_all<'a>(
    runner: Runner<'a>,
    penalty: &'a Penalty,
    weights: Vec<Slice<'a>>,
) -> Future<'a, Reports> {
    Box::pin(async move {
        // This call takes no element weights; a `HostSet` does.
        matched(penalty, false)?;
        let tensor = |(index, weights): (usize, &Slice<'a>)| Tensor {
            index: Some(index),
            ..Tensor::new(Term { penalty, element_weights: None }, *weights)
        };
        let tensors: Vec<Tensor<'_>> = weights.iter().enumerate().map(tensor).collect();
        let partials = runner.partials(&tensors).await?;
        Reports::new(partials.iter().map(|partial| (partial, penalty)))
    })
}

/// The partial of a chunk of a tensor that starts at this element.
pub(super) fn partial<'a>(runner: Runner<'a>, term: Term<'a>, start: u64, weights: Slice<'a>) -> Future<'a, Partial> {
    Box::pin(async move {
        if !start.is_multiple_of(TILE as u64) {
            return Err(Error::ChunkStart { found: start });
        }
        if start > 0 && term.penalty.groups().is_some() {
            return Err(Error::GroupsOfChunk { penalty: term.penalty.name(), found: start });
        }
        let partials = runner.partials(&[Tensor::new(term, weights)]).await?;
        Ok(partials.into_iter().next().unwrap_or_default())
    })
}

/// Writes the gradient of a sum of terms, or adds it, and evaluates the sum if the call `sums`.
pub(super) fn gradient<'a>(
    runner: Runner<'a>,
    (operation, sums): (Operation, bool),
    terms: ErasedTerms<'a>,
    weights: Slice<'a>,
    mut output: SliceMut<'a>,
) -> Future<'a, Report> {
    Box::pin(async move {
        let ErasedTerms { first, more } = terms;
        let adds = |term: &Term<'a>| Update { sums, ..Update::new(Operation::AddGradient, *term) };
        let update = Update { operation, ..adds(&first) };
        if more.is_empty() {
            return runner.update(&update, Some(weights), output).await?.report(first.penalty);
        }
        // Nothing of an earlier term is written if a later one is rejected.
        update.accept(Some(weights), output.as_slice())?;
        for term in &more {
            adds(term).accept(Some(weights), output.as_slice())?;
        }
        // If a later term fails, the output must be as it was.
        let mut held = if runner.may_fail() { output.as_slice().to_words() } else { Vec::new() };
        let mut partials = Vec::with_capacity(1 + more.len());
        for update in std::iter::once(update).chain(more.iter().map(adds)) {
            let result = match held.is_empty() {
                true => output.reborrow(),
                false => SliceMut::of_words(output.as_slice(), &mut held),
            };
            partials.push((runner.update(&update, Some(weights), result).await?, update.penalty));
        }
        if !held.is_empty() {
            let result = SliceMut::of_words(output.as_slice(), &mut held);
            output.into_bytes().copy_from_slice(result.into_bytes());
        }
        report_of_sum(partials.iter().map(|(partial, penalty)| (partial, *penalty)))
    })
}

/// Writes the prox of a source, or of what the output holds, and evaluates it if the call `sums`.
pub(super) fn prox<'a>(
    runner: Runner<'a>,
    (term, sums): (Term<'a>, bool),
    step: f64,
    source: Option<Slice<'a>>,
    output: SliceMut<'a>,
) -> Future<'a, Report> {
    Box::pin(async move {
        let update = Update { sums, step, ..Update::new(Operation::Prox, term) };
        runner.update(&update, source, output).await?.report(term.penalty)
    })
}
