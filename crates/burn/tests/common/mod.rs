//! What the tests share: a module with one of everything, and its values.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod adapters;
pub(crate) mod optim;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use penalty_burn::penalty::{Gpu, Penalty, Reports};
use penalty_burn::{Pending, Regularizer, Rules, sgd_prox_step};

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

/// Every gradient's bits, by its parameter's path.
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

/// Copies values to memory that nothing else holds, on this device and in this type.
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
    pending.wait(Gpu::TIMEOUT).expect("the step was submitted")
}

/// f = ½‖θ − c‖² and R = ½‖θ‖₁ have their minimum at `MINIMIZER`.
pub(crate) const CENTRE: [f32; 4] = [1.0, 0.4, -2.0, 0.1];
pub(crate) const MINIMIZER: [f32; 4] = [0.5, 0.0, -1.5, 0.0];

/// Where an optimizer ends after `steps` steps from 0. After each step, the regularizer takes a prox with `prox_step`.
pub(crate) fn end(
    device: &Device,
    mut optimizer: ModuleOptimizer,
    (steps, learning_rate, prox_step): (u32, f64, f64),
    regularizer: impl Fn(Rules) -> Regularizer,
) -> [f32; 4] {
    let centre = Tensor::<2>::from_data(TensorData::new(CENTRE.to_vec(), [1, 4]), device);
    let mut theta = Param::from_tensor(Tensor::<2>::zeros([1, 4], device));
    let mut regularizer = regularizer(Rules::new(Penalty::l1(0.5).unwrap()));
    for _ in 0..steps {
        let loss = (theta.val() - centre.clone()).powi_scalar(2).sum() * 0.5;
        let gradients = GradientsParams::from_grads(loss.backward(), &theta);
        theta = optimizer.step(learning_rate, theta, gradients);
        (theta, _) = regularizer.prox(theta, prox_step).unwrap();
    }
    theta.base().inner().into_data().try_into_vec::<f32>().unwrap().try_into().unwrap()
}

pub(crate) fn distance(theta: [f32; 4], from: [f32; 4]) -> f32 {
    theta.iter().zip(from).map(|(theta, want)| (theta - want).abs()).fold(0.0, f32::max)
}

/// SGD with every kind of momentum ends at the minimizer, if the prox's step is the one for that momentum.
pub(crate) fn sgd_ends_at_the_minimizer(device: &Device, regularizer: impl Fn(Rules) -> Regularizer) {
    let half = || MomentumConfig::new().with_momentum(0.5);
    let kinds = [
        None,
        Some(half()),
        Some(half().with_dampening(0.0)),
        Some(half().with_dampening(0.5).with_nesterov(true)),
        Some(half().with_dampening(0.0).with_nesterov(true)),
    ];
    for momentum in kinds {
        sgd_ends(device, &regularizer, (60, 0.3), momentum);
    }
}

/// Asserts that SGD ends at the minimizer after this many steps, with this learning rate and this momentum.
pub(crate) fn sgd_ends(
    device: &Device,
    regularizer: impl Fn(Rules) -> Regularizer,
    (steps, learning_rate): (u32, f64),
    momentum: Option<MomentumConfig>,
) {
    let prox_step = sgd_prox_step(learning_rate, momentum.as_ref()).unwrap();
    let optimizer = SgdConfig::new().with_momentum(momentum.clone()).init();
    let theta = end(device, optimizer, (steps, learning_rate, prox_step), &regularizer);
    assert!(distance(theta, MINIMIZER) < 1e-5, "{momentum:?}: found {theta:?}");
    assert_eq!([theta[1], theta[3]], [0.0; 2], "{momentum:?}");
}
