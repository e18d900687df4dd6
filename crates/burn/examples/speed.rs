//! Times a step of the proximal optimizers, by whole modules and tensor by tensor, beside Burn's own optimizer followed by a shrink in
//! tensor operations, in one run.
//!
//! ```sh
//! cargo run --release -p penalty-burn --example speed                      # on the CPU; `-- --backend wgpu` for a GPU
//! ```
//!
//! All three take the same steps from the same weights. The example checks that they agree before it times them. Each time is the median of
//! rounds that alternate between them.

use std::error::Error;
use std::time::Instant;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Distribution, Tensor};
use penalty_burn::optim::{ProximalAdamConfig, ProximalSgdConfig, WholeModule};
use penalty_burn::penalty::Penalty;
use penalty_burn::{Rules, Wgpu, sgd_prox_step};

const LAMBDA: f64 = 1e-3;
const RATE: f64 = 1e-2;
const ROUNDS: usize = 15;
const STEPS: usize = 4;

/// Layers of the same shape.
#[derive(Module, Debug)]
struct Layers {
    layers: Vec<Linear>,
}

impl Layers {
    fn new(count: usize, side: usize, device: &Device) -> Layers {
        Layers { layers: (0..count).map(|_| LinearConfig::new(side, side).with_bias(false).init(device)).collect() }
    }

    fn weights(&self) -> usize {
        self.layers.iter().map(|layer| layer.weight.shape().num_elements()).sum()
    }
}

/// The same gradients in each step, so that only the step is timed.
struct Gradients<'a>(&'a mut GradientsParams, &'a [Tensor<2>], usize);

impl ModuleVisitor for Gradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.1[self.2].clone();
        self.0.register(param.id, gradient);
        self.2 += 1;
    }
}

fn gradients(module: &Layers, tensors: &[Tensor<2>]) -> GradientsParams {
    let mut gradients = GradientsParams::new();
    module.visit(&mut Gradients(&mut gradients, tensors, 0));
    gradients
}

/// The shrink in Burn's operations: v − clamp(v, −t, t).
struct Shrink(f64);

impl ModuleMapper for Shrink {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|v| {
            let v = v.inner();
            Tensor::from_inner(v.clone() - v.clamp(-self.0, self.0)).require_grad()
        })
    }
}

/// One of the contenders: a module and what takes its steps.
struct Contender {
    module: Option<Layers>,
    optimizer: Optimizer,
}

enum Optimizer {
    /// Burn's, and the threshold of the shrink that follows.
    Burns(ModuleOptimizer, f64),
    Tensors(ModuleOptimizer),
    Whole(Box<WholeModule>),
}

impl Contender {
    fn step(&mut self, tensors: &[Tensor<2>]) -> Result<(), penalty_burn::Error> {
        let Some(module) = self.module.take() else { return Ok(()) };
        let gradients = gradients(&module, tensors);
        self.module = Some(match &mut self.optimizer {
            Optimizer::Burns(optimizer, threshold) => {
                optimizer.step(RATE, module, gradients).map(&mut Shrink(*threshold))
            }
            Optimizer::Tensors(optimizer) => optimizer.step(RATE, module, gradients),
            Optimizer::Whole(optimizer) => optimizer.step(RATE, module, gradients)?,
        });
        Ok(())
    }

    fn milliseconds(&mut self, tensors: &[Tensor<2>], device: &Device) -> Result<f64, Box<dyn Error>> {
        device.sync()?;
        let began = Instant::now();
        for _ in 0..STEPS {
            self.step(tensors)?;
            // Burn's fusion would otherwise compute all steps in one kernel, which the forward pass of a training loop rules out.
            device.sync()?;
        }
        Ok(began.elapsed().as_secs_f64() * 1e3 / STEPS as f64)
    }

