//! How far a fit goes, and who watches it.

use std::fmt;
use std::ops::ControlFlow;

/// How far a fit goes, and who watches it.
///
/// ```
/// use penalty_fit::Options;
///
/// let quick = Options { tolerance: 1e-4, ..Options::default() };
/// ```
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// A fit has converged if its duality gap is at most this times the loss of the model without coefficients. Where
    /// no gap is known, no prox step may change the predictions by more than the root of twice this, relative to the
    /// root of that loss. By default 1e-9.
    pub tolerance: f64,
    /// A fit takes at most this many working sets, or 100 times as many steps where it has none. By default 100.
    pub iterations: usize,
    /// Is called after each working set; [`ControlFlow::Break`] cancels the fit.
    #[allow(clippy::type_complexity, reason = "it is a closure's type, written out once")]
    pub progress: Option<&'a (dyn Fn(&Progress) -> ControlFlow<()> + Sync)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { tolerance: 1e-9, iterations: 100, progress: None }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { tolerance, iterations, progress } = self;
        f.debug_struct("Options")
            .field("tolerance", tolerance)
            .field("iterations", iterations)
            .field("progress", &progress.is_some())
            .finish()
    }
}

/// Where a fit is.
///
/// ```
/// use std::ops::ControlFlow;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use penalty::Penalty;
/// use penalty_fit::{Error, Matrix, Options, Problem, Progress, Squared, fit};
///
/// let (x, y) = ([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]);
/// let problem = Problem::new(Matrix::dense(3, 1, &x)?, &y)?;
/// let cancel = |progress: &Progress| ControlFlow::Break(());
/// let options = Options { progress: Some(&cancel), ..Options::default() };
/// let cancelled = fit(&problem, &Squared, &Penalty::l1(0.1)?, &options);
/// assert_eq!(cancelled.unwrap_err(), Error::Cancelled);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The λ that is being fitted.
    pub lambda: f64,
    /// Working sets, or steps, so far.
    pub iteration: usize,
    /// Loss plus penalty.
    pub objective: f64,
    /// The duality gap, if it is known.
    pub gap: Option<f64>,
    /// What the largest prox step of a block would change.
    pub residual: f64,
}
