//! The `f64` numbers that follow from an evaluation.

mod made_for;
pub(crate) mod partial;
pub(crate) mod reports;
#[cfg(feature = "serde")]
mod serialized;

/// The value of a penalty over some weights, and their statistics.
///
/// If a weight is NaN, then `l1`, `l2_squared`, `max_abs` and `value` are NaN. Else, if one is infinite, they are
/// infinite. `nan` and `inf` count such weights. Reports compare by their bits, so a NaN equals a NaN.
///
/// ```
/// use penalty::{Backend, Penalty};
///
/// let report = Backend::cpu().evaluate(&Penalty::l1(0.5)?, &[3.0f32, 0.0, -4.0])?;
/// assert_eq!((report.value, report.l1, report.l2_squared), (3.5, 7.0, 25.0));
/// assert_eq!((report.len, report.nonzero, report.max_abs), (3, 2, 4.0));
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// The number of weights.
    pub len: u64,
    /// Σ|θ|.
    pub l1: f64,
    /// Σθ², with no ½.
    pub l2_squared: f64,
    /// max|θ|; 0 if there are no weights.
    pub max_abs: f64,
    /// How many weights are not ±0; NaN and infinite ones count.
    pub nonzero: u64,
    /// How many weights are NaN.
    pub nan: u64,
    /// How many weights are infinite.
    pub inf: u64,
    /// R(θ), λ included.
    pub value: f64,
}

impl Report {
    /// How many weights are exactly ±0.
    ///
    /// ```
    /// use penalty::{Backend, Penalty};
    ///
    /// let report = Backend::cpu().evaluate(&Penalty::none(), &[3.0f32, 0.0, -0.0])?;
    /// assert_eq!(report.zeros(), 2);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn zeros(&self) -> u64 {
        self.len - self.nonzero
    }
}

impl PartialEq for Report {
    fn eq(&self, other: &Report) -> bool {
        let key = |r: &Report| {
            let floats = [r.l1, r.l2_squared, r.max_abs, r.value].map(f64::to_bits);
            (r.len, r.nonzero, r.nan, r.inf, floats)
        };
        key(self) == key(other)
    }
}
