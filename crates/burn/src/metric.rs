//! Metrics for the dashboard of Burn's `SupervisedTraining`: the penalty's value, zeros and Σ|θ|, of all weights or of one parameter.

use std::sync::Arc;
use std::time::Duration;

use burn_core::tensor::TensorReadError;
use burn_train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry, SerializedEntry,
    format_float,
};
use penalty::Report;

use crate::optim::Statistics;

/// What a [`StatisticsMetric`] shows.
///
/// ```
/// use penalty_burn::metric::Quantity;
///
/// assert_eq!(Quantity::Zeros, Quantity::Zeros);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quantity {
    /// R(θ), λ included.
    Value,
    /// How many weights are exactly 0, in percent.
    Zeros,
    /// Σ|θ|.
    L1,
}

/// Shows what an optimizer's last step gave. Each epoch shows the result of its last step, not a mean over the epoch.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use penalty_burn::Rules;
/// use penalty_burn::metric::{Quantity, StatisticsMetric};
/// use penalty_burn::optim::ProximalAdamConfig;
/// use penalty_burn::penalty::Penalty;
///
/// let model: Linear = LinearConfig::new(8, 4).init(&Device::flex().autodiff());
/// let (optimizer, statistics) = ProximalAdamConfig::new().init(&Rules::new(Penalty::l1(1e-4)?), &model)?;
/// // For `SupervisedTraining::metric_train_numeric`:
/// let all = StatisticsMetric::new(&statistics, Quantity::Zeros);
/// let first = StatisticsMetric::of(&statistics, Quantity::Zeros, "weight");
/// # drop((optimizer, all, first));
/// # Ok::<(), penalty_burn::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct StatisticsMetric {
    statistics: Statistics,
    quantity: Quantity,
    /// The parameter; `None` for all of them.
    path: Option<String>,
    name: MetricName,
    last: Option<f64>,
}

/// How long a metric waits for a device.
const TIMEOUT: Duration = Duration::from_secs(60);

impl StatisticsMetric {
    /// The quantity of all penalized parameters.
    ///
    /// ```
    /// # use penalty_burn::metric::{Quantity, StatisticsMetric};
    /// # use penalty_burn::optim::Statistics;
    /// let metric = StatisticsMetric::new(&Statistics::default(), Quantity::Value);
    /// # drop(metric);
    /// ```
    pub fn new(statistics: &Statistics, quantity: Quantity) -> StatisticsMetric {
        StatisticsMetric::named(statistics, quantity, None)
    }

    /// The quantity of one parameter. It is absent if no penalized parameter has this path.
    ///
    /// ```
    /// # use penalty_burn::metric::{Quantity, StatisticsMetric};
    /// # use penalty_burn::optim::Statistics;
    /// let metric = StatisticsMetric::of(&Statistics::default(), Quantity::Zeros, "fc1.weight");
    /// # drop(metric);
    /// ```
    pub fn of(statistics: &Statistics, quantity: Quantity, path: &str) -> StatisticsMetric {
        StatisticsMetric::named(statistics, quantity, Some(path.into()))
    }

    fn named(statistics: &Statistics, quantity: Quantity, path: Option<String>) -> StatisticsMetric {
        let what = match quantity {
            Quantity::Value => "Penalty",
            Quantity::Zeros => "Zeros",
            Quantity::L1 => "Sum of |weights|",
        };
        let name = path.as_ref().map_or_else(|| what.to_string(), |path| format!("{what} of {path}"));
        StatisticsMetric { statistics: statistics.clone(), quantity, path, name: name.into(), last: None }
    }

    fn of_report(&self, report: &Report) -> f64 {
        match self.quantity {
            Quantity::Value => report.value,
            Quantity::Zeros => 100.0 * report.zeros() as f64 / report.len.max(1) as f64,
            Quantity::L1 => report.l1,
        }
    }

    fn unit(&self) -> Option<&'static str> {
        (self.quantity == Quantity::Zeros).then_some("%")
    }

    fn entry(&self, serialized: impl FnOnce(f64) -> String) -> SerializedEntry {
        let Some(last) = self.last else { return SerializedEntry::not_available(self.unit()) };
        let unit = self.unit().map_or_else(String::new, |unit| format!(" {unit}"));
        SerializedEntry::new(format!("{}{unit}", format_float(last, 4)), serialized(last))
    }
}

impl Metric for StatisticsMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        Arc::clone(&self.name)
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: self.unit().map(String::from), higher_is_better: self.quantity == Quantity::Zeros }
            .into()
    }

    fn update(&mut self, (): &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        // An error stays in the statistics, for the training loop to read.
        if let Ok(latest) = self.statistics.peek(TIMEOUT) {
            let report = match &self.path {
                None => (!latest.tensors.is_empty()).then_some(&latest.total),
                Some(path) => latest.tensors.iter().find(|(tensor, _)| tensor == path).map(|(_, report)| report),
            };
            self.last = report.map(|report| self.of_report(report));
        }
        Ok(self.entry(|last| NumericEntry::Value(last).serialize()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.entry(|last| NumericEntry::Final(last).serialize()))
    }

    fn clear(&mut self) {
        self.last = None;
    }
}

impl Numeric for StatisticsMetric {
    fn value(&self) -> Option<NumericEntry> {
        self.last.map(NumericEntry::Value)
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.value()
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.last.unwrap_or(f64::NAN))
    }
}
