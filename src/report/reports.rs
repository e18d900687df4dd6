//! Reports of several tensors, or of several penalties.

use std::borrow::Borrow;

use super::Report;
use super::partial::Partial;
use crate::numeric::accumulator::{Sums, WIDE};
use crate::numeric::hash::fnv1a_of;
use crate::transport::{Agreement, Transport};
use crate::{Penalty, Result};

/// The reports of a list of tensors and their total, as [`Backend::evaluate_all`](crate::Backend::evaluate_all)
/// returns them.
///
/// ```
/// use penalty::{Backend, Penalty};
///
/// let reports = Backend::cpu().evaluate_all(&Penalty::l1(0.5)?, &[[1.0f32, -2.0], [0.0, 3.0]])?;
/// assert_eq!(reports.tensors.iter().map(|report| report.value).collect::<Vec<_>>(), [1.5, 1.5]);
/// assert_eq!((reports.total.value, reports.total.nonzero), (3.0, 3));
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Reports {
    /// One report per tensor, in the order given.
    pub tensors: Vec<Report>,
    /// All tensors as one: exact sums over all weights. The value is the `f64` sum of the tensors' values, in order.
    pub total: Report,
}

impl Reports {
    /// Reports of tensors from their partials, each with its penalty, and their total.
    ///
    /// ```
    /// use penalty::{Backend, Penalty, Reports};
    ///
    /// let (cpu, l1, ridge) = (Backend::cpu(), Penalty::l1(0.5)?, Penalty::l2_squared(1.0)?);
    /// let (a, b) = (cpu.partial(0, &[3.0f32, -4.0])?, cpu.partial(0, &[2.0f32])?);
    /// let reports = Reports::new([(&a, &l1), (&b, &ridge)])?;
    /// assert_eq!((reports.total.value, reports.total.l1), (3.5 + 4.0, 9.0));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Partial::report`].
    pub fn new<'a>(tensors: impl IntoIterator<Item = (&'a Partial, &'a Penalty)>) -> Result<Reports> {
        Reports::of(tensors)
    }

    /// Reports of tensors of which each rank holds a part, from the part's partials: the same on every rank, with the bits
    /// of one rank that holds all.
    ///
    /// Two calls of the transport add up everything, however many tensors there are: 388 bytes for each, and 8 that tell
    /// whether all ranks give the same penalties. Every limb of a partial travels in a word of 64 bits, and what is above 32
    /// bits is carried after the sum. Each part starts at a multiple of [`TILE`](crate::exact::TILE), on whatever backend
    /// its partial was made. A rank without a part of a tensor gives [`Partial::default`].
    ///
    /// All ranks must give as many tensors. If one of them fails before it calls the transport, the others fail when they
    /// have waited for as long as the transport lets them.
    ///
    /// ```
    /// use penalty::exact::Transport;
    /// use penalty::{Backend, Penalty, Reports, Result};
    ///
    /// fn value(transport: &dyn Transport, here: &[f32], starts_at: u64) -> Result<f64> {
    ///     let l1 = Penalty::l1(0.5)?;
    ///     let partial = Backend::cpu().partial_for(&l1, starts_at, here)?;
    ///     Ok(Reports::across(transport, [(&partial, &l1)])?.total.value)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Partial::report`], [`Error::Ranks`](crate::Error::Ranks) on every rank if their penalties differ, and the
    /// transport's.
    pub fn across<'a>(
        transport: &dyn Transport,
        tensors: impl IntoIterator<Item = (&'a Partial, &'a Penalty)>,
    ) -> Result<Reports> {
        Reports::of_all_ranks(transport, tensors)
    }

    /// `across` for references and for partials that are dropped at once.
    pub(crate) fn of_all_ranks<'a>(
        transport: &dyn Transport,
        tensors: impl IntoIterator<Item = (impl Borrow<Partial>, &'a Penalty)>,
    ) -> Result<Reports> {
        let (mut words, mut largest, mut penalties) = (Vec::new(), Vec::new(), Vec::new());
        for (partial, penalty) in tensors {
            let partial = partial.borrow();
            partial.report(penalty)?;
            words.extend(partial.sums().widened());
            largest.push(partial.sums().max_bits);
            penalties.push(penalty);
        }
        let hash = fnv1a_of(penalties.iter().map(|penalty| penalty.fingerprint()));
        let agreement = Agreement::on("the same penalties", hash);
        largest.extend(agreement.words());
        transport.max_u32(&mut largest)?;
        if let Some((_, maxima)) = largest.split_last_chunk() {
            agreement.judge(transport, *maxima)?;
        }
        transport.sum_u64(&mut words)?;
        let sums = words.as_chunks::<WIDE>().0.iter().zip(largest).map(|(words, max)| Sums::carried(words, max));
        let partials = sums.map(Partial::of_all_ranks).zip(penalties);
        Reports::by(partials, |partial, penalty| Ok(partial.report_of(penalty)))
    }

    /// `new` for references and for partials that are dropped at once.
    pub(crate) fn of<'a>(tensors: impl IntoIterator<Item = (impl Borrow<Partial>, &'a Penalty)>) -> Result<Reports> {
        Reports::by(tensors, Partial::report)
    }

    /// The reports that `report` gives, and their total.
    fn by<'a>(
        tensors: impl IntoIterator<Item = (impl Borrow<Partial>, &'a Penalty)>,
        report: impl Fn(&Partial, &Penalty) -> Result<Report>,
    ) -> Result<Reports> {
        let mut all = Partial::default();
        let tensors: Result<Vec<Report>> = tensors
            .into_iter()
            .map(|(partial, penalty)| {
                all.merge(partial.borrow());
                report(partial.borrow(), penalty)
            })
            .collect();
        let tensors = tensors?;
        // In Rust, the empty sum of `f64` is −0. A penalty over nothing is +0.
        let value = tensors.iter().fold(0.0, |sum, report| sum + report.value);
        let total = all.report_of(&Penalty::none());
        Ok(Reports { tensors, total: Report { value, ..total } })
    }
}

/// The statistics, and the sum of the values, of one tensor's partials for several penalties.
pub(crate) fn report_of_sum<'a>(terms: impl IntoIterator<Item = (&'a Partial, &'a Penalty)>) -> Result<Report> {
    let mut terms = terms.into_iter().map(|(partial, penalty)| partial.report(penalty));
    let first = terms.next().unwrap_or_else(|| Partial::default().report(&Penalty::none()))?;
    let value = terms.try_fold(first.value, |value, term| Ok(value + term?.value))?;
    Ok(Report { value, ..first })
}
