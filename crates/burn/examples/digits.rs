//! Trains a small network on handwritten digits: without a penalty, with squared L2, with L1 by its subgradient and with L1 by its prox.
//!
//! ```sh
//! cargo run --release -p penalty-burn --example digits                       # on the CPU; `-- --backend wgpu` for a GPU
//! cargo run --release -p penalty-cli -- eval target/digits/l1_prox.safetensors --l1 3e-4 --include 'weight$'
//! ```
//!
//! All four runs start from the same weights and see the same batches. Theory says, and a full run checks, that the prox leaves exact zeros
//! and hardly reduces the accuracy. Squared L2, and L1 by its subgradient, only leave small weights.
//!
//! `--epochs N` shortens the run, which then checks nothing. `--out DIR` sets where the checkpoints go.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use penalty_burn::penalty::{Penalty, Report};
use penalty_burn::{Regularizer, Rules, Wgpu};
use safetensors::tensor::{Dtype, TensorView};

/// 1797 rows of 64 pixels from 0 to 16 and the digit: the test set of Alpaydin and Kaynak 1998, as scikit-learn has it.
const DIGITS: &str = include_str!("../../../examples/data/digits.csv");
const PIXELS: usize = 64;
const EPOCHS: usize = 300;
const BATCH: usize = 32;
const LEARNING_RATE: f64 = 0.1;
/// We chose λ and the epochs by cross-validation over the training rows alone: the most zeros within a standard error of the best accuracy.
const LAMBDA: f64 = 3e-4;

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl Mlp {
    /// He's uniform initialization, from our generator, so that every backend and every run starts with the same weights.
    fn new(device: &Device) -> Mlp {
        let mut random = Random(1);
        let mut linear = |inputs: usize, outputs: usize| {
            let bound = (6.0 / inputs as f32).sqrt();
            let weights: Vec<f32> = (0..inputs * outputs).map(|_| bound * (2.0 * random.unit() - 1.0)).collect();
            let mut linear = LinearConfig::new(inputs, outputs).init(device);
            linear.weight = Param::from_data(TensorData::new(weights, [inputs, outputs]), device);
            linear.bias = Some(Param::from_data(TensorData::new(vec![0.0f32; outputs], [outputs]), device));
            linear
        };
        Mlp { fc1: linear(PIXELS, 128), fc2: linear(128, 64), fc3: linear(64, 10) }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.fc3.forward(relu(self.fc2.forward(relu(self.fc1.forward(x)))))
    }
}

/// `SplitMix64` (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
    }
}

struct Row {
    pixels: Vec<f32>,
    digit: i32,
}

/// The training rows and the test rows. Every fifth row is for the test.
fn rows() -> Result<(Vec<Row>, Vec<Row>), Box<dyn Error>> {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (at, line) in DIGITS.lines().skip(1).enumerate() {
        let mut values = line.split(',').map(str::parse::<f32>).collect::<Result<Vec<_>, _>>()?;
        let digit = values.pop().ok_or("an empty row")? as i32;
        let row = Row { pixels: values.into_iter().map(|v| v / 16.0).collect(), digit };
        if at % 5 == 0 { test.push(row) } else { train.push(row) }
    }
    Ok((train, test))
}

fn batch<'a>(rows: impl Iterator<Item = &'a Row>, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let (pixels, digits): (Vec<&[f32]>, Vec<i32>) = rows.map(|row| (&row.pixels[..], row.digit)).unzip();
    let count = digits.len();
    let x = Tensor::from_data(TensorData::new(pixels.concat(), [count, PIXELS]), device);
    (x, Tensor::from_data(TensorData::new(digits, [count]), device))
}

/// How a penalty reaches the weights.
#[derive(Clone, Copy, PartialEq)]
enum Route {
    Gradient,
    Proximal,
}

fn train(
    rows: &[Row],
    epochs: usize,
    route: Route,
    regularizer: &mut Regularizer,
    device: &Device,
) -> Result<Mlp, Box<dyn Error>> {
    let mut model = Mlp::new(device);
    let mut optimizer = SgdConfig::new().init();
    let loss = CrossEntropyLossConfig::new().init(device);
    let mut order: Vec<&Row> = rows.iter().collect();
    let mut random = Random(2);
    for _ in 0..epochs {
        random.shuffle(&mut order);
        for rows in order.chunks(BATCH) {
            let (x, digits) = batch(rows.iter().copied(), device);
            let loss = loss.forward(model.forward(x), digits);
            let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
            if route == Route::Gradient {
                regularizer.add_gradients(&model, &mut gradients)?;
            }
            model = optimizer.step(LEARNING_RATE, model, gradients);
            if route == Route::Proximal {
                model = regularizer.prox(model, LEARNING_RATE)?.0;
            }
        }
    }
    Ok(model)
}

