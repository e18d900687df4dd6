//! What the tests share: a module with one of everything, and its values.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod adapters;

use std::collections::BTreeMap;
use std::time::Duration;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use penalty_burn::Pending;
use penalty_burn::penalty::Reports;

#[derive(Module, Debug)]
pub(crate) struct Net {
    pub(crate) embed: Linear,
    pub(crate) norm: LayerNorm,
    pub(crate) batch: BatchNorm,
    pub(crate) layers: Vec<Linear>,
}

/// Two names for one parameter.
#[derive(Module, Debug)]
pub(crate) struct Tied {
    pub(crate) a: Linear,
    pub(crate) b: Linear,
}

/// Numbers in (−1, 1), some of them tiny.
pub(crate) fn numbers(len: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| {
        let unit = ((i * 7919 + seed * 104_729) % 20_011) as f32 / 10_005.5 - 1.0;
        if i.is_multiple_of(5) { unit * 1e-3 } else { unit }
    };
    (0..len).map(number).collect()
}

pub(crate) fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    let mut linear = LinearConfig::new(inputs, outputs).init(device);
    let weights = TensorData::new(numbers(inputs * outputs, inputs + outputs), [inputs, outputs]);
    linear.weight = Param::from_data(weights, device);
    linear.bias = Some(Param::from_data(TensorData::new(numbers(outputs, 3), [outputs]), device));
    linear
}

pub(crate) fn net(device: &Device) -> Net {
    Net {
        embed: linear(6, 37, device),
        norm: LayerNormConfig::new(37).init(device),
        batch: BatchNormConfig::new(37).init(device),
        layers: vec![linear(37, 150, device), linear(150, 3, device)],
    }
}

impl Net {
    pub(crate) fn loss(&self, device: &Device) -> Tensor<1> {
        let x = Tensor::<2>::from_data(TensorData::new(numbers(60, 1), [10, 6]), device);
        let y = Tensor::<2>::from_data(TensorData::new(numbers(30, 2), [10, 3]), device);
        let mut x = self.norm.forward(self.embed.forward(x));
        for layer in &self.layers {
            x = layer.forward(x).tanh();
        }
        (x - y).powi_scalar(2).mean()
    }

    pub(crate) fn gradients(&self, device: &Device) -> GradientsParams {
        GradientsParams::from_grads(self.loss(device).backward(), self)
    }
}

/// Every float parameter's bits, by its path.
pub(crate) fn values<M: Module>(module: &M) -> BTreeMap<String, Vec<u8>> {
    let mut values = Values { path: Vec::new(), gradients: None, values: BTreeMap::new() };
    module.visit(&mut values);
    values.values
}

/// Every gradient's.
pub(crate) fn gradient_values<M: Module>(module: &M, gradients: &GradientsParams) -> BTreeMap<String, Vec<u8>> {
    let mut values = Values { path: Vec::new(), gradients: Some(gradients), values: BTreeMap::new() };
    module.visit(&mut values);
    values.values
}

struct Values<'a> {
    path: Vec<String>,
    gradients: Option<&'a GradientsParams>,
    values: BTreeMap<String, Vec<u8>>,
}

impl ModuleVisitor for Values<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            Some(gradients) => gradients.get::<D>(param.id),
            None => Some(param.base().inner()),
        };
        if let Some(tensor) = tensor {
            self.values.insert(self.path.join("."), tensor.into_data().as_bytes().to_vec());
        }
    }
}

/// The same values in memory that nothing else holds, on this device and in this type.
pub(crate) struct Fresh(pub(crate) Device, pub(crate) DType);

impl ModuleMapper for Fresh {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let tracked = tensor.is_require_grad();
            let data = tensor.inner().into_data().convert_dtype(self.1);
            let tensor = Tensor::from_data(data, (&self.0, self.1));
            if tracked && self.0.is_autodiff() { tensor.require_grad() } else { tensor }
        })
    }
}

pub(crate) fn wait(pending: &Pending) -> Reports {
    pending.wait(Duration::from_secs(30)).expect("the step was submitted")
}
