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

/// A call. One on the CPU with one penalty, as most are, is done at once and allocates nothing.
pub(super) enum Call<'a, T> {
    Done(Result<T>),
    /// The box keeps its code in this crate, whoever awaits it.
    Waits(Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>),
}

impl<'a, T> Call<'a, T> {
    fn waits(call: impl Future<Output = Result<T>> + Send + 'a) -> Call<'a, T> {
        Call::Waits(Box::pin(call))
    }

    /// Awaits the end of the call.
    pub(super) async fn end(self) -> Result<T> {
        match self {
            Call::Done(result) => result,
            Call::Waits(call) => call.await,
        }
    }
}

/// Who does the work, and how the call waits for its end.
pub(super) enum Runner<'a> {
    Cpu(&'a Cpu),
    #[cfg(feature = "gpu")]
    Gpu(Waited<'a>),
}

impl Backend {
    /// Runs a call to its end on this thread.
    pub(super) fn block_on<'a, T>(&'a self, call: impl FnOnce(Runner<'a>) -> Call<'a, T>) -> Result<T> {
        match call(self.blocking()?) {
            Call::Done(result) => result,
            Call::Waits(call) => pollster::block_on(call),
        }
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

impl<'a> ErasedTerms<'a> {
    fn iter(&self) -> impl Iterator<Item = &Term<'a>> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

pub(super) fn erased<'a, E: Element>(penalty: impl Into<Terms<'a, [E]>>) -> ErasedTerms<'a> {
    let (first, more) = penalty.into().list();
    ErasedTerms { first: first.into(), more: more.map(Term::from).collect() }
}

/// The value of a sum of terms, and the statistics.
pub(super) fn evaluate<'a>(runner: Runner<'a>, terms: ErasedTerms<'a>, weights: Slice<'a>) -> Call<'a, Report> {
    let ErasedTerms { first, more } = terms;
    let tensor = move |term: Term<'a>| Tensor::new(term, weights);
    if let (Runner::Cpu(cpu), true) = (&runner, more.is_empty()) {
        return Call::Done(cpu.evaluate(tensor(first)).and_then(|partial| partial.report(first.penalty)));
    }
    Call::waits(async move {
        let tensors: Vec<Tensor<'_>> = std::iter::once(first).chain(more).map(tensor).collect();
        let partials = runner.partials(&tensors).await?;
        report_of_sum(partials.iter().zip(tensors.iter().map(|tensor| tensor.penalty)))
    })
}

/// A report for each tensor, and the total.
pub(super) fn evaluate_all<'a>(runner: Runner<'a>, penalty: &'a Penalty, weights: Vec<Slice<'a>>) -> Call<'a, Reports> {
    Call::waits(async move {
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
pub(super) fn partial<'a>(runner: Runner<'a>, term: Term<'a>, start: u64, weights: Slice<'a>) -> Call<'a, Partial> {
    if !start.is_multiple_of(TILE as u64) {
        return Call::Done(Err(Error::ChunkStart { found: start }));
    }
    if start > 0 && term.penalty.groups().is_some() {
        return Call::Done(Err(Error::GroupsOfChunk { penalty: term.penalty.name(), found: start }));
    }
    let tensor = Tensor::new(term, weights);
    match runner {
        Runner::Cpu(cpu) => Call::Done(cpu.evaluate(tensor)),
        #[cfg(feature = "gpu")]
        Runner::Gpu(_) => Call::waits(async move { Ok(runner.partials(&[tensor]).await?.pop().unwrap_or_default()) }),
    }
}

/// Writes the gradient of a sum of terms, or adds it.
pub(super) fn gradient<'a>(
    runner: Runner<'a>,
    operation: Operation,
    terms: ErasedTerms<'a>,
    weights: Slice<'a>,
    output: SliceMut<'a>,
) -> Call<'a, ()> {
    if let (Runner::Cpu(cpu), true) = (&runner, terms.more.is_empty()) {
        let update = Update::new(operation, terms.first);
        return Call::Done(cpu.update_now(&update, Some(weights), output).map(drop));
    }
    Call::waits(async move { add_terms(&runner, operation, false, &terms, weights, output).await.map(drop) })
}

/// The same, and the value of the sum with the statistics.
pub(super) fn evaluate_and_gradient<'a>(
    runner: Runner<'a>,
    operation: Operation,
    terms: ErasedTerms<'a>,
    weights: Slice<'a>,
    output: SliceMut<'a>,
) -> Call<'a, Report> {
    if let (Runner::Cpu(cpu), true) = (&runner, terms.more.is_empty()) {
        let update = Update { sums: true, ..Update::new(operation, terms.first) };
        let partial = cpu.evaluate_update(&update, Some(weights), output);
        return Call::Done(partial.and_then(|partial| partial.report(terms.first.penalty)));
    }
    Call::waits(async move {
        let partials = add_terms(&runner, operation, true, &terms, weights, output).await?;
        report_of_sum(partials.iter().zip(terms.iter().map(|term| term.penalty)))
    })
}

