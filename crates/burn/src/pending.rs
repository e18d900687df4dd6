//! The value and the statistics of a step, which may still be on the device.

use std::sync::Arc;
use std::time::Duration;

use penalty::Reports;
#[cfg(feature = "wgpu")]
use penalty::gpu;

use crate::Error;

/// A call's result, for logging: the value of each penalty and the statistics of the weights.
///
/// On the host, the result is ready at once. On a device, it is ready once the device has done the step. Nothing waits for it until you
/// ask, so reading the result of a few steps ago costs nothing. The device keeps the last 16 results of each operation. Reading an older
/// one gives [`penalty::Error::SlotReused`].
///
/// ```
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::Device;
/// # use penalty::Penalty;
/// # use penalty_burn::{Regularizer, Rules};
/// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
/// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.5)?));
/// let pending = regularizer.evaluate(&layer)?;
/// let reports = pending.wait(std::time::Duration::from_secs(600))?;
/// assert_eq!(pending.names().len(), reports.tensors.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pending {
    names: Arc<[String]>,
    state: State,
}

/// Where the reports are.
#[derive(Debug)]
pub(crate) enum State {
    Ready(Reports),
    #[cfg(feature = "wgpu")]
    Device(gpu::Pending<Reports>),
}

impl Pending {
    pub(crate) fn new(names: Arc<[String]>, state: State) -> Pending {
        Pending { names, state }
    }

    /// The paths of the penalized parameters, in the order of the reports.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.5)?));
    /// let pending = regularizer.evaluate(&layer)?;
    /// assert_eq!(pending.names().next(), Some("weight"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// A report for each parameter, and the total. Waits for the device, at most for `timeout`. May be called again.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.5)?));
    /// let pending = regularizer.evaluate(&layer)?;
    /// let reports = pending.wait(std::time::Duration::from_secs(600))?;
    /// println!("R = {}", reports.total.value);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Penalty`] if the device fails, does not answer in time, or has already reused the reports' slot.
    #[cfg_attr(not(feature = "wgpu"), expect(unused_variables, reason = "reports on the host are there at once"))]
    pub fn wait(&self, timeout: Duration) -> Result<Reports, Error> {
        match &self.state {
            State::Ready(reports) => Ok(reports.clone()),
            #[cfg(feature = "wgpu")]
            State::Device(pending) => Ok(pending.wait(timeout)?),
        }
    }

    /// The reports if they are ready, else `None`. Does not wait.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.5)?));
    /// let pending = regularizer.evaluate(&layer)?;
    /// assert!(pending.try_read()?.is_some()); // on the host it is there at once
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Pending::wait).
    pub fn try_read(&self) -> Result<Option<Reports>, Error> {
        match &self.state {
            State::Ready(reports) => Ok(Some(reports.clone())),
            #[cfg(feature = "wgpu")]
            State::Device(pending) => Ok(pending.try_read()?),
        }
    }

    /// The reports, without blocking. The future completes only while something polls the device. Burn does when it reads a tensor; so does
    /// a [`penalty::gpu::Poller`] while futures wait.
    ///
    /// ```
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::tensor::Device;
    /// # use penalty::Penalty;
    /// # use penalty_burn::{Regularizer, Rules};
    /// # let layer: Linear = LinearConfig::new(8, 4).init(&Device::flex());
    /// let mut regularizer = Regularizer::host(Rules::new(Penalty::l1(0.5)?));
    /// let pending = regularizer.evaluate(&layer)?;
    /// let reports = pollster::block_on(pending.read())?; // or `.await`
    /// assert_eq!(reports.total.len, 32);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Pending::wait).
    pub async fn read(&self) -> Result<Reports, Error> {
        match &self.state {
            State::Ready(reports) => Ok(reports.clone()),
            #[cfg(feature = "wgpu")]
            State::Device(pending) => Ok(pending.read().await?),
        }
    }
}
