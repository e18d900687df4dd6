//! Trains on handwritten digits with Burn's `SupervisedTraining` and `Learner`, and shows the penalty and the zeros among its metrics.
//!
//! ```sh
//! cargo run --release -p penalty-burn --features train --example learner
//! ```
//!
//! The optimizer is proximal Adam with L1 on the weights. `--epochs N` changes how long it trains. The logs of the metrics are in
//! `target/learner`.

#[path = "digits/data.rs"]
mod data;

use std::error::Error;
use std::time::Duration;

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use penalty_burn::Rules;
use penalty_burn::metric::{Quantity, StatisticsMetric};
use penalty_burn::optim::ProximalAdamConfig;
use penalty_burn::penalty::Penalty;

use data::{PIXELS, Row};

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

#[derive(Clone, Debug)]
struct Batch {
    pixels: Tensor<2>,
    digits: Tensor<1, Int>,
}

#[derive(Clone)]
struct Batches;

impl Batcher<Row, Batch> for Batches {
    fn batch(&self, rows: Vec<Row>, device: &Device) -> Batch {
        let (pixels, digits): (Vec<Vec<f32>>, Vec<i32>) = rows.into_iter().map(|row| (row.pixels, row.digit)).unzip();
        let count = digits.len();
        Batch {
            pixels: Tensor::from_data(TensorData::new(pixels.concat(), [count, PIXELS]), device),
            digits: Tensor::from_data(TensorData::new(digits, [count]), device),
        }
    }
}

impl Mlp {
    fn new(device: &Device) -> Mlp {
        Mlp { fc1: LinearConfig::new(PIXELS, 128).init(device), fc2: LinearConfig::new(128, 10).init(device) }
    }

    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let output = self.fc2.forward(relu(self.fc1.forward(batch.pixels)));
        let loss = CrossEntropyLossConfig::new().init(&output.device()).forward(output.clone(), batch.digits.clone());
        ClassificationOutput::new(loss, output, batch.digits)
    }
}

impl TrainStep for Mlp {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Mlp {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

fn epochs() -> Result<usize, Box<dyn Error>> {
    match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => Ok(30),
        [name, epochs] if name == "--epochs" => Ok(epochs.parse()?),
        _ => Err("usage: learner [--epochs N]".into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let epochs = epochs()?;
    let device = Device::flex().autodiff();
    device.seed(1);
    let model = Mlp::new(&device);

    let rules = Rules::new(Penalty::l1(5e-4)?);
    println!("{}", rules.table(&model)?);
    let (optimizer, statistics) = ProximalAdamConfig::new().with_report_every(1).init(&rules, &model)?;

    let (training, test) = data::rows()?;
    let loader = |rows| DataLoaderBuilder::new(Batches).batch_size(32).shuffle(1).build(InMemDataset::new(rows));
    let rates = CosineAnnealingLrSchedulerConfig::new(5e-3, epochs * 45).init()?;
    let result = SupervisedTraining::new("target/learner", loader(training), loader(test))
        .metric_train_numeric(LossMetric::new())
        .metric_train_numeric(AccuracyMetric::new())
        .metric_valid_numeric(AccuracyMetric::new())
        .metric_train_numeric(StatisticsMetric::new(&statistics, Quantity::Value))
        .metric_train_numeric(StatisticsMetric::new(&statistics, Quantity::Zeros))
        .metric_train_numeric(StatisticsMetric::of(&statistics, Quantity::Zeros, "fc1.weight"))
        .num_epochs(epochs)
        .summary()
        .launch(Learner::new(model, optimizer, rates));
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }

    let latest = statistics.wait(Duration::from_secs(600))?;
    for (path, report) in &latest.tensors {
        println!("{path}: {} of {} weights are 0", report.zeros(), report.len);
    }
    Ok(())
}
