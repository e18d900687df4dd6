//! What the last steps of an optimizer gave: values and statistics, or the error.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use penalty::Report;

use crate::Error;
use crate::memory::Copies;
use crate::pending::Pending;

/// The values and statistics that an optimizer's steps report, and their errors.
///
/// A step reports its weights if the optimizer's config says so: by default the first one, and then every hundredth. Exact statistics take
/// little time on a GPU, but several times as long as the step on a software adapter. For the weights of the moment,
/// [`Regularizer::evaluate`](crate::Regularizer::evaluate) reads them once.
///
/// Burn's `Optimizer::step` returns no `Result`. If a step fails, its tensor keeps its values, and the error waits here until you read it.
///
/// ```
/// use std::time::Duration;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use penalty_burn::Rules;
/// use penalty_burn::optim::ProximalAdamConfig;
/// use penalty_burn::penalty::Penalty;
///
/// let device = Device::flex().autodiff();
/// let mut model: Linear = LinearConfig::new(8, 4).init(&device);
/// let rules = Rules::new(Penalty::l1(0.1)?);
/// let (mut optimizer, statistics) = ProximalAdamConfig::new().init(&rules, &model)?;
/// let loss = model.forward(Tensor::<2>::ones([1, 8], &device)).sum();
/// let gradients = GradientsParams::from_grads(loss.backward(), &model);
/// model = optimizer.step(0.01, model, gradients);
/// let latest = statistics.wait(Duration::from_secs(600))?;
/// assert_eq!(latest.tensors[0].0, "weight");
/// assert_eq!(latest.tensors[0].1.len, 32);
/// # drop(model);
/// # Ok::<(), penalty_burn::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    cells: Arc<[Cell]>,
}

/// What [`Statistics`] give.
///
/// ```
/// use penalty_burn::optim::Latest;
///
/// fn log(latest: &Latest) {
///     for (path, report) in &latest.tensors {
///         println!("{path}: {} of {} weights are 0", report.zeros(), report.len);
///     }
///     println!("R = {}", latest.total.value);
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Latest {
    /// The path and the last report of every penalized parameter that has reported one, in the module's order.
    pub tensors: Vec<(String, Report)>,
    /// All these parameters as one: sums in `f64` of their reports.
    pub total: Report,
}

/// A parameter's last result.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    path: Arc<str>,
    /// How many steps there are from one report to the next; `None` if only errors are reported.
    every: Option<NonZeroU64>,
    last: Arc<Mutex<Last>>,
    copies: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Last {
    /// The reports of a step, and which of them is this parameter's.
    pending: Option<(Arc<Pending>, usize)>,
    /// The first error that nobody has read.
    error: Option<Error>,
}

impl Cell {
    pub(crate) fn new(path: &str, every: Option<NonZeroU64>) -> Cell {
        Cell { path: path.into(), every, last: Arc::default(), copies: Arc::default() }
    }

    /// Whether the step after this many reports.
    pub(crate) fn reports(&self, steps: u64) -> bool {
        self.every.is_some_and(|every| steps.is_multiple_of(every.get()))
    }

    /// What errors call the parameter.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Keeps the reports of a step with the index of this parameter's, or the step's error.
    pub(crate) fn set(&self, outcome: Result<(Arc<Pending>, usize), Error>) {
        // A panic elsewhere cannot leave an assignment half done.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(pending) => last.pending = Some(pending),
            Err(error) => {
                last.error.get_or_insert(error);
            }
        }
    }

    pub(crate) fn count(&self, copies: Copies) {
        self.copies.fetch_add(copies, Ordering::Relaxed);
    }

    fn take_error(&self) -> Option<Error> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).error.take()
    }

    fn pending(&self) -> Option<(Arc<Pending>, usize)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).pending.clone()
    }
}

impl Statistics {
    pub(crate) fn new(cells: Vec<Cell>) -> Statistics {
        Statistics { cells: cells.into() }
    }

    /// The last reports. Waits for the device, at most for `timeout` per parameter. Call it between steps: a step that runs meanwhile may
    /// replace the reports of some parameters.
    ///
    /// ```no_run
    /// # use penalty_burn::optim::Statistics;
    /// # fn log(statistics: &Statistics) -> Result<(), penalty_burn::Error> {
    /// let total = statistics.wait(std::time::Duration::from_secs(600))?.total;
    /// println!("R = {}, {} of {} weights are 0", total.value, total.zeros(), total.len);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of a step that was not returned yet; its tensor kept its values. [`Error::Penalty`] if the device fails or does not
    /// answer in time.
    pub fn wait(&self, timeout: Duration) -> Result<Latest, Error> {
        // All errors first: a failed step matters more than the reports of the others.
        match self.cells.iter().find_map(Cell::take_error) {
            Some(error) => Err(error),
            None => self.peek(timeout),
        }
    }

    /// Like [`wait`](Statistics::wait), but leaves the errors of steps for `wait` to return.
    ///
    /// ```no_run
    /// # use penalty_burn::optim::Statistics;
    /// # fn log(statistics: &Statistics) -> Result<(), penalty_burn::Error> {
    /// println!("R = {}", statistics.peek(std::time::Duration::from_secs(600))?.total.value);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Penalty`] if the device fails or does not answer in time.
    pub fn peek(&self, timeout: Duration) -> Result<Latest, Error> {
        let pending = self.cells.iter().filter_map(|cell| Some((cell, cell.pending()?)));
        let mut tensors = Vec::new();
        for (cell, (pending, at)) in pending {
            let report = pending.wait(timeout)?.tensors.into_iter().nth(at);
            tensors.extend(report.map(|report| (cell.path().to_string(), report)));
        }
        let total = total(tensors.iter().map(|(_, report)| report));
        Ok(Latest { tensors, total })
    }

    /// How many tensors the optimizer has copied so far before writing; see [`Regularizer::copies`](crate::Regularizer::copies).
    ///
    /// ```no_run
    /// # use penalty_burn::optim::Statistics;
    /// # fn log(statistics: &Statistics) {
    /// assert_eq!(statistics.copies(), 0); // nothing else holds the weights
    /// # }
    /// ```
    pub fn copies(&self) -> u64 {
        self.cells.iter().map(|cell| cell.copies.load(Ordering::Relaxed)).sum()
    }
}

/// The sum of reports of different weights.
fn total<'a>(reports: impl Iterator<Item = &'a Report>) -> Report {
    let nothing = Report { len: 0, l1: 0.0, l2_squared: 0.0, max_abs: 0.0, nonzero: 0, nan: 0, inf: 0, value: 0.0 };
    reports.fold(nothing, |sum, report| Report {
        len: sum.len + report.len,
        l1: sum.l1 + report.l1,
        l2_squared: sum.l2_squared + report.l2_squared,
        // `f64::max` would drop a NaN.
        max_abs: if sum.max_abs.is_nan() || sum.max_abs > report.max_abs { sum.max_abs } else { report.max_abs },
        nonzero: sum.nonzero + report.nonzero,
        nan: sum.nan + report.nan,
        inf: sum.inf + report.inf,
        value: sum.value + report.value,
    })
}