fn accuracy(model: &Mlp, rows: &[Row], device: &Device) -> Result<f64, Box<dyn Error>> {
    let (x, digits) = batch(rows.iter(), device);
    let right = model.forward(x).argmax(1).flatten::<1>(0, 1).equal(digits).int().sum();
    let right: i64 = right.try_into_data()?.iter::<i64>().next().unwrap_or(0);
    Ok(100.0 * right as f64 / rows.len() as f64)
}

/// Writes every float parameter under its path.
fn save(model: &Mlp, path: &Path) -> Result<(), Box<dyn Error>> {
    #[derive(Default)]
    struct Collect {
        path: Vec<String>,
        tensors: BTreeMap<String, TensorData>,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.tensors.insert(self.path.join("."), param.base().into_data());
        }
    }
    let mut collect = Collect::default();
    model.visit(&mut collect);
    let mut views = BTreeMap::new();
    for (path, data) in &collect.tensors {
        views.insert(path, TensorView::new(Dtype::F32, data.shape().to_vec(), data.as_bytes())?);
    }
    Ok(safetensors::serialize_to_file(views, None, path)?)
}

struct Arguments {
    epochs: usize,
    wgpu: bool,
    out: PathBuf,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments { epochs: EPOCHS, wgpu: false, out: "target/digits".into() };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} takes a value"))?;
        match (name.as_str(), value.as_str()) {
            ("--epochs", _) => arguments.epochs = value.parse()?,
            ("--backend", "flex" | "wgpu") => arguments.wgpu = value == "wgpu",
            ("--out", _) => arguments.out = value.into(),
            _ => return Err("usage: digits [--epochs N] [--backend flex|wgpu] [--out DIR]".into()),
        }
    }
    Ok(arguments)
}

fn regularizer(wgpu: Option<&Wgpu>, penalty: &Penalty) -> Regularizer {
    let rules = Rules::new(penalty.clone());
    match wgpu {
        Some(wgpu) => Regularizer::wgpu(wgpu, rules),
        None => Regularizer::host(rules),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let (device, wgpu) = if arguments.wgpu {
        let (device, setup) = Device::wgpu_options().init_with_setup()?;
        println!("on {}", setup.adapter.get_info().name);
        let wgpu = Wgpu::new(&device, &setup)?;
        (device, Some(wgpu))
    } else {
        (Device::flex(), None)
    };
    let device = device.autodiff();
    let (train_rows, test_rows) = rows()?;
    std::fs::create_dir_all(&arguments.out)?;

    let runs = [
        ("none", Penalty::none(), Route::Gradient),
        ("l2_squared", Penalty::l2_squared(LAMBDA)?, Route::Gradient),
        ("l1_subgradient", Penalty::l1(LAMBDA)?, Route::Gradient),
        ("l1_prox", Penalty::l1(LAMBDA)?, Route::Proximal),
    ];
    println!(
        "{:<16}{:>12}{:>10}{:>10}{:>10}{:>12}{:>10}",
        "run", "test acc. %", "weights", "zeros", "zeros %", "Σ|θ|", "time"
    );
    let mut results: Vec<(f64, Report)> = Vec::new();
    for (name, penalty, route) in runs {
        let began = Instant::now();
        let mut regularizer = regularizer(wgpu.as_ref(), &penalty);
        let model = train(&train_rows, arguments.epochs, route, &mut regularizer, &device)?;
        let total = regularizer.evaluate(&model)?.wait(Duration::from_secs(600))?.total;
        let accuracy = accuracy(&model, &test_rows, &device)?;
        save(&model, &arguments.out.join(format!("{name}.safetensors")))?;
        println!(
            "{name:<16}{accuracy:>12.2}{:>10}{:>10}{:>10.2}{:>12.2}{:>9.1}s",
            total.len,
            total.zeros(),
            100.0 * total.zeros() as f64 / total.len as f64,
            total.l1,
            began.elapsed().as_secs_f64(),
        );
        results.push((accuracy, total));
    }
    println!("checkpoints: {}", arguments.out.display());

    if arguments.epochs < EPOCHS {
        println!("{} epochs of {EPOCHS}: nothing is checked", arguments.epochs);
        return Ok(());
    }
    let [(plain, none), (_, l2), (_, subgradient), (sparse, prox)] = &results[..] else {
        return Err("not four runs".into());
    };
    let claims = [
        ("the prox makes at least half of the weights exactly 0", 2 * prox.zeros() >= prox.len),
        ("it costs at most 1.5 points of accuracy", *sparse >= plain - 1.5),
        ("no other run has an exact 0", none.zeros() + l2.zeros() + subgradient.zeros() == 0),
    ];
    for (claim, holds) in claims {
        println!("{}: {claim}", if holds { "holds" } else { "FAILS" });
    }
    if claims.iter().all(|(_, holds)| *holds) { Ok(()) } else { Err("a claim fails".into()) }
}
