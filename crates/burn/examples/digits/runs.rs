//! The runs: how each one reaches its weights.

use std::error::Error;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Device;
use penalty_burn::optim::{ProximalAdamConfig, ProximalSgdConfig};
use penalty_burn::penalty::{Budget, Groups, Penalty};
use penalty_burn::{ByShape, Regularizer, Rules, Wgpu, mask};

use crate::data::Row;
use crate::network::{Mlp, Random, batch};

const BATCH: usize = 32;
const SGD_RATE: f64 = 0.1;
const ADAM_RATE: f64 = 1e-3;
const MOMENTUM_RATE: f64 = 0.02;

/// We chose λ and the epochs by cross-validation over the training rows alone: the most zeros within a standard error of the best accuracy.
/// Adam and the group lasso take the same λ.
const LAMBDA: f64 = 3e-4;
/// MCP's slope at 0 is λ, and it is flat beyond γλ = 0.2.
const MCP: [f64; 2] = [2e-3, 100.0];

/// Where training runs, and on what.
pub(crate) struct Training<'a> {
    pub(crate) rows: &'a [Row],
    pub(crate) epochs: usize,
    pub(crate) device: Device,
    pub(crate) wgpu: Option<Wgpu>,
}

/// A name, and how the run trains.
pub(crate) type Run = (&'static str, How);

/// How a run reaches its weights.
pub(crate) enum How {
    /// Burn's optimizer, with the penalty's gradient added to the loss's.
    Gradient(Burns, Penalty),
    /// Burn's SGD, then the prox.
    SgdThenProx(Penalty),
    /// Proximal SGD with momentum.
    ProximalSgd(Rules),
    /// Proximal Adam.
    ProximalAdam(Rules),
    /// Burn's Adam, pruned after training.
    Pruned(Prune),
    /// The same, trained on for a quarter of the epochs with the zeros held.
    PrunedAndTuned(Prune),
}

#[derive(Clone, Copy)]
pub(crate) enum Burns {
    Sgd,
    Adam,
    AdamW,
}

#[derive(Clone, Copy)]
pub(crate) enum Prune {
    /// This fraction of all weights.
    Fraction(f64),
    /// Two of four along the inputs, as sparse tensor cores want it.
    TwoOfFour,
}

pub(crate) fn runs() -> Result<Vec<Run>, Box<dyn Error>> {
    let l1 = |lambda| Penalty::l1(lambda).map(Rules::new);
    let group_lasso = Rules::grouped(Penalty::group_lasso(LAMBDA, Groups::whole())?, ByShape::Columns);
    let group_lasso = group_lasso.penalty_for("fc3", Penalty::none())?; // its columns are the digits
    Ok(vec![
        ("none", How::Gradient(Burns::Sgd, Penalty::none())),
        ("l2_squared", How::Gradient(Burns::Sgd, Penalty::l2_squared(LAMBDA)?)),
        ("l1_subgradient", How::Gradient(Burns::Sgd, Penalty::l1(LAMBDA)?)),
        ("l1_prox", How::SgdThenProx(Penalty::l1(LAMBDA)?)),
        ("l1_proximal_sgd", How::ProximalSgd(l1(LAMBDA)?)),
        ("adam_none", How::Gradient(Burns::Adam, Penalty::none())),
        ("adam_l2", How::Gradient(Burns::Adam, Penalty::l2_squared(LAMBDA)?)),
        ("adamw", How::Gradient(Burns::AdamW, Penalty::none())),
        ("adam_l1_subgradient", How::Gradient(Burns::Adam, Penalty::l1(LAMBDA)?)),
        ("adam_l1_proximal", How::ProximalAdam(l1(LAMBDA)?)),
        ("adam_mcp_proximal", How::ProximalAdam(Rules::new(Penalty::mcp(MCP[0], MCP[1])?))),
        ("group_lasso_columns", How::ProximalSgd(group_lasso)),
        ("pruned_50", How::Pruned(Prune::Fraction(0.5))),
        ("pruned_80", How::Pruned(Prune::Fraction(0.8))),
        ("pruned_90", How::Pruned(Prune::Fraction(0.9))),
        ("pruned_50_tuned", How::PrunedAndTuned(Prune::Fraction(0.5))),
        ("pruned_80_tuned", How::PrunedAndTuned(Prune::Fraction(0.8))),
        ("pruned_90_tuned", How::PrunedAndTuned(Prune::Fraction(0.9))),
        ("two_of_four_tuned", How::PrunedAndTuned(Prune::TwoOfFour)),
    ])
}

impl Burns {
    fn optimizer(self) -> (ModuleOptimizer, f64) {
        match self {
            Burns::Sgd => (SgdConfig::new().init(), SGD_RATE),
            Burns::Adam => (AdamConfig::new().init(), ADAM_RATE),
            Burns::AdamW => (AdamWConfig::new().with_weight_decay(0.1).init(), ADAM_RATE),
        }
    }
}

impl Training<'_> {
    pub(crate) fn run(&self, how: &How) -> Result<Mlp, Box<dyn Error>> {
        let model = Mlp::new(&self.device);
        match how {
            How::Gradient(burns, penalty) => {
                let mut regularizer = self.regularizer(Rules::new(penalty.clone()));
                let (mut optimizer, rate) = burns.optimizer();
                self.train(model, self.epochs, |model, mut gradients| {
                    regularizer.add_gradients(&model, &mut gradients)?;
                    Ok(optimizer.step(rate, model, gradients))
                })
            }
            How::SgdThenProx(penalty) => {
                let mut regularizer = self.regularizer(Rules::new(penalty.clone()));
                let mut optimizer = SgdConfig::new().init();
                self.train(model, self.epochs, |model, gradients| {
                    Ok(regularizer.prox(optimizer.step(SGD_RATE, model, gradients), SGD_RATE)?.0)
                })
            }
            How::ProximalSgd(rules) => {
                let config = ProximalSgdConfig::new().with_momentum(Some(MomentumConfig::new()));
                let (mut optimizer, statistics) = match &self.wgpu {
                    Some(wgpu) => config.init_on(wgpu, rules, &model)?,
                    None => config.init(rules, &model)?,
                };
                let model = self.train(model, self.epochs, |model, gradients| {
                    Ok(optimizer.step(MOMENTUM_RATE, model, gradients))
                })?;
                statistics.wait(crate::TIMEOUT)?; // an error of any step
                Ok(model)
            }
            How::ProximalAdam(rules) => self.adam(model, self.epochs, rules),
            How::Pruned(prune) => {
                let dense = self.run(&How::Gradient(Burns::Adam, Penalty::none()))?;
                self.prune(dense, *prune)
            }
            How::PrunedAndTuned(prune) => {
                let pruned = self.run(&How::Pruned(*prune))?;
                let held = Rules::new(Penalty::mask()).element_weights(&mask(pruned.clone()));
                self.adam(pruned, self.epochs.div_ceil(4), &held)
            }
        }
    }

    fn adam(&self, model: Mlp, epochs: usize, rules: &Rules) -> Result<Mlp, Box<dyn Error>> {
        let config = ProximalAdamConfig::new();
        let (mut optimizer, statistics) = match &self.wgpu {
            Some(wgpu) => config.init_on(wgpu, rules, &model)?,
            None => config.init(rules, &model)?,
        };
        let model = self.train(model, epochs, |model, gradients| Ok(optimizer.step(ADAM_RATE, model, gradients)))?;
        statistics.wait(crate::TIMEOUT)?; // an error of any step
        Ok(model)
    }

    fn prune(&self, model: Mlp, prune: Prune) -> Result<Mlp, Box<dyn Error>> {
        match prune {
            Prune::Fraction(fraction) => {
                let mut regularizer = self.regularizer(Rules::new(Penalty::none()));
                Ok(regularizer.prune(model, &Budget::prune(fraction)?)?.0)
            }
            Prune::TwoOfFour => {
                let rules = Rules::grouped(Penalty::top_k(2)?, ByShape::Runs { dim: 0, len: 4 });
                Ok(self.regularizer(rules).prox(model, 1.0)?.0)
            }
        }
    }

    pub(crate) fn regularizer(&self, rules: Rules) -> Regularizer {
        match &self.wgpu {
            Some(wgpu) => Regularizer::wgpu(wgpu, rules),
            None => Regularizer::host(rules),
        }
    }

    /// Trains for some epochs on the same batches in every run.
    fn train(
        &self,
        mut model: Mlp,
        epochs: usize,
        mut step: impl FnMut(Mlp, GradientsParams) -> Result<Mlp, Box<dyn Error>>,
    ) -> Result<Mlp, Box<dyn Error>> {
        let loss = CrossEntropyLossConfig::new().init(&self.device);
        let mut order: Vec<&Row> = self.rows.iter().collect();
        let mut random = Random(2);
        for _ in 0..epochs {
            random.shuffle(&mut order);
            for rows in order.chunks(BATCH) {
                let (x, digits) = batch(rows.iter().copied(), &self.device);
                let loss = loss.forward(model.forward(x), digits);
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                model = step(model, gradients)?;
            }
        }
        Ok(model)
    }
}