/// Writes the first term's gradient or adds it, and adds those of the others. Gives one partial per term, which is empty
/// unless the call sums.
async fn add_terms(
    runner: &Runner<'_>,
    operation: Operation,
    sums: bool,
    terms: &ErasedTerms<'_>,
    weights: Slice<'_>,
    mut output: SliceMut<'_>,
) -> Result<Vec<Partial>> {
    let updates = terms.iter().zip(std::iter::once(operation).chain(std::iter::repeat(Operation::AddGradient)));
    let updates: Vec<Update<'_>> =
        updates.map(|(term, operation)| Update { sums, ..Update::new(operation, *term) }).collect();
    if let [update] = &updates[..] {
        return Ok(vec![runner.update(update, Some(weights), output).await?]);
    }
    // Nothing of an earlier term is written if a later one is rejected.
    for update in &updates {
        update.accept(Some(weights), output.as_slice())?;
    }
    // If a later term fails, the output must be as it was.
    let mut held = if runner.may_fail() { output.as_slice().to_words() } else { Vec::new() };
    let mut partials = Vec::with_capacity(updates.len());
    for update in &updates {
        let result = match held.is_empty() {
            true => output.reborrow(),
            false => SliceMut::of_words(output.as_slice(), &mut held),
        };
        partials.push(runner.update(update, Some(weights), result).await?);
    }
    if !held.is_empty() {
        let result = SliceMut::of_words(output.as_slice(), &mut held);
        output.into_bytes().copy_from_slice(result.into_bytes());
    }
    Ok(partials)
}

/// The prox of a sum of penalties, one stage after the other, and what it leaves.
async fn prox_in_stages(
    runner: &Runner<'_>,
    term: Term<'_>,
    step: f64,
    source: Option<Slice<'_>>,
    mut output: SliceMut<'_>,
    sums: bool,
) -> Result<Option<Partial>> {
    let [first, then] = term.penalty.stages();
    let prox = |term| Update { step, ..Update::new(Operation::Prox, term) };
    let of = |penalty| Term { penalty, element_weights: term.element_weights.filter(|_| then.is_weighted()) };
    matched(term.penalty, term.element_weights.is_some())?;
    let (first, then) = (prox((&first).into()), prox(of(&then)));
    // Nothing is written if a stage is rejected.
    first.accept(source, output.as_slice())?;
    then.accept(None, output.as_slice())?;
    // If a later call fails, the output must be as it was.
    let mut held = if runner.may_fail() { output.as_slice().to_words() } else { Vec::new() };
    let result = match held.is_empty() {
        true => output.reborrow(),
        false => SliceMut::of_words(output.as_slice(), &mut held),
    };
    let partial = in_stages(runner, [first, then], sums.then_some(term), source, result).await?;
    if !held.is_empty() {
        let result = SliceMut::of_words(output.as_slice(), &mut held);
        output.into_bytes().copy_from_slice(result.into_bytes());
    }
    Ok(partial)
}

async fn in_stages(
    runner: &Runner<'_>,
    [first, then]: [Update<'_>; 2],
    evaluated: Option<Term<'_>>,
    source: Option<Slice<'_>>,
    mut result: SliceMut<'_>,
) -> Result<Option<Partial>> {
    runner.update(&first, source, result.reborrow()).await?;
    runner.update(&then, None, result.reborrow()).await?;
    let Some(term) = evaluated else { return Ok(None) };
    Ok(runner.partials(&[Tensor::new(term, result.as_slice())]).await?.pop())
}

/// Writes the prox of a source, or of what the output holds.
pub(super) fn prox<'a>(
    runner: Runner<'a>,
    term: Term<'a>,
    step: f64,
    source: Option<Slice<'a>>,
    output: SliceMut<'a>,
) -> Call<'a, ()> {
    if term.penalty.is_sum() {
        return Call::waits(async move { prox_in_stages(&runner, term, step, source, output, false).await.map(drop) });
    }
    let update = Update { step, ..Update::new(Operation::Prox, term) };
    match runner {
        Runner::Cpu(cpu) => Call::Done(cpu.update_now(&update, source, output).map(drop)),
        #[cfg(feature = "gpu")]
        Runner::Gpu(_) => Call::waits(async move { runner.update(&update, source, output).await.map(drop) }),
    }
}

/// The prox in place, and the value and the statistics of the new weights.
pub(super) fn prox_and_evaluate<'a>(
    runner: Runner<'a>,
    term: Term<'a>,
    step: f64,
    output: SliceMut<'a>,
) -> Call<'a, Report> {
    if term.penalty.is_sum() {
        return Call::waits(async move {
            prox_in_stages(&runner, term, step, None, output, true).await?.unwrap_or_default().report(term.penalty)
        });
    }
    let update = Update { sums: true, step, ..Update::new(Operation::Prox, term) };
    match runner {
        Runner::Cpu(cpu) => {
            Call::Done(cpu.evaluate_update(&update, None, output).and_then(|partial| partial.report(term.penalty)))
        }
        #[cfg(feature = "gpu")]
        Runner::Gpu(_) => Call::waits(async move { runner.update(&update, None, output).await?.report(term.penalty) }),
    }
}