    fn values(&self) -> Result<Vec<f32>, Box<dyn Error>> {
        let mut values = Vec::new();
        for layer in self.module.iter().flat_map(|module| &module.layers) {
            values.extend(layer.weight.base().into_data().try_into_vec::<f32>()?);
        }
        Ok(values)
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    let on_wgpu = std::env::args().skip(1).any(|argument| argument == "wgpu");
    let (device, wgpu) = if on_wgpu {
        let (device, setup) = Device::wgpu_options().init_with_setup()?;
        println!("on {}", setup.adapter.get_info().name);
        let wgpu = Wgpu::new(&device, &setup)?;
        (device, Some(wgpu))
    } else {
        (Device::flex(), None)
    };
    let plain = device.clone();
    let device = device.autodiff();
    let rules = Rules::new(Penalty::l1(LAMBDA)?);
    println!(
        "{:<10}{:>24}{:>10}{:>12}{:>10}{:>8}{:>8}",
        "optimizer", "weights", "Burn ms", "tensors ms", "whole ms", "ratio", "ratio"
    );
    for (count, side) in [(1, 64), (50, 64), (4, 512), (2, 2048)] {
        for momentum in [true, false] {
            let start = Layers::new(count, side, &device);
            let tensors: Vec<_> = (0..count)
                .map(|_| Tensor::<2>::random([side, side], Distribution::Uniform(-1.0, 1.0), &plain))
                .collect();
            let (burns, (tensorwise, statistics), whole) = if momentum {
                let config = Some(MomentumConfig::new());
                let proximal = ProximalSgdConfig::new().with_momentum(config.clone());
                let burns: ModuleOptimizer = SgdConfig::new().with_momentum(config).init();
                match &wgpu {
                    Some(wgpu) => {
                        let whole = proximal.init_whole_on(wgpu, &rules, &start)?;
                        (burns, proximal.init_on(wgpu, &rules, &start)?, whole)
                    }
                    None => (burns, proximal.init(&rules, &start)?, proximal.init_whole(&rules, &start)?),
                }
            } else {
                // Burn's shrink has one threshold for all weights, which is the plain metric.
                let proximal = ProximalAdamConfig::new().with_plain_metric(true);
                let burns: ModuleOptimizer = AdamConfig::new().init();
                match &wgpu {
                    Some(wgpu) => {
                        let whole = proximal.init_whole_on(wgpu, &rules, &start)?;
                        (burns, proximal.init_on(wgpu, &rules, &start)?, whole)
                    }
                    None => (burns, proximal.init(&rules, &start)?, proximal.init_whole(&rules, &start)?),
                }
            };
            let step = if momentum { sgd_prox_step(RATE, Some(&MomentumConfig::new()))? } else { RATE };
            let whole_statistics = whole.statistics();
            let optimizers = [
                Optimizer::Burns(burns, step * LAMBDA),
                Optimizer::Tensors(tensorwise),
                Optimizer::Whole(Box::new(whole)),
            ];
            let mut contenders = optimizers.map(|optimizer| Contender { module: Some(start.clone()), optimizer });
            let weights = start.weights();
            drop(start);
            for contender in &mut contenders {
                for _ in 0..3 {
                    contender.step(&tensors)?;
                }
            }
            let [burns, others @ ..] = &contenders;
            for other in others {
                let pairs = burns.values()?.into_iter().zip(other.values()?);
                let far = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                if far > 1e-4 {
                    return Err(format!("the contenders differ by {far}").into());
                }
            }
            let mut times = [const { Vec::new() }; 3];
            for _ in 0..ROUNDS {
                for (times, contender) in times.iter_mut().zip(&mut contenders) {
                    times.push(contender.milliseconds(&tensors, &plain)?);
                }
            }
            let [burns_ms, tensors_ms, whole_ms] = times.map(median);
            println!(
                "{:<10}{:>24}{burns_ms:>10.3}{tensors_ms:>12.3}{whole_ms:>10.3}{:>8.2}{:>8.2}   {} + {} copies",
                if momentum { "momentum" } else { "adam" },
                format!("{count} x {side}x{side} = {weights}"),
                burns_ms / tensors_ms,
                burns_ms / whole_ms,
                statistics.copies(),
                whole_statistics.copies(),
            );
        }
    }
    Ok(())
}
