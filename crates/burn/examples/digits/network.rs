//! The network: three layers, the same start in every run, and its checkpoints.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};

use crate::data::{PIXELS, Row};

#[derive(Module, Debug)]
pub(crate) struct Mlp {
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl Mlp {
    /// He's uniform initialization, from our generator, so that every backend and every run starts with the same weights.
    pub(crate) fn new(device: &Device) -> Mlp {
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

    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.fc3.forward(relu(self.fc2.forward(relu(self.fc1.forward(x)))))
    }

    /// How many percent of these rows it classifies correctly.
    pub(crate) fn accuracy(&self, rows: &[Row], device: &Device) -> Result<f64, Box<dyn Error>> {
        let (x, digits) = batch(rows, device);
        let right = self.forward(x).argmax(1).flatten::<1>(0, 1).equal(digits).int().sum();
        let right: i64 = right.try_into_data()?.iter::<i64>().next().unwrap_or(0);
        Ok(100.0 * right as f64 / rows.len() as f64)
    }

    /// How many of the 192 hidden neurons have no input left: their columns are 0.
    pub(crate) fn neurons_removed(&self) -> Result<usize, Box<dyn Error>> {
        let mut removed = 0;
        for layer in [&self.fc1, &self.fc2] {
            let largest = layer.weight.base().inner().abs().max_dim(0).into_data().try_into_vec::<f32>()?;
            removed += largest.iter().filter(|largest| **largest == 0.0).count();
        }
        Ok(removed)
    }

    /// Writes every float parameter under its path.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Box<dyn Error>> {
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
        self.visit(&mut collect);
        let mut views = BTreeMap::new();
        for (path, data) in &collect.tensors {
            views.insert(path, TensorView::new(Dtype::F32, data.shape().to_vec(), data.as_bytes())?);
        }
        Ok(safetensors::serialize_to_file(views, None, path)?)
    }
}

pub(crate) fn batch<'a>(rows: impl IntoIterator<Item = &'a Row>, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let (pixels, digits): (Vec<&[f32]>, Vec<i32>) = rows.into_iter().map(|row| (&row.pixels[..], row.digit)).unzip();
    let count = digits.len();
    let x = Tensor::from_data(TensorData::new(pixels.concat(), [count, PIXELS]), device);
    (x, Tensor::from_data(TensorData::new(digits, [count]), device))
}

/// `SplitMix64` (Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

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

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
    }
}
